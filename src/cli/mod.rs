//! The command line: one file per command.
pub mod demo;
pub mod erase;
pub mod import;
pub mod keys;
pub mod ledger;
pub mod sbom;
pub mod serve;
pub mod user;

use crate::{
    Error, Result,
    app::Clock,
    config::{Database, Serve},
    db::{Conn, Db, Purpose, Settings, migrate},
};
use clap::{Args, Parser, Subcommand};

/// Tracks translational research from the laboratory bench to the bedside and back again.
#[derive(Debug, Parser)]
#[command(name = "benchside", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `benchside` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a made-up hospital with eighteen months of history
    Demo(demo::Demo),
    /// Serve the API
    Serve(Serve),
    /// Bring the database up to date, or say how it stands
    Migrate(Migrate),
    /// Add, list, invite and disable people
    #[command(subcommand)]
    User(user::User),
    /// List the keys of access tokens, or make a new one
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Export, check and prove the history of all changes
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Erase a person, or versions of a record
    #[command(subcommand)]
    Erase(erase::Erase),
    /// Import registry records
    Import(Import),
    /// Print the OpenAPI document
    Openapi,
    /// Print who may do what, as a table in Markdown
    Policy,
    /// Print what this binary is made of (CycloneDX)
    Sbom,
}

/// `benchside migrate`
#[derive(Debug, Args)]
pub struct Migrate {
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
    /// Only list the steps and whether each has been applied
    #[arg(long)]
    pub status: bool,
}

/// `benchside import`
#[derive(Debug, Args)]
pub struct Import {
    /// What to import
    #[command(flatten)]
    pub import: import::ImportArgs,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

impl Cli {
    /// Whether the command may end, as other tools do, when whoever reads its output has seen enough (`… | head`): it has nothing
    /// left to do then.
    pub const fn ends_with_its_reader(&self) -> bool {
        !matches!(self.command, Command::Demo(_) | Command::Serve(_) | Command::Import(_) | Command::Erase(_))
    }
}

/// Runs a command.
///
/// # Errors
/// One clear sentence.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(&args).await,
        Command::Migrate(args) => run_migrate(&args),
        Command::User(user) => user::run(user).await,
        Command::Keys(keys) => keys::run(&keys),
        Command::Ledger(command) => ledger::run(&command).await,
        Command::Erase(erase) => erase::run(erase).await,
        Command::Import(args) => run_import(&args).await,
        Command::Openapi => {
            println!("{:#}", crate::api::document());
            Ok(())
        }
        Command::Policy => {
            print!("{}", crate::auth::policy::markdown());
            Ok(())
        }
        Command::Sbom => {
            println!("{:#}", sbom::document()?);
            Ok(())
        }
    }
}

async fn run_import(args: &Import) -> Result<()> {
    let db = Db::open(args.database.existing()?, &Settings::of_a_command())?;
    let done = import::run(&db, &Clock::system(), &args.import, &mut std::io::stdout()).await;
    db.close();
    let summary = done.map_err(user::in_a_sentence)?;
    match summary.failed {
        0 => Ok(()),
        n => Err(Error::Open(format!("{n} could not be imported"))),
    }
}

fn run_migrate(args: &Migrate) -> Result<()> {
    let address = if args.status { args.database.existing()? } else { &args.database.database };
    let mut conn = Conn::open(&address.parse()?, Purpose::Write)?;
    if !args.status {
        migrate::up(&mut conn)?;
    }
    for step in migrate::status(&mut conn)? {
        println!("{}  {}", if step.applied { "applied" } else { "pending" }, step.name);
    }
    Ok(())
}
