//! How many discoveries that entered a stage moved on from it. Pure.
use super::{
    Period, Story, lifecycles_of,
    stay::{Outcome, outcome, stays},
};
use crate::lifecycle::{Lifecycle, State, builtin::discovery};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use utoipa::ToSchema;

/// First stays of discoveries in each live stage, by how they came out.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "period": { "from": "2025-03-01T09:30:00.000000Z", "to": "2026-03-01T09:30:00.000000Z" },
    "stages": [{
        "lifecycle": "translational@1", "stage": "first_in_human", "label": "First in human",
        "entered": 13, "advanced": 8, "stopped": 2, "returned": 1, "waiting": 2,
        "rate": { "value": 0.8, "low": 0.4901624715, "high": 0.9433178485, "n": 10, "label": "resolved only" },
        "published": [{ "source": "BIO, Clinical Development Success Rates 2006–2015", "value": 0.632 }]
    }]
}))]
pub struct Funnel {
    /// The period in which the stays began; how they came out is as of now.
    pub period: Period,
    /// A row for every live stage of every lifecycle in use.
    #[schema(max_items = 10000)]
    pub stages: Vec<FunnelStage>,
    /// With `as_of`: how many leaves the checkpoint covers that it is as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
    /// With `as_of`: records that are not counted since their version of then was erased.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<u64>,
}

/// One live stage.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FunnelStage {
    /// `name@version`.
    #[schema(max_length = 60, example = "translational@1")]
    pub lifecycle: String,
    /// The stage.
    #[schema(max_length = 60, example = "first_in_human")]
    pub stage: String,
    /// The name people read.
    #[schema(max_length = 100, example = "First in human")]
    pub label: String,
    /// First stays that began in the period: the sum of the next four.
    #[schema(minimum = 0)]
    pub entered: u64,
    /// Of these, how many went on to a later stage or to success.
    #[schema(minimum = 0)]
    pub advanced: u64,
    /// How many ended otherwise than in success, be it from a hold.
    #[schema(minimum = 0)]
    pub stopped: u64,
    /// How many went back to an earlier stage.
    #[schema(minimum = 0)]
    pub returned: u64,
    /// How many go on, holds included.
    #[schema(minimum = 0)]
    pub waiting: u64,
    /// How many of the resolved ones advanced.
    pub rate: Rate,
    /// What others published about the same step.
    #[schema(max_items = 10)]
    pub published: Vec<Published>,
}

/// `advanced / (advanced + stopped)` with its Wilson 95 % interval; null where nothing is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Rate {
    /// The share, 0–1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub value: Option<f64>,
    /// The lower end of the interval.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub low: Option<f64>,
    /// The upper end of the interval.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub high: Option<f64>,
    /// How many are resolved.
    #[schema(minimum = 0)]
    pub n: u64,
    /// `resolved only`: what still waits, and what went back, is left out.
    #[schema(max_length = 40, example = "resolved only")]
    pub label: &'static str,
}

/// A published rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Published {
    /// Where it is from.
    #[schema(max_length = 200, example = "BIO, Clinical Development Success Rates 2006–2015")]
    pub source: &'static str,
    /// The share, 0–1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub value: f64,
}

const BIO_2006: &str = "BIO, Clinical Development Success Rates 2006–2015";
const BIO_2011: &str = "BIO, Clinical Development Success Rates 2011–2020";

/// Phase I to phase II, and phase II to approval (the product of the three steps in between).
fn published(lifecycle: &Lifecycle, stage: &str) -> Vec<Published> {
    // Another lifecycle may mean another thing by the same name.
    let rates = match (lifecycle.name() == discovery().name(), stage) {
        (true, "first_in_human") => [(BIO_2006, 0.632), (BIO_2011, 0.520)],
        (true, "efficacy") => [(BIO_2006, 0.152), (BIO_2011, 0.151)],
        _ => return Vec::new(),
    };
    rates.map(|(source, value)| Published { source, value }).into()
}

/// The 97.5th percentile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval at 95 %; `None` when nothing was tried. Exact at the ends: 0 of n has 0 as its lower end.
pub fn wilson(successes: u64, tries: u64) -> Option<(f64, f64)> {
    if tries == 0 {
        return None;
    }
    let (n, share) = (as_f64(tries), as_f64(successes) / as_f64(tries));
    let shrink = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let low = if successes == 0 { 0.0 } else { centre - half };
    let high = if successes == tries { 1.0 } else { centre + half };
    Some((low, high))
}

/// Exact: counts of records are far below 2^53.
const fn as_f64(count: u64) -> f64 {
    count as f64
}

impl Rate {
    /// Of the resolved ones, how many advanced.
    pub fn of(advanced: u64, stopped: u64) -> Self {
        let n = advanced + stopped;
        let interval = wilson(advanced, n);
        Self {
            value: interval.map(|_| as_f64(advanced) / as_f64(n)),
            low: interval.map(|(low, _)| low),
            high: interval.map(|(_, high)| high),
            n,
            label: "resolved only",
        }
    }
}

/// Counts the discoveries the asker may see.
pub fn funnel(stories: &[Story], period: Period) -> Funnel {
    let lifecycles = lifecycles_of(vec![Arc::new(discovery().clone())], stories);
    let mut stages: Vec<FunnelStage> = lifecycles.iter().flat_map(|l| rows(l)).collect();
    let places: HashMap<(String, String), usize> =
        stages.iter().enumerate().map(|(i, s)| ((s.lifecycle.clone(), s.stage.clone()), i)).collect();
    for story in stories {
        let reference = story.lifecycle.reference();
        let stays = stays(&story.lifecycle, &story.moves);
        let mut been = HashSet::new();
        for (index, stay) in stays.iter().enumerate().filter(|(_, stay)| !stay.void && !stay.hold) {
            let first = been.insert(stay.stage);
            if !(first && stay.seen_to_begin && period.has(stay.began)) {
                continue;
            }
            if let Some(row) = places.get(&(reference.clone(), stay.stage.to_owned())) {
                stages[*row].count(outcome(&story.lifecycle, stay, &stays[index + 1..]));
            }
        }
    }
    for stage in &mut stages {
        stage.rate = Rate::of(stage.advanced, stage.stopped);
    }
    Funnel { as_of_size: None, erased: None, period, stages }
}

impl FunnelStage {
    fn count(&mut self, outcome: Outcome) {
        self.entered += 1;
        match outcome {
            Outcome::Waiting => self.waiting += 1,
            Outcome::Advanced => self.advanced += 1,
            Outcome::Returned => self.returned += 1,
            Outcome::Stopped => self.stopped += 1,
        }
    }
}

fn rows(lifecycle: &Lifecycle) -> impl Iterator<Item = FunnelStage> {
    let live = |state: &&State| !state.is_final() && !state.hold;
    lifecycle.states().iter().filter(live).map(move |state| FunnelStage {
        lifecycle: lifecycle.reference(),
        stage: state.name.clone(),
        label: state.label.clone(),
        entered: 0,
        advanced: 0,
        stopped: 0,
        returned: 0,
        waiting: 0,
        rate: Rate::of(0, 0),
        published: published(lifecycle, &state.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::testing::{moves, on},
        vocabulary::RecordKind,
    };
    use proptest::prelude::*;

    fn story(text: &str) -> Story {
        let moves = moves(text);
        let state = moves.last().unwrap().to.clone();
        let lifecycle = Arc::new(discovery().clone());
        Story { kind: RecordKind::Discovery, lifecycle, state, overdue: false, moves }
    }

    /// Entered, advanced, stopped, returned, waiting.
    fn row(funnel: &Funnel, stage: &str) -> [u64; 5] {
        let row = funnel.stages.iter().find(|s| s.stage == stage).unwrap();
        [row.entered, row.advanced, row.stopped, row.returned, row.waiting]
    }

    #[test]
    fn wilson_gives_what_is_computed_by_hand() {
        // p = 0.8, n = 10, z² = 3.841458821: (0.8 + 0.19207294 ± 1.95996398 √(0.016 + 0.00960365)) / 1.38414588.
        for (successes, tries, low, high) in [
            (8, 10, 0.490_162_5, 0.943_317_8),
            (1, 2, 0.094_531_2, 0.905_468_8),
            (5, 10, 0.236_593_1, 0.763_406_9),
            (0, 10, 0.0, 0.277_532_8),
            (10, 10, 0.722_467_2, 1.0),
            (1, 1, 0.206_549_3, 1.0),
        ] {
            let (l, h) = wilson(successes, tries).unwrap();
            assert!((l - low).abs() < 5e-8 && (h - high).abs() < 5e-8, "{successes}/{tries}: {l} {h}");
        }
        assert_eq!(wilson(0, 0), None);
        let none = Rate::of(0, 0);
        assert_eq!((none.value, none.low, none.high, none.n), (None, None, None, 0));
    }

    #[test]
    fn published_rates_multiply_to_the_likelihood_of_approval() {
        for (steps, first, rest, approval) in
            [([63.2, 30.7, 58.1, 85.3], 0.632, 0.152, 9.6), ([52.0, 28.9, 57.8, 90.6], 0.520, 0.151, 7.9)]
        {
            let product = |steps: &[f64]| steps.iter().map(|s| s / 100.0).product::<f64>();
            assert!((product(&steps) * 100.0 - approval).abs() < 0.05);
            assert!((product(&steps[..1]) - first).abs() < 1e-9);
            assert!((product(&steps[1..]) - rest).abs() < 0.0005);
        }
        let shown = |stage| published(discovery(), stage).iter().map(|p| p.value).collect::<Vec<_>>();
        assert_eq!(shown("first_in_human"), [0.632, 0.520]);
        assert_eq!(shown("efficacy"), [0.152, 0.151]);
        assert!(shown("preclinical").is_empty());
    }

    #[test]
    fn only_first_stays_begun_in_the_period_count() {
        let stories = [
            story("0 logged, 1 validated, 2 preclinical, 3 clinic_ready, 4 validated, 5 preclinical"),
            story("0 logged, 1 discontinued"),
            story("0 logged, 1 on_hold, 2 discontinued"),
            story("0 logged, 1 on_hold"),
            story("-5 logged, 1 validated"),
            story("0 logged, 1 discontinued, 2 !logged"),
        ];
        let funnel = funnel(&stories, Period { from: on(0), to: on(10) });
        assert_eq!(row(&funnel, "logged"), [5, 1, 2, 0, 2]);
        assert_eq!(row(&funnel, "validated"), [2, 1, 0, 0, 1]);
        assert_eq!(row(&funnel, "preclinical"), [1, 1, 0, 0, 0]);
        assert_eq!(row(&funnel, "clinic_ready"), [1, 0, 0, 1, 0]);
        let rate = funnel.stages[0].rate;
        assert_eq!((rate.value, rate.n), (Some(1.0 / 3.0), 3));
        assert_eq!(funnel.stages.len(), 7, "live stages only");
    }

    #[test]
    fn a_void_stay_is_no_first_stay() {
        let funnel =
            funnel(&[story("0 logged, 1 validated, 2 !logged, 8 validated")], Period { from: on(0), to: on(9) });
        assert_eq!(row(&funnel, "logged"), [1, 1, 0, 0, 0]);
        assert_eq!(row(&funnel, "validated"), [1, 0, 0, 0, 1]);
        let early =
            super::funnel(&[story("0 logged, 1 validated, 2 !logged, 8 validated")], Period { from: on(0), to: on(5) });
        assert_eq!(row(&early, "validated"), [0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share(tries in 1_u64..5000, part in 0.0..=1.0_f64) {
            let successes = (as_f64(tries) * part) as u64;
            let (low, high) = wilson(successes, tries).unwrap();
            let share = as_f64(successes) / as_f64(tries);
            prop_assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
            let (mirrored_low, mirrored_high) = wilson(tries - successes, tries).unwrap();
            prop_assert!((low + mirrored_high - 1.0).abs() < 1e-12 && (high + mirrored_low - 1.0).abs() < 1e-12);
        }

        #[test]
        fn what_entered_is_all_that_came_out_or_waits(days in prop::collection::vec((0_i64..20, 0..8_usize), 1..8)) {
            let states = ["logged", "validated", "preclinical", "efficacy", "public_health", "discontinued", "on_hold", "!logged"];
            let mut day = 0;
            let mut text = String::from("0 logged");
            for (more, state) in days {
                day += more;
                text.push_str(&format!(", {day} {}", states[state]));
            }
            let funnel = funnel(&[story(&text)], Period { from: on(0), to: on(200) });
            for s in funnel.stages {
                prop_assert_eq!(s.entered, s.advanced + s.stopped + s.returned + s.waiting);
                prop_assert!(s.entered <= 1);
            }
        }
    }
}
