use super::*;
use crate::fault::{Fault, Faults, read};
use deserr::Deserr;
use proptest::prelude::*;
use serde_json::json;
use std::{fmt::Debug, fmt::Display, str::FromStr};

fn normalises<T: FromStr + Display>(table: &[(&str, &str)]) {
    for (given, kept) in table {
        let parsed = given.parse::<T>().map(|id| id.to_string()).ok();
        assert_eq!(parsed.as_deref(), Some(*kept), "{given}");
    }
}

fn refuses<T: FromStr + Debug>(table: &[&str]) {
    for given in table {
        assert!(given.parse::<T>().is_err(), "{given:?} went in");
    }
}

#[test]
fn orcid_ids() {
    normalises::<Orcid>(&[
        ("0000-0002-1825-0097", "0000-0002-1825-0097"),
        ("0000-0001-5109-3700", "0000-0001-5109-3700"),
        ("0000-0002-1694-233X", "0000-0002-1694-233X"),
        ("0000-0002-1694-233x", "0000-0002-1694-233X"),
        ("https://orcid.org/0000-0002-1825-0097", "0000-0002-1825-0097"),
        ("HTTP://ORCID.org/0000-0002-1825-0097", "0000-0002-1825-0097"),
    ]);
    refuses::<Orcid>(&[
        "",
        "0000-0002-1825-0098",
        "0000-0002-1852-0097",
        "0000-0002-1825-009",
        "0000-0002-1825-00977",
        "0000000218250097",
        "0000-0002-18250097-",
        "0000-0002-182X-0097",
        " 0000-0002-1825-0097",
        "https://example.org/0000-0002-1825-0097",
        "０000-0002-1825-0097",
        "é000-0002-1825-0097",
    ]);
}

#[test]
fn ror_ids() {
    normalises::<Ror>(&[
        ("02mhbdp94", "02mhbdp94"),
        ("02MHBDP94", "02mhbdp94"),
        ("https://ror.org/02mhbdp94", "02mhbdp94"),
        ("ror.org/02mhbdp94", "02mhbdp94"),
        ("05dxps055", "05dxps055"),
    ]);
    refuses::<Ror>(&["", "02mhbdp95", "02mhbpd94", "12mhbdp94", "02mhbdp9", "02mhbdp944", "02mhbil94", "02mhbdpé4"]);
}

#[test]
fn nct_ids() {
    normalises::<NctId>(&[
        ("NCT00973089", "NCT00973089"),
        ("nct00973089", "NCT00973089"),
        ("nct123", "NCT00000123"),
        ("NcT973089", "NCT00973089"),
    ]);
    refuses::<NctId>(&["", "NCT", "NCT009730890", "00973089", "NCT 973089", "NCT-1", "NTC00973089", "NC€1", "NCT٣"]);
}

#[test]
fn dois() {
    normalises::<Doi>(&[
        ("10.1056/NEJMoa2204233", "10.1056/nejmoa2204233"),
        ("https://doi.org/10.1056/NEJMoa2204233", "10.1056/nejmoa2204233"),
        ("http://dx.doi.org/10.1056/NEJMoa2204233", "10.1056/nejmoa2204233"),
        ("HTTPS://DOI.ORG/10.1000/182", "10.1000/182"),
        ("doi:10.14219/jada.archive.2008.0252", "10.14219/jada.archive.2008.0252"),
        ("DOI: 10.1000/182", "10.1000/182"),
        (
            "10.1002/(SICI)1097-0142(19960115)77:2<217::AID>3.0.CO;2-#",
            "10.1002/(sici)1097-0142(19960115)77:2<217::aid>3.0.co;2-#",
        ),
        ("10.1000/a/b", "10.1000/a/b"),
    ]);
    refuses::<Doi>(&[
        "",
        "10.1000/",
        "10.100/x",
        "10.1234567890/x",
        "10.1000",
        "11.1000/x",
        "10.1000/a b",
        "10.1000/a\0b",
        "10.1000/x ",
        "10.1000.5/x",
        "https://example.org/10.1000/182",
    ]);
    refuses::<Doi>(&[&format!("10.1000/{}", "x".repeat(293))]);
    normalises::<Doi>(&[(&format!("10.1000/{}", "x".repeat(292)), &format!("10.1000/{}", "x".repeat(292)))]);
}

#[test]
fn pubmed_numbers() {
    normalises::<Pmid>(&[("18519994", "18519994"), ("0018519994", "18519994"), ("1", "1"), ("999999999", "999999999")]);
    refuses::<Pmid>(&["", "0", "000", "1234567890", "PMC1", "12a", "-1", "+1", "1.0", "１２"]);
}

#[test]
fn mesh_ids_are_kept_as_given_and_compared_by_number() {
    normalises::<MeshId>(&[("D001930", "D001930"), ("D000001930", "D000001930")]);
    refuses::<MeshId>(&["", "D", "d001930", "D00193", "D0019300", "D00019300", "D0000019300", "C000657245", "D00193x"]);
    let [short, long]: [MeshId; 2] = ["D001930", "D000001930"].map(|id| id.parse().unwrap());
    assert_ne!(short, long);
    assert_eq!(short.number(), long.number());
    assert_eq!("D999999999".parse::<MeshId>().unwrap().number(), 999_999_999);
}

#[test]
fn dates_are_real_ones() {
    normalises::<PartialDate>(&[("2015-03", "2015-03"), ("2024-02-29", "2024-02-29"), ("0001-01", "0001-01")]);
    refuses::<PartialDate>(&[
        "",
        "2015",
        "2015-3",
        "2015-13",
        "2015-00",
        "2023-02-29",
        "2015-04-31",
        "2015-03-",
        "2015-03-1",
        "0000-01",
        "2015/03",
        "2015-03-01T00:00:00Z",
        "March 2015",
        "+015-03",
        "2015-03-+1",
        "20é-03x",
    ]);
    normalises::<CalendarDate>(&[("2024-02-29", "2024-02-29"), ("9999-12-31", "9999-12-31")]);
    refuses::<CalendarDate>(&["", "2024-02", "1900-02-29", "10000-01-01", "-001-01-01", "2024-02-2９"]);
}

#[test]
fn a_partial_date_says_which_days_it_can_mean() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let february: PartialDate = "2024-02".parse().unwrap();
    assert_eq!((february.first_day(), february.last_day()), (day("2024-02-01"), day("2024-02-29")));
    let ides: PartialDate = "2024-03-15".parse().unwrap();
    assert_eq!((ides.first_day(), ides.last_day()), (day("2024-03-15"), day("2024-03-15")));
    assert_eq!("2024-02-29".parse::<CalendarDate>().unwrap().day(), day("2024-02-29"));
    assert_eq!(CalendarDate::try_from(day("2024-02-29")).unwrap().as_str(), "2024-02-29");
    assert!(CalendarDate::try_from(NaiveDate::MAX).is_err());
}

#[test]
fn email_addresses() {
    normalises::<Email>(&[
        ("Ada@Example.org", "Ada@Example.org"),
        ("a+b@localhost", "a+b@localhost"),
        ("é@exämple.org", "é@exämple.org"),
    ]);
    refuses::<Email>(&[
        "", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", " a@b", "a@b\n", "a@b\0", "a@.b", "a@b.", "a@b..c", "ada",
    ]);
    assert_eq!("Ada@Example.org".parse::<Email>().unwrap().folded(), "ada@example.org");
    normalises::<Email>(&[(&format!("a@{}", "b".repeat(252)), &format!("a@{}", "b".repeat(252)))]);
    refuses::<Email>(&[&format!("a@{}", "b".repeat(253))]);
}

#[test]
fn json_goes_through_the_same_door() {
    let kept: NctId = serde_json::from_value(json!("nct973089")).unwrap();
    assert_eq!(serde_json::to_value(&kept).unwrap(), json!("NCT00973089"));
    assert!(serde_json::from_value::<NctId>(json!("NCT")).is_err());
    assert_eq!(read::<NctId>(json!("nct973089")), Ok(kept));
}

#[test]
fn a_bad_identifier_is_a_fault_with_its_place() {
    #[derive(Debug, Deserr)]
    #[deserr(error = Faults)]
    #[expect(dead_code, reason = "only its faults are looked at")]
    struct Body {
        orcid: Orcid,
        mesh: MeshId,
    }
    let Faults(faults) = read::<Body>(json!({ "orcid": "0000-0002-1825-0098", "mesh": 7 })).unwrap_err();
    let found: Vec<_> = faults.iter().map(|Fault { pointer, code, .. }| (pointer.as_deref(), *code)).collect();
    assert_eq!(found, [(Some("/mesh"), "wrong_type"), (Some("/orcid"), "invalid_format")]);
    assert!(faults[1].message.contains("0000-0002-1825-0097"), "{}", faults[1].message);
}

#[test]
fn rows_keep_them() {
    use diesel::{Connection, IntoSql, RunQueryDsl, SqliteConnection, select, sql_types::Text};
    let mut conn = SqliteConnection::establish(":memory:").unwrap();
    let id: MeshId = "D000690".parse().unwrap();
    let back: MeshId = select((&id).into_sql::<Text>()).get_result(&mut conn).unwrap();
    assert_eq!(back, id);
    assert!(select("damaged".into_sql::<Text>()).get_result::<MeshId>(&mut conn).is_err());
}

fn round_trips<T: FromStr<Err = InvalidIdentifier> + Display + PartialEq + Debug>(
    text: &str,
) -> Result<(), TestCaseError> {
    if let Ok(parsed) = text.parse::<T>() {
        prop_assert_eq!(parsed.to_string().parse::<T>(), Ok(parsed));
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_is_given_nothing_panics_and_normal_forms_stay(text in "(doi:|https://orcid.org/|nct|10\\.|D|0)?\\PC{0,24}") {
        round_trips::<Orcid>(&text)?;
        round_trips::<Ror>(&text)?;
        round_trips::<NctId>(&text)?;
        round_trips::<Doi>(&text)?;
        round_trips::<Pmid>(&text)?;
        round_trips::<MeshId>(&text)?;
        round_trips::<PartialDate>(&text)?;
        round_trips::<CalendarDate>(&text)?;
        round_trips::<Email>(&text)?;
    }

    #[test]
    fn any_single_wrong_digit_of_an_orcid_shows(place in 0_usize..15, by in 1_u8..10) {
        let mut digits: Vec<u8> = b"0000000218250097".to_vec();
        digits[place] = b'0' + (digits[place] - b'0' + by) % 10;
        let groups: Vec<_> = digits.chunks(4).map(String::from_utf8_lossy).collect();
        prop_assert!(groups.join("-").parse::<Orcid>().is_err());
    }
}
