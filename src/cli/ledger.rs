//! `benchside ledger`: what an auditor does with the log, without the service.
use crate::{
    Error, Result,
    app::Clock,
    auth::keys,
    config::{Database, GuardFolder, KeysFolder},
    db::{Conn, Db, Purpose, Settings, migrate},
    ledger::{
        checkpoint::{self, verifier_key},
        event::{commitment, leaf_hash},
        export,
        inspect::{newest, prove},
        log,
        proof::Proof,
        sequencer::Sequencer,
        verify::Report,
        verify_database,
    },
};
use clap::{ArgGroup, Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

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
    /// Go on as a new generation, after the database was restored together with the ledger's guard
    Continue(Continue),
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
    /// A checkpoint kept elsewhere, which the log must contain; `-` for standard input
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
    /// Where the ledger's guard is, which a database is compared with
    #[command(flatten)]
    pub guard: GuardFolder,
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
    /// A proof as `benchside ledger prove` and `GET /v1/ledger/events/{index}/proof` give it; `-` for standard input
    pub file: PathBuf,
    /// The verifier key
    #[arg(long, value_name = "KEY")]
    pub key: String,
}

/// `benchside ledger continue`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("cause").required(true).multiple(true).args(["seen", "force"])))]
pub struct Continue {
    /// The last checkpoint that somebody has kept of the log, which then says what was lost; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub seen: Option<PathBuf>,
    /// Even though nothing shows that anything was lost
    #[arg(long)]
    pub force: bool,
    /// Where the log is
    #[command(flatten)]
    pub place: Place,
    /// Where the ledger's guard is
    #[command(flatten)]
    pub guard: GuardFolder,
}

impl Place {
    fn open(&self) -> Result<Conn> {
        Conn::open(&self.database.existing()?.parse()?, Purpose::Read)
    }

    /// The keys and their folder, if that is there.
    fn own_keys(&self) -> Result<Option<(PathBuf, keys::Keys)>> {
        let folder = self.keys.path(&self.database.database.parse()?);
        if !folder.is_dir() {
            return Ok(None);
        }
        let keys = keys::Keys::read(&folder).map_err(|e| Error::Open(e.to_string()))?;
        Ok(Some((folder, keys)))
    }

    /// The verifier key by the keys folder, if that is there.
    fn own_key(&self, origin: &str) -> Result<Option<String>> {
        Ok(self.own_keys()?.map(|(_, keys)| verifier_key(origin, &keys.log().verifying_key())))
    }
}

/// Runs the command.
///
/// # Errors
/// One clear sentence; also when something is wrong with the log or a proof.
pub async fn run(command: &Ledger) -> Result<()> {
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
        Ledger::Continue(args) => go_on(args).await,
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
            let note = export::checkpoint(dir)?;
            let key = match &args.key {
                Some(key) => Some(key.clone()),
                None => args.place.own_key(note.split('\n').next().unwrap_or_default())?,
            };
            let key =
                key.ok_or_else(|| Error::Open("an export is checked with --key or with the keys folder".into()))?;
            readable(&key)?;
            export::verify(dir, &key, &pinned.iter().map(String::as_str).collect::<Vec<_>>())?
        }
        None => verify_live(args, pinned)?,
    };
    tell(&report, args)
}

/// A key that cannot be read is no fault of the log.
fn readable(key: &str) -> Result<()> {
    let refused = |_| Error::Open(format!("{key} is no verifier key, such as `benchside ledger key` prints"));
    checkpoint::verifier(key).map(drop).map_err(refused)
}

/// A database, with what stands beside it: the key, and the guard.
fn verify_live(args: &Verify, pinned: Option<String>) -> Result<Report> {
    let mut conn = args.place.open()?;
    conn.snapshot(|conn| {
        let log = migrate::log_name(conn)?;
        let origin = newest(conn).map_or_else(|_| log.clone(), |(origin, _)| origin);
        let (mut pinned, mut key) = (Vec::from_iter(pinned), args.key.clone());
        if let Some((folder, keys)) = args.place.own_keys()? {
            pinned.extend(args.guard.guard(&folder, &keys).read(&log)?.map(|(note, _)| note));
            key.get_or_insert_with(|| verifier_key(&origin, &keys.log().verifying_key()));
        }
        key.as_deref().map_or(Ok(()), readable)?;
        if key.is_none() {
            eprintln!(
                "No key is given and no keys folder is here: checkpoints are checked with the key the database names itself."
            );
        }
        verify_database::verify(conn, key.as_deref(), &pinned.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

fn tell(report: &Report, args: &Verify) -> Result<()> {
    if args.json {
        print_json(report)?;
    } else {
        for fault in &report.faults {
            println!("{fault}");
        }
        println!("{}: {} leaves, root {}", report.origin, report.size, report.root);
        for continued in &report.continued {
            println!("{continued}");
        }
        if args.dir.is_none() {
            println!("{} events wait for their place, {} payloads were erased", report.waiting, report.erased);
        }
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

/// The most that a checkpoint or a proof with its payload may be, in bytes.
const LONGEST: u64 = 16 << 20;

/// A file; `-` is standard input.
fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let done = if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    done.map_err(|e| Error::Open(format!("cannot read {}: {e}", path.display())))?;
    Ok(text)
}

/// What a proof may bring. What is not said in it is not checked, so nothing else may stand there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Brought {
    index: Option<u64>,
    event_id: Option<String>,
    leaf: String,
    proof: String,
    payload: Option<String>,
    salt: Option<String>,
}

fn check_proof(args: &CheckProof) -> Result<()> {
    let text = read(&args.file)?;
    let brought: Brought =
        serde_json::from_str(&text).map_err(|e| Error::Open(format!("{}: {e}", args.file.display())))?;
    let refuse = |e: &dyn std::fmt::Display| Error::Open(format!("not proved: {e}"));
    let proof: Proof = brought.proof.parse().map_err(|e| refuse(&e))?;
    let head = proof.check(leaf_hash(brought.leaf.as_bytes()), &args.key).map_err(|e| refuse(&e))?;
    let said: Value = serde_json::from_str(&brought.leaf).map_err(|e| refuse(&e))?;
    if brought.index.is_some_and(|index| index != proof.index) {
        return Err(refuse(&"the index beside it is another"));
    }
    if brought.event_id.is_some_and(|id| said.get("id") != Some(&json!(id))) {
        return Err(refuse(&"the event beside it is another"));
    }
    println!("{} contains this leaf at index {} of {}", head.origin, proof.index, head.size);
    match (brought.payload, brought.salt) {
        (None, None) => println!("It brings no payload: what happened is not shown"),
        (Some(payload), Some(salt)) => {
            let salt = hex::decode(salt).ok().and_then(|salt| <[u8; 32]>::try_from(salt).ok());
            let salt = salt.ok_or_else(|| refuse(&"the salt is not 32 bytes in hex"))?;
            if said.get("commit") != Some(&json!(hex::encode(commitment(&salt, payload.as_bytes())))) {
                return Err(refuse(&"the leaf commits to another payload"));
            }
            println!("The payload is the one it commits to");
        }
        _ => return Err(refuse(&"payload and salt belong together")),
    }
    Ok(())
}

/// How long a node that was stopped may keep its lease.
const PATIENCE: Duration = Duration::from_secs(6);

/// Nobody who kept a checkpoint of what was lost is to see another history under the same name.
async fn go_on(args: &Continue) -> Result<()> {
    let seen = args.seen.as_deref().map(read).transpose()?;
    let address = args.place.database.existing()?;
    let folder = args.place.keys.path(&address.parse()?);
    let keys = keys::Keys::read(&folder).map_err(|e| Error::Open(e.to_string()))?;
    let guard = args.guard.guard(&folder, &keys);
    let db = Db::open(address, &Settings::of_a_command())?;
    let (log, held, force) = (db.log().to_owned(), guard.clone(), args.force);
    let done = db.write(move |conn| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let begun = Sequencer::new(&keys, held.clone(), Clock::system()).go_on(conn, seen.as_deref(), force)?;
            match begun {
                Some(stored) => return Ok(stored),
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(200)),
                None => return Err(Error::Open("the service is at work: stop it first".into())),
            }
        }
    });
    let done = done.await.and_then(|stored| guard.write(&log, &stored.note).map(|()| stored));
    db.close();
    let stored = done?;
    println!("The log goes on as generation {}, with {} leaves", stored.generation, stored.size);
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
