//! The rules of the house (docs/architecture.md, "Invariants"), held by reading the sources.
mod source;

use source::{Named, Source, collect, sources};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const ENTITIES: &[&str] =
    &["organization", "person", "discovery", "trial", "finding", "insight", "pairing", "transfer", "webhook"];

/// The files of an entity by layer, lowest first: each uses its own and those before it.
const LAYERS: &[(&str, &[&str])] = &[
    ("types and rules", &["mod", "duty", "body", "reach", "secret"]),
    ("store", &["store", "delivery"]),
    ("use cases", &["change", "moves", "link", "migrate", "owned", "send", "deliver"]),
    ("routes", &["http", "view"]),
];

/// An entity that answers with, and so knows, one that knows it: (who, whom, in which file). The reason stands beside it.
const MUTUAL: &[(&str, &str, &str)] = &[
    // A discovery is answered with the code and title of the insight it began with.
    ("discovery", "insight", "discovery/http.rs"),
];

/// Handlers that answer without a token.
const OPEN: &[&str] = &[
    "login",
    "refresh_tokens",
    "accept_invitation",
    "start_oidc_login",
    "finish_oidc_login",
    "live",
    "ready",
    "metrics_text",
    "jwks",
    "openapi_json",
];

#[track_caller]
fn nothing(found: Vec<String>, what_to_do: &str) {
    assert!(found.is_empty(), "\n{}\n\n{what_to_do}\n", found.join("\n"));
}

/// Everything in the given files that breaks a rule, said with its place.
fn broken(files: &[Source], is_held: impl Fn(&Source) -> bool, breaks: impl Fn(&Named) -> bool) -> Vec<String> {
    let held = files.iter().filter(|file| is_held(file));
    held.flat_map(|f| f.names.iter().filter(|n| breaks(n)).map(|n| f.at(n.line, &n.path.join("::")))).collect()
}

fn is_actix(named: &Named) -> bool {
    named.path[0].starts_with("actix") || named.path[0] == "utoipa_actix_web"
}
fn is_query(named: &Named) -> bool {
    const DSL: &[&str] =
        &["prelude", "insert_into", "update", "delete", "replace_into", "select", "dsl", "sql_query", "query_dsl"];
    let of_diesel = named.path.windows(2).any(|w| w[0] == "diesel" && DSL.contains(&&*w[1]));
    of_diesel || named.has(&["sql_query"]) || named.has(&["insert_into"]) || named.has(&["db", "schema"])
}
fn is_clock(named: &Named) -> bool {
    ["Utc", "Local", "Time", "Instant", "SystemTime"].iter().any(|clock| named.has(&[clock, "now"]))
        || named.has(&["SystemTime"])
}
/// A row's table is named in its derive.
fn without_row_derives(file: &Source) -> Source {
    let mut text = file.code.clone();
    while let Some(from) = text.find("#[diesel(") {
        let to = text[from..].find(")]").map_or(text.len(), |i| from + i + 2);
        let lines = text[from..to].matches('\n').count();
        text.replace_range(from..to, &"\n".repeat(lines));
    }
    let read = Source::read(&file.path, &text);
    Source { text: file.text.clone(), ..read }
}
fn files() -> Vec<Source> {
    sources().iter().map(without_row_derives).collect()
}

fn is_pure(file: &Source) -> bool {
    match &*file.parts() {
        [entity, "mod"] if ENTITIES.contains(entity) => true,
        ["lifecycle", rest @ ..] => !["store", "http", "change", "facts"].contains(&rest[0]),
        ["pipeline", name] => ["mod", "stay", "overview", "funnel"].contains(name),
        ["value", ..] | ["identifier" | "vocabulary" | "fault"] => true,
        _ => false,
    }
}

#[test]
fn rules_are_pure() {
    let files = files();
    let pure = files.iter().filter(|f| is_pure(f)).count();
    assert!(pure >= ENTITIES.len() + 10, "only {pure} files are held to be pure: have they moved?");
    let found = broken(&files, is_pure, |n| {
        is_actix(n) || is_query(n) || is_clock(n) || n.path.last().is_some_and(|last| last == "Conn" || last == "Db")
    });
    nothing(
        found,
        "These files hold types and rules: no actix, no queries, no connection, no clock. Put queries into the \
         entity's store.rs, routes into its http.rs, and take the time as an argument.",
    );
}

#[test]
fn the_time_comes_from_the_clock() {
    let may_ask = |f: &Source| {
        f.path.starts_with("cli/")
            || ["app.rs", "db/columns.rs", "http/metrics.rs", "auth/keys.rs"].contains(&f.path.as_str())
    };
    let found = broken(&files(), |f| !may_ask(f), is_clock);
    nothing(found, "Take the time as an argument, or from `app::Clock` through `Context::at`.");
}

#[test]
fn queries_have_their_places() {
    let may_query = |f: &Source| {
        f.path.starts_with("db/")
            || f.path.starts_with("ledger/")
            || f.path == "lifecycle/facts.rs"
            || f.parts().contains(&"store")
    };
    let found = broken(&files(), |f| !may_query(f), is_query);
    nothing(found, "The query DSL belongs into store.rs files, db/, ledger/ and lifecycle/facts.rs.");
}

#[test]
fn actix_has_its_places() {
    const FILES: &[&str] = &["app.rs", "api.rs", "auth/extract.rs", "error.rs", "config.rs", "main.rs"];
    const FOLDERS: &[&str] = &["http/", "web/", "cli/"];
    let may_serve = |f: &Source| {
        FILES.contains(&f.path.as_str())
            || FOLDERS.iter().any(|folder| f.path.starts_with(folder))
            || f.parts().last() == Some(&"http")
    };
    let found = broken(&files(), |f| !may_serve(f), is_actix);
    nothing(found, "actix belongs into http.rs files: hand the use case its arguments, not the request.");
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, files)| files.contains(&name))
}

#[test]
fn routes_use_use_cases_use_stores_use_rules() {
    let mut found = Vec::new();
    for file in files().iter().filter(|f| ENTITIES.contains(&f.parts()[0])) {
        let parts = file.parts();
        let Some(layer) = layer_of(parts[1]) else {
            panic!("src/{}: say in LAYERS to which layer `{}` belongs", file.path, parts[1]);
        };
        for named in &file.names {
            let own = named.path.iter().position(|s| s != "super" && s != "self").unwrap_or(0);
            // A neighbour's module is reached by its entity's name, one's own by `super` or, in mod.rs, directly.
            let reached = match named.in_crate().unwrap_or(&named.path) {
                [entity, module, ..] if ENTITIES.contains(&&**entity) => Some(module),
                _ if own > 0 || parts[1] == "mod" && named.path.len() > 1 => named.path.get(own),
                _ => None,
            };
            if reached.and_then(|module| layer_of(module)).is_some_and(|other| other > layer) {
                let what = format!("{} uses {}", LAYERS[layer].0, named.path.join("::"));
                found.push(file.at(named.line, &what));
            }
        }
    }
    nothing(found, "http → change → store → mod, never back: move what both need down.");
}

#[test]
fn the_store_underneath_knows_no_entity() {
    let below = |f: &Source| f.path.starts_with("db/") || f.path.starts_with("ledger/");
    let knows = |n: &Named| n.in_crate().and_then(|p| p.first()).is_some_and(|first| ENTITIES.contains(&&**first));
    let found = broken(&files(), below, knows);
    nothing(found, "db/ and ledger/ serve every entity: let the entity implement their trait or call their macro.");
}

#[test]
fn entities_never_use_anothers_routes() {
    let mut found = Vec::new();
    for file in files() {
        if ["api.rs", "app.rs"].contains(&&*file.path) {
            continue;
        }
        let own = file.parts()[0].to_owned();
        for named in &file.names {
            let path = named.in_crate().unwrap_or(&named.path);
            if let [entity, module, ..] = path
                && ENTITIES.contains(&&**entity)
                && *entity != own
                && module == "http"
            {
                found.push(file.at(named.line, &named.path.join("::")));
            }
        }
    }
    nothing(found, "Use the other's mod, store or change. What two views share belongs into its store.");
}

/// Whom each entity names, and in which files.
fn neighbours() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut known: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for file in files() {
        let own = file.parts()[0].to_owned();
        for other in file.names.iter().filter_map(|n| n.in_crate()?.first()) {
            if ENTITIES.contains(&&*own) && ENTITIES.contains(&&**other) && *other != own {
                let files = known.entry(own.clone()).or_default().entry(other.clone()).or_default();
                files.insert(file.path.clone());
            }
        }
    }
    known
}

#[test]
fn entities_know_each_other_in_one_direction() {
    let mut known = neighbours();
    assert!(known["insight"].contains_key("finding"), "the sources are read wrongly: an insight names findings");
    for (who, whom, only_in) in MUTUAL {
        let files = known.get_mut(*who).and_then(|others| others.remove(*whom)).unwrap_or_default();
        let expected = BTreeSet::from([(*only_in).to_owned()]);
        assert_eq!(files, expected, "MUTUAL names {who} → {whom} in {only_in} alone: bring it up to date");
    }
    // Take away whoever knows nobody that is left; what cannot be taken away goes round in a circle.
    while let Some(leaf) = ENTITIES.iter().find(|e| {
        known.contains_key(**e) && known[**e].is_empty()
            || !known.contains_key(**e) && known.values().any(|others| others.contains_key(**e))
    }) {
        known.remove(*leaf);
        known.values_mut().for_each(|others| {
            others.remove(*leaf);
        });
    }
    let circle = known.iter().map(|(who, others)| format!("{who} → {others:?}")).collect();
    nothing(
        circle,
        "Entities go round in a circle. A rule across two lives with the one whose state changes; a constant that \
         both need moves down, to vocabulary or lifecycle::builtin.",
    );
}

#[test]
fn the_store_alone_begins_transactions() {
    const BEGINS: &[&str] = &["transaction", "immediate_transaction", "begin_transaction", "begin_transaction_sql"];
    let found = broken(
        &files(),
        |f| !f.path.starts_with("db/"),
        |n| {
            let last = n.path.last().map(String::as_str).unwrap_or_default();
            BEGINS.contains(&last) && n.called
                || ["batch_execute", "AnsiTransactionManager", "TransactionManager"].contains(&last)
        },
    );
    nothing(found, "Take `&mut Conn` and let the caller's `Db::write` hold the transaction.");
    let below = |f: &Source| ENTITIES.contains(&f.parts()[0]) && f.parts().last() != Some(&"http");
    let found = broken(&files(), below, |n| n.path.last().is_some_and(|last| last == "Db"));
    nothing(found, "Stores and use cases take `&mut Conn`; `Db` is for handlers and commands.");
}

#[test]
fn the_engines_are_told_apart_in_marked_places() {
    const MARKED: &[(&str, &str)] = &[("ledger/mod.rs", "next_number"), ("ledger/lease.rs", "hold")];
    let mut found = Vec::new();
    let mut marked = BTreeSet::new();
    for file in files().iter().filter(|f| !f.path.starts_with("db/")) {
        for named in file.names.iter().filter(|n| n.has(&["Conn", "Pg"]) || n.has(&["Conn", "Sqlite"])) {
            match MARKED.iter().find(|m| **m == (&*file.path, &*named.function)) {
                Some(place) => _ = marked.insert(*place),
                None => found.push(file.at(named.line, &format!("{} in {}", named.path.join("::"), named.function))),
            }
        }
    }
    nothing(found, "Write one query for both engines, or put the difference into db/.");
    assert_eq!(marked.len(), MARKED.len(), "a marked function tells no engines apart any more: unmark it");
}

#[test]
fn every_handler_says_its_permission() {
    let mut open = BTreeSet::new();
    let mut handlers = 0;
    for file in files() {
        for method in ["get", "post", "patch", "put", "delete"] {
            for (at, _) in file.code.match_indices(&format!("#[{method}(")) {
                let rest = &file.code[at..];
                let from = rest.find("fn ").unwrap() + 3;
                let open_at = from + rest[from..].find('(').unwrap();
                let to = rest[from..].find("->").map_or(rest.len(), |i| from + i);
                handlers += 1;
                if !rest[open_at..to].contains("Guard<") {
                    open.insert(rest[from..open_at].to_owned());
                }
            }
        }
    }
    assert!(handlers > 40, "only {handlers} handlers were found: are they written otherwise now?");
    let expected: BTreeSet<String> = OPEN.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        open, expected,
        "A handler without `Guard<Permission>` answers anybody. Give it one, or name it in OPEN and say why in \
         docs/security.md."
    );
    let elsewhere: Vec<_> = files()
        .iter()
        .filter(|f| f.path != "api.rs")
        .flat_map(|f| {
            ["web::get(", "web::post(", "web::resource(", "web::route(", "web::to("].map(|t| f.lines_with(t)).concat()
        })
        .collect();
    nothing(elsewhere, "Mount handlers by their attribute (#[get(…)]), so that this test sees their signature.");
}

#[test]
fn authority_is_decided_by_the_policy() {
    // What a token was made for is no matter of the policy: auth/scope says it.
    const OF_TOKENS: &[&str] = &["error.rs", "signature/http.rs"];
    let elsewhere = |f: &Source| !f.path.starts_with("auth/") && !OF_TOKENS.contains(&&*f.path);
    let all = files();
    let refusals = all.iter().filter(|f| elsewhere(f)).flat_map(|f| f.lines_with("not_permitted(")).collect();
    nothing(refusals, "Put who may into src/auth/policy/table.rs and ask `who.must::<P>(&record.standing(who))`.");
    let asks = all.iter().filter(|f| elsewhere(f)).map(|f| f.lines_with(".must::<").len()).sum::<usize>();
    assert!(asks > 10, "only {asks} questions to the policy were found: are they written otherwise now?");
}

#[test]
fn files_are_small() {
    let mut all = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 100);
    let long = all.iter().filter(|(_, text)| text.lines().count() > 500);
    let found = long.map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count())).collect();
    nothing(found, "Split the file by what it is about.");
}

#[test]
fn nothing_is_waved_through() {
    let mut found = Vec::new();
    for file in files() {
        for text in ["#[allow(", "#![allow(", ".unwrap()"] {
            found.extend(file.lines_with(text));
        }
        for (n, line) in file.text.lines().enumerate() {
            // In two parts, so that this file does not name itself.
            for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
                if line.contains(word) {
                    found.push(file.at(n + 1, word));
                }
            }
        }
    }
    nothing(found, "Do it now or open an issue; use #[expect(…, reason)] for a lint; return an error for a panic.");
}

/// The rules are worth as much as the reading they rest on.
#[test]
fn the_reader_sees_code_and_nothing_else() {
    let text = r##"
//! diesel::prelude in a comment /* and */ Utc::now()
use crate::{
    discovery::{self, store as discoveries, change::{log, NewDiscovery}},
    pairing, db::schema::trial,
};
use super::http::View;
fn f<'a>(x: &'a str) { let _ = ("crate::finding", 'x', '\'', r#"Conn::Pg "quoted" "#); trial::http::view(x) }
macro_rules! m { () => { $crate::insight::store::find() } }
#[cfg(test)]
mod tests { use crate::person; fn g() { SystemTime::now(); } }
fn after() { Conn::Sqlite }
"##;
    let file = Source::read("discovery/mod.rs", text);
    let paths: Vec<String> = file.names.iter().map(|n| n.path.join("::")).collect();
    for expected in [
        "crate::discovery",
        "crate::discovery::store",
        "crate::discovery::change::log",
        "crate::discovery::change::NewDiscovery",
        "crate::pairing",
        "crate::db::schema::trial",
        "super::http::View",
        "trial::http::view",
        "crate::insight::store::find",
        "Conn::Sqlite",
    ] {
        assert!(paths.iter().any(|p| p == expected), "{expected} is missing from {paths:?}");
    }
    for hidden in ["diesel::prelude", "Utc::now", "crate::finding", "Conn::Pg", "crate::person", "SystemTime::now"] {
        assert!(!paths.iter().any(|p| p == hidden), "{hidden} is no code: {paths:?}");
    }
    let last = file.names.iter().find(|n| n.has(&["Conn", "Sqlite"])).unwrap();
    assert_eq!((last.line, &*last.function), (12, "after"));
    assert!(broken(&[file], is_pure, is_query).iter().any(|place| place.contains("discovery/mod.rs:5")));
}
