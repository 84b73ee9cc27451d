//! Identifiers of the outside world, each with one door: [`FromStr`](std::str::FromStr) checks and normalises, and nothing
//! else makes one.
//!
//! What is written differently but means the same (a resolver's prefix, letter case, missing zeros) becomes one form, so
//! that equal identifiers are equal strings. Pure: nothing here asks a registry whether an identifier was ever issued.
use crate::fault::CodeOf;
use chrono::{Datelike, NaiveDate};

/// A string that is not the identifier it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {expected}")]
pub struct InvalidIdentifier {
    /// What is expected, with an example.
    pub expected: &'static str,
}
impl CodeOf for InvalidIdentifier {}

/// Declares an identifier: a string that only its own parser makes, with every conversion the service needs.
macro_rules! identifier {
    (
        $(#[$doc:meta])*
        $name:ident {
            parse: $parse:path, expected: $expected:literal, pattern: $pattern:literal, example: $example:literal,
            length: $min:literal..=$max:literal $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub struct $name(String);

        impl $name {
            /// The normalised string.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidIdentifier;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $parse(text).map(Self).ok_or(InvalidIdentifier { expected: $expected })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(identifier: $name) -> Self {
                identifier.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl deserr::Deserr<$crate::fault::Faults> for $name {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                location: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, $crate::fault::Faults> {
                $crate::fault::parse_string(value, location)
            }
        }

        impl utoipa::__dev::ComposeSchema for $name {
            fn compose(
                _: Vec<utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>,
            ) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some($pattern))
                    .min_length(Some($min))
                    .max_length(Some($max))
                    .examples([$example])
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl<DB: diesel::backend::Backend> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, DB>::to_sql(self.as_str(), out)
            }
        }
        impl<DB: diesel::backend::Backend> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(value)?;
                Ok(text.parse::<Self>()?)
            }
        }
    };
}

identifier! {
    /// A researcher's ORCID iD, with hyphens and without the resolver's prefix; its last character is an ISO 7064
    /// mod 11-2 check.
    Orcid {
        parse: orcid, expected: "an ORCID iD with a correct check digit, such as 0000-0002-1825-0097",
        pattern: r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$", example: "0000-0002-1825-0097", length: 19..=19,
    }
}
identifier! {
    /// An organization's ROR id, in lower case and without the resolver's prefix; its last two digits are a check.
    Ror {
        parse: ror, expected: "a ROR id with correct check digits, such as 02mhbdp94",
        pattern: r"^0[a-hj-km-np-tv-z0-9]{6}\d{2}$", example: "02mhbdp94", length: 9..=9,
    }
}
identifier! {
    /// A ClinicalTrials.gov study number: `NCT` and eight digits. It has no check digit.
    NctId {
        parse: nct_id, expected: "a ClinicalTrials.gov number: NCT and up to eight digits, such as NCT00973089",
        pattern: r"^NCT\d{8}$", example: "NCT00973089", length: 11..=11,
    }
}
identifier! {
    /// A digital object identifier, in lower case (DOIs do not tell ASCII case apart) and without a resolver's prefix.
    Doi {
        parse: doi, expected: "a DOI such as 10.1056/nejmoa2204233",
        pattern: r"^10\.\d{4,9}/\S+$", example: "10.1056/nejmoa2204233", length: 9..=300,
    }
}
identifier! {
    /// A PubMed number, without leading zeros.
    Pmid {
        parse: pmid, expected: "a PubMed number of one to nine digits, such as 18519994",
        pattern: r"^[1-9]\d{0,8}$", example: "18519994", length: 1..=9,
    }
}
identifier! {
    /// A MeSH descriptor id, kept as given: registries write both `D001930` and `D000001930`, which
    /// [`number`](MeshId::number) tells to be the same.
    MeshId {
        parse: mesh_id, expected: "a MeSH descriptor id such as D000690",
        pattern: r"^D\d{6}(\d{3})?$", example: "D000690", length: 7..=10,
    }
}
identifier! {
    /// A month or a day of the proleptic Gregorian calendar (`YYYY-MM` or `YYYY-MM-DD`), as registries give dates.
    PartialDate {
        parse: partial_date, expected: "a real month or day, as YYYY-MM or YYYY-MM-DD",
        pattern: r"^\d{4}-\d{2}(-\d{2})?$", example: "2026-03", length: 7..=10,
    }
}
identifier! {
    /// A day of the proleptic Gregorian calendar, `YYYY-MM-DD`, of the years 1 to 9999; the order of strings is the
    /// order of days.
    CalendarDate {
        parse: calendar_date, expected: "a real day, as YYYY-MM-DD",
        pattern: r"^\d{4}-\d{2}-\d{2}$", example: "2026-03-14", length: 10..=10,
    }
}
identifier! {
    /// An e-mail address, as its owner writes it; [`folded`](Email::folded) is what addresses are compared by.
    Email {
        parse: email, expected: "an e-mail address such as ada@example.org, at most 254 characters long",
        pattern: r"^[^@\s]+@[^@\s]+$", example: "ada@example.org", length: 3..=254,
    }
}

impl MeshId {
    /// The number: equal for two spellings of one descriptor.
    pub fn number(&self) -> u32 {
        // The door lets at most nine digits in, which always fit.
        digits_value(&self.0[1..]).unwrap_or_default()
    }
}

impl PartialDate {
    /// The first day it can mean.
    pub fn first_day(&self) -> NaiveDate {
        let day = self.0.get(8..).and_then(digits_value).unwrap_or(1);
        day_of(&self.0, day).unwrap_or_default()
    }
    /// The last day it can mean: the day itself, or the last of the month.
    pub fn last_day(&self) -> NaiveDate {
        let first = self.first_day();
        if self.0.len() > 7 { first } else { first.with_day(u32::from(first.num_days_in_month())).unwrap_or(first) }
    }
}

impl CalendarDate {
    /// The day.
    pub fn day(&self) -> NaiveDate {
        parse_day(&self.0).unwrap_or_default()
    }
}
impl TryFrom<NaiveDate> for CalendarDate {
    type Error = InvalidIdentifier;
    /// Refuses years outside 1 to 9999.
    fn try_from(day: NaiveDate) -> Result<Self, Self::Error> {
        day.format("%Y-%m-%d").to_string().parse()
    }
}
impl From<CalendarDate> for PartialDate {
    fn from(date: CalendarDate) -> Self {
        Self(date.0)
    }
}

impl Email {
    /// The address in lower case. Mail systems may tell the case of the part before the `@` apart; none in use does, and
    /// one person must not have two accounts.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn digits_value(text: &str) -> Option<u32> {
    if all_digits(text) { text.parse().ok() } else { None }
}

/// `text` without the first of `prefixes` it begins with, in whatever letter case.
fn without_prefix<'a>(text: &'a str, prefixes: &[&str]) -> &'a str {
    prefixes
        .iter()
        .find(|p| text.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p)))
        .map_or(text, |p| &text[p.len()..])
}

fn orcid(text: &str) -> Option<String> {
    let id = without_prefix(text, &["https://orcid.org/", "http://orcid.org/", "orcid.org/"]).to_ascii_uppercase();
    let groups: Vec<&str> = id.split('-').collect();
    if groups.len() != 4 || groups.iter().any(|g| g.len() != 4) {
        return None;
    }
    let digits = groups.concat();
    let (payload, check) = digits.split_at_checked(15)?;
    if !all_digits(payload) {
        return None;
    }
    let total = payload.bytes().fold(0_u64, |t, b| (t + u64::from(b - b'0')) * 2);
    let expected = match (12 - total % 11) % 11 {
        10 => "X".to_owned(),
        digit => digit.to_string(),
    };
    (check == expected).then_some(id)
}

/// Crockford's alphabet, which leaves out the letters i, l, o and u.
const CROCKFORD: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn ror(text: &str) -> Option<String> {
    let id = without_prefix(text, &["https://ror.org/", "http://ror.org/", "ror.org/"]).to_ascii_lowercase();
    let (payload, check) = id.split_at_checked(7)?;
    if !payload.starts_with('0') || check.len() != 2 {
        return None;
    }
    let mut number = 0_u64;
    for byte in payload.bytes() {
        number = number * 32 + CROCKFORD.iter().position(|c| *c == byte)? as u64;
    }
    (digits_value(check).map(u64::from) == Some(98 - (100 * number) % 97)).then_some(id)
}

fn nct_id(text: &str) -> Option<String> {
    let (prefix, digits) = text.split_at_checked(3)?;
    let fits = prefix.eq_ignore_ascii_case("NCT") && (1..=8).contains(&digits.len()) && all_digits(digits);
    fits.then(|| format!("NCT{digits:0>8}"))
}

fn doi(text: &str) -> Option<String> {
    let resolvers = [
        "https://doi.org/",
        "http://doi.org/",
        "https://dx.doi.org/",
        "http://dx.doi.org/",
        "https://www.doi.org/",
        "http://www.doi.org/",
        "doi.org/",
        "dx.doi.org/",
        "doi:",
    ];
    let id = without_prefix(text, &resolvers).trim_start().to_ascii_lowercase();
    let (registrant, suffix) = id.strip_prefix("10.")?.split_once('/')?;
    let fits = (4..=9).contains(&registrant.len())
        && all_digits(registrant)
        && !suffix.is_empty()
        && !suffix.chars().any(|c| c.is_whitespace() || c.is_control())
        && id.chars().count() <= 300;
    fits.then_some(id)
}

fn pmid(text: &str) -> Option<String> {
    let id = text.trim_start_matches('0');
    ((1..=9).contains(&id.len()) && all_digits(id)).then(|| id.to_owned())
}

fn mesh_id(text: &str) -> Option<String> {
    let digits = text.strip_prefix('D')?;
    (matches!(digits.len(), 6 | 9) && all_digits(digits)).then(|| text.to_owned())
}

/// The day `day` of the month that `text` (`YYYY-MM…`) begins with.
fn day_of(text: &str, day: u32) -> Option<NaiveDate> {
    let (year, month) = text.get(..7)?.split_once('-')?;
    if year.len() != 4 {
        return None;
    }
    let year = digits_value(year).filter(|y| *y > 0)?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digits_value(month)?, day)
}

fn parse_day(text: &str) -> Option<NaiveDate> {
    let day = text.get(7..)?.strip_prefix('-').filter(|d| d.len() == 2)?;
    day_of(text, digits_value(day)?)
}

fn calendar_date(text: &str) -> Option<String> {
    parse_day(text).map(|_| text.to_owned())
}

fn partial_date(text: &str) -> Option<String> {
    let day = if text.len() == 7 { day_of(text, 1) } else { parse_day(text) };
    day.map(|_| text.to_owned())
}

fn email(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let fits = !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !domain.contains("..")
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.chars().count() <= 254;
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
