//! An insight: signed findings of a clinic's trials, put as a question to a lab. The way back. Pure.
pub mod change;
pub mod http;
pub mod store;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::{DiscoveryId, FindingId, InsightId, OrganizationId, PersonId},
    person::Tenure,
    value::search_text,
    vocabulary::{Outcome, RecordKind, Urgency},
};
use chrono::DateTime;
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The state before submission.
pub const DRAFT: &str = "draft";
/// The lab is asked.
pub const SUBMITTED: &str = "submitted";
/// Someone in the lab has taken it on.
pub const ACKNOWLEDGED: &str = "acknowledged";
/// The lab will not take it on.
pub const DECLINED: &str = "declined";
/// The lab has answered.
pub const RESOLVED: &str = "resolved";

/// An insight as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::insight, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Insight {
    /// Its id.
    pub id: InsightId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// 1–300 characters.
    pub title: String,
    /// What the lab is asked to find out.
    pub question: String,
    /// Why it matters.
    pub rationale: String,
    /// At least one, signed when cited; `citation` indexes them.
    pub findings: Doc<Vec<FindingId>>,
    /// The discoveries it concerns; `insight_discovery` indexes them.
    pub discoveries: Doc<Vec<DiscoveryId>>,
    /// The clinic whose trials it comes from: its steward.
    pub clinic_id: OrganizationId,
    /// The lab that is asked.
    pub lab_id: OrganizationId,
    /// Who raised it.
    pub owner_id: PersonId,
    /// Owners past and present.
    pub owners: Doc<Vec<Tenure>>,
    /// Who answers for the lab.
    pub assignee_id: Option<PersonId>,
    /// How soon an answer is asked for.
    pub urgency: Urgency,
    /// A state of the lifecycle.
    pub state: String,
    /// Since when.
    pub state_entered_at: Time,
    /// When it was last submitted: from then on the lab sees it.
    pub submitted_at: Option<Time>,
    /// When an answer is due.
    pub due_at: Option<Time>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// The same in words.
    pub outcome_note: Option<String>,
    /// The discovery it refined.
    pub refined_discovery_id: Option<DiscoveryId>,
    /// The discoveries it spawned.
    pub spawned: Doc<Vec<DiscoveryId>>,
    /// Since when a recall waits here, if one does. Left out of what is recorded otherwise, so that what was recorded
    /// before there were recalls says the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recalled_at: Option<Time>,
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

/// The states in which an insight waits for its lab: past `due_at` these are overdue.
pub const WAITING: &[&str] = &[SUBMITTED, ACKNOWLEDGED, "investigating"];

impl Insight {
    /// What this person is to it.
    pub fn standing(&self, who: &Principal) -> Standing {
        Standing::to(RecordKind::Insight)
            .being(Relation::Owner, self.owner_id == who.id)
            .being(Relation::Steward, who.belongs_to(self.clinic_id))
    }

    /// Brings the folded column in line with the fields it is made from.
    pub fn index(&mut self) {
        self.search = search_text([&*self.title, &*self.question, &*self.rationale]);
    }
    /// Whether an answer is late.
    pub fn is_overdue(&self, now: Time) -> bool {
        WAITING.contains(&&*self.state) && self.due_at.is_some_and(|due| due < now)
    }
}

/// Days a lab has for an answer.
pub const fn days_to_answer(urgency: Urgency) -> i64 {
    match urgency {
        Urgency::Routine => 30,
        Urgency::Priority => 14,
        Urgency::Urgent => 3,
    }
}

/// What stands in the inbox for "nothing is due": the last second that a stored time can hold.
pub fn never() -> Time {
    const LAST_SECOND_OF_9999: i64 = 253_402_300_799;
    Time::from(DateTime::UNIX_EPOCH).plus_seconds(LAST_SECOND_OF_9999)
}

/// What the inbox is ordered by: when the answer that an insight waits for is due. Of those that wait for none, none is.
pub fn due_rank(state: &str, due_at: Option<Time>) -> Time {
    due_at.filter(|_| WAITING.contains(&state)).unwrap_or_else(never)
}

/// The members of a body that a move between these states takes, besides those that every move takes.
pub fn members_taken(from: &str, to: &str) -> &'static [&'static str] {
    match to {
        SUBMITTED if from == DECLINED => &["lab_id"],
        ACKNOWLEDGED => &["assignee_id"],
        RESOLVED => &["outcome", "outcome_note", "discovery", "discovery_id"],
        _ => &[],
    }
}

/// Which member of a resolution's body names the discovery that came of it, if its outcome is one.
pub const fn discovery_member(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::NewDiscovery => Some("discovery"),
        Outcome::RefinedDiscovery => Some("discovery_id"),
        Outcome::ConfirmedKnown | Outcome::NotReproducible | Outcome::NoAction => None,
    }
}
