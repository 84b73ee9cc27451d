//! The keys folder as a running service watches it: keys are made and deleted beside it, and no restart is needed.
//!
//! It is looked at every [`EVERY`], and at once when a token names a key that is not known, since another node may sign
//! with a new key already; but for that at most once in [`COOLDOWN_SECONDS`], however many such tokens come.
use super::{
    keys::{Keys, KeysError},
    token::Tokens,
};
use crate::db::columns::Time;
use std::{path::PathBuf, time::Duration};
use tokio::sync::Mutex;

/// How often the folder is looked at.
pub const EVERY: Duration = Duration::from_secs(30);
/// The least time between two looks that tokens caused, in seconds.
pub const COOLDOWN_SECONDS: i64 = 1;

/// A keys folder that may change.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    /// When the last look began; held while one is under way, so that others wait for what it finds.
    looked: Mutex<Option<Time>>,
}

impl Watch {
    /// Of the folder that these keys are in.
    pub fn over(keys: &Keys) -> Self {
        Self { folder: keys.folder().to_owned(), looked: Mutex::new(None) }
    }

    /// Looks, off the request threads. What cannot be read is logged and changes nothing.
    pub async fn look(&self, tokens: &Tokens, now: Time) {
        let mut looked = self.looked.lock().await;
        *looked = Some(now);
        self.renew(tokens).await;
    }

    /// Looks unless somebody just did.
    pub async fn look_for_unknown(&self, tokens: &Tokens, now: Time) {
        let mut looked = self.looked.lock().await;
        let just = |last: Time| last <= now && now < last.plus_seconds(COOLDOWN_SECONDS);
        if !looked.is_some_and(just) {
            *looked = Some(now);
            self.renew(tokens).await;
        }
    }

    async fn renew(&self, tokens: &Tokens) {
        let folder = self.folder.clone();
        match tokio::task::spawn_blocking(move || Keys::read(&folder)).await {
            Ok(found) => self.take(tokens, found),
            Err(error) => tracing::error!(%error, "the keys folder was not read"),
        }
    }

    fn take(&self, tokens: &Tokens, found: Result<Keys, KeysError>) {
        match found.map(|keys| tokens.renew(&keys)) {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!("the token keys have changed"),
            Ok(Err(error)) => tracing::error!(%error, "the token keys stay what they were"),
            Err(error) => tracing::error!(%error, "the token keys stay what they were"),
        }
    }
}
