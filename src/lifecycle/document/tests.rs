use super::*;
use crate::lifecycle::builtin::builtin_document;

const SOUND: &str = r#"
kind = "discovery"
name = "device"
version = 2
[[states]]
name = "idea"
label = "Idea"
meaning = "Someone thought of it."
initial = true
[[states]]
name = "done"
label = "Done"
meaning = "It works."
end = "success"
[[moves]]
name = "finish"
from = "idea"
to = "done"
gates = [{ steward = true }]
"#;

/// The faults of the sound document after an edit.
fn faults(old: &str, new: &str) -> Vec<(String, String)> {
    assert!(SOUND.contains(old), "{old}");
    let faults = Lifecycle::parse(&SOUND.replacen(old, new, 1)).expect_err("is refused");
    faults.into_iter().map(|fault| (fault.path, fault.message)).collect()
}

#[track_caller]
fn refused(old: &str, new: &str, path: &str, says: &str) {
    let faults = faults(old, new);
    let found = faults.iter().any(|(at, message)| at == path && message.contains(says));
    assert!(found, "no fault at `{path}` that says `{says}`: {faults:#?}");
}

#[test]
fn a_sound_document_is_read() {
    let lifecycle = Lifecycle::parse(SOUND).expect("is sound");
    assert_eq!((lifecycle.reference().as_str(), lifecycle.initial().name.as_str()), ("device@2", "idea"));
    assert!(lifecycle.is_final("done") && !lifecycle.is_final("idea") && !lifecycle.is_final("nowhere"));
    assert_eq!((lifecycle.order("done"), lifecycle.order("nowhere")), (Some(1), None));
}

#[test]
fn an_answer_of_the_api_is_a_document_again() {
    for kind in MOVING_KINDS {
        let text = builtin_document(*kind).expect("moves");
        let lifecycle = Lifecycle::parse(text).expect("is sound");
        let json = serde_json::to_value(&lifecycle).expect("is JSON");
        let written = toml::to_string(&without_nulls(json)).expect("is TOML");
        assert_eq!(Lifecycle::parse(&written), Ok(lifecycle));
    }
}

fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, value)| {
                let empty_limit = matches!(name.as_str(), "brings" | "study_types") && value == &Value::Array(vec![]);
                !value.is_null() && !empty_limit
            });
            kept.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(members) => members.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let faulty = SOUND
        .replace("version = 2", "version = 0\ncolour = \"red\"")
        .replace("name = \"device\"", "name = \"Device 2\"")
        .replace("label = \"Idea\"", "label = \"\"")
        .replace("end = \"success\"", "end = \"triumph\"")
        .replace("to = \"done\"", "to = [\"done\", \"gone\"]")
        .replace("{ steward = true }", "{ role = [\"wizard\"] }, { luck = true }, { signature = \"blood\" }");
    let faults = Lifecycle::parse(&faulty).expect_err("is refused");
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    let expected = [
        "colour",
        "name",
        "version",
        "states[0].label",
        "states[1].end",
        "moves[0].gates[0].role[0]",
        "moves[0].gates[1].luck",
        "moves[0].gates[1]",
        "moves[0].gates[2].signature",
        "moves[0].to[1]",
        // With its `end` unread, `done` is a state like any other.
        "states[1]",
    ];
    assert_eq!(paths, expected, "{faults:#?}");
}

#[test]
fn what_is_no_toml_is_one_fault_with_its_line() {
    refused("version = 2", "version = = 2", "", "line 4");
    assert_eq!(Lifecycle::parse("").expect_err("is refused").len(), 5);
}

#[test]
fn sizes_are_bounded() {
    refused("version = 2", "version = 10001", "version", "from 1 to 10000");
    let long = format!("{SOUND}#{}", "x".repeat(MAX_BYTES));
    assert!(Lifecycle::parse(&long).expect_err("is refused")[0].message.contains("bytes"));
    let long_name = "a".repeat(41);
    refused("name = \"device\"", &format!("name = \"{long_name}\""), "name", "at most 40");
    let many = "{ steward = true },".repeat(51);
    refused("{ steward = true }", &many, "moves[0].gates", "at most 50");
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    refused("version = 2", &format!("version = {deep}"), "", "not TOML");
    refused(
        "{ steward = true }",
        "{ any_of = [{ any_of = [{ owner = true }] }] }",
        "moves[0].gates[0].any_of[0].any_of",
        "inside",
    );
}

#[test]
fn the_graph_must_hold_together() {
    refused("initial = true", "", "states", "has none");
    refused("end = \"success\"", "end = \"success\"\ninitial = true", "states", "`idea`, `done`");
    refused("end = \"success\"", "", "states[1]", "no move leads out");
    refused("from = \"idea\"", "from = \"ideal\"", "moves[0].from[0]", "not a state");
    refused("from = \"idea\"", "from = \"done\"", "moves[0].to", "also where");
    refused("name = \"finish\"", "name = \"correct\"", "states[1]", "no move leads to");
    refused("name = \"finish\"", "name = \"correct\"", "states[0]", "no move leads out");
    refused("name = \"done\"", "name = \"idea\"", "states[1].name", "states[0]");
    refused("to = \"done\"", "to = \"held_from\"", "moves[0].to", "a hold");
    refused("to = \"done\"", "to = \"any\"", "moves[0]", "correct");
    let twice = "[[moves]]\nname = \"finish\"\nfrom = [\"idea\"]\nto = [\"done\"]\n[[moves]]\nname = \"finish\"";
    refused("[[moves]]\nname = \"finish\"", twice, "moves[1]", "moves[0]");
}

#[test]
fn states_do_not_contradict_themselves() {
    refused("initial = true", "initial = true\nhold = true", "states[0]", "hold");
    refused("initial = true", "initial = true\nregistry = true", "states[0]", "registry");
    refused("end = \"success\"", "end = \"success\"\nregistry = true", "moves[0].to", "registry");
    refused("name = \"done\"", "name = \"any\"", "states[1].name", "names no state");
    refused("end = \"success\"", "columns = { T = 4 }", "states[1].columns.T", "must be a string");
}

#[test]
fn gates_are_what_the_kind_can_meet() {
    let gate = "{ steward = true }";
    refused(gate, "{ lab = true }", "moves[0].gates[0].lab", "never be met");
    refused(gate, "{ any_of = [{ side = \"answers\" }] }", "moves[0].gates[0].any_of[0].side", "never be met");
    refused(gate, "{ role = [\"auditor\"] }", "moves[0].gates[0].role", "must not admit");
    refused(gate, "{ role = [\"partner\"] }", "moves[0].gates[0].role", "must not admit");
    refused(gate, "{ role = [] }", "moves[0].gates[0].role", "empty");
    refused(gate, "{ owner = true, steward = true }", "moves[0].gates[0]", "exactly one");
    refused(gate, "{ steward = false }", "moves[0].gates[0].steward", "must be true");
    refused(gate, "{ steward = true, at_least = 3 }", "moves[0].gates[0].at_least", "goes with");
    refused(gate, "{ field = \"tlr\", at_least = 3 }", "moves[0].gates[0].field", "no field");
    refused(gate, "{ field = \"tags\", at_least = 3 }", "moves[0].gates[0].field", "no number");
    refused(gate, "{ trial = { phases = [\"PHASE9\"] } }", "moves[0].gates[0].trial.statuses", "required");
    refused(gate, "{ trial = { phases = [\"PHASE9\"] } }", "moves[0].gates[0].trial.phases[0]", "PHASE9");
    refused(gate, "{ owner = true, when_modality = [\"drug\"] }", "moves[0].gates[0].when_modality[0]", "drug");
    refused("gates = ", "brings = [\"reason\"]\ngates = ", "moves[0].brings[0]", "outcome, lab_id");
    refused("gates = ", "study_types = [\"OBSERVATIONAL\"]\ngates = ", "moves[0].study_types", "for trials");
}
