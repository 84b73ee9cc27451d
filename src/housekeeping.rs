//! What a running service does beside answering: it picks up keys that changed, follows the log, and forgets what is over.
//!
//! Each forgetting is a bounded write, taken up again until there is nothing left, so that requests get in between. Every
//! node may do it: what one forgot is not there for another. Records and events are never forgotten.
use crate::{
    Result,
    app::App,
    auth::{invitation, oidc, personal, session, watch},
    db::{Conn, columns::Time},
    idempotency, person, signature,
};
use std::{sync::Arc, time::Duration};

/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// The most rows of one write.
pub const BATCH: i64 = 1000;

/// How long what is over is kept, in days: sessions and personal tokens.
const ACCESS_DAYS: i64 = 7;
/// The same for challenges to sign, invitations and sign-ins at a provider that were not finished.
const ASKED_DAYS: i64 = 1;
/// How long it is known who signed in when, in days.
const SIGN_IN_DAYS: i64 = 400;

type Forget = fn(&mut Conn, Time, i64) -> Result<usize>;

/// What is forgotten, and so many days after what moment; a challenge after the sign-in that names it.
const SWEPT: &[(&str, i64, Forget)] = &[
    ("idempotency", 0, idempotency::store::forget),
    ("session", ACCESS_DAYS, session::store::forget),
    ("personal_token", ACCESS_DAYS, personal::store::forget),
    ("invitation", ASKED_DAYS, invitation::store::forget),
    ("oidc_login", ASKED_DAYS, oidc::store::forget),
    ("signature_challenge", ASKED_DAYS, signature::store::forget),
    ("sign_in", SIGN_IN_DAYS, person::store::forget_sign_ins),
];

/// Keeps house until it is aborted.
pub async fn keep(app: Arc<App>) {
    futures_util::future::join3(watch_keys(&app), sweep_now_and_then(&app), app.pulse.keep(&app.db)).await;
}

async fn watch_keys(app: &App) {
    let mut ticks = tokio::time::interval(watch::EVERY);
    loop {
        ticks.tick().await;
        app.keys.look(&app.tokens, app.clock.now()).await;
    }
}

async fn sweep_now_and_then(app: &App) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(app).await {
            tracing::warn!(%error, "not everything that is over was forgotten: the next sweep tries again");
        }
    }
}

/// Forgets everything that is over.
///
/// # Errors
/// What the store says; the rest is left for the next time.
pub async fn sweep(app: &App) -> Result<()> {
    for (table, days, forget) in SWEPT {
        let before = app.clock.now().plus_days(-days);
        loop {
            let forgotten = app.db.write(move |conn| forget(conn, before, BATCH)).await?;
            if forgotten > 0 {
                tracing::debug!(table, forgotten, "what was over is forgotten");
            }
            if i64::try_from(forgotten).is_ok_and(|n| n < BATCH) {
                break;
            }
        }
    }
    Ok(())
}
