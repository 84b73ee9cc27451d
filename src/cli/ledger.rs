//! `benchside ledger`: what an auditor does with the log, without the service.
use crate::{
    Error, Result,
    auth::keys,
    config::{Database, KeysFolder},
    db::{Conn, Purpose},
    ledger::{
        checkpoint::verifier_key,
        event::{commitment, leaf_hash},
        export,
        inspect::{newest, prove},
        log,
        proof::Proof,
        verify::Report,
        verify_database,
    },
};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `benchside ledger …`
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Write the log as files: checkpoint, tiles and entries (C2SP tlog-tiles)
    Export(Export),
    /// Check the log of a database, or an export, and name everything that is wrong
    Verify(Verify),
    /// Prove that the log contains an event
    Prove(Prove),
    /// Check such a proof
    CheckProof(CheckProof),
    /// Print the verifier key of the log's checkpoints
    Key(Place),
    /// Say how the log stands
    Status(Place),
}

/// Where the log is, and its key.
#[derive(Debug, Args)]
pub struct Place {
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
    /// Where the keys are
    #[command(flatten)]
    pub keys: KeysFolder,
}

/// `benchside ledger export`
#[derive(Debug, Args)]
pub struct Export {
    /// The folder to write to
    pub dir: PathBuf,
    /// Where the log is
    #[command(flatten)]
    pub place: Place,
}

/// `benchside ledger verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// An export; without it the database is checked
    pub dir: Option<PathBuf>,
    /// A checkpoint kept elsewhere, which the log must contain
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// The verifier key [default: that of the keys folder; of a database without one, the key it names itself]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the log is
    #[command(flatten)]
    pub place: Place,
}

/// `benchside ledger prove`
#[derive(Debug, Args)]
pub struct Prove {
    /// The leaf's index, or the event's id
    pub what: String,
    /// Where the log is
    #[command(flatten)]
    pub place: Place,
}

/// `benchside ledger check-proof`
#[derive(Debug, Args)]
pub struct CheckProof {
    /// A proof as `benchside ledger prove` and `GET /v1/ledger/events/{index}/proof` give it
    pub file: PathBuf,
    /// The verifier key
    #[arg(long, value_name = "KEY")]
    pub key: String,
}

impl Place {
    fn open(&self) -> Result<Conn> {
        Conn::open(&self.database.database.parse()?, Purpose::Read)
    }

    /// The verifier key by the keys folder, if that is there.
    fn own_key(&self, origin: &str) -> Result<Option<String>> {
        let folder = self.keys.path(&self.database.database.parse()?);
        if !folder.is_dir() {
            return Ok(None);
        }
        let keys = keys::Keys::read(&folder).map_err(|e| Error::Open(e.to_string()))?;
        Ok(Some(verifier_key(origin, &keys.log().verifying_key())))
    }
}

/// Runs the command.
///
/// # Errors
/// One clear sentence; also when something is wrong with the log or a proof.
pub fn run(command: &Ledger) -> Result<()> {
    match command {
        Ledger::Export(args) => run_export(args),
        Ledger::Verify(args) => run_verify(args),
        Ledger::Prove(args) => print_json(&prove(&mut args.place.open()?, &args.what)?),
        Ledger::CheckProof(args) => check_proof(args),
        Ledger::Key(place) => {
            let (origin, _) = newest(&mut place.open()?)?;
            let key = place.own_key(&origin)?.ok_or_else(|| Error::Open("there is no keys folder here".into()))?;
            println!("{key}");
            Ok(())
        }
        Ledger::Status(place) => status(place),
    }
}

fn run_export(args: &Export) -> Result<()> {
    let mut conn = args.place.open()?;
    let stored = conn.snapshot(|conn| {
        let (_, stored) = newest(conn)?;
        export::write(conn, &stored, &args.dir)?;
        Ok::<_, Error>(stored)
    })?;
    println!("{} leaves in {}", stored.size, args.dir.display());
    Ok(())
}

fn run_verify(args: &Verify) -> Result<()> {
    let pinned = args.checkpoint.as_deref().map(read).transpose()?;
    let report = match &args.dir {
        Some(dir) => {
            let note = read(&dir.join("checkpoint"))?;
            let key = match &args.key {
                Some(key) => Some(key.clone()),
                None => args.place.own_key(note.split('\n').next().unwrap_or_default())?,
            };
            let key =
                key.ok_or_else(|| Error::Open("an export is checked with --key or with the keys folder".into()))?;
            export::verify(dir, &key, pinned.as_deref())?
        }
        None => {
            let mut conn = args.place.open()?;
            let key = match (&args.key, newest(&mut conn)) {
                (Some(key), _) => Some(key.clone()),
                (None, Ok((origin, _))) => args.place.own_key(&origin)?,
                (None, Err(_)) => None,
            };
            conn.snapshot(|conn| verify_database::verify(conn, key.as_deref(), pinned.as_deref()))?
        }
    };
    tell(&report, args.json)
}

fn tell(report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        print_json(report)?;
    } else {
        for fault in &report.faults {
            println!("{fault}");
        }
        println!("{}: {} leaves, root {}", report.origin, report.size, report.root);
        if let Some(continued) = &report.continued {
            println!("{continued}");
        }
        println!("{} events wait for their place, {} payloads were erased", report.waiting, report.erased);
    }
    match report.faults.first() {
        None => Ok(()),
        Some(first) => Err(Error::Open(format!("the log is not sound: {first}"))),
    }
}

fn print_json(value: &impl Serialize) -> Result<()> {
    println!("{:#}", serde_json::to_value(value).map_err(|e| Error::Internal(e.to_string()))?);
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::Open(format!("cannot read {}: {e}", path.display())))
}

fn check_proof(args: &CheckProof) -> Result<()> {
    let text = read(&args.file)?;
    let given: Value = serde_json::from_str(&text).map_err(|e| Error::Open(format!("{}: {e}", args.file.display())))?;
    let member = |name: &str| given.get(name).and_then(Value::as_str);
    let no_proof = || Error::Open("a proof has the members `leaf` and `proof`".into());
    let (leaf, proof) = member("leaf").zip(member("proof")).ok_or_else(no_proof)?;
    let refuse = |e: &dyn std::fmt::Display| Error::Open(format!("not proved: {e}"));
    let proof: Proof = proof.parse().map_err(|e| refuse(&e))?;
    let head = proof.check(leaf_hash(leaf.as_bytes()), &args.key).map_err(|e| refuse(&e))?;
    println!("{} contains this leaf at index {} of {}", head.origin, proof.index, head.size);
    if let Some((payload, salt)) = member("payload").zip(member("salt")) {
        let salt: [u8; 32] = hex::decode(salt)
            .ok()
            .and_then(|s| s.try_into().ok())
            .ok_or_else(|| refuse(&"the salt is not 32 bytes in hex"))?;
        let commit = hex::encode(commitment(&salt, payload.as_bytes()));
        let said: Value = serde_json::from_str(leaf).map_err(|e| refuse(&e))?;
        if said.get("commit") != Some(&json!(commit)) {
            return Err(refuse(&"the leaf commits to another payload"));
        }
        println!("The payload is the one it commits to");
    }
    Ok(())
}

fn status(place: &Place) -> Result<()> {
    let mut conn = place.open()?;
    let (origin, stored) = newest(&mut conn)?;
    let waiting = log::waiting(&mut conn)?;
    println!("log         {origin}");
    println!("size        {}", stored.size);
    println!("signed      {}", json!(stored.at).as_str().unwrap_or_default());
    println!("waiting     {waiting}");
    if let Some(key) = place.own_key(&origin)? {
        println!("key         {key}");
    }
    Ok(())
}
