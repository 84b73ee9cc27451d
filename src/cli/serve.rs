//! `benchside serve`
use crate::{Error, Result, api, app::App, app::Clock, config::Serve, housekeeping};
use actix_web::web;
use std::net::TcpListener;

/// As many files and connections as the system lets a process have; it starts with fewer.
fn lift_file_limit() {
    if let Err(e) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        tracing::warn!(error = %e, "the limit of open files stays as it is");
    }
}

/// Serves until SIGTERM or SIGINT, then finishes what is under way.
///
/// # Errors
/// One clear sentence.
pub async fn run(args: &Serve) -> Result<()> {
    let listener = bind(args)?;
    let app = web::Data::new(args.app(Clock::system())?);
    println!("Listening on http://{}", listener.local_addr().unwrap_or(args.listen));
    until_stopped(app, listener, args.workers.into()).await
}

/// Takes the address.
///
/// # Errors
/// When it is taken or not allowed.
pub fn bind(args: &Serve) -> Result<TcpListener> {
    TcpListener::bind(args.listen).map_err(|e| Error::Open(format!("cannot listen on {}: {e}", args.listen)))
}

/// Serves and keeps house, then closes the store.
///
/// # Errors
/// When serving fails.
pub async fn until_stopped(app: web::Data<App>, listener: TcpListener, workers: usize) -> Result<()> {
    lift_file_limit();
    let house = actix_web::rt::spawn(housekeeping::keep(app.clone().into_inner()));
    let served = api::server(app.clone(), listener, workers)?.await;
    house.abort();
    let db = app.db.clone();
    let closed = actix_web::rt::task::spawn_blocking(move || db.close()).await;
    closed.map_err(|e| Error::Internal(e.to_string()))?;
    served.map_err(|e| Error::Internal(format!("serving failed: {e}")))
}
