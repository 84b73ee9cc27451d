//! References: what a record points to outside, and the evidence that moves ask for.
use super::members::Members;
use crate::{
    fault::{CodeOf, Faults, Title, check_text},
    identifier::{Doi, NctId, Pmid},
    vocabulary::ReferenceKind,
};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, str::FromStr};
use utoipa::ToSchema;

// Its members are private because they depend on each other: only `new` and requests make one.
/// A pointer to something outside: a paper, a registration, an approval, a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "kind": "doi", "value": "10.1056/nejmoa2204233", "title": "Trial of Antisense Oligonucleotide Tofersen for SOD1 ALS" }))]
pub struct Reference {
    kind: ReferenceKind,
    /// A DOI, a PubMed or NCT number, or an `http` or `https` address of at most 2000 characters where the kind says so;
    /// otherwise a text of at most 300.
    #[schema(min_length = 1, max_length = 2000)]
    value: String,
    /// What it is called, at most 300 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 300)]
    title: Option<String>,
}

impl Reference {
    /// A reference of `kind`; its faults point at `/value` and `/title`.
    pub fn new(kind: ReferenceKind, value: &str, title: Option<&str>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        if let Some(Err((code, message))) = title.map(|title| check_text(title, 1, 300)) {
            faults.push("/title", code, message);
        }
        let value = normalised(kind, value).unwrap_or_else(|(code, message)| {
            faults.push("/value", code, message);
            String::new()
        });
        faults.into_result()?;
        Ok(Self { kind, value, title: title.map(str::to_owned) })
    }

    /// What it points to.
    pub fn kind(&self) -> ReferenceKind {
        self.kind
    }
    /// The identifier, address or number, normalised.
    pub fn value(&self) -> &str {
        &self.value
    }
    /// What it is called.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }
}

type Checked = Result<String, (&'static str, String)>;

fn normalised(kind: ReferenceKind, value: &str) -> Checked {
    match kind {
        ReferenceKind::Doi => identifier::<Doi>(value),
        ReferenceKind::Pmid => identifier::<Pmid>(value),
        ReferenceKind::Nct => identifier::<NctId>(value),
        ReferenceKind::Url => url(value),
        ReferenceKind::Patent
        | ReferenceKind::Ind
        | ReferenceKind::Ide
        | ReferenceKind::Irb
        | ReferenceKind::Grant
        | ReferenceKind::Dataset => check_text(value, 1, 300).map(|()| value.to_owned()),
    }
}

fn identifier<T: FromStr<Err: CodeOf> + Display>(value: &str) -> Checked {
    value.parse().map(|id: T| id.to_string()).map_err(|e| (e.code(), e.to_string()))
}

/// Pages show it as a link: any other scheme, `javascript` above all, must not get this far.
fn url(value: &str) -> Checked {
    check_text(value, 1, 2000)?;
    let is_http = value
        .split_once("://")
        .filter(|(scheme, _)| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)))
        .is_some_and(|(_, rest)| !rest.starts_with(['/', '?', '#']) && !rest.is_empty());
    if is_http && !value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Ok(value.to_owned())
    } else {
        Err(("invalid_format", "must be an address that begins with https:// or http://".to_owned()))
    }
}

impl Deserr<Faults> for Reference {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let mut members = Members::of(value, location)?;
        let kind = members.required::<ReferenceKind>("kind");
        let text = members.required::<String>("value");
        let title = members.optional::<Title>("title");
        let checked = kind.zip(text).map(|(kind, text)| (kind, normalised(kind, &text)));
        if let Some((_, Err((code, message)))) = &checked {
            members.fault("value", code, message.as_str());
        }
        members.finish()?;
        match checked {
            Some((kind, Ok(value))) => Ok(Self { kind, value, title: title.map(String::from) }),
            // A missing half or a refused value is a fault, and `finish` has ended with it.
            Some((_, Err(_))) | None => Err(Faults::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fault::{List, read},
        value::testing::{faults_of, table},
    };
    use serde_json::json;

    #[test]
    fn values_are_normalised_by_kind() {
        for (kind, given, kept) in [
            ("doi", "https://doi.org/10.1000/ABC", "10.1000/abc"),
            ("pmid", "0018519994", "18519994"),
            ("nct", "nct973089", "NCT00973089"),
            ("url", "HTTPS://example.org/a?b#c", "HTTPS://example.org/a?b#c"),
            ("irb", "IRB 2026-04", "IRB 2026-04"),
            ("ind", "123456", "123456"),
            ("dataset", "GSE12345", "GSE12345"),
        ] {
            let reference: Reference = read(json!({ "kind": kind, "value": given })).unwrap();
            assert_eq!((reference.kind().as_str(), reference.value(), reference.title()), (kind, kept, None));
            let answered = serde_json::to_value(&reference).unwrap();
            assert_eq!(answered, json!({ "kind": kind, "value": kept, "title": null }));
            assert_eq!(read::<Reference>(answered), Ok(reference));
        }
    }

    #[test]
    fn a_bad_value_points_at_the_value() {
        let too_long = format!("https://example.org/{}", "x".repeat(1981));
        for (kind, value, code) in [
            ("doi", "nejm", "invalid_format"),
            ("pmid", "PMC1", "invalid_format"),
            ("nct", "973089", "invalid_format"),
            ("url", "javascript:alert(1)", "invalid_format"),
            ("url", "ftp://example.org", "invalid_format"),
            ("url", "https://", "invalid_format"),
            ("url", "https:///path", "invalid_format"),
            ("url", "https://a b", "invalid_format"),
            ("url", &too_long, "too_long"),
            ("irb", " ", "too_short"),
            ("grant", "a\0b", "invalid_character"),
            ("patent", &"x".repeat(301), "too_long"),
        ] {
            let body = json!([{ "kind": "irb", "value": "1" }, { "kind": kind, "value": value }]);
            assert_eq!(faults_of::<List<Reference>>(body), table(&[("/1/value", code)]), "{kind} {value}");
        }
        assert!(read::<Reference>(json!({ "kind": "url", "value": &too_long[..2000] })).is_ok());
    }

    #[test]
    fn all_its_faults_at_once() {
        assert_eq!(
            faults_of::<Reference>(json!({ "kind": "doi", "value": "x", "title": 7, "note": "" })),
            table(&[("/note", "unknown_field"), ("/title", "wrong_type"), ("/value", "invalid_format")])
        );
        assert_eq!(
            faults_of::<Reference>(json!({ "kind": "isbn", "title": "" })),
            table(&[("/kind", "unknown_value"), ("/title", "too_short"), ("/value", "required")])
        );
        assert_eq!(faults_of::<Reference>(json!("10.1000/182")), table(&[("", "wrong_type")]));
    }

    #[test]
    fn code_makes_references_through_the_same_rules() {
        let reference = Reference::new(ReferenceKind::Doi, "doi:10.1000/ABC", Some("A title")).unwrap();
        assert_eq!((reference.value(), reference.title()), ("10.1000/abc", Some("A title")));
        let Faults(faults) = Reference::new(ReferenceKind::Doi, "", Some("")).unwrap_err();
        let places: Vec<_> = faults.iter().filter_map(|f| f.pointer.as_deref()).collect();
        assert_eq!(places, ["/title", "/value"]);
    }
}
