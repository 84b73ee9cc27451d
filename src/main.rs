//! Parses the command line and calls the command.
use benchside::cli::{Cli, run};
use clap::Parser;
use std::{io::IsTerminal, process::ExitCode};

#[actix_web::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BENCHSIDE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    if cli.ends_with_its_reader() {
        sigpipe::reset();
    }
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("benchside: {e}");
            ExitCode::FAILURE
        }
    }
}
