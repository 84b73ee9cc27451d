//! Every (state × move × target × role) of the built-in documents, typed from the domain document.
//!
//! A row says who may make a move once every gate but the role is met: `S`cientist, `C`linician, `A`dministrator,
//! `P`artner, au`D`itor. Whoever is not named is refused with `not_permitted`; what has no row is no move from there.
use super::scene::{everything, meaning_of};
use benchside::{
    lifecycle::{Lifecycle, Refusal, Request, builtin, evaluate},
    vocabulary::{Role, StudyType},
};
use std::collections::BTreeSet;

/// From, move, the states it leads to, who may.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str);

const ROLES: [(char, Role); 5] = [
    ('S', Role::Scientist),
    ('C', Role::Clinician),
    ('A', Role::Administrator),
    ('P', Role::Partner),
    ('D', Role::Auditor),
];

const DISCOVERY_STATES: &[&str] = &[
    "logged",
    "validated",
    "preclinical",
    "clinic_ready",
    "first_in_human",
    "efficacy",
    "implementation",
    "public_health",
    "on_hold",
    "discontinued",
];

const DISCOVERY_MOVES: &[&str] =
    &["advance", "hand_off", "return_to_bench", "hold", "resume", "discontinue", "correct"];

/// `resume` stands for a discovery that was put on hold at `preclinical`. The person of each row is also the owner,
/// so that `discontinue` (owner or administrator) is open to all three roles that take part.
#[rustfmt::skip]
const DISCOVERY: &[Row] = &[
    ("logged",         "advance",         &["validated"], "S"),
    ("logged",         "hold",            &["on_hold"], "SC"),
    ("logged",         "discontinue",     &["discontinued"], "SCA"),
    ("logged",         "correct",         &["validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation", "public_health", "on_hold", "discontinued"], "A"),
    ("validated",      "advance",         &["preclinical"], "S"),
    ("validated",      "hold",            &["on_hold"], "SC"),
    ("validated",      "discontinue",     &["discontinued"], "SCA"),
    ("validated",      "correct",         &["logged", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation", "public_health", "on_hold", "discontinued"], "A"),
    ("preclinical",    "hand_off",        &["clinic_ready"], "S"),
    ("preclinical",    "hold",            &["on_hold"], "SC"),
    ("preclinical",    "discontinue",     &["discontinued"], "SCA"),
    ("preclinical",    "correct",         &["logged", "validated", "clinic_ready", "first_in_human", "efficacy", "implementation", "public_health", "on_hold", "discontinued"], "A"),
    ("clinic_ready",   "advance",         &["first_in_human"], "C"),
    ("clinic_ready",   "return_to_bench", &["validated", "preclinical"], "SC"),
    ("clinic_ready",   "hold",            &["on_hold"], "SC"),
    ("clinic_ready",   "discontinue",     &["discontinued"], "SCA"),
    ("clinic_ready",   "correct",         &["logged", "validated", "preclinical", "first_in_human", "efficacy", "implementation", "public_health", "on_hold", "discontinued"], "A"),
    ("first_in_human", "advance",         &["efficacy"], "C"),
    ("first_in_human", "return_to_bench", &["validated", "preclinical"], "SC"),
    ("first_in_human", "hold",            &["on_hold"], "SC"),
    ("first_in_human", "discontinue",     &["discontinued"], "SCA"),
    ("first_in_human", "correct",         &["logged", "validated", "preclinical", "clinic_ready", "efficacy", "implementation", "public_health", "on_hold", "discontinued"], "A"),
    ("efficacy",       "advance",         &["implementation"], "C"),
    ("efficacy",       "return_to_bench", &["validated", "preclinical"], "SC"),
    ("efficacy",       "hold",            &["on_hold"], "SC"),
    ("efficacy",       "discontinue",     &["discontinued"], "SCA"),
    ("efficacy",       "correct",         &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "implementation", "public_health", "on_hold", "discontinued"], "A"),
    ("implementation", "advance",         &["public_health"], "C"),
    ("implementation", "return_to_bench", &["validated", "preclinical"], "SC"),
    ("implementation", "hold",            &["on_hold"], "SC"),
    ("implementation", "discontinue",     &["discontinued"], "SCA"),
    ("implementation", "correct",         &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "public_health", "on_hold", "discontinued"], "A"),
    ("on_hold",        "resume",          &["preclinical"], "SC"),
    ("on_hold",        "discontinue",     &["discontinued"], "SCA"),
    ("on_hold",        "correct",         &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation", "public_health", "discontinued"], "A"),
    ("public_health",  "correct",         &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation", "discontinued"], "A"),
    ("discontinued",   "correct",         &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation", "public_health"], "A"),
];

const TRIAL_STATES: &[&str] = &[
    "NOT_YET_RECRUITING",
    "RECRUITING",
    "ENROLLING_BY_INVITATION",
    "ACTIVE_NOT_RECRUITING",
    "COMPLETED",
    "SUSPENDED",
    "TERMINATED",
    "WITHDRAWN",
    "AVAILABLE",
    "NO_LONGER_AVAILABLE",
    "TEMPORARILY_NOT_AVAILABLE",
    "APPROVED_FOR_MARKETING",
    "WITHHELD",
    "UNKNOWN",
];

const TRIAL_MOVES: &[&str] = &[
    "open",
    "widen",
    "close_enrollment",
    "complete",
    "suspend",
    "resume",
    "terminate",
    "withdraw",
    "offer",
    "pause",
    "end",
    "approve",
    "correct",
];

/// Interventional and observational; `resume` stands for a trial that was suspended while `RECRUITING`.
#[rustfmt::skip]
const TRIAL: &[Row] = &[
    ("NOT_YET_RECRUITING",        "open",             &["RECRUITING", "ENROLLING_BY_INVITATION"], "C"),
    ("NOT_YET_RECRUITING",        "suspend",          &["SUSPENDED"], "C"),
    ("NOT_YET_RECRUITING",        "terminate",        &["TERMINATED"], "C"),
    ("NOT_YET_RECRUITING",        "withdraw",         &["WITHDRAWN"], "C"),
    ("NOT_YET_RECRUITING",        "correct",          &["RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("RECRUITING",                "close_enrollment", &["ACTIVE_NOT_RECRUITING"], "C"),
    ("RECRUITING",                "complete",         &["COMPLETED"], "C"),
    ("RECRUITING",                "suspend",          &["SUSPENDED"], "C"),
    ("RECRUITING",                "terminate",        &["TERMINATED"], "C"),
    ("RECRUITING",                "withdraw",         &["WITHDRAWN"], "C"),
    ("RECRUITING",                "correct",          &["NOT_YET_RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("ENROLLING_BY_INVITATION",   "widen",            &["RECRUITING"], "C"),
    ("ENROLLING_BY_INVITATION",   "close_enrollment", &["ACTIVE_NOT_RECRUITING"], "C"),
    ("ENROLLING_BY_INVITATION",   "complete",         &["COMPLETED"], "C"),
    ("ENROLLING_BY_INVITATION",   "suspend",          &["SUSPENDED"], "C"),
    ("ENROLLING_BY_INVITATION",   "terminate",        &["TERMINATED"], "C"),
    ("ENROLLING_BY_INVITATION",   "withdraw",         &["WITHDRAWN"], "C"),
    ("ENROLLING_BY_INVITATION",   "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("ACTIVE_NOT_RECRUITING",     "complete",         &["COMPLETED"], "C"),
    ("ACTIVE_NOT_RECRUITING",     "suspend",          &["SUSPENDED"], "C"),
    ("ACTIVE_NOT_RECRUITING",     "terminate",        &["TERMINATED"], "C"),
    ("ACTIVE_NOT_RECRUITING",     "withdraw",         &["WITHDRAWN"], "C"),
    ("ACTIVE_NOT_RECRUITING",     "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("COMPLETED",                 "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("SUSPENDED",                 "resume",           &["RECRUITING"], "C"),
    ("SUSPENDED",                 "terminate",        &["TERMINATED"], "C"),
    ("SUSPENDED",                 "withdraw",         &["WITHDRAWN"], "C"),
    ("SUSPENDED",                 "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "TERMINATED", "WITHDRAWN"], "A"),
    ("TERMINATED",                "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "WITHDRAWN"], "A"),
    ("WITHDRAWN",                 "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED"], "A"),
    ("AVAILABLE",                 "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("NO_LONGER_AVAILABLE",       "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("TEMPORARILY_NOT_AVAILABLE", "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("APPROVED_FOR_MARKETING",    "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("WITHHELD",                  "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
    ("UNKNOWN",                   "correct",          &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN"], "A"),
];

#[rustfmt::skip]
const EXPANDED_ACCESS: &[Row] = &[
    ("NOT_YET_RECRUITING",        "offer",   &["AVAILABLE"], "C"),
    ("NOT_YET_RECRUITING",        "end",     &["NO_LONGER_AVAILABLE"], "C"),
    ("NOT_YET_RECRUITING",        "approve", &["APPROVED_FOR_MARKETING"], "C"),
    ("NOT_YET_RECRUITING",        "correct", &["RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("TEMPORARILY_NOT_AVAILABLE", "offer",   &["AVAILABLE"], "C"),
    ("TEMPORARILY_NOT_AVAILABLE", "end",     &["NO_LONGER_AVAILABLE"], "C"),
    ("TEMPORARILY_NOT_AVAILABLE", "approve", &["APPROVED_FOR_MARKETING"], "C"),
    ("TEMPORARILY_NOT_AVAILABLE", "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("AVAILABLE",                 "pause",   &["TEMPORARILY_NOT_AVAILABLE"], "C"),
    ("AVAILABLE",                 "end",     &["NO_LONGER_AVAILABLE"], "C"),
    ("AVAILABLE",                 "approve", &["APPROVED_FOR_MARKETING"], "C"),
    ("AVAILABLE",                 "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("NO_LONGER_AVAILABLE",       "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("APPROVED_FOR_MARKETING",    "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE"], "A"),
    ("RECRUITING",                "correct", &["NOT_YET_RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("ENROLLING_BY_INVITATION",   "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("ACTIVE_NOT_RECRUITING",     "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("COMPLETED",                 "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("SUSPENDED",                 "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("TERMINATED",                "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("WITHDRAWN",                 "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("WITHHELD",                  "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
    ("UNKNOWN",                   "correct", &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "COMPLETED", "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING"], "A"),
];

/// The person of each row owns the finding; `supersede` happens by itself, and so has no row.
#[rustfmt::skip]
const FINDING: &[Row] = &[
    ("draft",  "sign",     &["signed"], "SCA"),
    ("draft",  "withdraw", &["withdrawn"], "SCA"),
    ("signed", "retract",  &["retracted"], "SCA"),
];

/// The person of each row owns the insight and belongs to its clinic and its lab.
#[rustfmt::skip]
const INSIGHT: &[Row] = &[
    ("draft",         "submit",      &["submitted"], "C"),
    ("draft",         "withdraw",    &["withdrawn"], "SCA"),
    ("declined",      "reroute",     &["submitted"], "C"),
    ("declined",      "withdraw",    &["withdrawn"], "SCA"),
    ("submitted",     "acknowledge", &["acknowledged"], "S"),
    ("submitted",     "decline",     &["declined"], "S"),
    ("acknowledged",  "investigate", &["investigating"], "S"),
    ("acknowledged",  "decline",     &["declined"], "S"),
    ("investigating", "resolve",     &["resolved"], "S"),
];

/// The person of each row belongs to both sides.
#[rustfmt::skip]
const PAIRING: &[Row] = &[
    ("proposed", "accept",   &["accepted"], "SCAP"),
    ("proposed", "decline",  &["declined"], "SCAP"),
    ("proposed", "withdraw", &["withdrawn"], "SCAP"),
    ("accepted", "end",      &["ended"], "SCAP"),
];

#[derive(Debug, PartialEq)]
enum Answer {
    Allowed,
    NotPermitted,
    NoSuchMove,
}

/// A table, and everything it is about.
struct Table {
    lifecycle: &'static Lifecycle,
    states: &'static [&'static str],
    moves: &'static [&'static str],
    held_from: Option<&'static str>,
    study_type: StudyType,
    rows: &'static [Row],
}

impl Table {
    fn check(&self) {
        self.names_all_there_is();
        for from in self.states {
            for name in self.moves {
                for to in self.states {
                    for (letter, role) in ROLES {
                        let expected = self.expected(from, name, to, letter);
                        let answer = self.answer(from, name, to, role);
                        assert_eq!(answer, expected, "{from} --{name}--> {to} by {role}, {}", self.study_type);
                    }
                }
            }
        }
    }

    /// The document has the states and moves of the domain and no others.
    fn names_all_there_is(&self) {
        let states: BTreeSet<_> = self.lifecycle.states().iter().map(|state| state.name.as_str()).collect();
        assert_eq!(states, self.states.iter().copied().collect());
        let moves: BTreeSet<_> = self.lifecycle.moves().iter().map(|one| one.name.as_str()).collect();
        assert_eq!(moves, self.moves.iter().copied().collect());
        for (from, name, to, _) in self.rows {
            assert!(self.states.contains(from) && self.moves.contains(name), "{from} {name}");
            assert!(to.iter().all(|to| self.states.contains(to)), "{to:?}");
        }
    }

    fn expected(&self, from: &str, name: &str, to: &str, letter: char) -> Answer {
        match self.rows.iter().find(|row| row.0 == from && row.1 == name && row.2.contains(&to)) {
            Some((.., who)) if who.contains(letter) => Answer::Allowed,
            Some(_) => Answer::NotPermitted,
            None => Answer::NoSuchMove,
        }
    }

    fn answer(&self, from: &str, name: &str, to: &str, role: Role) -> Answer {
        let mut scene = everything(from, self.held_from, self.study_type, role);
        scene.brings.signature = meaning_of(name, from);
        let request = Request { to, name: Some(name), brings: scene.brings };
        match evaluate(self.lifecycle, &scene.facts, &scene.actor, &request) {
            Ok(step) => {
                assert_eq!((step.made.name.as_str(), step.to.name.as_str()), (name, to));
                assert_eq!(step.correction, name == "correct");
                Answer::Allowed
            }
            Err(Refusal::Unmet { authority: true, .. }) => Answer::NotPermitted,
            Err(Refusal::NoSuchMove) => Answer::NoSuchMove,
            Err(other) => panic!("{from} --{name}--> {to} by {role}: {other:?}"),
        }
    }
}

#[test]
fn discoveries_move_as_the_domain_says() {
    Table {
        lifecycle: builtin::discovery(),
        states: DISCOVERY_STATES,
        moves: DISCOVERY_MOVES,
        held_from: Some("preclinical"),
        study_type: StudyType::Interventional,
        rows: DISCOVERY,
    }
    .check();
}

#[test]
fn trials_move_as_the_domain_says() {
    let of = |study_type, rows| Table {
        lifecycle: builtin::trial(),
        states: TRIAL_STATES,
        moves: TRIAL_MOVES,
        held_from: Some("RECRUITING"),
        study_type,
        rows,
    };
    of(StudyType::Interventional, TRIAL).check();
    of(StudyType::Observational, TRIAL).check();
    of(StudyType::ExpandedAccess, EXPANDED_ACCESS).check();
}

#[test]
fn findings_move_as_the_domain_says() {
    Table {
        lifecycle: builtin::finding(),
        states: &["draft", "signed", "withdrawn", "retracted", "superseded"],
        moves: &["sign", "withdraw", "retract", "supersede"],
        held_from: None,
        study_type: StudyType::Interventional,
        rows: FINDING,
    }
    .check();
}

#[test]
fn insights_move_as_the_domain_says() {
    Table {
        lifecycle: builtin::insight(),
        states: &["draft", "submitted", "acknowledged", "investigating", "declined", "resolved", "withdrawn"],
        moves: &["submit", "reroute", "withdraw", "acknowledge", "investigate", "decline", "resolve"],
        held_from: None,
        study_type: StudyType::Interventional,
        rows: INSIGHT,
    }
    .check();
}

#[test]
fn pairings_move_as_the_domain_says() {
    Table {
        lifecycle: builtin::pairing(),
        states: &["proposed", "accepted", "declined", "withdrawn", "ended"],
        moves: &["accept", "decline", "withdraw", "end"],
        held_from: None,
        study_type: StudyType::Interventional,
        rows: PAIRING,
    }
    .check();
}

/// A pause ends where it began, whichever stage that was.
#[test]
fn a_hold_resumes_to_each_live_stage_and_to_no_other() {
    let live = ["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation"];
    for left in live {
        for to in DISCOVERY_STATES {
            let scene = everything("on_hold", Some(left), StudyType::Interventional, Role::Clinician);
            let request = Request { to, name: Some("resume"), brings: scene.brings };
            let resumed = evaluate(builtin::discovery(), &scene.facts, &scene.actor, &request);
            assert_eq!(resumed.is_ok(), *to == left, "left {left}, resumes to {to}");
        }
    }
}
