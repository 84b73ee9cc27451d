use super::*;
use std::{sync::Barrier, thread};

/// A folder that does not exist yet, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("benchside-keys-{}", Uuid::now_v7())))
    }
    fn open(&self) -> Result<Keys, KeysError> {
        Keys::open(&self.0)
    }
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
    fn add(&self, name: &str, text: &str) {
        private().create(true).truncate(true).open(self.0.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}
fn at(day: u32) -> DateTime<Utc> {
    format!("2026-03-{day:02}T09:00:00Z").parse().unwrap()
}

#[test]
fn a_first_start_makes_the_keys_and_a_second_finds_the_same() {
    let folder = Folder::new();
    let first = folder.open().unwrap();
    let second = folder.open().unwrap();
    assert_eq!(first.tokens().len(), 1);
    assert_eq!(first.tokens()[0].kid(), second.tokens()[0].kid());
    assert_eq!(first.tokens()[0].created(), second.tokens()[0].created());
    assert_eq!(first.log().to_bytes(), second.log().to_bytes());
    assert_ne!(first.log().to_bytes(), first.tokens()[0].key().to_bytes());
    assert_eq!(folder.names(), [".lock", "log.pem", &token_file(first.tokens()[0].kid())]);
}

#[test]
fn processes_that_start_at_once_agree() {
    for _ in 0..20 {
        let (folder, start) = (Folder::new(), Barrier::new(8));
        let seen: Vec<_> = thread::scope(|scope| {
            let open = || {
                start.wait();
                let keys = folder.open().unwrap();
                (keys.jwks(), keys.log().to_bytes())
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|keys| *keys == seen[0]));
        assert_eq!(folder.names().len(), 3);
    }
}

#[test]
fn publishing_never_replaces_a_key() {
    let folder = Folder::new();
    let before = folder.open().unwrap();
    publish(&folder.0, LOG_KEY, &key(9)).unwrap();
    assert_eq!(folder.open().unwrap().log().to_bytes(), before.log().to_bytes());
    assert_eq!(folder.names().len(), 3);
}

#[test]
fn the_key_created_last_signs_whatever_the_files_times_say() {
    let folder = Folder::new();
    make_folder(&folder.0).unwrap();
    for (seed, day) in [(1, 2), (2, 3), (3, 1)] {
        folder.add(&token_file(&thumbprint(&key(seed))), &key_file(&key(seed), at(day)).unwrap());
    }
    let undated = key_file(&key(4), at(9)).unwrap();
    folder.add(&token_file(&thumbprint(&key(4))), undated.split_once('\n').unwrap().1);
    let keys = folder.open().unwrap();
    let order: Vec<_> = keys.tokens().iter().map(|k| k.key().to_bytes()[0]).collect();
    assert_eq!(order, [2, 1, 3, 4]);
    assert_eq!(keys.tokens()[0].created(), Some(at(3)));
    assert_eq!(keys.tokens()[3].created(), None);
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let key = SigningKey::from_bytes(&seed.try_into().unwrap());
    assert_eq!(public_part(&key), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_key_set_is_public_and_complete() {
    let keys = Keys {
        folder: PathBuf::new(),
        tokens: vec![TokenKey { kid: thumbprint(&key(1)), created: None, key: key(1) }],
        log: key(2),
    };
    let expected = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "x": public_part(&key(1)),
        "kid": thumbprint(&key(1)), "alg": "EdDSA", "use": "sig",
    }]});
    assert_eq!(keys.jwks(), expected);
}

#[test]
fn a_key_made_by_another_tool_is_read() {
    // openssl genpkey -algorithm ed25519
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let (created, key) = parse_key(pem).unwrap();
    assert_eq!((created, public_part(&key).as_str()), (None, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    assert!(key_file(&key, at(1)).unwrap().ends_with(pem));
}

#[test]
fn files_that_are_not_what_they_say_are_refused_by_name() {
    let cases = [
        ("token-x.pem", key_file(&key(1), at(1)).unwrap(), "must be token-"),
        ("log.pem", "hello".to_owned(), "log.pem is not an Ed25519 private key"),
        ("log.pem", String::new(), "log.pem is not"),
        ("log.pem", key_file(&key(1), at(1)).unwrap().replace("2026", "soon"), "creation time"),
        ("log.pem", key_file(&key(1), at(1)).unwrap().replace("MC4", "MC5"), "log.pem is not"),
    ];
    for (name, text, expected) in cases {
        let folder = Folder::new();
        make_folder(&folder.0).unwrap();
        folder.add(name, &text);
        let message = folder.open().unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let keys = Keys {
        folder: PathBuf::new(),
        tokens: vec![TokenKey { kid: "k".into(), created: None, key: key(171) }],
        log: key(171),
    };
    assert!(!format!("{keys:?}").contains("171, 171"));
}

#[cfg(unix)]
mod permissions {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn everything_made_is_the_owners_alone() {
        let folder = Folder::new();
        folder.open().unwrap();
        assert_eq!(mode(&folder.0), 0o700);
        for name in folder.names() {
            assert_eq!(mode(&folder.0.join(&name)), 0o600, "{name}");
        }
    }

    #[test]
    fn an_open_folder_or_key_is_refused_in_one_sentence() {
        let folder = Folder::new();
        folder.open().unwrap();
        for (path, bad, good) in [
            (folder.0.clone(), 0o755, 0o700),
            (folder.0.clone(), 0o710, 0o700),
            (folder.0.join(LOG_KEY), 0o640, 0o600),
            (folder.0.join(LOG_KEY), 0o604, 0o400),
        ] {
            set(&path, bad);
            let message = folder.open().unwrap_err().to_string();
            assert!(message.contains(&format!("mode {bad:03o}")) && message.contains("chmod"), "{message}");
            assert!(!message.contains('\n'));
            set(&path, good);
            folder.open().unwrap();
        }
    }

    #[test]
    fn an_existing_complete_folder_is_only_read() {
        let folder = Folder::new();
        folder.open().unwrap();
        fs::remove_file(folder.0.join(LOCK)).unwrap();
        folder.open().unwrap();
        assert_eq!(folder.names().len(), 2);
    }
}
