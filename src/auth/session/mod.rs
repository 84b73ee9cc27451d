//! Sessions: a sign-in that lasts, as a family of refresh tokens of which only the newest is good (RFC 9700, 4.14.2).
//!
//! A refresh token is used once and names its successor. Its successor is not stored: it follows from the token itself and
//! a random seed that is kept beside its hash once it is used, so whoever retries within [`GRACE_SECONDS`] gets the same
//! one, and neither the database nor an old token alone is enough to make it. Used again later, or after its successor
//! was, a token is in two hands, and the whole session ends. Pure but for randomness.
pub mod http;
pub mod store;

use crate::{
    Error, Result,
    db::columns::Time,
    id::{PersonId, SessionId},
    vocabulary::Authn,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use diesel::{Insertable, Queryable};
use sha2::{Digest, Sha256};

/// How long a session lasts that is not used, in days.
pub const IDLE_DAYS: i64 = 14;
/// How long a session lasts at most, in days.
pub const LONGEST_DAYS: i64 = 90;
/// How long a used refresh token still gives its successor, in seconds: the time of a retry.
pub const GRACE_SECONDS: i64 = 10;

/// A sign-in that lasts.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::session, treat_none_as_default_value = false)]
pub struct Session {
    /// Its id: `sid` in its access tokens.
    pub id: SessionId,
    /// Whose.
    pub person_id: PersonId,
    /// How they were authenticated.
    pub authn: Authn,
    /// The configured identity provider, where one was asked.
    pub issuer: Option<String>,
    /// What the client said it is.
    pub client: Option<String>,
    /// Where they signed in from.
    pub address: Option<String>,
    /// When they signed in.
    pub created_at: Time,
    /// When they last signed in or refreshed.
    pub last_used_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was ended.
    pub ended_at: Option<Time>,
}

impl Session {
    /// Whether it is good at a moment.
    pub fn is_live(&self, at: Time) -> bool {
        self.ended_at.is_none() && at < self.expires_at
    }
    /// When a session of this age, used now, ends by itself.
    pub fn expiry(created_at: Time, now: Time) -> Time {
        now.plus_days(IDLE_DAYS).min(created_at.plus_days(LONGEST_DAYS))
    }
}

/// A secret of 256 bits that is handed out once and kept as a hash: a word that says what it is, then base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueToken(String);

impl std::fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpaqueToken(…)")
    }
}

impl OpaqueToken {
    /// What refresh tokens begin with.
    pub const REFRESH: &'static str = "bsr_";
    /// What personal access tokens begin with.
    pub const PERSONAL: &'static str = "bsk_";
    /// What invitations begin with.
    pub const INVITATION: &'static str = "bsi_";
    /// How long they are, in characters.
    pub const LENGTH: usize = 4 + 43;

    /// A new one.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness.
    pub fn fresh(prefix: &str) -> Result<Self> {
        Ok(Self::made_of(prefix, &random()?))
    }
    fn made_of(prefix: &str, secret: &[u8; 32]) -> Self {
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(secret)))
    }
    /// What somebody presents; `None` for what was never one of this kind.
    pub fn presented(prefix: &str, text: &str) -> Option<Self> {
        (text.len() == Self::LENGTH && text.starts_with(prefix)).then(|| Self(text.to_owned()))
    }
    /// The text, for the one it is handed to.
    pub fn expose(&self) -> &str {
        &self.0
    }
    /// SHA-256 of the text: what is stored.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
    /// The refresh token that comes after this one.
    fn successor(&self, seed: &[u8]) -> Self {
        let secret = Sha256::new().chain_update("benchside refresh token").chain_update(seed).chain_update(&self.0);
        Self::made_of(Self::REFRESH, &secret.finalize().into())
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::Internal(format!("no randomness: {e}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_needs_both_the_token_and_the_seed() {
        let (token, other) =
            (OpaqueToken::fresh(OpaqueToken::REFRESH).unwrap(), OpaqueToken::fresh(OpaqueToken::REFRESH).unwrap());
        let (seed, another) = (random().unwrap(), random().unwrap());
        assert_eq!(token.successor(&seed), token.successor(&seed));
        assert_ne!(token.successor(&seed), token.successor(&another));
        assert_ne!(token.successor(&seed), other.successor(&seed));
        assert_ne!(token.successor(&seed), token);
    }

    #[test]
    fn only_what_has_its_form_is_presented() {
        let token = OpaqueToken::fresh(OpaqueToken::PERSONAL).unwrap();
        assert_eq!(OpaqueToken::presented(OpaqueToken::PERSONAL, token.expose()), Some(token.clone()));
        assert_eq!(OpaqueToken::presented(OpaqueToken::REFRESH, token.expose()), None);
        assert_eq!(OpaqueToken::presented(OpaqueToken::PERSONAL, &format!("{}x", token.expose())), None);
        assert_eq!(OpaqueToken::presented(OpaqueToken::PERSONAL, "bsk_"), None);
        assert_eq!(format!("{token:?}"), "OpaqueToken(…)");
    }

    #[test]
    fn a_session_ends_when_idle_and_at_last() {
        let start = Time::parse("2026-03-01T00:00:00Z").unwrap();
        assert_eq!(Session::expiry(start, start), start.plus_days(IDLE_DAYS));
        assert_eq!(Session::expiry(start, start.plus_days(80)), start.plus_days(LONGEST_DAYS));
    }
}
