//! A finding: what a trial showed. A draft until its author signs it; immutable from there. Pure.
pub mod change;
pub mod http;
pub mod store;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::{FindingId, OrganizationId, PersonId, TrialId},
    identifier::CalendarDate,
    person::Tenure,
    value::{Effect, search_text},
    vocabulary::{FindingKind, RecordKind},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

/// The state before signing.
pub const DRAFT: &str = "draft";
/// The state after signing.
pub const SIGNED: &str = "signed";
/// The state of a finding that no longer stands.
pub const RETRACTED: &str = "retracted";
/// The state of a finding that another took the place of.
pub const SUPERSEDED: &str = "superseded";
/// The state of a draft that was given up.
pub const WITHDRAWN: &str = "withdrawn";

/// A finding as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::finding, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Finding {
    /// Its id.
    pub id: FindingId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// The trial that showed it.
    pub trial_id: TrialId,
    /// What it is about.
    pub kind: FindingKind,
    /// 1–300 characters.
    pub title: String,
    /// Markdown, at most 20 000 characters.
    pub narrative: String,
    /// The day it was observed.
    pub observed_on: CalendarDate,
    /// Whether nobody had expected it.
    pub unexpected: bool,
    /// Its size, with its uncertainty.
    pub effect: Option<Doc<Effect>>,
    /// CTCAE grade 1–5; safety only.
    pub ctcae_grade: Option<i32>,
    /// A state of the lifecycle.
    pub state: String,
    /// Since when.
    pub state_entered_at: Time,
    /// Whether it was ever signed: what never was is seen by its clinic alone.
    #[serde(skip)]
    pub disclosed: bool,
    /// The finding of the same trial whose place it takes when signed.
    pub supersedes_id: Option<FindingId>,
    /// Its author.
    pub owner_id: PersonId,
    /// Owners past and present.
    pub owners: Doc<Vec<Tenure>>,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

impl Finding {
    /// What this person is to it, given the clinic of its trial.
    pub fn standing(&self, who: &Principal, clinic: OrganizationId) -> Standing {
        Standing::to(RecordKind::Finding)
            .being(Relation::Owner, self.owner_id == who.id)
            .being(Relation::Steward, who.belongs_to(clinic))
    }

    /// Brings the folded column in line with the fields it is made from.
    pub fn index(&mut self) {
        self.search = search_text([&*self.title, &*self.narrative]);
    }
}

/// Whether a finding of this kind may have a CTCAE grade: grades rate adverse events.
pub const fn takes_grade(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Safety)
}

/// Whether a day has not begun yet at that moment. Days are UTC days.
pub fn is_future(day: &CalendarDate, now: Time) -> bool {
    day.day() > now.utc().date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safety_has_a_grade() {
        let graded: Vec<_> = FindingKind::ALL.iter().copied().filter(|kind| takes_grade(*kind)).collect();
        assert_eq!(graded, [FindingKind::Safety]);
    }

    #[test]
    fn today_is_not_the_future() {
        let now = Time::parse("2026-03-14T23:59:59Z").unwrap();
        for (day, future) in [("2026-03-13", false), ("2026-03-14", false), ("2026-03-15", true)] {
            assert_eq!(is_future(&day.parse().unwrap(), now), future, "{day}");
        }
    }
}
