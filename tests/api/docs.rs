//! The documents say what is so: the walk of docs/api.md is executed from the Markdown itself, its table of problems is
//! the one in the code, and relative links lead somewhere.
use crate::support::{PASSWORD, TestApp, on_both_engines};
use benchside::error::Code;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

on_both_engines!(the_walk_of_the_api_document_works_as_written, the_ledger_is_verified_by_hand);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What stands in the fenced blocks of one language.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => open = Some((fence == language, String::new())),
            (Some(_), Some(_)) => found.extend(open.take().filter(|(asked, _)| *asked).map(|(_, block)| block)),
            (Some((_, block)), None) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fenced block does not end");
    found
}

/// The shell, as strict as it gets.
fn shell(script: &str) -> Command {
    let strict = if Command::new("bash").arg("--version").output().is_ok() { ("bash", "-euo") } else { ("sh", "-eu") };
    let mut command = Command::new(strict.0);
    command.arg(strict.1);
    if strict.0 == "bash" {
        command.arg("pipefail");
    }
    command.args(["-c", script]);
    command
}

fn the_walk_of_the_api_document_works_as_written(app: &TestApp) {
    assert!(
        Command::new("curl").arg("--version").output().is_ok(),
        "curl must be installed: docs/api.md is told with it"
    );
    let (lab, clinic) = (app.lab("Motor Neuron Lab"), app.clinic("ALS Clinic"));
    let colleague = app.scientist("Bo Lindqvist", lab);
    let scientist = app.scientist("Ada Okafor", lab);
    app.scientist("Cleo Stranger", app.lab("Another Lab"));
    let clinician = app.clinician("Kim Park", clinic);
    let administrator = app.administrator("Admin");

    let blocks = blocks(&text("docs/api.md"), "sh");
    assert!(blocks.len() > 20, "only {} blocks were found", blocks.len());
    let run = shell(&blocks.concat())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("TMPDIR", &app.folder)
        .env("NO_PROXY", "*")
        .envs([("BASE", &app.base), ("SCIENTIST", &scientist.email), ("CLINICIAN", &clinician.email)])
        .envs([("ADMINISTRATOR", &*administrator.email), ("PASSWORD", PASSWORD)])
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{}\n{said}\n{complained}", run.status);
    let lines: BTreeSet<&str> = said.lines().collect();
    for line in
        ["discovery: preclinical", "trial: RECRUITING", "insight: resolved, new_discovery", "transfer: accepted"]
    {
        assert!(lines.contains(line), "{line} is not in\n{said}");
    }
    // Every refusal that the page shows was one.
    for status in [400, 401, 403, 404, 409, 412, 422, 428] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{status} "))), "no {status} in\n{said}");
    }

    // The script does not judge itself: the service says the same.
    let found = administrator.get("/v1/discoveries?count=true&sort=created_at").expect(200).body;
    assert_eq!(found["total"], 3, "the refused ones are not there, and the repeated one is once");
    let (first, second) = (&found["data"][0], &found["data"][2]);
    assert_eq!((&first["stage"], &first["owner"]["name"]), (&"preclinical".into(), &"Ada Okafor".into()));
    assert_eq!((&second["stage"], &second["owner"]["name"]), (&"logged".into(), &"Bo Lindqvist".into()));
    let insight = &administrator.get("/v1/insights").expect(200).body["data"][0];
    assert_eq!(second["origin_insight_id"], insight["id"]);
    let transfer = &colleague.get("/v1/ownership-transfers").expect(200).body["data"][0];
    assert_eq!(transfer["state"], "accepted");
    let moves = administrator.get(&format!("/v1/discoveries/{}/transitions", first["id"].as_str().unwrap())).body;
    let moves: Vec<_> = moves["data"].as_array().unwrap().iter().rev().map(|m| m["move"].as_str().unwrap()).collect();
    assert_eq!(moves, ["advance", "advance", "hand_off", "advance", "return_to_bench"]);
}

fn the_ledger_is_verified_by_hand(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Motor Neuron Lab"));
    let lab = ada.get("/v1/me").expect(200).body["organizations"][0]["id"].clone();
    for n in 0..9 {
        let new =
            serde_json::json!({ "title": format!("A \"quoted\" näme \\ {n}"), "modality": "device", "lab_id": lab });
        ada.post("/v1/discoveries", new).expect(201);
    }
    super::ledger::settled(app);
    let key = app.read(benchside::ledger::log::generations).pop().unwrap().verifier;
    let script = blocks(&text("docs/ledger.md"), "sh").concat();
    let by_hand = |script: &str, index: &str| {
        let mut run = Command::new("bash");
        run.args(["-euo", "pipefail", "-c", script]).env_clear();
        let known = [("PATH", std::env::var("PATH").unwrap()), ("TMPDIR", app.folder.display().to_string())];
        run.envs(known).envs([("BASE", &*app.base), ("TOKEN", &ada.token), ("KEY", &key), ("INDEX", index)]);
        let done = run.output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.success(), said, String::from_utf8_lossy(&done.stderr).into_owned())
    };
    const SHOWN: &[&str] = &[
        "Signature Verified Successfully",
        "the checkpoint is of benchside/",
        "the log contains the leaf",
        "the payload is the one that was recorded",
    ];
    for index in ["2", "5", "10"] {
        let (ok, said, complained) = by_hand(&script, index);
        assert!(ok, "{said}{complained}");
        for line in SHOWN {
            assert!(said.contains(line), "{line} is not in {said}{complained}");
        }
    }
    // A check that cannot fail proves nothing.
    for (whole, forged) in [
        ("cat leaf; echo", "sed -i s/created/revised/ leaf"),
        ("head -n 3 checkpoint > signed", "head -n 3 checkpoint | sed s/^1/2/ > signed"),
        ("text payload > payload", "text payload | sed s/device/digital/ > payload"),
    ] {
        assert!(script.contains(whole), "{whole} stands there no more");
        let (ok, said, _) = by_hand(&script.replacen(whole, forged, 1), "5");
        assert!(!ok || SHOWN.iter().any(|line| !said.contains(line)), "{forged}: {said}");
    }
}

/// The rows of the table under this header, cells without their backticks.
fn table<'a>(markdown: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let mut lines = markdown.lines().skip_while(|line| *line != header);
    assert!(lines.next().is_some(), "there is no table `{header}`");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()).collect()
}

#[test]
fn the_table_of_problems_is_the_one_in_the_code() {
    let page = text("docs/api.md");
    let said: Vec<(String, String, String)> = table(&page, "| code | status | title |")
        .into_iter()
        .map(|row| (row[0].into(), row[1].into(), row[2].into()))
        .collect();
    let meant: Vec<_> =
        Code::ALL.iter().map(|c| (c.as_str().to_owned(), c.status().to_string(), c.title().to_owned())).collect();
    assert_eq!(said, meant, "bring the table in docs/api.md up to date with src/error.rs");
}

#[test]
fn the_table_of_permissions_is_the_policy() {
    let page = text("docs/security.md");
    let (_, rest) = page.split_once("<!-- policy -->\n\n").expect("docs/security.md marks where the policy begins");
    let (said, _) = rest.split_once("\n<!-- /policy -->").expect("and where it ends");
    assert_eq!(said, benchside::auth::policy::markdown(), "put what `benchside policy` prints into docs/security.md");
}

/// Every Markdown file people read: the README, the changelog and the documents.
fn pages() -> Vec<PathBuf> {
    fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                markdown(&entry, found);
            } else if entry.extension().is_some_and(|e| e == "md") {
                found.push(entry);
            }
        }
    }
    let mut found = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    markdown(&root().join("docs"), &mut found);
    found
}

/// Where the links of a page lead, its code left out.
fn links(markdown: &str) -> Vec<String> {
    let mut in_block = false;
    let mut prose = String::new();
    for line in markdown.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let outside = line.split('`').step_by(2).collect::<String>();
            prose += &format!("{outside}\n");
        }
    }
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn relative_links_lead_somewhere() {
    let (mut broken, mut seen) = (Vec::new(), 0);
    for page in pages() {
        for link in links(&fs::read_to_string(&page).unwrap()) {
            if link.starts_with("http://") || link.starts_with("https://") || link.starts_with('#') {
                continue;
            }
            seen += 1;
            let target = page.parent().unwrap().join(link.split('#').next().unwrap());
            if !target.exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(seen > 4, "the README links to the documents; only {seen} relative links were found");
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = text("README.md");
    let screen: Vec<&str> = readme.lines().take(40).collect();
    assert!(screen.contains(&"cargo run --release -- demo"), "the first screen says how to see it run");
    let marker = screen.iter().position(|line| *line == "<!-- test command -->").expect("marked for .ci/run");
    assert!(screen[marker + 1].starts_with("```") && screen[marker + 2] == "tests/run" && screen[marker + 3] == "```");
    assert!(root().join("tests/run").exists());
}
