//! What waits for somebody: read from the records as they are now, never stored, so that nothing stays when it is done. Pure.
pub mod gate;
pub mod http;
pub mod store;

use crate::{
    db::columns::Time,
    insight::never,
    lifecycle::Available,
    vocabulary::{RecordKind, vocabulary},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

vocabulary! {
    /// Why something waits for somebody.
    Reason {
        Gate = "gate", Insight = "insight", Pairing = "pairing", Transfer = "transfer", Recall = "recall",
        ReportingDuty = "reporting_duty", Discontinued = "discontinued",
    }
}

/// The record that something is to be done about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WorkRecord)]
pub struct About {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    pub id: Uuid,
    /// Its code.
    #[schema(max_length = 30, example = "I-3")]
    pub code: String,
    /// Its title; a pairing's is that of its discovery, null where the reader may not see or read that, and a transfer has
    /// none.
    #[schema(max_length = 300, example = "Why do fast progressors respond?")]
    pub title: Option<String>,
}

/// Where to look and where to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkLinks {
    /// The record.
    #[schema(max_length = 200, example = "/v1/insights/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")]
    pub record: String,
    /// What takes it off the list.
    #[schema(max_length = 200, example = "/v1/insights/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55/transitions")]
    pub act: String,
}

/// Something that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkItem {
    /// The same as long as it waits.
    #[schema(max_length = 100, example = "insight-01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")]
    pub id: String,
    /// Why it waits.
    pub reason: Reason,
    /// The record that it is about.
    pub record: About,
    /// What is to be looked at, in words.
    #[schema(max_length = 2000, example = "The record has not been verified for 12 months (42 CFR 11.64).")]
    pub message: Option<String>,
    /// The moves that lead on and are one's own to make, with what each needs and what is still unmet; for `gate`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, required = false)]
    pub moves: Vec<Available>,
    /// Since when, as far as the record tells.
    pub since: Time,
    /// Until when, where there is a day.
    pub due_at: Option<Time>,
    /// Whether that is over.
    pub overdue: bool,
    /// Where to look and where to act.
    pub links: WorkLinks,
}

impl WorkItem {
    /// What the list is ordered by: what is due first, then what waits longest. Times have a fixed width.
    pub fn rank(&self) -> String {
        format!("{} {} {}", self.due_at.unwrap_or_else(never), self.since, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, since: &str, due_at: Option<&str>) -> WorkItem {
        WorkItem {
            id: id.into(),
            reason: Reason::Insight,
            record: About { kind: RecordKind::Insight, id: Uuid::nil(), code: "I-1".into(), title: None },
            message: None,
            moves: Vec::new(),
            since: Time::parse(since).unwrap(),
            due_at: due_at.and_then(Time::parse),
            overdue: false,
            links: WorkLinks { record: String::new(), act: String::new() },
        }
    }

    #[test]
    fn what_is_due_comes_first_then_what_waits_longest() {
        let mut items = [
            item("d", "2026-01-03T00:00:00Z", None),
            item("c", "2026-01-02T00:00:00Z", None),
            item("b", "2026-01-04T00:00:00Z", Some("2026-03-01T00:00:00Z")),
            item("a", "2026-01-05T00:00:00Z", Some("2026-02-01T00:00:00Z")),
            item("e", "2026-01-03T00:00:00Z", None),
        ];
        items.sort_by_key(WorkItem::rank);
        assert_eq!(items.map(|item| item.id).concat(), "abcde");
    }
}
