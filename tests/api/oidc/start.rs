//! What is said at the start where the service cannot believe anybody.
use crate::support::fresh_folder;
use std::{fs, process::Command};

/// What `benchside serve` says before it ends, with this file and these options.
fn complaint(file: &str, options: &[&str]) -> String {
    let folder = fresh_folder();
    let named = folder.join("providers.toml");
    fs::write(&named, file).unwrap();
    let database = format!("sqlite://{}", folder.join("test.db").display());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_benchside"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--database", &database, "--oidc"]).arg(&named).args(options);
    let ended = serve.env_remove("BENCHSIDE_PUBLIC_URL").output().unwrap();
    assert!(!ended.status.success());
    fs::remove_dir_all(folder).unwrap();
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn every_fault_of_the_file_and_the_missing_address_are_named() {
    let file = r#"
        [[issuer]]
        name = "Hospital"
        issuer = "http://login.example.org"
        client_secret_file = "secret.txt"
        allow_people = "all"
    "#;
    let said = complaint(file, &["--public-url", "https://benchside.example.org"]);
    for expected in ["providers.toml has faults", "/issuer/0/client_id: is required", "/issuer/0/allow_people: "] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let file = file.replace("allow_people = \"all\"", "allow_people = \"existing\"\nclient_id = \"b\"");
    let said = complaint(&file, &["--public-url", "https://benchside.example.org"]);
    for expected in ["/issuer/0/name: ", "/issuer/0/issuer: ", "/issuer/0/client_secret_file: cannot be read"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let file = "[[issuer]]\nname = \"a\"\nissuer = \"https://b\"\nclient_id = \"c\"\nallow_people = \"existing\"\n";
    assert!(complaint(file, &[]).contains("--public-url"));
    assert!(complaint(file, &["--public-url", "http://benchside.example.org"]).contains("must be https://"));
}
