//! The guard: the last checkpoint this node has seen, kept in a file outside the database, so that a database that was set
//! back is found out.
//!
//! It is a lower bound: a checkpoint is written here, and synced, before this node shows it to anybody, and the log must
//! contain the guarded tree for ever after. A node without a guard adopts the checkpoint it finds. Each log has a file of
//! its own, `benchside-<uuid>.guard`, so that several may share a folder.
use super::checkpoint::{Head, NotBelieved, verifier_key};
use crate::{Error, Result};
use ed25519_dalek::VerifyingKey;
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The folder of guards, and the key by which what stands in it is believed.
#[derive(Debug, Clone)]
pub struct Guard {
    folder: PathBuf,
    key: VerifyingKey,
}

fn failed(action: &str, path: &Path, e: &dyn std::fmt::Display) -> Error {
    Error::Open(format!("cannot {action} the ledger's guard {}: {e}", path.display()))
}

impl Guard {
    /// In this folder, of checkpoints that this key has signed.
    pub const fn within(folder: PathBuf, key: VerifyingKey) -> Self {
        Self { folder, key }
    }

    fn of(&self, log: &str) -> PathBuf {
        self.folder.join(format!("{}.guard", log.replace('/', "-")))
    }

    /// The checkpoint of this log that is held, and what that says.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be read or is no checkpoint that the key has signed: nobody may sign then.
    pub fn read(&self, log: &str) -> Result<Option<(String, Head)>> {
        let path = self.of(log);
        let note = match fs::read_to_string(&path) {
            Ok(note) => note,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("read", &path, &e)),
        };
        let believed = |note: &str| Head::verify(note, &verifier_key(&Head::read(note)?.origin, &self.key));
        let head = believed(&note).map_err(|e: NotBelieved| failed("use", &path, &e))?;
        Ok(Some((note, head)))
    }

    /// Holds this checkpoint of the log from now on; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be written.
    pub fn write(&self, log: &str, note: &str) -> Result<()> {
        let path = self.of(log);
        let fresh = path.with_extension(format!("new-{:016x}", fastrand::u64(..)));
        let replaced = self.replace(&path, &fresh, note);
        if replaced.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        replaced.map_err(|e| failed("write", &path, &e))
    }

    fn replace(&self, path: &Path, fresh: &Path, note: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(fresh)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(fresh, path)?;
        // The rename is on disk once the folder is.
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::checkpoint::Signer;
    use ed25519_dalek::SigningKey;

    #[test]
    fn it_holds_what_was_written_last() {
        let folder = std::env::temp_dir().join(format!("benchside-guard-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let guard = Guard::within(folder.clone(), key.verifying_key());
        assert!(guard.read("log/x").unwrap().is_none());
        let signer = Signer::new("x", &key);
        for size in [1, 2] {
            let note = signer.sign(size, [3; 32]).unwrap();
            guard.write("log/x", &note).unwrap();
            let (held, head) = guard.read("log/x").unwrap().unwrap();
            assert_eq!((held, head.size), (note, size));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left lying about");
        assert!(guard.read("log/y").unwrap().is_none());
        let forged = Signer::new("x", &SigningKey::from_bytes(&[8; 32])).sign(1_000_000_000, [3; 32]).unwrap();
        for useless in ["torn", &forged] {
            fs::write(folder.join("log-x.guard"), useless).unwrap();
            assert!(guard.read("log/x").unwrap_err().to_string().contains("cannot use the ledger's guard"));
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
