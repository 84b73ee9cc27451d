//! Whether states and moves make a lifecycle: names that meet, one beginning, no orphans, no dead ends.
use super::super::{Move, Origin, State, Target};
use super::reader::{Report, quoted};
use std::collections::{BTreeMap, BTreeSet};

/// Reports every fault of the whole that no state or move has by itself.
pub(super) fn check(states: &[State], moves: &[Move], report: &mut Report) {
    duplicate_states(states, report);
    one_initial(states, report);
    for (index, one) in moves.iter().enumerate() {
        known_states(states, index, one, report);
        sound_target(states, index, one, report);
    }
    duplicate_moves(states, moves, report);
    unreachable(states, moves, report);
    dead_ends(states, moves, report);
}

fn duplicate_states(states: &[State], report: &mut Report) {
    let mut first = BTreeMap::new();
    for (index, state) in states.iter().enumerate() {
        if let Some(earlier) = first.insert(&state.name, index) {
            let message = format!("{} is already the name of states[{earlier}]", quoted(&state.name));
            report.fault(format!("states[{index}].name"), message);
        }
    }
}

fn one_initial(states: &[State], report: &mut Report) {
    let initial: Vec<_> = states.iter().filter(|state| state.initial).map(|state| quoted(&state.name)).collect();
    match initial.as_slice() {
        [_] => {}
        [] => report.fault("states", "must have exactly one initial state, has none"),
        several => {
            report.fault("states", format!("must have exactly one initial state, has {}", several.join(", ")));
        }
    }
}

fn known_states(states: &[State], index: usize, one: &Move, report: &mut Report) {
    let mut check = |side: &str, names: &[String]| {
        for (place, name) in names.iter().enumerate() {
            let path = format!("moves[{index}].{side}[{place}]");
            if !states.iter().any(|state| &state.name == name) {
                report.fault(&path, format!("{} is not a state", quoted(name)));
            }
            if names[..place].contains(name) {
                report.fault(path, "is there twice");
            }
        }
    };
    check("from", origins(one));
    check("to", targets(one));
}

fn sound_target(states: &[State], index: usize, one: &Move, report: &mut Report) {
    let path = format!("moves[{index}].to");
    let state = |name: &String| states.iter().find(|state| &state.name == name);
    let to_registry = targets(one).iter().filter_map(state).filter(|state| state.registry);
    for state in to_registry.filter(|_| !one.automatic) {
        report.fault(&path, format!("{} is set by a registry, never by a move", quoted(&state.name)));
    }
    // For a correction a state need not differ: `correct` never leads a record to where it is.
    if !one.is_correction() {
        for name in targets(one).iter().filter(|name| origins(one).contains(name)) {
            report.fault(&path, format!("{} is also where the move starts", quoted(name)));
        }
    }
    let from_elsewhere = origins(one).iter().filter_map(state).find(|state| !state.hold);
    if let (Target::HeldFrom, Some(state)) = (&one.to, from_elsewhere) {
        report.fault(&path, format!("`held_from` needs a hold to leave, and {} is none", quoted(&state.name)));
    }
}

/// Two moves of one name that could be meant by one request, in trials of one study type.
fn duplicate_moves(states: &[State], moves: &[Move], report: &mut Report) {
    for (index, one) in moves.iter().enumerate() {
        let meets = |earlier: &&(usize, &Move)| overlap(states, earlier.1, one);
        let earlier: Vec<_> = moves[..index].iter().enumerate().collect();
        if let Some((other, _)) = earlier.iter().find(meets) {
            let message = format!("{} does between the same states what moves[{other}] does", quoted(&one.name));
            report.fault(format!("moves[{index}]"), message);
        }
    }
}

fn overlap(states: &[State], one: &Move, other: &Move) -> bool {
    let same_study = one.study_types.is_empty()
        || other.study_types.is_empty()
        || one.study_types.iter().any(|study| other.study_types.contains(study));
    one.name == other.name
        && same_study
        && states.iter().any(|from| one.leaves(&from.name) && other.leaves(&from.name))
        && same_target(states, one, other)
}

fn same_target(states: &[State], one: &Move, other: &Move) -> bool {
    match (&one.to, &other.to) {
        (Target::Any, _) | (_, Target::Any) | (Target::HeldFrom, Target::HeldFrom) => true,
        (Target::States(a), Target::States(b)) => a.iter().any(|name| b.contains(name)),
        (Target::HeldFrom, Target::States(names)) | (Target::States(names), Target::HeldFrom) => {
            states.iter().any(|state| state.is_resumable() && names.contains(&state.name))
        }
    }
}

fn unreachable(states: &[State], moves: &[Move], report: &mut Report) {
    let mut reached: BTreeSet<&str> = states.iter().filter(|state| state.initial).map(|s| s.name.as_str()).collect();
    // Without a beginning every state is unreachable, and saying so would only repeat that.
    if reached.is_empty() {
        return;
    }
    loop {
        let before = reached.len();
        for one in moves.iter().filter(|one| !one.is_correction()) {
            if origins(one).iter().any(|from| reached.contains(from.as_str())) {
                reached.extend(targets(one).iter().map(String::as_str));
            }
        }
        if reached.len() == before {
            break;
        }
    }
    for (index, state) in states.iter().enumerate() {
        if !state.registry && !reached.contains(state.name.as_str()) {
            report.fault(format!("states[{index}]"), format!("no move leads to {}", quoted(&state.name)));
        }
    }
}

fn dead_ends(states: &[State], moves: &[Move], report: &mut Report) {
    for (index, state) in states.iter().enumerate() {
        let way_out = moves.iter().any(|one| !one.is_correction() && origins(one).contains(&state.name));
        if !state.registry && !state.is_final() && !way_out {
            let message = format!("no move leads out of {}, and it is no end", quoted(&state.name));
            report.fault(format!("states[{index}]"), message);
        }
    }
}

/// The states a move names as its beginning.
fn origins(one: &Move) -> &[String] {
    match &one.from {
        Origin::States(names) => names,
        Origin::Any => &[],
    }
}

/// The states a move names as its end. Where it resumes, the state was reached before the hold.
fn targets(one: &Move) -> &[String] {
    match &one.to {
        Target::States(names) => names,
        Target::HeldFrom | Target::Any => &[],
    }
}
