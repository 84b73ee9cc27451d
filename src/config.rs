//! Every setting, its default and its environment variable.
use crate::{
    Error, Result,
    app::{App, Clock},
    auth::{
        keys::Keys,
        oidc::{self, provider::Providers},
        password::Passwords,
        personal::Uses,
        throttle::Throttle,
        token::Tokens,
        watch::Watch,
    },
    db::{Address, Db, Settings},
    http::{edge::Edge, limit::RateLimit},
    ledger::{guard::Guard, pulse::Pulse, sequencer::Sequencer},
    webhook::deliver::Postman,
};
use clap::Args;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub struct Database {
    /// The database: sqlite://PATH or postgres://USER@HOST/NAME
    #[arg(
        long,
        env = "BENCHSIDE_DATABASE",
        global = true,
        default_value = "sqlite://benchside.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: String,
}

impl Database {
    /// Its address, of one that is there: only what begins a database may make a file, or a slip of the pen would.
    ///
    /// # Errors
    /// [`Error::Open`] where there is no such file, or the address cannot be read.
    pub fn existing(&self) -> Result<&str> {
        match self.database.parse()? {
            Address::Sqlite(path) if !Path::new(&path).is_file() => {
                Err(Error::Open(format!("there is no database {path}")))
            }
            _ => Ok(&self.database),
        }
    }
}

/// Where the keys are.
#[derive(Debug, Clone, Default, Args)]
pub struct KeysFolder {
    /// The folder of the signing keys [default: benchside-keys beside the SQLite file, or in the working folder]
    #[arg(long, env = "BENCHSIDE_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
}

impl KeysFolder {
    /// The folder: `benchside-keys` beside the SQLite file, or in the working folder for PostgreSQL, where none is named.
    pub fn path(&self, database: &Address) -> PathBuf {
        const NAME: &str = "benchside-keys";
        match (&self.keys, database) {
            (Some(named), _) => named.clone(),
            (None, Address::Sqlite(path)) => Path::new(path).with_file_name(NAME),
            #[cfg(feature = "postgres")]
            (None, Address::Pg(_)) => PathBuf::from(NAME),
        }
    }
}

/// Where the ledger's guard is.
#[derive(Debug, Clone, Default, Args)]
pub struct GuardFolder {
    /// The folder of the file that holds the last checkpoint seen [default: the keys folder]
    #[arg(long, env = "BENCHSIDE_GUARD", value_name = "DIR")]
    pub guard: Option<PathBuf>,
}

impl GuardFolder {
    /// The guard of checkpoints that these keys signed: in their folder where no other is named.
    pub fn guard(&self, folder: &Path, keys: &Keys) -> Guard {
        Guard::within(self.guard.clone().unwrap_or_else(|| folder.to_owned()), keys.log().verifying_key())
    }
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The address and port to listen on
    #[arg(long, env = "BENCHSIDE_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
    /// Where the keys are
    #[command(flatten)]
    pub keys: KeysFolder,
    /// Where the ledger's guard is
    #[command(flatten)]
    pub guard: GuardFolder,
    /// What access tokens name as their issuer
    #[arg(long, env = "BENCHSIDE_ISSUER", default_value = "benchside", value_name = "NAME")]
    pub issuer: String,
    /// What access tokens name as their audience
    #[arg(long, env = "BENCHSIDE_AUDIENCE", default_value = "benchside", value_name = "NAME")]
    pub audience: String,
    /// Threads that answer requests
    #[arg(long, env = "BENCHSIDE_WORKERS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Reading threads of SQLite
    #[arg(long, env = "BENCHSIDE_READERS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub readers: u16,
    /// Connections to PostgreSQL
    #[arg(long, env = "BENCHSIDE_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,
    /// Passwords that are checked at once
    #[arg(long, env = "BENCHSIDE_PASSWORD_WORKERS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub password_workers: u16,
    /// How to meet the network
    #[command(flatten)]
    pub edge: Edge,
    /// The file that names identity providers for single sign-on
    #[arg(long, env = "BENCHSIDE_OIDC", value_name = "FILE")]
    pub oidc: Option<PathBuf>,
}

impl Serve {
    /// How the store uses the machine.
    pub fn store(&self) -> Settings {
        Settings { readers: self.readers.into(), connections: self.connections.into(), ..Settings::default() }
    }

    /// Opens the database and the keys.
    ///
    /// # Errors
    /// One clear sentence.
    pub fn app(&self, clock: Clock) -> Result<App> {
        let folder = self.keys.path(&self.database.database.parse()?);
        let keys = Keys::open(&folder).map_err(|e| Error::Open(e.to_string()))?;
        let guard = self.guard.guard(&folder, &keys);
        let sequencer = Sequencer::new(&keys, guard.clone(), clock.clone());
        let db = Db::open_sealed(&self.database.database, &self.store(), Box::new(sequencer))?;
        let app = assemble(
            db,
            Pulse::new(guard, &keys),
            &keys,
            self.issuer.clone(),
            self.audience.clone(),
            Passwords::new(self.password_workers.into()),
            self.edge.clone(),
            clock,
        )?;
        Ok(App { providers: self.providers()?, ..app })
    }

    /// The identity providers of the file, if one is named.
    fn providers(&self) -> Result<Providers> {
        let Some(file) = &self.oidc else { return Ok(Providers::default()) };
        let issuers = oidc::config::read(file)?;
        let reachable = self.listen.ip().is_loopback() && self.listen.port() != 0;
        let public_url = match &self.edge.public_url {
            Some(url) => url.as_str().to_owned(),
            None if reachable => format!("http://{}", self.listen),
            None => {
                return Err(Error::Open(
                    "single sign-on needs --public-url: providers send browsers back to it".into(),
                ));
            }
        };
        Providers::new(issuers, &public_url).map_err(Error::Open)
    }
}

/// Notes of personal tokens' use that are written at once.
const NOTES_AT_ONCE: usize = 8;

/// Puts the service together.
///
/// # Errors
/// When a key cannot sign.
#[expect(clippy::too_many_arguments, reason = "it is what the service is made of")]
pub fn assemble(
    db: Db,
    pulse: Pulse,
    keys: &Keys,
    issuer: String,
    audience: String,
    passwords: Passwords,
    edge: Edge,
    clock: Clock,
) -> Result<App> {
    let tokens = Tokens::new(keys, issuer, audience).map_err(|e| Error::Open(e.to_string()))?;
    Ok(App {
        db,
        pulse,
        clock,
        tokens,
        keys: Watch::over(keys),
        passwords,
        throttle: Throttle::new(),
        providers: Providers::default(),
        uses: Uses::at_once(NOTES_AT_ONCE),
        postman: Postman::new(edge.webhook_allow_private.clone()).map_err(|e| Error::Open(e.to_string()))?,
        rate_limit: RateLimit::new(edge.rate_limit),
        edge,
        stopping: AtomicBool::new(false),
    })
}
