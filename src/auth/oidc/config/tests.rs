use super::*;

const WHOLE: &str = r#"
[[issuer]]
name = "hospital"
issuer = "https://login.example.org/realms/hospital"
client_id = "benchside"
client_secret_env = "SECRET"
scopes = ["openid", "email", "groups"]
audience = "https://benchside.example.org"
allow_people = "just_in_time"
roles = "managed"

[[issuer.role]]
claim = "groups"
value = "als-scientists"
role = "scientist"
organization = "O-3"

[[issuer]]
name = "university"
issuer = "http://127.0.0.1:9000"
client_id = "b"
client_secret_file = "secret.txt"
allow_people = "existing"
email_claim = "upn"
require_verified_email = false
"#;

fn parsed(text: &str) -> Result<Vec<Issuer>, Faults> {
    let known = |name: &str| match name {
        "SECRET" => Ok("s3cret".to_owned()),
        "secret.txt" => Ok("from a file\n".to_owned()),
        "EMPTY" => Ok(String::new()),
        _ => Err("it is not there".to_owned()),
    };
    parse(text, &Secrets { file: &known, variable: &known })
}

#[test]
fn a_whole_file_is_read_and_what_is_left_out_has_its_default() {
    let issuers = parsed(WHOLE).unwrap();
    let [hospital, university] = &*issuers else { panic!("{issuers:?}") };
    assert_eq!(hospital.url, "https://login.example.org/realms/hospital");
    assert_eq!(hospital.client_secret.as_ref().unwrap().expose(), "s3cret");
    assert_eq!((hospital.admits, hospital.upkeep), (Admission::JustInTime, Upkeep::Managed));
    assert_eq!((&*hospital.email_claim, hospital.needs_verified_email), ("email", true));
    let rule =
        Rule { claim: "groups".into(), value: "als-scientists".into(), role: Role::Scientist, organization: Some(3) };
    assert_eq!(hospital.rules, [rule]);
    assert_eq!(university.client_secret.as_ref().unwrap().expose(), "from a file");
    assert_eq!(university.scopes, ["openid", "email", "profile"]);
    assert_eq!((university.admits, university.upkeep), (Admission::Existing, Upkeep::Initial));
    assert_eq!((&*university.email_claim, university.needs_verified_email), ("upn", false));
    assert_eq!(university.audience, None);
    assert!(!format!("{issuers:?}").contains("s3cret"), "a secret is never printed");
}

#[test]
fn every_fault_is_named_at_once() {
    let text = WHOLE
        .replace("name = \"university\"", "name = \"hospital\"")
        .replace("https://login", "http://login")
        .replace("O-3", "D-3")
        .replace("\"openid\", ", "\"two words\", ")
        .replace("secret.txt", "missing.txt");
    let faults = parsed(&text).unwrap_err();
    let found: Vec<_> = faults.0.iter().map(|f| (f.pointer.as_deref().unwrap(), f.code)).collect();
    assert_eq!(
        found,
        [
            ("/issuer/0/issuer", "invalid_format"),
            ("/issuer/0/scopes/0", "invalid_format"),
            ("/issuer/0/scopes", "required"),
            ("/issuer/0/role/0/organization", "invalid_format"),
            ("/issuer/1/name", "duplicate"),
            ("/issuer/1/client_secret_file", "not_found"),
        ]
    );
}

#[test]
fn what_is_no_such_file_is_refused() {
    for (change, pointer, code) in [
        (("client_id = \"b\"", ""), "/issuer/1/client_id", "required"),
        (("client_id = \"b\"", "client_secret = \"x\""), "/issuer/1/client_secret", "unknown_field"),
        (("\"just_in_time\"", "\"everybody\""), "/issuer/0/allow_people", "unknown_value"),
        (("role = \"scientist\"", "role = \"boss\""), "/issuer/0/role/0/role", "unknown_value"),
        (("name = \"university\"", "name = \"Uni versity\""), "/issuer/1/name", "invalid_format"),
        (("\"SECRET\"", "\"EMPTY\""), "/issuer/0/client_secret_env", "invalid_format"),
        (("http://127.0.0.1:9000", "https://user:word@example.org"), "/issuer/1/issuer", "invalid_format"),
        (("http://127.0.0.1:9000", "https://example.org/?a=b"), "/issuer/1/issuer", "invalid_format"),
        (("http://127.0.0.1:9000", "http://127.0.0.1.example.org"), "/issuer/1/issuer", "invalid_format"),
        (
            ("client_secret_env", "client_secret_file = \"secret.txt\"\nclient_secret_env"),
            "/issuer/0/client_secret_file",
            "not_applicable",
        ),
    ] {
        let faults = parsed(&WHOLE.replace(change.0, change.1)).unwrap_err();
        assert!(
            faults.0.iter().any(|f| f.pointer.as_deref() == Some(pointer) && f.code == code),
            "{change:?}: {faults:?}"
        );
    }
    assert_eq!(parsed("issuer = 1 2").unwrap_err().0[0].code, "malformed");
    assert_eq!(parsed("issuer = []").unwrap_err().0[0].code, "too_few");
    let missing = read(Path::new("there/is/no.toml")).unwrap_err().to_string();
    assert!(missing.contains("there/is/no.toml"), "{missing}");
}
