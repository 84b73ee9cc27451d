//! The log outside of the service: exports, proofs in files, the command.
use super::{generation, settled, some_history};
use crate::support::{TestApp, on_both_engines};
use benchside::ledger::{export, verify::FaultKind};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The signal that ends who writes where nobody reads (POSIX, signal.h).
const SIGPIPE: i32 = 13;

on_both_engines!(
    an_export_is_checked_byte_by_byte,
    an_export_is_files_and_nothing_else,
    the_command_exports_verifies_and_proves,
    a_log_is_compared_with_the_guard_beside_it,
    a_command_ends_quietly_when_nobody_reads_it,
);

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn an_export_is_checked_byte_by_byte(app: &TestApp) {
    some_history(app, 100);
    let checkpoint = settled(app);
    let (verifier, folder) = (generation(app).verifier, app.folder.join("export"));
    let (to, stored) = (folder.clone(), checkpoint.clone());
    app.read(move |conn| export::write(conn, &stored, &to));
    let clean = export::verify(&folder, &verifier, &[&checkpoint.note]).unwrap();
    assert!(clean.is_clean() && clean.size == checkpoint.size, "{:#?}", clean.faults);
    let found = files(&folder);
    assert_eq!(found.len(), 6, "a checkpoint, two tiles of leaves, three of hashes: {found:?}");
    for trial in 0..200 {
        let path = fastrand::choice(&found).unwrap();
        let bytes = fs::read(path).unwrap();
        let at = fastrand::usize(0..bytes.len());
        let mut damaged = bytes.clone();
        match trial % 4 {
            0 | 1 => damaged[at] ^= 1 << fastrand::u8(0..8),
            2 => drop(damaged.remove(at)),
            _ => damaged.insert(at, fastrand::u8(..)),
        }
        if damaged == bytes {
            continue;
        }
        fs::write(path, &damaged).unwrap();
        match export::verify(&folder, &verifier, &[]) {
            Ok(report) => {
                assert!(!report.is_clean(), "trial {trial}: byte {at} of {} ", path.display());
                assert!(report.faults[0].index.is_some(), "{:#?}", report.faults);
                let in_leaves = path.to_string_lossy().contains("entries/000");
                if let (true, Some(expected)) = (in_leaves && trial % 4 < 2, leaf_at(&bytes, at)) {
                    assert_eq!(report.faults[0].index, Some(expected), "byte {at}: {:#?}", &report.faults[..1]);
                }
            }
            // A checkpoint that is no text any more cannot even be read.
            Err(e) => assert!(e.to_string().contains("checkpoint"), "{e}"),
        }
        fs::write(path, &bytes).unwrap();
    }
    for path in &found[1..] {
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        let report = export::verify(&folder, &verifier, &[]).unwrap();
        assert!(report.faults.iter().any(|f| f.what.contains("missing")), "{}: {:#?}", path.display(), report.faults);
        fs::write(path, bytes).unwrap();
    }
    fs::write(folder.join("tile/0/007"), [0; 32]).unwrap();
    let report = export::verify(&folder, &verifier, &[]).unwrap();
    assert_eq!(report.faults[0].kind, FaultKind::FileUnexpected);
}

fn an_export_is_files_and_nothing_else(app: &TestApp) {
    use std::os::unix::fs::symlink;
    some_history(app, 90);
    let checkpoint = settled(app);
    assert!(checkpoint.size > 256);
    let (verifier, folder) = (generation(app).verifier, app.folder.join("export"));
    let (to, stored) = (folder.clone(), checkpoint.clone());
    app.read(move |conn| export::write(conn, &stored, &to));
    let found = || export::verify(&folder, &verifier, &[]).unwrap().faults;
    let hashes = fs::read(folder.join("tile/0/000")).unwrap();
    fs::create_dir(folder.join("tile/0/000.p")).unwrap();
    fs::write(folder.join("tile/0/000.p/17"), &hashes[..17 * 32]).unwrap();
    assert_eq!(found(), [], "an earlier export's");
    for (name, content) in [("000.p/18", &hashes[..17 * 32 + 1]), ("000.p/x", &[]), ("000.p/256", &hashes)] {
        fs::write(folder.join("tile/0").join(name), content).unwrap();
        let faults = found();
        let expected = usize::from(name != "000.p/18");
        assert_eq!(
            faults.iter().filter(|f| f.kind == FaultKind::FileUnexpected).count(),
            expected,
            "{name}: {faults:?}"
        );
        fs::remove_file(folder.join("tile/0").join(name)).unwrap();
    }
    fs::write(folder.join("tile/0/000.p/18"), [7; 18 * 32]).unwrap();
    assert_eq!(found()[0].kind, FaultKind::FileUnexpected);
    fs::remove_file(folder.join("tile/0/000.p/18")).unwrap();
    for (name, to) in [("tile/a", "."), ("tile/b", "/")] {
        symlink(to, folder.join(name)).unwrap();
        assert_eq!(found()[0].kind, FaultKind::FileUnexpected, "nothing behind a link is walked");
        fs::remove_file(folder.join(name)).unwrap();
    }
    for name in ["tile/0/000", "checkpoint"] {
        fs::remove_file(folder.join(name)).unwrap();
        symlink("/dev/zero", folder.join(name)).unwrap();
        let why = export::verify(&folder, &verifier, &[]).unwrap_err().to_string();
        assert!(why.contains("is no regular file"), "{why}");
        fs::remove_file(folder.join(name)).unwrap();
        fs::write(folder.join(name), if name == "checkpoint" { checkpoint.note.as_bytes() } else { &hashes }).unwrap();
    }
    assert_eq!(found(), []);
}

/// A slip of the pen makes no file, and is no success.
#[test]
fn no_command_but_those_that_begin_one_makes_a_database() {
    let folder = crate::support::fresh_folder();
    for command in [
        "ledger status",
        "ledger verify",
        "ledger key",
        "ledger prove 0",
        "ledger export out",
        "ledger continue --force",
        "erase scrub",
        "erase person U-1 --reason r",
        "erase versions D-1 1 --reason r",
        "user list",
        "user invite a@b.test",
        "user disable a@b.test",
        "migrate --status",
        "import ctgov --clinic O-1 --as a@b.test x.json",
    ] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_benchside"));
        run.args(command.split(' ')).current_dir(&folder).env("BENCHSIDE_DATABASE", "sqlite://typo.db");
        let done = run.output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && said.contains("there is no database typo.db"), "{command}: {said}");
    }
    assert_eq!(files(&folder), Vec::<PathBuf>::new());
    fs::remove_dir_all(folder).unwrap();
}

fn a_command_ends_quietly_when_nobody_reads_it(app: &TestApp) {
    some_history(app, 2);
    settled(app);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_benchside"));
    command.args(["ledger", "status"]).env("BENCHSIDE_DATABASE", &app.url);
    command.env("BENCHSIDE_KEYS", app.folder.join("keys")).env("BENCHSIDE_LOG", "off").stdout(writer);
    let done = command.output().unwrap();
    assert_eq!((done.status.signal(), String::from_utf8(done.stderr).unwrap()), (Some(SIGPIPE), String::new()));
}

fn a_log_is_compared_with_the_guard_beside_it(app: &TestApp) {
    some_history(app, 2);
    let (kept, size) = super::set_back(app);
    let mut command = Command::new(env!("CARGO_BIN_EXE_benchside"));
    command.args(["ledger", "verify"]).env("BENCHSIDE_DATABASE", &app.url);
    let verify = |command: &mut Command| {
        let done = command.output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap())
    };
    let (ok, said) = verify(command.env("BENCHSIDE_KEYS", app.folder.join("keys")));
    assert!(!ok && said.contains(&format!("a checkpoint covers {size} leaves, and there are {kept}")), "{said}");
    let elsewhere = crate::support::fresh_folder();
    let (ok, said) = verify(command.env("BENCHSIDE_GUARD", &elsewhere));
    assert!(ok, "without a guard there is nothing to compare with: {said}");
    fs::remove_dir_all(elsewhere).unwrap();
}

/// The leaf that a byte of the first entry tile belongs to; none where it is a length, which moves all that follows.
fn leaf_at(bytes: &[u8], at: usize) -> Option<u64> {
    let (mut from, mut index) = (0, 0);
    while from < bytes.len() {
        let end = from + 2 + usize::from(u16::from_be_bytes([bytes[from], bytes[from + 1]]));
        if at < end {
            return (at >= from + 2).then_some(index);
        }
        (from, index) = (end, index + 1);
    }
    None
}

fn the_command_exports_verifies_and_proves(app: &TestApp) {
    some_history(app, 2);
    let checkpoint = settled(app);
    let folder = app.folder.join("export");
    let ledger = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_benchside"));
        command
            .arg("ledger")
            .args(args)
            .env("BENCHSIDE_DATABASE", &app.url)
            .env("BENCHSIDE_KEYS", app.folder.join("keys"));
        let done = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.success(), text(done.stdout), text(done.stderr))
    };
    let path = folder.to_str().unwrap();
    let (ok, said, why) = ledger(&["export", path]);
    assert!(ok && said.contains(&format!("{} leaves", checkpoint.size)), "{said}{why}");
    let pin = app.folder.join("pinned");
    fs::write(&pin, &checkpoint.note).unwrap();
    for args in [vec!["verify"], vec!["verify", path], vec!["verify", "--checkpoint", pin.to_str().unwrap()]] {
        let (ok, said, why) = ledger(&args);
        assert!(ok && said.contains(&format!("{} leaves", checkpoint.size)), "{args:?}: {said}{why}");
    }
    let (ok, said, _) = ledger(&["verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(ok && report["faults"] == serde_json::json!([]) && report["size"] == checkpoint.size);
    let (_, key, _) = ledger(&["key"]);
    assert_eq!(key.trim(), generation(app).verifier);
    let (_, status, _) = ledger(&["status"]);
    assert!(status.contains(&format!("size        {}", checkpoint.size)), "{status}");
    let (ok, proof, why) = ledger(&["prove", "3"]);
    assert!(ok, "{why}");
    let file = app.folder.join("proof.json");
    fs::write(&file, &proof).unwrap();
    let (ok, said, why) = ledger(&["check-proof", file.to_str().unwrap(), "--key", key.trim()]);
    assert!(ok && said.contains("at index 3") && said.contains("The payload is the one"), "{said}{why}");
    let mut piped = Command::new(env!("CARGO_BIN_EXE_benchside"));
    piped.args(["ledger", "check-proof", "-", "--key", key.trim()]).stdin(fs::File::open(&file).unwrap());
    assert_eq!(String::from_utf8(piped.output().unwrap().stdout).unwrap(), said);
    // What is not checked may not look as if it were.
    let given: serde_json::Value = serde_json::from_str(&proof).unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = given.clone();
        changed[name] = value;
        fs::write(&file, changed.to_string()).unwrap();
        ledger(&["check-proof", file.to_str().unwrap(), "--key", key.trim()])
    };
    for (name, value) in [
        ("salt", serde_json::Value::Null),
        ("salt", 7.into()),
        ("payload", serde_json::Value::Null),
        ("payload", serde_json::json!({})),
        ("payload", "{}".into()),
        ("index", 4.into()),
        ("event_id", "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55".into()),
        ("said", "anything".into()),
    ] {
        let (ok, said, _) = with(name, value.clone());
        assert!(!ok, "{name} {value}: {said}");
    }
    let event = serde_json::from_str::<serde_json::Value>(&proof).unwrap()["event_id"].as_str().unwrap().to_owned();
    assert_eq!(ledger(&["prove", &event]).1, proof);
    fs::write(&file, proof.replacen("\\\"action\\\":\\\"", "\\\"action\\\":\\\"x", 1)).unwrap();
    let (ok, _, why) = ledger(&["check-proof", file.to_str().unwrap(), "--key", key.trim()]);
    assert!(!ok && why.contains("not proved"), "{why}");
    let entries = folder.join("tile/entries").join(format!("000.p/{}", checkpoint.size));
    let mut bytes = fs::read(&entries).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&entries, bytes).unwrap();
    let (ok, said, why) = ledger(&["verify", path]);
    assert!(
        !ok && said.contains(&format!("index {}", checkpoint.size - 1)) && why.contains("not sound"),
        "{said}{why}"
    );
}
