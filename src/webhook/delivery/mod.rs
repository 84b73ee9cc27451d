//! An event on its way to a webhook: tried again and again for a day, then put aside. Pure.
pub mod facts {
    //! What a webhook asks about records.
    pub mod store;
}
pub mod store;

use crate::{
    db::columns::Time,
    id::{AnyId, DeliveryId, WebhookId},
    vocabulary::{DeliveryState, vocabulary},
};
use diesel::{Insertable, Queryable};

/// The most deliveries of a webhook that wait at once: until some are made its place in the log stays.
pub const MOST_PENDING: i64 = 1000;
/// For how long one is tried again, in seconds.
pub const TRIED_FOR_SECONDS: i64 = 86_400;
/// After how long it is tried for the second time, in seconds; then after twice as long, and so on.
const FIRST_PAUSE_SECONDS: i64 = 5;
/// The longest pause between two tries, in seconds.
const LONGEST_PAUSE_SECONDS: i64 = 3600;

vocabulary! {
    /// Why a try came to nothing.
    DeliveryError {
        RefusedAddress = "refused_address", NotResolved = "not_resolved", NotConnected = "not_connected",
        Tls = "tls", Timeout = "timeout", Redirect = "redirect", Status = "status", BadAnswer = "bad_answer",
        Internal = "internal",
    }
}

/// A delivery as it is stored.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::webhook_delivery, treat_none_as_default_value = false)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// The number of the event.
    pub enqueued: i64,
    /// The record that the event changed.
    pub record_id: AnyId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was asked for again.
    pub round: i32,
    /// Tries so far, since it was last asked for.
    pub attempts: i32,
    /// When the event came in sight, or was asked for again.
    pub created_at: Time,
    /// When it is to be tried next.
    pub next_at: Time,
    /// When it was first tried, since it was last asked for.
    pub first_tried_at: Option<Time>,
    /// When it was delivered, left out or put aside.
    pub settled_at: Option<Time>,
    /// The status of the last answer.
    pub last_status: Option<i32>,
    /// Why the last try came to nothing.
    pub last_error: Option<DeliveryError>,
}

impl Delivery {
    /// One that waits to be tried at once.
    pub fn pending(webhook: WebhookId, enqueued: i64, record: AnyId, at: Time) -> Self {
        Self {
            id: DeliveryId::fresh(),
            webhook_id: webhook,
            enqueued,
            record_id: record,
            state: DeliveryState::Pending,
            round: 0,
            attempts: 0,
            created_at: at,
            next_at: at,
            first_tried_at: None,
            settled_at: None,
            last_status: None,
            last_error: None,
        }
    }

    /// The same after a try that the receiver took.
    #[must_use]
    pub fn taken(self, status: u16, at: Time) -> Self {
        let tried = self.tried(Some(status), None, at);
        Self { state: DeliveryState::Delivered, settled_at: Some(at), ..tried }
    }

    /// The same after a try that came to nothing. `jitter` is from 0 to 1.
    #[must_use]
    pub fn failed(self, status: Option<u16>, error: DeliveryError, at: Time, jitter: f64) -> Self {
        let tried = self.tried(status, Some(error), at);
        let first = tried.first_tried_at.unwrap_or(at);
        if first.plus_seconds(TRIED_FOR_SECONDS) <= at {
            return Self { state: DeliveryState::Parked, settled_at: Some(at), ..tried };
        }
        let next_at = at.plus_seconds(pause(tried.attempts, jitter));
        Self { next_at, ..tried }
    }

    /// The same when its event may not be told any more.
    #[must_use]
    pub fn left_out(self, at: Time) -> Self {
        Self { state: DeliveryState::Skipped, settled_at: Some(at), ..self }
    }

    /// Whether the last try told that nobody answers there, whatever is sent.
    pub fn is_unanswered(&self) -> bool {
        use DeliveryError::{NotConnected, NotResolved, RefusedAddress, Timeout, Tls};
        match self.last_error {
            Some(RefusedAddress | NotResolved | NotConnected | Tls | Timeout) => self.last_status.is_none(),
            _ => false,
        }
    }

    fn tried(self, status: Option<u16>, error: Option<DeliveryError>, at: Time) -> Self {
        Self {
            attempts: self.attempts.saturating_add(1),
            first_tried_at: self.first_tried_at.or(Some(at)),
            last_status: status.map(i32::from),
            last_error: error,
            ..self
        }
    }
}

/// Seconds until the next try after so many: twice as long each time, of which up to a half is left to chance, so that
/// receivers that fail together are not tried together.
fn pause(attempts: i32, jitter: f64) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    let whole = (FIRST_PAUSE_SECONDS << doublings).min(LONGEST_PAUSE_SECONDS);
    let chance = (whole as f64 * 0.5 * jitter.clamp(0.0, 1.0)) as i64;
    (whole - chance).max(1)
}

/// Those of the deliveries that may be tried now: each the first of its record that waits. They come in the order of their
/// events.
pub fn due(waiting: Vec<Delivery>, at: Time) -> Vec<Delivery> {
    let mut records = std::collections::HashSet::new();
    let mut due: Vec<Delivery> =
        waiting.into_iter().filter(|one| records.insert(one.record_id)).filter(|one| one.next_at <= at).collect();
    due.sort_by_key(|one| (one.next_at, one.enqueued));
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn noon() -> Time {
        Time::parse("2026-03-01T12:00:00Z").unwrap()
    }
    fn one(enqueued: i64, record: u128) -> Delivery {
        Delivery::pending(WebhookId::fresh(), enqueued, AnyId::of(Uuid::from_u128(record)), noon())
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_leave_something_to_chance() {
        let whole: Vec<i64> = (1..=12).map(|attempts| pause(attempts, 0.0)).collect();
        assert_eq!(whole, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert_eq!((pause(11, 1.0), pause(i32::MAX, 0.0)), (1800, 3600));
    }

    #[test]
    fn it_is_tried_for_a_day_and_then_put_aside() {
        let (mut delivery, mut at) = (one(1, 1), noon());
        while delivery.state == DeliveryState::Pending {
            delivery = delivery.failed(Some(500), DeliveryError::Status, at, fastrand::f64());
            at = delivery.next_at.max(at);
        }
        assert_eq!(delivery.state, DeliveryState::Parked);
        let after = delivery.settled_at.unwrap();
        assert!(
            after >= noon().plus_seconds(TRIED_FOR_SECONDS) && after <= noon().plus_seconds(TRIED_FOR_SECONDS + 3600)
        );
        assert!(delivery.attempts > 24 && delivery.attempts < 80, "{}", delivery.attempts);
    }

    #[test]
    fn an_earlier_event_of_the_record_goes_first_and_others_do_not_wait() {
        let late = Delivery { next_at: noon().plus_seconds(60), ..one(1, 7) };
        let numbers = |due: Vec<Delivery>| due.iter().map(|d| d.enqueued).collect::<Vec<_>>();
        assert_eq!(numbers(due(vec![late.clone(), one(2, 7), one(3, 8), one(4, 8)], noon())), [3]);
        assert_eq!(numbers(due(vec![late, one(2, 7), one(3, 8)], noon().plus_seconds(60))), [3, 1]);
    }
}
