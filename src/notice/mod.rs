//! Notifications: what happened to what somebody owns and follows. They are read from the log, and of them nothing is stored
//! but how far they were read: none comes twice, and what was hidden since is not among them. Pure.
pub mod change;
pub mod http;
pub mod store;

use crate::{
    history::Entry,
    id::{OrganizationId, PersonId},
    subscription::Subscription,
    vocabulary::vocabulary,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

vocabulary! {
    /// Why somebody hears of an event: they own its record, or follow the record, its lab, or a condition that it has.
    Because { Owner = "owner", Record = "record", Lab = "lab", Condition = "condition" }
}

/// The most unread that are counted.
pub const COUNTED: usize = 200;

/// Something that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notification {
    /// Where it stands in the log: `<generation>-<index>`; what `read_until` takes.
    #[schema(max_length = 40, example = "1-41")]
    pub sequence: String,
    /// Whether it was read.
    pub read: bool,
    /// Why one hears of it: every reason there is, each once.
    #[schema(max_items = 4)]
    pub because: Vec<Because>,
    /// What happened, as the record's history has it.
    pub event: Entry,
}

/// What makes a record somebody's business, as it is now.
#[derive(Debug, Clone)]
pub struct Ties {
    /// Who owns it.
    pub owner: PersonId,
    /// The lab that it is of or is put to.
    pub lab: Option<OrganizationId>,
    /// The conditions that it has, as terms.
    pub terms: String,
}

/// Why somebody hears of an event of a record: what is followed counts from the event after the subscription on.
pub fn because(who: PersonId, follows: &[Subscription], record: Uuid, event: i64, ties: Option<&Ties>) -> Vec<Because> {
    let follows = || follows.iter().filter(|s| s.follows_after < event);
    let in_lab = |s: &Subscription| s.lab_id.is_some() && s.lab_id == ties.and_then(|t| t.lab);
    let has = |s: &Subscription| s.term().zip(ties).is_some_and(|(term, t)| t.terms.contains(&term));
    let reasons = [
        (Because::Owner, ties.is_some_and(|t| t.owner == who)),
        (Because::Record, follows().any(|s| s.record_id.is_some_and(|id| id.0 == record))),
        (Because::Lab, follows().any(in_lab)),
        (Because::Condition, follows().any(has)),
    ];
    reasons.into_iter().filter(|(_, holds)| *holds).map(|(because, _)| because).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::columns::Time,
        id::{AnyId, SubscriptionId},
        vocabulary::RecordKind,
    };

    fn nothing(who: PersonId) -> Subscription {
        Subscription {
            id: SubscriptionId::fresh(),
            person_id: who,
            target: String::new(),
            record_kind: None,
            record_id: None,
            lab_id: None,
            mesh: None,
            name: None,
            pattern: None,
            follows_after: 5,
            created_at: Time::parse("2026-01-01T00:00:00Z").unwrap(),
        }
    }

    #[test]
    fn each_reason_is_named_once_and_counts_from_its_subscription_on() {
        let (me, lab, record) = (PersonId::fresh(), OrganizationId::fresh(), Uuid::now_v7());
        let follows = [
            Subscription {
                record_kind: Some(RecordKind::Discovery),
                record_id: Some(AnyId::of(record)),
                ..nothing(me)
            },
            Subscription { lab_id: Some(lab), ..nothing(me) },
            Subscription { mesh: Some("D000690".into()), pattern: Some("%|d690|%".into()), ..nothing(me) },
            Subscription { name: Some("ALS".into()), pattern: Some("%|als|%".into()), ..nothing(me) },
        ];
        let ties = Ties { owner: me, lab: Some(lab), terms: "|d690|als|".into() };
        let all = [Because::Owner, Because::Record, Because::Lab, Because::Condition];
        assert_eq!(because(me, &follows, record, 6, Some(&ties)), all);
        assert_eq!(because(me, &follows, record, 5, Some(&ties)), [Because::Owner]);
        let of_others = Ties { owner: PersonId::fresh(), lab: None, terms: String::new() };
        assert_eq!(because(me, &follows, Uuid::now_v7(), 6, Some(&of_others)), []);
        assert_eq!(because(me, &follows, record, 6, None), [Because::Record]);
    }
}
