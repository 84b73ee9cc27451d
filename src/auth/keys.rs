//! The keys folder: the private keys of the service, kept outside the database and readable by their owner alone.
//!
//! | file              | what it is                                                                     |
//! |-------------------|--------------------------------------------------------------------------------|
//! | `token-<kid>.pem` | an Ed25519 key of access tokens; the newest signs, all verify                   |
//! | `log.pem`         | the Ed25519 key that signs the ledger's checkpoints                             |
//! | `.lock`           | held while missing keys are made                                                |
//! | `.new-<uuid>`     | a key not yet in place; one left behind by a crash is worthless and may be deleted |
//!
//! Keys are PKCS#8 (RFC 5958, RFC 8410) in PEM (RFC 7468), so that any tool can read them. Above the PEM block stands one
//! line, `Created: <RFC 3339>`: RFC 7468 permits such text, and unlike a file's times it survives copying and restoring.
//! **The newest key is the one created last, ties decided by the greater key id; a key without the line counts as older
//! than every key with one.**
//!
//! A key that cannot be read is an error, never skipped: leaving one out would silently change who signs. [`Keys::rotate`]
//! alone deletes keys, and those only that nothing good can be signed with any more.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

const LOG_KEY: &str = "log.pem";
const LOCK: &str = ".lock";
const CREATED: &str = "Created: ";
/// A key file is some 170 bytes; whatever is much longer is none.
const LONGEST_FILE: u64 = 16 * 1024;

/// Why the keys folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The folder or a key is open to other accounts of the machine.
    #[error("{} is open to others (mode {mode:03o}): run `chmod {repair:03o} {}` and consider its keys known", .path.display(), .path.display())]
    Exposed {
        /// The folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        repair: u32,
    },
    /// A file is not an Ed25519 private key in PKCS#8 PEM.
    #[error("{} is not an Ed25519 private key in PKCS#8 PEM: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A token key stands under another key's name.
    #[error("{} holds the key {kid}: its name must be token-{kid}.pem", .path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The id of the key it holds.
        kid: String,
    },
    /// A key is missing: it was never made, or disappeared meanwhile.
    #[error("{} lacks a key: `benchside serve` makes what is missing when it starts", .0.display())]
    Incomplete(PathBuf),
    /// The system has no randomness to give.
    #[error("no randomness for a new key: {0}")]
    Randomness(getrandom::Error),
}

/// The keys of one service, shared by all its nodes. Its `Debug` shows public halves only.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    /// Never empty; newest first.
    tokens: Vec<TokenKey>,
    log: SigningKey,
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the new key.
    pub made: String,
    /// The ids of the keys that are gone.
    pub deleted: Vec<String>,
}

/// An Ed25519 key of access tokens.
#[derive(Debug)]
pub struct TokenKey {
    kid: String,
    created: Option<DateTime<Utc>>,
    key: SigningKey,
}

impl Keys {
    /// Reads the keys in `dir`, first making the folder (mode 0700) and whichever keys it lacks (mode 0600).
    ///
    /// Safe when several processes start at once: one makes the keys, the others wait and read the same. A folder that
    /// already holds its keys is only read, so it may be mounted read-only.
    ///
    /// # Errors
    /// [`KeysError`] when the folder cannot be read or written, when it or a key is open to group or others, or when a key
    /// file does not hold what its name says.
    pub fn open(dir: &Path) -> Result<Self, KeysError> {
        make_folder(dir)?;
        let mut found = Found::read(dir)?;
        if found.lacks_any() {
            let _held = lock(dir)?;
            found = Found::read(dir)?;
            if found.tokens.is_empty() {
                let key = generate()?;
                publish(dir, &token_file(&thumbprint(&key)), &key)?;
            }
            if found.log.is_none() {
                publish(dir, LOG_KEY, &generate()?)?;
            }
            found = Found::read(dir)?;
        }
        Self::of(dir, found)
    }

    /// Reads the keys in `dir` and makes none.
    ///
    /// # Errors
    /// As [`Keys::open`], and where the folder or one of its keys is missing.
    pub fn read(dir: &Path) -> Result<Self, KeysError> {
        refuse_exposed(dir, &fs::metadata(dir).map_err(failed("read", dir))?, 0o700)?;
        Self::of(dir, Found::read(dir)?)
    }

    fn of(dir: &Path, found: Found) -> Result<Self, KeysError> {
        match found {
            Found { tokens, log: Some(log) } if !tokens.is_empty() => Ok(Self { folder: dir.into(), tokens, log }),
            _ => Err(KeysError::Incomplete(dir.into())),
        }
    }

    /// Makes a token key, which signs from now on, and deletes those that have not been the newest for `overlap`.
    ///
    /// # Errors
    /// As [`Keys::open`], and when a file cannot be removed; a new key that stands by then stays.
    pub fn rotate(dir: &Path, overlap: TimeDelta) -> Result<Rotation, KeysError> {
        // What is no folder of keys does not become one by a slip of a path.
        Self::read(dir)?;
        let _held = lock(dir)?;
        let key = generate()?;
        let made = thumbprint(&key);
        publish(dir, &token_file(&made), &key)?;
        let keys = Found::read(dir)?.tokens;
        let over = Utc::now() - overlap;
        let mut deleted = Vec::new();
        for (place, old) in keys.iter().enumerate() {
            if superseded(&keys[..place]).is_some_and(|since| since <= over) {
                let path = dir.join(token_file(&old.kid));
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                deleted.push(old.kid.clone());
            }
        }
        sync_folder(dir).map_err(failed("write", dir))?;
        Ok(Rotation { made, deleted })
    }

    /// Where they are kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The keys that verify access tokens, newest first, never none. The first one signs.
    pub fn tokens(&self) -> &[TokenKey] {
        &self.tokens
    }

    /// The key that signs the ledger's checkpoints.
    pub fn log(&self) -> &SigningKey {
        &self.log
    }

    /// The public token keys as a JWK set (RFC 7517, RFC 8037), newest first. Holds nothing secret.
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.tokens.iter().map(TokenKey::jwk).collect::<Vec<_>>() })
    }
}

impl TokenKey {
    /// The key's id: its RFC 7638 thumbprint (SHA-256, base64url without padding, 43 characters).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When it was made, if its file says so.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        self.created
    }

    /// The private key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": public_part(&self.key),
            "kid": self.kid, "alg": "EdDSA", "use": "sig",
        })
    }
}

/// Since when a key is not the newest any more, by the keys that are newer. One that does not say when it was made
/// counts for nothing here: the one before it does.
fn superseded(newer: &[TokenKey]) -> Option<DateTime<Utc>> {
    newer.iter().rev().find_map(|key| key.created)
}

/// What a folder holds at one moment.
struct Found {
    tokens: Vec<TokenKey>,
    log: Option<SigningKey>,
}

impl Found {
    fn read(dir: &Path) -> Result<Self, KeysError> {
        let mut found = Self { tokens: Vec::new(), log: None };
        for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
            let path = entry.map_err(failed("read", dir))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name == LOG_KEY {
                found.log = Some(read_key(&path)?.1);
            } else if name.starts_with("token-") && name.ends_with(".pem") {
                let (created, key) = read_key(&path)?;
                let kid = thumbprint(&key);
                if name != token_file(&kid) {
                    return Err(KeysError::Misnamed { path, kid });
                }
                found.tokens.push(TokenKey { kid, created, key });
            }
        }
        found.tokens.sort_by(|a, b| (b.created, &b.kid).cmp(&(a.created, &a.kid)));
        Ok(found)
    }

    fn lacks_any(&self) -> bool {
        self.tokens.is_empty() || self.log.is_none()
    }
}

fn token_file(kid: &str) -> String {
    format!("token-{kid}.pem")
}

fn public_part(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
}

/// RFC 7638: the required members of an OKP key (RFC 8037), in this order and without white space.
fn thumbprint(key: &SigningKey) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, public_part(key));
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

fn generate() -> Result<SigningKey, KeysError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeysError::Randomness)?;
    Ok(SigningKey::from_bytes(&seed))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Io { action, path, source }
}

fn make_folder(dir: &Path) -> Result<(), KeysError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(failed("make the keys folder", dir))?;
    refuse_exposed(dir, &fs::metadata(dir).map_err(failed("read", dir))?, 0o700)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &Metadata, repair: u32) -> Result<(), KeysError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeysError::Exposed { path: path.into(), mode, repair }) }
}

/// Elsewhere access lists decide, which the folder inherits from where it was put.
#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &Metadata, _: u32) -> Result<(), KeysError> {
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Held until dropped, and let go by the system if the process dies.
fn lock(dir: &Path) -> Result<File, KeysError> {
    let path = dir.join(LOCK);
    let file = private().create(true).truncate(false).open(&path).map_err(failed("open", &path))?;
    file.lock().map_err(failed("lock", &path))?;
    Ok(file)
}

/// Puts a key in place whole or not at all, and never over another.
///
/// The link refuses to replace a file where a rename would not: should the lock be a promise this file system does not
/// keep, the first key still stands.
fn publish(dir: &Path, name: &str, key: &SigningKey) -> Result<(), KeysError> {
    let (temporary, path) = (dir.join(format!(".new-{}", Uuid::now_v7())), dir.join(name));
    let text = key_file(key, Utc::now()).map_err(|reason| KeysError::Malformed { path: path.clone(), reason })?;
    let written = private().create_new(true).open(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&temporary, &path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&temporary);
    linked.and(removed).and_then(|()| sync_folder(dir)).map_err(failed("write", &path))
}

#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Elsewhere a folder cannot be opened, and its entries are durable with their files.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Without the public half (PKCS#8 version 1), which some tools refuse to read and which follows from the private one.
fn key_file(key: &SigningKey, created: DateTime<Utc>) -> Result<String, String> {
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let pem = pair.to_pkcs8_pem(Default::default()).map_err(|e| e.to_string())?;
    Ok(format!("{CREATED}{}\n{}", created.to_rfc3339_opts(SecondsFormat::Micros, true), pem.as_str()))
}

fn read_key(path: &Path) -> Result<(Option<DateTime<Utc>>, SigningKey), KeysError> {
    let file = File::open(path).map_err(failed("read", path))?;
    refuse_exposed(path, &file.metadata().map_err(failed("read", path))?, 0o600)?;
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text).map_err(failed("read", path))?;
    parse_key(&text).map_err(|reason| KeysError::Malformed { path: path.into(), reason })
}

fn parse_key(text: &str) -> Result<(Option<DateTime<Utc>>, SigningKey), String> {
    let created = text.lines().find_map(|line| line.strip_prefix(CREATED)).map(|time| {
        let time = DateTime::parse_from_rfc3339(time.trim()).map_err(|e| format!("its creation time: {e}"))?;
        Ok::<_, String>(time.to_utc())
    });
    let key = SigningKey::from_pkcs8_pem(text).map_err(|e| e.to_string())?;
    Ok((created.transpose()?, key))
}

#[cfg(test)]
mod tests;
