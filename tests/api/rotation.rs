//! Token keys that change under running nodes, on both engines.
use crate::support::{Actor, TestApp, on_both_engines};
use benchside::auth::{keys::Keys, token::LONGEST_LIFETIME};
use chrono::TimeDelta;
use serde_json::Value;
use std::{process::Command, time::Duration};

on_both_engines!(keys_change_without_a_restart, the_commands_list_and_rotate);

fn kids(node: &TestApp) -> Vec<String> {
    let jwks = node.anonymous().get("/.well-known/jwks.json").expect(200).body;
    jwks["keys"].as_array().unwrap().iter().map(|k| k["kid"].as_str().unwrap().to_owned()).collect()
}
fn kid_of(token: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}
/// What every node does each half minute.
fn look(node: &TestApp) {
    node.wait(node.app.keys.look(&node.app.tokens, node.app.clock.now()));
}

fn keys_change_without_a_restart(app: &TestApp) {
    let other = app.another_node();
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let good_everywhere = |who: &Actor| {
        for node in [app, &other] {
            node.at(who).get("/v1/me").expect(200);
        }
    };
    good_everywhere(&ada);
    let first = kids(app);
    let rotated = Keys::rotate(&app.folder.join("keys"), LONGEST_LIFETIME).unwrap();
    assert_eq!(rotated.deleted, Vec::<String>::new(), "the old key still verifies");
    look(app);
    let both = vec![rotated.made.clone(), first[0].clone()];
    assert_eq!(kids(app), both);
    let newer = Actor { token: app.token_of(ada.id), ..ada.clone() };
    assert_eq!(kid_of(&newer.token), rotated.made, "the new key signs");
    assert_eq!(kids(&other), first, "the other node has not looked yet");
    // A token that names a key it does not know makes it look.
    good_everywhere(&newer);
    good_everywhere(&ada);
    assert_eq!(kids(&other), both);
    assert_eq!(kid_of(&other.token_of(ada.id)), rotated.made);

    // However many such tokens come, it looks once a second at most.
    let third = Keys::rotate(&app.folder.join("keys"), LONGEST_LIFETIME).unwrap();
    look(app);
    let newest = Actor { token: app.token_of(ada.id), ..ada.clone() };
    let now = app.app.clock.now();
    other.wait(other.app.keys.look(&other.app.tokens, now));
    assert_eq!(kids(&other).len(), 3);
    good_everywhere(&newest);
    let fourth = Keys::rotate(&app.folder.join("keys"), LONGEST_LIFETIME).unwrap();
    other.wait(other.app.keys.look_for_unknown(&other.app.tokens, now.plus_seconds(0)));
    assert_eq!(kids(&other).len(), 3, "it has just looked");
    other.wait(other.app.keys.look_for_unknown(&other.app.tokens, now.plus_seconds(1)));
    assert_eq!(kids(&other).len(), 4);

    // Once a key is gone, what it signed is worth nothing: on nodes that had verified it, too.
    let gone = Keys::rotate(&app.folder.join("keys"), TimeDelta::zero()).unwrap();
    let mut deleted = gone.deleted;
    deleted.sort();
    let mut before = vec![first[0].clone(), rotated.made, third.made, fourth.made];
    before.sort();
    assert_eq!(deleted, before);
    for node in [app, &other] {
        node.at(&ada).get("/v1/me").expect(200);
        look(node);
        node.at(&ada).get("/v1/me").refused(401, "unauthenticated");
        node.at(&newest).get("/v1/me").refused(401, "unauthenticated");
    }
    good_everywhere(&Actor { token: app.token_of(ada.id), ..ada.clone() });

    // A folder that cannot be read changes nothing.
    std::fs::write(app.folder.join("keys/token-broken.pem"), "nothing").unwrap();
    let before = kids(app);
    look(app);
    assert_eq!(kids(app), before);
}

fn the_commands_list_and_rotate(app: &TestApp) {
    let keys = |what: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_benchside"))
            .args(["keys", what, "--keys"])
            .arg(app.folder.join("keys"))
            .args(["--database", &app.url])
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    let first = kids(app).remove(0);
    let listed = keys("list");
    assert!(listed.starts_with(&first) && listed.trim_end().ends_with("signs and verifies"), "{listed}");
    std::thread::sleep(Duration::from_millis(5));
    let said = keys("rotate");
    let listed = keys("list");
    let lines: Vec<_> = listed.lines().collect();
    assert!(
        said.contains(lines[0].split(' ').next().unwrap()) && lines[0].ends_with("signs and verifies"),
        "{said}{listed}"
    );
    assert!(lines[1].starts_with(&first) && lines[1].ends_with("  verifies"), "{listed}");
    // A slip of the path is no new folder.
    let elsewhere = app.folder.join("kyes");
    let slip = Command::new(env!("CARGO_BIN_EXE_benchside"))
        .args(["keys", "rotate", "--keys"])
        .arg(&elsewhere)
        .args(["--database", &app.url])
        .output()
        .unwrap();
    assert!(!slip.status.success() && !elsewhere.exists(), "{}", String::from_utf8_lossy(&slip.stdout));
    look(app);
    assert_eq!(kids(app).len(), 2);
}
