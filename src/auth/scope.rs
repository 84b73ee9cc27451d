//! What a personal access token is limited to: reading or writing, everything or some kinds of record. Pure.
//!
//! A scope only narrows: its holder still needs the role, and still sees what they may see and no more.
use crate::{
    Error, Result,
    fault::{CodeOf, Faults, parse_string},
    vocabulary::RecordKind,
};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};
use utoipa::{
    __dev::ComposeSchema,
    ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// Reading or changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Reading.
    Read,
    /// Changing, which includes reading.
    Write,
}

/// One grant: `read`, `write`, or either for one kind of record, as in `trials:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The kind it is for; all where there is none.
    pub kind: Option<RecordKind>,
    /// What it allows there.
    pub access: Access,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        match self.kind {
            Some(kind) => write!(f, "{}:{access}", kind.plural()),
            None => f.write_str(access),
        }
    }
}

/// A text that is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be read, write, or either for one kind of record, such as trials:read")]
pub struct NoGrant;
impl CodeOf for NoGrant {
    fn code(&self) -> &'static str {
        "unknown_value"
    }
}

impl FromStr for Grant {
    type Err = NoGrant;
    fn from_str(text: &str) -> Result<Self, NoGrant> {
        let (kind, access) = match text.split_once(':') {
            Some((plural, access)) => {
                let kind = RecordKind::ALL.iter().copied().find(|kind| kind.plural() == plural);
                (Some(kind.ok_or(NoGrant)?), access)
            }
            None => (None, text),
        };
        match access {
            "read" => Ok(Self { kind, access: Access::Read }),
            "write" => Ok(Self { kind, access: Access::Write }),
            _ => Err(NoGrant),
        }
    }
}
impl Serialize for Grant {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
impl Deserr<Faults> for Grant {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        parse_string(value, location)
    }
}
impl ComposeSchema for Grant {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let everything = [Access::Read, Access::Write].map(|access| Grant { kind: None, access });
        let by_kind = RecordKind::ALL.iter().flat_map(|kind| everything.map(|g| Grant { kind: Some(*kind), ..g }));
        let grants: Vec<_> = everything.into_iter().chain(by_kind).map(|grant| grant.to_string()).collect();
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(grants)).into()
    }
}
impl ToSchema for Grant {
    fn name() -> std::borrow::Cow<'static, str> {
        "Grant".into()
    }
}

/// Everything that somebody came in with may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Option<BTreeSet<Grant>>);

impl Scope {
    /// No limit: a person who signed in.
    pub const fn everything() -> Self {
        Self(None)
    }
    /// No more than these grants.
    pub fn of(grants: impl IntoIterator<Item = Grant>) -> Self {
        Self(Some(grants.into_iter().collect()))
    }
    /// Whether this may be done to records of a kind, or to what belongs to no kind.
    pub fn allows(&self, kind: Option<RecordKind>, access: Access) -> bool {
        let Some(grants) = &self.0 else { return true };
        grants.iter().any(|grant| grant.access >= access && (grant.kind.is_none() || grant.kind == kind))
    }
    /// That this may be done to records of a kind, or to what belongs to no kind.
    ///
    /// # Errors
    /// 403.
    pub fn must_allow(&self, kind: Option<RecordKind>, access: Access) -> Result<()> {
        if self.allows(kind, access) { Ok(()) } else { Err(Error::not_permitted("This token was not made for that.")) }
    }
    /// Whether this may be done to records of some kind at least: what a request on several kinds begins with.
    pub fn allows_some(&self, access: Access) -> bool {
        self.0.as_ref().is_none_or(|grants| grants.iter().any(|grant| grant.access >= access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(grants: &[&str]) -> Scope {
        Scope::of(grants.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn grants_are_read_and_written_alike() {
        for text in ["read", "write", "trials:read", "ownership-transfers:write", "people:read"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for text in ["", "admin", "read:trials", "trials:", ":read", "trials:read:write", "Trials:read", "trials:*"] {
            assert_eq!(text.parse::<Grant>(), Err(NoGrant), "{text}");
        }
    }

    #[test]
    fn a_scope_only_narrows() {
        let (trial, finding) = (Some(RecordKind::Trial), Some(RecordKind::Finding));
        assert!(Scope::everything().allows(trial, Access::Write));
        let reads = scope(&["read"]);
        assert!(reads.allows(trial, Access::Read) && reads.allows(None, Access::Read));
        assert!(!reads.allows(trial, Access::Write) && !reads.allows_some(Access::Write));
        let trials = scope(&["trials:write"]);
        assert!(trials.allows(trial, Access::Write) && trials.allows(trial, Access::Read), "writing includes reading");
        assert!(!trials.allows(finding, Access::Read) && !trials.allows(None, Access::Read));
        assert!(!scope(&[]).allows(trial, Access::Read));
    }
}
