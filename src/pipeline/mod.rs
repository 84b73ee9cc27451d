//! What administrators ask of the whole, over what each asker may see: where records are, and how many move on.
//!
//! [`stay`] turns the moves of one record into stays, [`overview`] and [`funnel`] count them; all three are pure. Effective
//! time throughout. Time in stage, flow, ageing and the way back are not here yet; they are further readers of stays.
pub mod funnel;
pub mod http;
pub mod overview;
pub mod stay;
pub mod store;

use crate::{db::columns::Time, lifecycle::Lifecycle, vocabulary::RecordKind};
use serde::Serialize;
use stay::Moved;
use std::sync::Arc;
use utoipa::ToSchema;

/// From one moment to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Period {
    /// The first moment.
    pub from: Time,
    /// The last moment, not before the first.
    pub to: Time,
}

impl Period {
    /// How long a period is when nothing else is said, in days.
    pub const DAYS: i64 = 365;

    /// Whether something in effect at this moment falls in it.
    pub fn has(&self, at: Time) -> bool {
        self.from <= at && at <= self.to
    }
}

/// What is said of counts as of a past moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Then {
    /// How many leaves the checkpoint covers that they are as of.
    pub as_of_size: u64,
    /// Records that are not counted since their version of then was erased.
    pub erased: u64,
}

/// A record the asker may see, as far as it is counted.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its kind.
    pub kind: RecordKind,
    /// How it moves now.
    pub lifecycle: Arc<Lifecycle>,
    /// The state it is in now.
    pub state: String,
    /// Whether it is an insight whose answer is late.
    pub overdue: bool,
    /// Every move it made, the oldest first; its creation is the first.
    pub moves: Vec<Moved>,
}

/// The lifecycles to be counted, each once and in a fixed order: the given ones, then what else the records use.
fn lifecycles_of<'a>(always: Vec<Arc<Lifecycle>>, stories: &'a [Story]) -> Vec<Arc<Lifecycle>> {
    let mut more: Vec<&'a Arc<Lifecycle>> = Vec::new();
    for story in stories {
        let same = |l: &Arc<Lifecycle>| l.kind() == story.kind && l.reference() == story.lifecycle.reference();
        if !always.iter().any(same) && !more.iter().any(|l| same(l)) {
            more.push(&story.lifecycle);
        }
    }
    more.sort_by_key(|l| (l.kind(), l.name().to_owned(), l.version()));
    let more: Vec<_> = more.into_iter().cloned().collect();
    // Stable: the lifecycles of one kind stay together, the built-in one first.
    let mut all = [always, more].concat();
    all.sort_by_key(|l| l.kind());
    all
}

#[cfg(test)]
mod testing;
