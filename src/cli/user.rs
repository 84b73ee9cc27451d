//! `benchside user`: the first administrator has nobody above, so people can be added from the machine itself.
use crate::{Result, config::Database};
use clap::{Args, Subcommand};

/// `benchside user …`
#[derive(Debug, Subcommand)]
pub enum User {
    /// List people
    List(List),
}

/// `benchside user list`
#[derive(Debug, Args)]
pub struct List {
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// Runs the command.
///
/// # Errors
/// One clear sentence.
pub async fn run(_: User) -> Result<()> {
    Ok(())
}
