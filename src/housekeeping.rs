//! What a running service does beside answering: it picks up keys that changed, follows the log, and forgets what is over.
//!
//! Each forgetting is a bounded write, taken up again until there is nothing left, so that requests get in between. Every
//! node may do it: what one forgot is not there for another. Records and events are never forgotten.
use crate::{
    Result,
    app::App,
    auth::{invitation, oidc, personal, session, watch},
    db::{Conn, columns::Time},
    idempotency, person, signature, webhook,
};
use std::{sync::Arc, time::Duration};

/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// The most rows of one write.
pub const BATCH: i64 = 1000;

/// How long what is over is kept, in days: sessions and personal tokens.
const ACCESS_DAYS: i64 = 7;
/// The same for challenges to sign and invitations.
const ASKED_DAYS: i64 = 1;
/// How long deliveries to webhooks are kept that were made or left out, in days.
const DELIVERED_DAYS: i64 = 30;
/// The same for those that wait or were given up.
const UNDELIVERED_DAYS: i64 = 90;
/// How long it is known who signed in when, in days.
const SIGN_IN_DAYS: i64 = 400;

type Forget = fn(&mut Conn, Time, i64) -> Result<usize>;

/// What is forgotten, and so many days after it was over. Sign-ins at a provider that were not finished go at once: each
/// is over minutes after the challenge it may name, and must be gone when that goes a day later.
const SWEPT: &[(&str, i64, Forget)] = &[
    ("idempotency", 0, idempotency::store::forget),
    ("session", ACCESS_DAYS, session::store::forget),
    ("personal_token", ACCESS_DAYS, personal::store::forget),
    ("invitation", ASKED_DAYS, invitation::store::forget),
    ("oidc_login", 0, oidc::store::forget),
    ("signature_challenge", ASKED_DAYS, signature::store::forget),
    ("webhook_secret", 0, webhook::store::forget_secrets),
    ("webhook_delivery", DELIVERED_DAYS, webhook::delivery::store::forget_settled),
    ("webhook_delivery", UNDELIVERED_DAYS, webhook::delivery::store::forget_unsettled),
    ("sign_in", SIGN_IN_DAYS, person::store::forget_sign_ins),
];

/// Keeps house until it is aborted.
pub async fn keep(app: Arc<App>) {
    futures_util::future::join4(
        watch_keys(&app),
        sweep_now_and_then(&app),
        app.pulse.keep(&app.db),
        webhook::deliver::keep(&app),
    )
    .await;
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
        sweep(app).await;
    }
}

/// Forgets everything that is over. What one table is not rid of, the next sweep tries again; the others do not wait.
pub async fn sweep(app: &App) {
    for (table, days, forget) in SWEPT {
        let before = app.clock.now().plus_days(-days);
        if let Err(error) = sweep_one(app, table, before, *forget).await {
            tracing::warn!(table, %error, "not everything that is over was forgotten");
        }
    }
}

async fn sweep_one(app: &App, table: &str, before: Time, forget: Forget) -> Result<()> {
    loop {
        let forgotten = app.db.write(move |conn| forget(conn, before, BATCH)).await?;
        if forgotten > 0 {
            tracing::debug!(table, forgotten, "what was over is forgotten");
        }
        if i64::try_from(forgotten).is_ok_and(|n| n < BATCH) {
            return Ok(());
        }
    }
}
