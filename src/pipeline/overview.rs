//! Where records are, and how many came and went. Pure.
use super::{Period, Story, lifecycles_of, stay::stays};
use crate::{
    db::columns::Time,
    lifecycle::{Lifecycle, builtin::builtin},
    vocabulary::RecordKind,
};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// The kinds of record that move, in the order of the rows.
pub const KINDS: &[RecordKind] =
    &[RecordKind::Discovery, RecordKind::Trial, RecordKind::Finding, RecordKind::Insight, RecordKind::Pairing];

/// Where records are now, and how many came and went in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "as_of": "2026-03-01T09:30:00.000000Z",
    "period": { "from": "2025-03-01T09:30:00.000000Z", "to": "2026-03-01T09:30:00.000000Z" },
    "stages": [{ "kind": "discovery", "lifecycle": "translational@1", "stage": "preclinical", "label": "Preclinical",
                 "live": 9, "entered": 14, "left": 6, "overdue": 0 }]
}))]
pub struct Overview {
    /// The moment that `live` and `overdue` are about.
    pub as_of: Time,
    /// The period that `entered` and `left` are about.
    pub period: Period,
    /// A row for every state of every lifecycle in use.
    #[schema(max_items = 10000)]
    pub stages: Vec<StageCount>,
    /// With `as_of`: how many leaves the checkpoint covers that it is as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
    /// With `as_of`: records that are not counted since their version of then was erased.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<u64>,
}

/// One state of one lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageCount {
    /// The kind of record.
    pub kind: RecordKind,
    /// `name@version`.
    #[schema(max_length = 60, example = "translational@1")]
    pub lifecycle: String,
    /// The state.
    #[schema(max_length = 60, example = "preclinical")]
    pub stage: String,
    /// The name people read.
    #[schema(max_length = 100, example = "Preclinical")]
    pub label: String,
    /// Records in it now.
    #[schema(minimum = 0)]
    pub live: u64,
    /// Stays that began in the period. Resuming after a hold begins none.
    #[schema(minimum = 0)]
    pub entered: u64,
    /// Stays that ended in the period. A hold ends none.
    #[schema(minimum = 0)]
    pub left: u64,
    /// Insights in it whose answer is late; 0 for other kinds.
    #[schema(minimum = 0)]
    pub overdue: u64,
}

/// Counts the records the asker may see.
pub fn overview(stories: &[Story], as_of: Time, period: Period) -> Overview {
    let always = KINDS.iter().filter_map(|kind| builtin(*kind)).map(|l| Arc::new(l.clone())).collect();
    let lifecycles = lifecycles_of(always, stories);
    let mut stages: Vec<StageCount> = lifecycles.iter().flat_map(|l| rows(l)).collect();
    let places: HashMap<(RecordKind, String, String), usize> =
        stages.iter().enumerate().map(|(i, s)| ((s.kind, s.lifecycle.clone(), s.stage.clone()), i)).collect();
    for story in stories {
        let reference = story.lifecycle.reference();
        let place = |stage: &str| places.get(&(story.kind, reference.clone(), stage.to_owned())).copied();
        if let Some(row) = place(&story.state) {
            stages[row].live += 1;
            stages[row].overdue += u64::from(story.overdue);
        }
        for stay in stays(&story.lifecycle, &story.moves).iter().filter(|stay| !stay.void) {
            // A state of a lifecycle that the record no longer has is no row.
            if let Some(row) = place(stay.stage) {
                stages[row].entered += u64::from(stay.seen_to_begin && period.has(stay.began));
                stages[row].left += u64::from(stay.seen_to_end && stay.ended.is_some_and(|at| period.has(at)));
            }
        }
    }
    Overview { as_of, as_of_size: None, erased: None, period, stages }
}

fn rows(lifecycle: &Lifecycle) -> impl Iterator<Item = StageCount> {
    let (kind, reference) = (lifecycle.kind(), lifecycle.reference());
    lifecycle.states().iter().map(move |state| StageCount {
        kind,
        lifecycle: reference.clone(),
        stage: state.name.clone(),
        label: state.label.clone(),
        live: 0,
        entered: 0,
        left: 0,
        overdue: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::testing::{moves, on};

    fn story(kind: RecordKind, text: &str) -> Story {
        let moves = moves(text);
        let state = moves.last().unwrap().to.clone();
        Story { kind, lifecycle: Arc::new(builtin(kind).unwrap().clone()), state, overdue: false, moves }
    }

    /// Live, entered, left.
    fn row(overview: &Overview, kind: RecordKind, stage: &str) -> (u64, u64, u64) {
        let row = overview.stages.iter().find(|s| s.kind == kind && s.stage == stage).unwrap();
        (row.live, row.entered, row.left)
    }

    #[test]
    fn every_state_has_a_row_even_when_nothing_is_there() {
        let overview = overview(&[], on(0), Period { from: on(-365), to: on(0) });
        let states: usize = KINDS.iter().map(|k| builtin(*k).unwrap().states().len()).sum();
        assert_eq!(overview.stages.len(), states);
        assert!(overview.stages.iter().all(|s| (s.live, s.entered, s.left, s.overdue) == (0, 0, 0, 0)));
    }

    #[test]
    fn records_are_counted_where_they_are_and_by_when_they_came_and_went() {
        use RecordKind::{Discovery, Insight};
        let mut late = story(Insight, "1 draft, 2 submitted");
        late.overdue = true;
        let stories = [
            story(Discovery, "-9 logged, 2 validated"),
            story(Discovery, "1 logged, 3 on_hold"),
            story(Discovery, "1 logged, 3 discontinued, 4 !logged"),
            story(Discovery, "11 logged"),
            late,
        ];
        let overview = overview(&stories, on(20), Period { from: on(0), to: on(10) });
        assert_eq!(row(&overview, Discovery, "logged"), (2, 3, 2));
        assert_eq!(row(&overview, Discovery, "validated"), (1, 1, 0));
        assert_eq!(row(&overview, Discovery, "on_hold"), (1, 1, 0));
        assert_eq!(row(&overview, Discovery, "discontinued"), (0, 0, 0));
        assert_eq!(row(&overview, Insight, "draft"), (0, 1, 1));
        assert_eq!(row(&overview, Insight, "submitted"), (1, 1, 0));
        let overdue: Vec<_> = overview.stages.iter().filter(|s| s.overdue > 0).map(|s| &*s.stage).collect();
        assert_eq!(overdue, ["submitted"]);
    }

    #[test]
    fn the_first_and_the_last_moment_belong_to_the_period() {
        let stories = [story(RecordKind::Discovery, "0 logged, 10 validated")];
        let overview = overview(&stories, on(10), Period { from: on(0), to: on(10) });
        assert_eq!(row(&overview, RecordKind::Discovery, "logged"), (0, 1, 1));
        assert_eq!(row(&overview, RecordKind::Discovery, "validated"), (1, 1, 0));
    }

    #[test]
    fn what_the_asker_may_not_see_is_not_counted() {
        let mut signed = story(RecordKind::Finding, "0 draft, 1 signed");
        signed.moves[0].seen = false;
        let overview = overview(&[signed], on(10), Period { from: on(0), to: on(10) });
        assert_eq!(row(&overview, RecordKind::Finding, "draft"), (0, 0, 1));
        assert_eq!(row(&overview, RecordKind::Finding, "signed"), (1, 1, 0));
    }
}
