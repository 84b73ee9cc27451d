//! `benchside keys`: the keys of access tokens, which running servers pick up by themselves.
use crate::{
    Error, Result,
    auth::{
        keys::{self, TokenKey},
        token::LONGEST_LIFETIME,
        watch,
    },
    config::{Database, KeysFolder},
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `benchside keys …`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List the keys: which one signs, and which still verify
    List(Folder),
    /// Make a new key that signs from now on, and delete those that no good token can be signed with any more
    Rotate(Folder),
}

/// Where the keys are.
#[derive(Debug, Args)]
pub struct Folder {
    /// Where they are
    #[command(flatten)]
    pub keys: KeysFolder,
    /// Where the data is: the keys are beside it if nothing else is said
    #[command(flatten)]
    pub database: Database,
}

impl Folder {
    fn path(&self) -> Result<PathBuf> {
        Ok(self.keys.path(&self.database.database.parse()?))
    }
}

/// Runs the command.
///
/// # Errors
/// One clear sentence.
pub fn run(command: &Keys) -> Result<()> {
    match command {
        Keys::List(folder) => list(&folder.path()?),
        Keys::Rotate(folder) => rotate(&folder.path()?),
    }
}

fn list(folder: &std::path::Path) -> Result<()> {
    let found = keys::Keys::read(folder).map_err(in_a_sentence)?;
    for (place, key) in found.tokens().iter().enumerate() {
        println!("{}", line(key, place == 0));
    }
    Ok(())
}

fn line(key: &TokenKey, newest: bool) -> String {
    let made = key.created().map_or_else(|| "unknown".into(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    format!("{}  {made:20}  {}", key.kid(), if newest { "signs and verifies" } else { "verifies" })
}

fn rotate(folder: &std::path::Path) -> Result<()> {
    let done = keys::Keys::rotate(folder, LONGEST_LIFETIME).map_err(in_a_sentence)?;
    println!("Made {}: servers sign with it within {} s", done.made, watch::EVERY.as_secs());
    for gone in done.deleted {
        println!("Deleted {gone}");
    }
    Ok(())
}

fn in_a_sentence(e: keys::KeysError) -> Error {
    Error::Open(e.to_string())
}
