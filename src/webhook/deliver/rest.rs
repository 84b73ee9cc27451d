//! The rest that a webhook is given whose receiver does not answer: twice as long each time, so that silence costs little.
use crate::{db::columns::Time, id::WebhookId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How long the first rest is, in seconds; each further one is twice as long.
const FIRST_SECONDS: i64 = 1;
/// The longest rest, in seconds.
const LONGEST_SECONDS: i64 = 300;

/// The webhooks that rest. Kept in the memory of the node, which is enough: another node, or the same one after a start,
/// finds out for itself with a single try.
#[derive(Debug, Default)]
pub struct Rests(Mutex<HashMap<WebhookId, Rest>>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    seconds: i64,
    until: Time,
}

impl Rests {
    /// Gives it a rest, after another one a longer one.
    pub fn begin(&self, id: WebhookId, at: Time) {
        let mut rests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = rests.get(&id).map_or(FIRST_SECONDS, |rest| (2 * rest.seconds).min(LONGEST_SECONDS));
        rests.insert(id, Rest { seconds, until: at.plus_seconds(seconds) });
    }

    /// It has answered: its next rest is the first again.
    pub fn end(&self, id: WebhookId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Whether it rests.
    pub fn hold(&self, id: WebhookId, at: Time) -> bool {
        let rests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rests.get(&id).is_some_and(|rest| at < rest.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_five_minutes_and_an_answer_ends_them() {
        let (rests, id, other) = (Rests::default(), WebhookId::fresh(), WebhookId::fresh());
        let mut at = Time::parse("2026-03-01T12:00:00Z").unwrap();
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            rests.begin(id, at);
            assert!(rests.hold(id, at.plus_seconds(seconds - 1)) && !rests.hold(other, at));
            at = at.plus_seconds(seconds);
            assert!(!rests.hold(id, at));
        }
        rests.end(id);
        rests.begin(id, at);
        assert!(rests.hold(id, at) && !rests.hold(id, at.plus_seconds(1)));
    }
}
