//! Personal access tokens: what a person hands to a script. Each is limited to a [`Scope`](super::scope::Scope), ends by
//! itself, and neither signs nor changes how anybody gets in. Of its secret only the SHA-256 is kept. Pure.
pub mod change;
pub mod http;
pub mod store;

use super::scope::Grant;
use crate::{
    db::columns::{Doc, Time},
    fault::{Faults, List, pointer},
    id::{PersonId, TokenId},
};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use diesel::{Insertable, Queryable};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ArrayBuilder, Schema},
    },
};

/// How many live ones a person has at most.
pub const MOST: i64 = 100;
/// How long one lasts at most, in days: any year.
pub const LONGEST_DAYS: i64 = 366;
/// How exactly its last use is noted, in seconds.
pub const NOTED_EVERY_SECONDS: i64 = 60;

/// A token as it is stored.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::personal_token, treat_none_as_default_value = false)]
pub struct PersonalToken {
    /// Its id.
    pub id: TokenId,
    /// Whose.
    pub person_id: PersonId,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of its text.
    pub hash: Vec<u8>,
    /// What it may be used for.
    pub scopes: Doc<Vec<Grant>>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

impl PersonalToken {
    /// What its owner's history says of it.
    pub fn described(&self) -> serde_json::Value {
        json!({ "id": self.id, "name": self.name, "scopes": self.scopes, "expires_at": self.expires_at })
    }
}

/// Whether a use at this moment is to be noted, after the last that was.
pub fn is_due(last_used_at: Option<Time>, at: Time) -> bool {
    last_used_at.is_none_or(|last| last.plus_seconds(NOTED_EVERY_SECONDS) <= at)
}

/// Notes of use under way: they are written beside the answers, and no more than a few at a time. One that finds no
/// place is left out; the next use is noted then.
#[derive(Debug)]
pub struct Uses(Arc<Semaphore>);

impl Uses {
    /// So many at a time.
    pub fn at_once(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }
    /// A place, if there is one.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }
}

/// The grants of a token as a request gives them: at least one, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Grant>);

impl From<Scopes> for Doc<Vec<Grant>> {
    fn from(Scopes(grants): Scopes) -> Self {
        grants.into()
    }
}
impl Deserr<Faults> for Scopes {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let List(grants) = List::<Grant>::deserialize_from_value(value, location)?;
        let distinct: BTreeSet<_> = grants.iter().collect();
        match grants.len() {
            0 => Err(Faults::at(pointer(location), "too_few", "must have at least one member")),
            n if n > distinct.len() => Err(Faults::at(pointer(location), "duplicate", "must name each scope once")),
            _ => Ok(Self(grants)),
        }
    }
}
impl PartialSchema for Scopes {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Grant::schema())
            .min_items(Some(1))
            .max_items(Some(crate::fault::LIST_LIMIT))
            .unique_items(true)
            .into()
    }
}
impl ToSchema for Scopes {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::read;

    #[test]
    fn scopes_are_at_least_one_and_none_twice() {
        assert!(read::<Scopes>(json!(["read", "trials:write"])).is_ok());
        for (body, at, code) in [
            (json!([]), "", "too_few"),
            (json!(["read", "read"]), "", "duplicate"),
            (json!(["read", "admin"]), "/1", "unknown_value"),
            (json!("read"), "", "wrong_type"),
        ] {
            let faults = read::<Scopes>(body).unwrap_err();
            assert_eq!((faults.0[0].pointer.as_deref(), faults.0[0].code), (Some(at), code));
        }
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let noon = Time::parse("2026-03-01T12:00:00Z").unwrap();
        assert!(is_due(None, noon));
        assert!(!is_due(Some(noon), noon.plus_seconds(59)) && is_due(Some(noon), noon.plus_seconds(60)));
    }

    #[test]
    fn so_many_notes_are_under_way_and_no_more() {
        let uses = Uses::at_once(2);
        let (first, second) = (uses.place(), uses.place());
        assert!(first.is_some() && second.is_some() && uses.place().is_none());
        drop(first);
        assert!(uses.place().is_some());
    }
}
