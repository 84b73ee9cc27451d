//! The command line: one file per command.
pub mod demo;
pub mod import;
pub mod serve;
pub mod user;

use crate::{
    Result,
    config::{Database, Serve},
    db::{Conn, Purpose, migrate},
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
    /// Add, list and disable people
    #[command(subcommand)]
    User(user::User),
    /// Print the OpenAPI document
    Openapi,
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
        Command::Openapi => {
            println!("{:#}", crate::api::document());
            Ok(())
        }
    }
}

fn run_migrate(args: &Migrate) -> Result<()> {
    let mut conn = Conn::open(&args.database.database.parse()?, Purpose::Write)?;
    if !args.status {
        migrate::up(&mut conn)?;
    }
    for step in migrate::status(&mut conn)? {
        println!("{}  {}", if step.applied { "applied" } else { "pending" }, step.name);
    }
    Ok(())
}
