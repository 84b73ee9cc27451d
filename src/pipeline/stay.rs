//! Stays: from the moves of one record to the time it spent in each state. Pure.
//!
//! | what happens            | the stay it leaves                              | what it opens                          |
//! |-------------------------|-------------------------------------------------|----------------------------------------|
//! | a move on, back or out  | ends                                            | a stay                                 |
//! | a hold                  | goes on                                         | a stay of its own in the holding state |
//! | a resumption            | the hold ends                                   | nothing: the stay before the hold goes on |
//! | an end from a hold      | the hold and the stay before it end             | a stay in the final state              |
//! | a correction            | is void; from a hold to where the record would resume, only the hold is | a stay, unless one goes on |
//! | a correction to a hold  | goes on: a hold that nobody recorded            | a stay in the holding state            |
//!
//! A void stay is kept and counted nowhere: it was neither entered nor left. The stay before it did end, at the moment it
//! ended, and the stay that a correction opens is entered at the correction's effective time; so `entered − left` is still
//! the number of records there. How a stay *came out* looks past void stays ([`outcome`]): a record that was discontinued by
//! mistake did not stop.
use crate::{
    db::columns::Time,
    lifecycle::{End, Lifecycle},
};

/// One move of a record, or its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The state it led to.
    pub to: String,
    /// When it took effect; never before the move ahead of it.
    pub at: Time,
    /// Whether it set the record right.
    pub correction: bool,
    /// Whether the asker may see the version it made; what they may not see is not counted.
    pub seen: bool,
}

/// The time a record spent in one state. Time on hold is part of the stay it interrupts, and a stay of its own besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay<'a> {
    /// The state.
    pub stage: &'a str,
    /// When it began.
    pub began: Time,
    /// Whether the asker may see that.
    pub seen_to_begin: bool,
    /// When it ended; none while it goes on.
    pub ended: Option<Time>,
    /// Whether the asker may see that.
    pub seen_to_end: bool,
    /// Whether it is time on hold.
    pub hold: bool,
    /// Whether a correction voided it.
    pub void: bool,
}

impl<'a> Stay<'a> {
    fn opened_by(made: &'a Moved, hold: bool) -> Self {
        Self {
            stage: &made.to,
            began: made.at,
            seen_to_begin: made.seen,
            ended: None,
            seen_to_end: false,
            hold,
            void: false,
        }
    }

    fn end(&mut self, made: &Moved) {
        self.ended = Some(made.at);
        self.seen_to_end = made.seen;
        self.void = made.correction;
    }
}

/// The stays of one record, in the order they began. `moves` are in the order they were recorded.
pub fn stays<'a>(lifecycle: &Lifecycle, moves: &'a [Moved]) -> Vec<Stay<'a>> {
    let mut stays: Vec<Stay<'a>> = Vec::with_capacity(moves.len());
    let (mut working, mut holding): (Option<usize>, Option<usize>) = (None, None);
    for made in moves {
        let standing = holding.or(working).map(|open| stays[open].stage);
        if standing == Some(&*made.to) {
            continue;
        }
        if let Some(open) = holding.take() {
            stays[open].end(made);
        }
        if lifecycle.state(&made.to).is_some_and(|state| state.hold) {
            holding = Some(stays.len());
            stays.push(Stay::opened_by(made, true));
        } else if working.map(|open| stays[open].stage) != Some(&*made.to) {
            if let Some(open) = working {
                stays[open].end(made);
            }
            working = Some(stays.len());
            stays.push(Stay::opened_by(made, false));
        }
    }
    stays
}

/// How a stay in a live stage came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on, be it on hold.
    Waiting,
    /// To a later stage, or to success.
    Advanced,
    /// Back to an earlier stage.
    Returned,
    /// To an end other than success.
    Stopped,
}

/// How a stay came out: by the next stay that counts, in another stage. A correction back to the same stage takes the
/// exit back.
pub fn outcome(lifecycle: &Lifecycle, stay: &Stay<'_>, later: &[Stay<'_>]) -> Outcome {
    let counted = later.iter().filter(|next| !next.hold && !next.void);
    match counted.map(|next| next.stage).find(|stage| *stage != stay.stage) {
        Some(next) => exit(lifecycle, stay.stage, next),
        None => Outcome::Waiting,
    }
}

fn exit(lifecycle: &Lifecycle, from: &str, to: &str) -> Outcome {
    match lifecycle.state(to).and_then(|state| state.end) {
        Some(End::Success) => Outcome::Advanced,
        Some(End::Stopped | End::Ended) => Outcome::Stopped,
        None if lifecycle.order(to) > lifecycle.order(from) => Outcome::Advanced,
        None => Outcome::Returned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lifecycle::builtin::discovery,
        pipeline::testing::{moves, on},
    };
    use proptest::prelude::*;

    /// A stay as a row of a table: stage, days it began and ended, void.
    fn table(text: &str) -> Vec<(String, Time, Option<Time>, bool)> {
        let moves = moves(text);
        let row = |s: &Stay<'_>| (s.stage.to_owned(), s.began, s.ended, s.void);
        stays(discovery(), &moves).iter().map(row).collect()
    }

    fn row(stage: &str, began: i64, ended: Option<i64>, void: bool) -> (String, Time, Option<Time>, bool) {
        (stage.to_owned(), on(began), ended.map(on), void)
    }

    #[test]
    fn moves_open_and_end_stays() {
        assert_eq!(
            table("0 logged, 3 validated, 7 logged"),
            [row("logged", 0, Some(3), false), row("validated", 3, Some(7), false), row("logged", 7, None, false)]
        );
        assert_eq!(table("0 logged"), [row("logged", 0, None, false)]);
        assert!(table("").is_empty());
    }

    #[test]
    fn a_hold_interrupts_a_stay_and_does_not_end_it() {
        assert_eq!(
            table("0 logged, 2 on_hold, 5 logged, 9 validated"),
            [row("logged", 0, Some(9), false), row("on_hold", 2, Some(5), false), row("validated", 9, None, false)]
        );
        assert_eq!(
            table("0 logged, 2 on_hold, 5 discontinued"),
            [row("logged", 0, Some(5), false), row("on_hold", 2, Some(5), false), row("discontinued", 5, None, false)]
        );
        assert_eq!(table("0 logged, 2 on_hold"), [row("logged", 0, None, false), row("on_hold", 2, None, false)]);
    }

    #[test]
    fn a_correction_voids_the_stay_it_leaves() {
        assert_eq!(
            table("0 logged, 3 validated, 4 !logged"),
            [row("logged", 0, Some(3), false), row("validated", 3, Some(4), true), row("logged", 4, None, false)]
        );
        assert_eq!(
            table("0 logged, 3 discontinued, 4 !logged, 5 validated"),
            [
                row("logged", 0, Some(3), false),
                row("discontinued", 3, Some(4), true),
                row("logged", 4, Some(5), false),
                row("validated", 5, None, false),
            ]
        );
    }

    #[test]
    fn corrections_and_holds() {
        // A hold that was a mistake: the stay never stopped.
        assert_eq!(
            table("0 logged, 2 on_hold, 3 !logged"),
            [row("logged", 0, None, false), row("on_hold", 2, Some(3), true)]
        );
        // The stage under the hold was a mistake.
        assert_eq!(
            table("0 validated, 2 on_hold, 3 !logged"),
            [row("validated", 0, Some(3), true), row("on_hold", 2, Some(3), true), row("logged", 3, None, false)]
        );
        // A hold that nobody recorded.
        assert_eq!(
            table("0 logged, 2 !on_hold, 4 logged"),
            [row("logged", 0, None, false), row("on_hold", 2, Some(4), false)]
        );
    }

    #[test]
    fn an_event_that_moves_nothing_changes_nothing() {
        assert_eq!(table("0 logged, 3 logged, 4 !logged"), [row("logged", 0, None, false)]);
    }

    #[test]
    fn what_an_asker_may_not_see_is_marked_at_the_end_it_belongs_to() {
        let mut moves = moves("0 logged, 3 validated");
        moves[0].seen = false;
        let stays = stays(discovery(), &moves);
        assert_eq!(
            stays.iter().map(|s| (s.seen_to_begin, s.seen_to_end)).collect::<Vec<_>>(),
            [(false, true), (true, false)]
        );
    }

    #[test]
    fn outcomes_look_past_void_stays() {
        use Outcome::{Advanced, Returned, Stopped, Waiting};
        for (text, of_the_first) in [
            ("0 preclinical", Waiting),
            ("0 preclinical, 1 on_hold", Waiting),
            ("0 preclinical, 1 on_hold, 2 preclinical", Waiting),
            ("0 preclinical, 1 on_hold, 2 discontinued", Stopped),
            ("0 preclinical, 1 discontinued", Stopped),
            ("0 preclinical, 1 clinic_ready", Advanced),
            ("0 preclinical, 1 clinic_ready, 2 preclinical", Advanced),
            ("0 implementation, 1 public_health", Advanced),
            ("0 efficacy, 1 preclinical", Returned),
            // Taken back.
            ("0 preclinical, 1 discontinued, 2 !preclinical", Waiting),
            ("0 preclinical, 1 clinic_ready, 2 !preclinical", Waiting),
            ("0 preclinical, 1 clinic_ready, 2 !preclinical, 3 discontinued", Stopped),
            ("0 preclinical, 1 discontinued, 2 !preclinical, 3 clinic_ready", Advanced),
            // Put where it should have gone.
            ("0 preclinical, 1 clinic_ready, 2 !discontinued", Stopped),
            ("0 preclinical, 1 discontinued, 2 !clinic_ready", Advanced),
        ] {
            let moves = moves(text);
            let stays = stays(discovery(), &moves);
            assert_eq!(outcome(discovery(), &stays[0], &stays[1..]), of_the_first, "{text}");
        }
    }

    const STATES: &[&str] = &[
        "logged",
        "validated",
        "preclinical",
        "clinic_ready",
        "first_in_human",
        "efficacy",
        "implementation",
        "public_health",
        "discontinued",
        "on_hold",
    ];

    fn any_moves() -> impl Strategy<Value = Vec<Moved>> {
        // A record is never created on hold.
        let step = (0..STATES.len(), 0..50_i64, prop::bool::weighted(0.3));
        (0..STATES.len() - 1, prop::collection::vec(step, 0..12)).prop_map(|(first, steps)| {
            let mut day = 0;
            let start = Moved { to: STATES[first].into(), at: on(0), correction: false, seen: true };
            let later = steps.into_iter().map(|(state, days, correction)| {
                day += days;
                Moved { to: STATES[state].into(), at: on(day), correction, seen: true }
            });
            std::iter::once(start).chain(later).collect()
        })
    }

    proptest! {
        #[test]
        fn entered_less_left_is_where_the_record_is(moves in any_moves()) {
            let stays = stays(discovery(), &moves);
            let open: Vec<_> = stays.iter().filter(|s| s.ended.is_none()).collect();
            let now = &*moves.last().unwrap().to;
            // One stay goes on, and the hold on top of it where there is one.
            prop_assert_eq!(open.iter().filter(|s| !s.hold).count(), 1);
            prop_assert_eq!(open.iter().filter(|s| s.hold).count(), usize::from(now == "on_hold"));
            prop_assert_eq!(open.iter().max_by_key(|s| s.hold).unwrap().stage, now);
            prop_assert!(open.iter().all(|s| !s.void));
        }

        #[test]
        fn stays_follow_one_another_without_gap_or_overlap(moves in any_moves()) {
            let stays = stays(discovery(), &moves);
            let working: Vec<_> = stays.iter().filter(|s| !s.hold).collect();
            for pair in working.windows(2) {
                prop_assert_eq!(pair[0].ended, Some(pair[1].began));
                prop_assert_ne!(pair[0].stage, pair[1].stage);
            }
            prop_assert!(stays.iter().all(|s| s.ended.is_none_or(|ended| s.began <= ended)));
        }

        #[test]
        fn without_corrections_nothing_is_void(mut moves in any_moves()) {
            for made in &mut moves { made.correction = false; }
            prop_assert!(stays(discovery(), &moves).iter().all(|s| !s.void));
        }
    }
}
