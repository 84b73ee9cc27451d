//! `benchside demo`: a hospital with eighteen months of history, made through the same use cases as everything else.
mod cast;
mod stage;
mod story;
mod text;

use crate::{
    Error, Result,
    app::Clock,
    auth::password::{Passwords, Secret, check_policy},
    cli::serve,
    config::{Database, GuardFolder, KeysFolder, Serve},
    db::{Address, Conn, Db, Settings, columns::Time},
    http::edge::Edge,
    person,
};
use actix_web::web;
use chrono::{Datelike, TimeZone, Utc};
use clap::Args;
use std::{net::SocketAddr, path::Path};

/// `benchside demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// The address and port to listen on
    #[arg(long, env = "BENCHSIDE_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The database: sqlite://PATH or postgres://USER@HOST/NAME
    #[arg(
        long,
        env = "BENCHSIDE_DATABASE",
        default_value = "sqlite://benchside-demo.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: String,
    /// The password of everyone in the demo, 12 characters or more [default: a random one, anew at each start]
    #[arg(long, env = "BENCHSIDE_DEMO_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Which history: the same seed gives the same data relative to the day it starts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Start over: the demo's data is thrown away first
    #[arg(long)]
    pub reset: bool,
    /// How to meet the network
    #[command(flatten)]
    pub edge: Edge,
}

/// The sign-ins that are printed, one a role.
pub const SIGN_INS: &[&str] = &["scientist", "clinician", "administrator", "partner", "auditor"];

/// Prepares the data where there is none, prints how to get in, and serves.
///
/// # Errors
/// One clear sentence.
pub async fn run(args: Demo) -> Result<()> {
    let address: Address = args.database.parse()?;
    let settings = Serve {
        listen: args.listen,
        database: Database { database: args.database.clone() },
        keys: KeysFolder::default(),
        guard: GuardFolder::default(),
        issuer: "benchside".into(),
        audience: "benchside".into(),
        workers: 2,
        readers: 2,
        connections: 8,
        password_workers: 2,
        edge: args.edge.clone(),
        oidc: None,
    };
    let listener = serve::bind(&settings)?;
    if args.reset {
        reset(&address)?;
    }
    let password = prepare(&settings, &args).await?;
    let app = settings.app(Clock::system())?;
    let address = listener.local_addr().unwrap_or(args.listen);
    println!("Benchside demo at http://{address}  (API reference: http://{address}/docs/)");
    println!("Sign in with the password  {password}  as");
    for role in SIGN_INS {
        println!("  {role}@demo.test");
    }
    serve::until_stopped(web::Data::new(app), listener, settings.workers.into()).await
}

/// Tells the story on an empty database; on one that has it, sets the given password anew or a random one.
async fn prepare(settings: &Serve, args: &Demo) -> Result<String> {
    let secret = match &args.password {
        Some(given) => Secret::from(given.clone()),
        None => Secret::from(random_password()?),
    };
    check_policy(&secret).map_err(|(_, why)| Error::Open(format!("the password {why}")))?;
    let hash = Passwords::new(1).hash_blocking(&secret).map_err(|e| Error::Internal(e.to_string()))?;
    let db = Db::open(&args.database, &Settings::of_a_command())?;
    let people = db.read(person::store::list_all).await?;
    if people.is_empty() {
        println!("Writing eighteen months of history (seed {}) …", args.seed);
        // The log is signed as the story goes, so that one can ask how things stood on any of its days.
        let today = today();
        let clock = Clock::standing_at(story::begin(today));
        let app = settings.app(clock.clone())?;
        let told = tell(&app.db, args.seed, today, &hash, clock).await;
        // The guard has seen what was signed, as it has of a service that ran.
        let seen = app.pulse.look(&app.db).await;
        closed(app.db).await?;
        told.and(seen)?;
    } else if !people.iter().any(|p| p.email_folded == "scientist@demo.test") {
        return Err(Error::Open("that database holds something other than a demo: name another".into()));
    } else {
        let ids: Vec<_> = people.iter().map(|p| p.id).collect();
        let at = Time::now();
        db.write(move |conn| ids.iter().try_for_each(|id| person::change::set_password_hash(conn, *id, &hash, at)))
            .await?;
    }
    closed(db).await?;
    Ok(secret.expose().to_owned())
}

async fn closed(db: Db) -> Result<()> {
    let closed = actix_web::rt::task::spawn_blocking(move || db.close()).await;
    closed.map_err(|e| Error::Internal(e.to_string()))
}

/// Tells the eighteen months before `today` on an empty database; everyone's password has this hash. A standing clock goes
/// with the story.
///
/// # Errors
/// When a use case refuses an act of the story.
pub async fn tell(db: &Db, seed: u64, today: Time, password_hash: &str, clock: Clock) -> Result<()> {
    story::tell(db, seed, today, password_hash, clock).await
}

/// Midnight, UTC: the story is told relative to it.
fn today() -> Time {
    let now = Utc::now();
    let midnight = Utc.with_ymd_and_hms(now.year(), now.month(), now.day(), 0, 0, 0).single();
    midnight.map_or_else(Time::now, Time::from)
}

fn random_password() -> Result<String> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|e| Error::Internal(format!("no randomness: {e}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Throws the demo's data away: the SQLite file and its companions, or the tables on PostgreSQL. Refuses what is no demo.
fn reset(address: &Address) -> Result<()> {
    match address {
        Address::Sqlite(path) => {
            if Path::new(path).exists() {
                refuse_other_data(address)?;
            }
            for companion in ["", "-wal", "-shm"] {
                match std::fs::remove_file(format!("{path}{companion}")) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                    Err(e) => return Err(Error::Open(format!("cannot remove {path}{companion}: {e}"))),
                }
            }
            Ok(())
        }
        #[cfg(feature = "postgres")]
        Address::Pg(_) => {
            refuse_other_data(address)?;
            crate::db::migrate::down(&mut Conn::open(address, crate::db::Purpose::Write)?)
        }
    }
}

fn refuse_other_data(address: &Address) -> Result<()> {
    let mut conn = Conn::open(address, crate::db::Purpose::Write)?;
    if crate::db::migrate::status(&mut conn)?.iter().all(|step| !step.applied) {
        return Ok(());
    }
    let people = person::store::list_all(&mut conn)?;
    if people.is_empty() || people.iter().any(|p| p.email_folded == "scientist@demo.test") {
        return Ok(());
    }
    Err(Error::Open("that database holds something other than a demo: --reset will not touch it".into()))
}
