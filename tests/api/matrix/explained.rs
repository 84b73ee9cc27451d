//! What administrators are told of somebody's authority is what happens to them: every cell of the matrix that is about
//! one action and one record is asked of `explain` as well, and of the moves what is offered to the person themself.
use super::{
    Outcome,
    cast::{Stage, play},
    cells::{Act, Cells, OPERATIONS, VISIBLE},
    outcomes, seen,
};
use crate::support::{Reply, TestApp, on_both_engines};
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both_engines!(what_is_explained_is_what_happens, an_explanation_names_each_rule, a_question_that_makes_no_sense);

/// The action that an operation is, where its cells are about that and nothing else.
fn action(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "log_discovery" => "log_discovery",
        "register_trial" => "register_trial",
        "record_finding" => "record_finding",
        "raise_insight" => "raise_insight",
        "propose_pairing" => "propose_pairing",
        "revise_discovery" | "revise_trial" | "revise_finding" | "revise_insight" => "revise",
        "move_discovery" | "move_trial" | "move_finding" | "move_insight" | "move_pairing" => "move",
        "change_discovery_lifecycle" => "manage_lifecycles",
        "revise_organization" => "manage_organizations",
        "replace_memberships" | "disable_person" => "manage_people",
        "accept_ownership_transfer" | "decline_ownership_transfer" => "answer_transfer",
        "withdraw_ownership_transfer" => "withdraw_transfer",
        "create_signature_challenge" => "sign",
        _ => return None,
    })
}

fn ask(stage: &Stage, person: &str, action: &str, record: &str, more: &str) -> Reply {
    let person = stage.actor(person).id;
    let record = stage.id(record);
    stage.actor("adm").get(&format!("/v1/authority/explain?person={person}&action={action}&record={record}{more}"))
}

/// The gates that ask who somebody is.
fn authority(unmet: &Value) -> bool {
    const GATES: &[&str] = &["role", "steward", "party", "owner", "side", "lab", "visible"];
    let unmet = unmet.as_array().unwrap();
    unmet.iter().any(|u| {
        let any_of = || u["branches"].as_array().unwrap().iter().any(|b| GATES.contains(&b["gate"].as_str().unwrap()));
        GATES.contains(&u["gate"].as_str().unwrap()) || u["gate"] == "any_of" && any_of()
    })
}

fn compare_act(stage: &Stage, operation: &str, action: &str, act: &Act) -> usize {
    let line = stage.each(&outcomes(act.cells));
    for (name, who, outcome) in &line {
        let id = stage.id(act.on);
        let body = (act.body)(stage, who, &id);
        let text = |member: &str| body[member].as_str().map(|text| format!("&{member}={text}")).unwrap_or_default();
        let moves = action == "move";
        let more = if moves { text("to") + &text("move") } else { String::new() };
        let told = ask(stage, name, action, act.on, &more).expect(200).body;
        let what = format!("{operation} on {} by {name}: {told:#}", act.on);
        assert_eq!(told["allowed"], told["unmet"].as_array().unwrap().is_empty(), "{what}");
        if *outcome == Outcome::Hidden {
            assert_eq!((&told["visible"], &told["allowed"]), (&json!(false), &json!(false)), "{what}");
        }
        if !moves {
            assert_eq!(told["allowed"], *outcome == Outcome::Allowed, "{what}");
            continue;
        }
        assert_eq!(authority(&told["unmet"]), *outcome != Outcome::Allowed, "{what}");
        let path = format!("/v1/{}/{id}/transitions/available", stage.record(act.on).kind);
        let offered = who.get(&path);
        assert_eq!(told["visible"], offered.status != 404, "{what}");
        if offered.status == 200 {
            let named = body["move"].as_str();
            let offers = offered.body["data"].as_array().unwrap();
            let meant = offers
                .iter()
                .find(|o| o["to"] == body["to"] && named.map_or(o["move"] != "correct", |name| o["move"] == name))
                .unwrap_or_else(|| panic!("{what} is not offered: {:#}", offered.body));
            assert_eq!((&told["allowed"], &told["unmet"]), (&meant["allowed"], &meant["unmet"]), "{what}");
        }
    }
    line.len()
}

fn what_is_explained_is_what_happens(app: &TestApp) {
    let stage = play(app);
    let mut compared = 0;
    for (operation, cells) in OPERATIONS {
        let (Cells::Acts(acts), Some(action)) = (cells, action(operation)) else { continue };
        // Whom a proposal names is not asked: the answer is for one that names them, as those of clinicians here do.
        let acts = acts.iter().filter(|act| (*operation, act.on) != ("propose_pairing", "edelweiss"));
        compared += acts.map(|act| compare_act(&stage, operation, action, act)).sum::<usize>();
    }
    for (kind, mark, _) in VISIBLE {
        for (name, _, outcome) in stage.each(&seen(kind, mark)) {
            let told = ask(&stage, name, "read", mark, "").expect(200).body;
            assert_eq!(told["allowed"], outcome == Outcome::Allowed, "{mark} by {name}: {told:#}");
            assert_eq!(told["visible"], outcome != Outcome::Hidden, "{mark} by {name}: {told:#}");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "only {compared} were compared");
    for (name, may) in [("pat", true), ("ada", true), ("aud", false), ("riv", false)] {
        let told = ask(&stage, name, "propose_pairing", "edelweiss", "").expect(200).body;
        assert_eq!(told["allowed"], may, "{name}: {told:#}");
    }
}

/// The rules of an explanation that hold, or do not.
fn rules(told: &Value) -> BTreeMap<String, bool> {
    let rules = told["rules"].as_array().unwrap().iter();
    rules.map(|r| (r["rule"].as_str().unwrap().to_owned(), r["holds"].as_bool().unwrap())).collect()
}

fn an_explanation_names_each_rule(app: &TestApp) {
    let stage = play(app);
    let told = ask(&stage, "mel", "revise", "zz-secret-newt", "").expect(200).body;
    assert_eq!(told["person"]["name"], "Mel Between");
    assert_eq!(told["record"], json!({ "kind": "discovery", "id": stage.id("zz-secret-newt") }));
    let expected = [
        ("active", true),
        ("role", true),
        ("visible_to_anybody", false),
        ("visible_to_role", false),
        ("visible_to_member", true),
        ("visible_to_person", false),
        ("visible", true),
        ("owner", false),
        ("steward", false),
        ("any", false),
    ];
    assert_eq!(rules(&told), expected.map(|(rule, holds)| (rule.to_owned(), holds)).into(), "{told:#}");
    assert_eq!(told["unmet"][0]["gate"], "any_of", "{told:#}");

    // By name: the owner who left, the lead of what is confidential.
    for (name, mark) in [("exo", "zz-left-ibis"), ("kim", "zz-led-seal")] {
        let told = ask(&stage, name, "read", mark, "").expect(200).body;
        assert!(rules(&told)["visible_to_person"] && !rules(&told)["visible_to_role"], "{told:#}");
    }
    // The same by code, and of an action that needs no record.
    let code = &stage.record("zz-secret-newt").code;
    let person = stage.actor("adm").get(&format!("/v1/people/{}", stage.actor("mel").id)).expect(200).body;
    let path = format!("/v1/authority/explain?person={}&action=revise&record={code}", person["code"].as_str().unwrap());
    assert_eq!(stage.actor("adm").get(&path).expect(200).body, ask(&stage, "mel", "revise", "zz-secret-newt", "").body);
    let path = format!("/v1/authority/explain?person={}&action=manage_people", stage.actor("mel").id);
    let told = stage.actor("adm").get(&path).expect(200).body;
    assert_eq!((&told["allowed"], &told["visible"], &told["record"]), (&json!(false), &json!(null), &json!(null)));
    assert_eq!(told["unmet"][0]["roles"], json!(["administrator"]));

    // Who is disabled may do nothing, whatever they were.
    let person = format!("/v1/people/{}", stage.actor("sam").id);
    let version = stage.actor("adm").get(&person).expect(200).version();
    let why = json!({ "reason": "Left" });
    stage.actor("adm").versioned("POST", &format!("{person}/disable"), version, why).expect(200);
    let told = ask(&stage, "sam", "revise", "amberfish", "").expect(200).body;
    assert_eq!((&told["allowed"], &told["visible"]), (&json!(false), &json!(false)));
    assert_eq!(rules(&told), BTreeMap::from([("active".to_owned(), false)]), "{told:#}");
}

fn a_question_that_makes_no_sense(app: &TestApp) {
    let stage = play(app);
    let (ada, discovery) = (stage.actor("ada").id, stage.id("amberfish"));
    let transfer = stage.id("zz-transfer-reason");
    for (query, faults) in [
        (String::new(), vec![("person", "required"), ("action", "required")]),
        (format!("person={ada}&action=fly"), vec![("action", "unknown_value")]),
        (format!("person={discovery}&action=read"), vec![("person", "not_found")]),
        (
            "person=U-99999&action=read&record=D-99999".to_owned(),
            vec![("person", "not_found"), ("record", "not_found")],
        ),
        (format!("person={ada}&action=revise"), vec![("record", "required")]),
        (format!("person={ada}&action=revise&record={transfer}"), vec![("record", "not_applicable")]),
        (format!("person={ada}&action=own_access&record={discovery}"), vec![("record", "not_applicable")]),
        (format!("person={ada}&action=move&record={discovery}"), vec![("to", "required")]),
        (
            format!("person={ada}&action=read&record={discovery}&to=validated&move=advance"),
            vec![("to", "not_applicable"), ("move", "not_applicable")],
        ),
    ] {
        let problem = stage.actor("adm").get(&format!("/v1/authority/explain?{query}")).refused(422, "invalid");
        let text = |f: &Value, name: &str| f[name].as_str().unwrap_or_default().to_owned();
        let told: Vec<_> = problem["errors"].as_array().unwrap().iter().collect();
        let told: Vec<_> = told.iter().map(|f| (text(f, "parameter"), text(f, "code"))).collect();
        let expected: Vec<_> = faults.iter().map(|(p, c)| ((*p).to_owned(), (*c).to_owned())).collect();
        assert_eq!(told, expected, "{query}");
    }
    stage.actor("adm").get("/v1/authority/explain?persona=1").refused(400, "unknown_parameter");
    // No state of that name, and no way there: nothing that anybody may do.
    for to in ["nowhere", "public_health"] {
        let told = ask(&stage, "ada", "move", "amberfish", &format!("&to={to}")).expect(200).body;
        assert_eq!((&told["allowed"], &told["unmet"][0]["gate"]), (&json!(false), &json!("move")), "{told:#}");
    }
}
