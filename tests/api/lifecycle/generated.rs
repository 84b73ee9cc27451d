//! Properties of documents nobody wrote: what is generated sound is read, what is broken is refused by name, and the
//! two questions of the engine never disagree.
use benchside::{
    lifecycle::{
        Actor, BodyMember, Brings, EnrollmentFact, Facts, Lifecycle, Refusal, Request, TrialFact, Unmet, available,
        evaluate,
    },
    vocabulary::{Meaning, Modality, PairingKind, Phase, ReferenceKind, Role, StudyType, TrialStatus},
};
use proptest::{collection::vec, prelude::*, sample::select, sample::subsequence};
use std::{collections::BTreeSet, fmt::Write};

/// Gates as a person would write them; `any_of` is made of these.
const GATES: &[&str] = &[
    "{ role = [\"scientist\"] }",
    "{ role = [\"clinician\", \"administrator\"] }",
    "{ steward = true }",
    "{ party = true }",
    "{ owner = true }",
    "{ reason = \"text\" }",
    "{ reason = \"stop\" }",
    "{ field = \"trl\", at_least = 4 }",
    "{ field = \"tags\" }",
    "{ evidence = [\"doi\", \"irb\"] }",
    "{ evidence = \"any\" }",
    "{ pairing = \"industry_partner\" }",
    "{ trial = { phases = [\"PHASE2\"], statuses = [\"RECRUITING\", \"COMPLETED\"] } }",
    "{ insight = true }",
    "{ signature = \"approval\" }",
    "{ signature = \"review\" }",
];

/// A document before it is written down: a chain of stages, with side moves, maybe a hold and corrections.
#[derive(Debug, Clone)]
struct Draft {
    stages: usize,
    hold: bool,
    correct: bool,
    /// The gates of the move out of each stage, and those of an `any_of`.
    gates: Vec<(Vec<&'static str>, Vec<&'static str>)>,
    /// Extra moves, each with a name of its own, by indices of stages.
    extra: Vec<(usize, usize)>,
}

impl Draft {
    fn write(&self) -> String {
        let mut text = String::from("kind = \"discovery\"\nname = \"made-up\"\nversion = 7\n");
        for index in 0..=self.stages {
            let end = if index == self.stages { "end = \"success\"\n" } else { "" };
            let header =
                format!("[[states]]\nname = \"s{index}\"\nlabel = \"S{index}\"\nmeaning = \"Stage {index}.\"\n");
            let _ = writeln!(text, "{header}initial = {}\n{end}", index == 0);
        }
        if self.hold {
            text.push_str("[[states]]\nname = \"paused\"\nlabel = \"Paused\"\nmeaning = \"Waits.\"\nhold = true\n");
            text.push_str("[[moves]]\nname = \"hold\"\nfrom = [\"s0\"]\nto = [\"paused\"]\n");
            text.push_str("[[moves]]\nname = \"resume\"\nfrom = [\"paused\"]\nto = \"held_from\"\n");
        }
        for index in 0..self.stages {
            let (all, any) = &self.gates[index % self.gates.len()];
            let any_of = if any.is_empty() { String::new() } else { format!("{{ any_of = [{}] }}", any.join(", ")) };
            let gates: Vec<_> = all.iter().copied().chain((!any.is_empty()).then_some(any_of.as_str())).collect();
            let (next, gates) = (index + 1, gates.join(", "));
            let _ = writeln!(
                text,
                "[[moves]]\nname = \"advance\"\nfrom = [\"s{index}\"]\nto = [\"s{next}\"]\ngates = [{gates}]"
            );
        }
        for (number, (from, to)) in self.extra.iter().enumerate() {
            let (from, to) = (from % self.stages, to % (self.stages + 1));
            if from != to {
                let _ = writeln!(text, "[[moves]]\nname = \"jump{number}\"\nfrom = \"s{from}\"\nto = \"s{to}\"");
            }
        }
        if self.correct {
            text.push_str("[[moves]]\nname = \"correct\"\nfrom = \"any\"\nto = \"any\"\n");
            text.push_str("gates = [{ role = [\"administrator\"] }, { signature = \"correction\" }]\n");
        }
        text
    }
}

fn drafts() -> impl Strategy<Value = Draft> {
    let gates = vec((subsequence(GATES, 0..=6), subsequence(GATES, 0..=3)), 1..4);
    (1..8usize, any::<bool>(), any::<bool>(), gates, vec((0..8usize, 0..8usize), 0..5))
        .prop_map(|(stages, hold, correct, gates, extra)| Draft { stages, hold, correct, gates, extra })
}

fn some_of<T: Copy + Ord + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = BTreeSet<T>> {
    subsequence(all, 0..=all.len()).prop_map(|some| some.into_iter().collect())
}

fn facts() -> impl Strategy<Value = Facts> {
    let states = select(vec!["s0", "s1", "s2", "s3", "s7", "paused", "elsewhere", ""]);
    let trial = (subsequence(Phase::ALL, 0..=2), select(TrialStatus::ALL))
        .prop_map(|(phases, status)| TrialFact { phases, status });
    let fields = select(vec![
        serde_json::json!({}),
        serde_json::json!({ "trl": null, "tags": [] }),
        serde_json::json!({ "trl": 3, "tags": ["a"] }),
        serde_json::json!({ "trl": 9.5, "tags": "b" }),
        serde_json::json!({ "trl": "nine", "tags": { "c": true } }),
    ]);
    (
        (states.clone(), proptest::option::of(states), proptest::option::of(select(Modality::ALL)), fields),
        (some_of(ReferenceKind::ALL), some_of(PairingKind::ALL), vec(trial, 0..3)),
        (proptest::option::of((any::<i64>(), any::<bool>())), any::<bool>()),
        proptest::option::of(select(StudyType::ALL)),
    )
        .prop_map(
            |((state, held_from, modality, fields), (references, pairings, trials), enrolled, study_type)| Facts {
                state: state.into(),
                held_from: held_from.map(Into::into),
                modality,
                fields: fields.as_object().cloned().unwrap_or_default(),
                references,
                pairings,
                trials,
                enrollment: enrolled.0.map(|(count, actual)| EnrollmentFact { count, actual }),
                before_recruiting: enrolled.1,
                study_type,
            },
        )
}

fn actors() -> impl Strategy<Value = Actor> {
    (some_of(Role::ALL), any::<[bool; 6]>()).prop_map(|(roles, [steward, party, owner, answers, proposes, lab])| {
        Actor { roles, steward, party, owner, answers, proposes, lab }
    })
}

fn bodies() -> impl Strategy<Value = Brings> {
    (any::<[bool; 6]>(), some_of(ReferenceKind::ALL), proptest::option::of(select(Meaning::ALL))).prop_map(
        |([reason, stop_reason, why_stopped, insight, outcome, lab_id], evidence, signature)| Brings {
            reason,
            stop_reason,
            why_stopped,
            evidence,
            insight,
            signature,
            outcome,
            lab_id,
        },
    )
}

/// Meets what an unmet gate says it lacks, knowing no more than it says.
fn satisfy(unmet: &Unmet, facts: &mut Facts, actor: &mut Actor, brings: &mut Brings) {
    match unmet.gate {
        "role" => actor.roles.extend(unmet.roles.first()),
        "steward" => take_part(actor, |actor| actor.steward = true),
        "party" => take_part(actor, |actor| actor.party = true),
        "owner" => take_part(actor, |actor| actor.owner = true),
        "field" => {
            let field = unmet.field.clone().expect("names its field");
            facts.fields.insert(field, unmet.at_least.unwrap_or(1).into());
        }
        "evidence" => brings.evidence.extend(unmet.any_of.first()),
        "pairing" => facts.pairings.extend(unmet.pairing),
        "trial" => facts.trials.push(TrialFact { phases: unmet.phases.clone(), status: unmet.statuses[0] }),
        "signature" => brings.signature = unmet.meaning,
        "any_of" => satisfy(&unmet.branches[0], facts, actor, brings),
        _ => match unmet.member.expect("names its member") {
            BodyMember::Reason => brings.reason = true,
            BodyMember::StopReason => brings.stop_reason = true,
            BodyMember::InsightId => brings.insight = true,
            other => panic!("no generated gate asks for {other}"),
        },
    }
}

/// A relation counts for those who may move records at all.
fn take_part(actor: &mut Actor, relate: fn(&mut Actor)) {
    actor.roles.insert(Role::Scientist);
    relate(actor);
}

/// A body signs once: a move that asks for two meanings, as generated ones may, is met by no body.
fn asks_for_two_signatures(lifecycle: &Lifecycle) -> bool {
    let meanings = |json: &str| json.matches("\"signature\":").count();
    lifecycle.moves().iter().any(|one| meanings(&serde_json::to_string(one).expect("is JSON")) > 1)
}

/// Edits that each break a sound document, and what the refusal must say.
const BREAKS: &[(&str, &str, &str, &str)] = &[
    ("version = 7", "version = 7\nmood = \"good\"", "mood", "not known here"),
    ("version = 7", "version = 0", "version", "from 1 to 10000"),
    ("version = 7", "version = \"7\"", "version", "must be an integer"),
    ("version = 7\n", "", "version", "required"),
    ("name = \"made-up\"", "name = \"Made up\"", "name", "must begin with"),
    ("kind = \"discovery\"", "kind = \"person\"", "kind", "must be one of"),
    ("label = \"S0\"", "label = \"\"", "states[0].label", "at least 1"),
    ("initial = true", "initial = false", "states", "has none"),
    ("initial = false", "initial = true", "states", "exactly one initial"),
    ("name = \"s1\"", "name = \"s0\"", "states[1].name", "already the name"),
    ("end = \"success\"", "end = \"glory\"", "end", "glory"),
    ("to = [\"s1\"]", "to = [\"s99\"]", "to[0]", "not a state"),
    ("to = [\"s1\"]", "to = [\"s1\", \"s1\"]", "to[1]", "twice"),
    ("to = [\"s1\"]", "to = \"any\"", "moves[", "only `correct`"),
    ("gates = [", "gates = [{ role = [\"king\"] }, ", "gates[0].role[0]", "king"),
    ("gates = [", "gates = [{ role = [\"auditor\"] }, ", "gates[0].role", "must not admit"),
    ("gates = [", "gates = [{ luck = true }, ", "gates[0].luck", "not known here"),
    ("gates = [", "gates = [{ lab = true }, ", "gates[0].lab", "never be met"),
    ("gates = [", "gates = [{ evidence = [\"hearsay\"] }, ", "gates[0].evidence[0]", "hearsay"),
];

proptest! {
    #[test]
    fn what_is_generated_sound_is_read(draft in drafts()) {
        let text = draft.write();
        let lifecycle = Lifecycle::parse(&text);
        prop_assert!(lifecycle.is_ok(), "{lifecycle:?}\n{text}");
    }

    #[test]
    fn what_is_broken_is_refused_by_name(draft in drafts(), (old, new, path, says) in select(BREAKS)) {
        let text = draft.write();
        prop_assume!(text.contains(old));
        let faults = Lifecycle::parse(&text.replacen(old, new, 1)).expect_err("is refused");
        let named = faults.iter().any(|fault| fault.path.contains(path) && fault.message.contains(says));
        prop_assert!(named, "{faults:#?}");
    }

    #[test]
    fn two_breaks_are_both_named(draft in drafts()) {
        let text = draft.write().replace("version = 7", "version = 0").replace("label = \"S0\"", "label = 4");
        let paths: Vec<_> = Lifecycle::parse(&text).expect_err("is refused").into_iter().map(|one| one.path).collect();
        prop_assert_eq!(paths, ["version", "states[0].label"]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        prop_assert!(Lifecycle::parse(&text).is_err_and(|faults| !faults.is_empty()));
    }

    #[test]
    fn available_agrees_with_evaluate(draft in drafts(), facts in facts(), actor in actors()) {
        let lifecycle = Lifecycle::parse(&draft.write()).expect("is sound");
        let offered = available(&lifecycle, &facts, &actor);
        for name in lifecycle.moves().iter().map(|one| one.name.as_str()).collect::<BTreeSet<_>>() {
            for to in lifecycle.states().iter().map(|state| state.name.as_str()) {
                let listed: Vec<_> = offered.iter().filter(|one| one.name == name && one.to == to).collect();
                let mut brings = Brings { reason: true, stop_reason: true, insight: true, ..Brings::default() };
                let mut asked = |signature| {
                    brings.signature = signature;
                    evaluate(&lifecycle, &facts, &actor, &Request { to, name: Some(name), brings: brings.clone() })
                };
                let answers: Vec<_> = Meaning::ALL.iter().map(|meaning| asked(Some(*meaning))).collect();
                let exists = answers[0] != Err(Refusal::NoSuchMove);
                prop_assert_eq!(listed.len(), usize::from(exists));
                if exists && !asks_for_two_signatures(&lifecycle) {
                    prop_assert_eq!(listed[0].allowed, answers.iter().any(Result::is_ok));
                }
            }
        }
    }

    #[test]
    fn what_is_unmet_is_complete(
        draft in drafts(), facts in facts(), actor in actors(), brings in bodies(),
        to in select(vec!["s0", "s1", "s2", "s3", "paused", "nowhere"]),
        name in select(vec![None, Some("advance"), Some("jump0"), Some("hold"), Some("resume"), Some("correct")]),
    ) {
        let lifecycle = Lifecycle::parse(&draft.write()).expect("is sound");
        let (mut facts, mut actor, mut brings) = (facts, actor, brings);
        let answer = evaluate(&lifecycle, &facts, &actor, &Request { to, name, brings: brings.clone() });
        if let Err(Refusal::Unmet { unmet, .. }) = answer
            && !asks_for_two_signatures(&lifecycle)
        {
            prop_assert!(!unmet.is_empty());
            for one in &unmet {
                satisfy(one, &mut facts, &mut actor, &mut brings);
            }
            let again = evaluate(&lifecycle, &facts, &actor, &Request { to, name, brings });
            prop_assert!(again.is_ok(), "{unmet:#?} satisfied, and yet {again:?}");
        }
    }
}
