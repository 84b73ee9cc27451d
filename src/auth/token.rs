//! Access tokens: JWT (RFC 7519) of type `at+jwt` (RFC 9068), signed with EdDSA (RFC 8037), strictly checked.
//!
//! The library verifies the signature and nothing else; header and claims are checked here, in one place each, because it
//! would by default let a token pass without `aud` or `iss`, take a list as audience, never look at `typ`, and read the
//! system's clock. A header has exactly three members, so nothing in it can point at a key. There is no leeway: nodes that
//! share keys are expected to share the time.
//!
//! A token says who and which session; what that person may do is asked of the database on every request.
use super::keys::{Keys, TokenKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// How long an access token lives: 900 s.
pub const ACCESS_LIFETIME: TimeDelta = TimeDelta::seconds(900);
/// The longest life, `exp` − `iat`, that is issued or believed: one hour.
pub const LONGEST_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// The longest token looked at, in bytes; ours are some 500.
pub const LONGEST_TOKEN: usize = 4096;

const TYPE: &str = "at+jwt";
const ALGORITHM: &str = "EdDSA";

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A lifetime of less than a second, or more than [`LONGEST_LIFETIME`].
    #[error("an access token lives from one second to one hour")]
    Lifetime,
    /// The signing key does not work.
    #[error("the token key {kid} cannot sign: {reason}")]
    Key {
        /// The key's id.
        kid: String,
        /// What went wrong.
        reason: String,
    },
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The person.
    pub sub: Uuid,
    /// The session.
    pub sid: Uuid,
    /// This token.
    pub jti: Uuid,
    /// When it was issued, in whole seconds.
    pub iat: DateTime<Utc>,
    /// When it stops being good, in whole seconds; at this very moment it is not good any more.
    pub exp: DateTime<Utc>,
}

/// The claims as they travel. Every one is required; times are whole seconds (a NumericDate without fraction).
#[derive(Serialize, Deserialize)]
struct Wire {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// The whole of a header; any other member, null or not, makes the token a bad one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// Issues and verifies the access tokens of one issuer for one audience. Its `Debug` shows no key.
#[derive(Debug)]
pub struct Tokens {
    issuer: String,
    audience: String,
    header: Header,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    rules: Validation,
}

impl Tokens {
    /// Signs with the newest of the keys, and believes them all.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the newest key cannot sign.
    pub fn new(keys: &Keys, issuer: String, audience: String) -> Result<Self, TokenError> {
        let [newest, ..] = keys.tokens() else {
            return Err(TokenError::Key { kid: String::new(), reason: "there is none".into() });
        };
        let private = newest
            .key()
            .to_pkcs8_der()
            .map_err(|e| TokenError::Key { kid: newest.kid().into(), reason: e.to_string() })?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.into());
        header.kid = Some(newest.kid().into());
        let public = |key: &TokenKey| DecodingKey::from_ed_der(key.key().verifying_key().as_bytes());
        Ok(Self {
            issuer,
            audience,
            header,
            signing: EncodingKey::from_ed_der(private.as_bytes()),
            verifying: keys.tokens().iter().map(|key| (key.kid().to_owned(), public(key))).collect(),
            rules: signature_only(Algorithm::EdDSA),
        })
    }

    /// A token for `subject` in `session`, good from `now` (cut to the second) for `lifetime` (usually [`ACCESS_LIFETIME`]).
    ///
    /// # Errors
    /// [`TokenError::Lifetime`] when `lifetime` is under a second or over [`LONGEST_LIFETIME`]; [`TokenError::Key`] when
    /// signing fails.
    pub fn issue(
        &self,
        subject: Uuid,
        session: Uuid,
        jti: Uuid,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Result<String, TokenError> {
        if lifetime < TimeDelta::seconds(1) || lifetime > LONGEST_LIFETIME {
            return Err(TokenError::Lifetime);
        }
        let iat = now.timestamp();
        let claims = Wire {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: subject,
            sid: session,
            jti,
            iat,
            nbf: iat,
            exp: iat + lifetime.num_seconds(),
        };
        encode(&self.header, &claims, &self.signing)
            .map_err(|e| TokenError::Key { kid: self.header.kid.clone().unwrap_or_default(), reason: e.to_string() })
    }

    /// The claims of a token that is good at `now`; `None` for any other, without saying why.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let claims = decode::<Wire>(token, self.key_of(token)?, &self.rules).ok()?.claims;
        self.accept(&claims, now.timestamp())
    }

    fn key_of(&self, token: &str) -> Option<&DecodingKey> {
        let header = URL_SAFE_NO_PAD.decode(token.split_once('.')?.0).ok()?;
        let header: StrictHeader<'_> = serde_json::from_slice(&header).ok()?;
        let ours = header.alg == ALGORITHM && header.typ == TYPE;
        ours.then(|| self.verifying.get(header.kid)).flatten()
    }

    fn accept(&self, claims: &Wire, now: i64) -> Option<Claims> {
        let for_us = claims.iss == self.issuer && claims.aud == self.audience;
        let current = claims.iat <= claims.nbf && claims.nbf <= now && now < claims.exp;
        let life = claims.exp.checked_sub(claims.iat)?;
        if !(for_us && current && life <= LONGEST_LIFETIME.num_seconds()) {
            return None;
        }
        Some(Claims {
            sub: claims.sub,
            sid: claims.sid,
            jti: claims.jti,
            iat: DateTime::from_timestamp_secs(claims.iat)?,
            exp: DateTime::from_timestamp_secs(claims.exp)?,
        })
    }
}

/// Leaves the library the signature, made by the one algorithm a key is for.
pub fn signature_only(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.required_spec_claims = HashSet::new();
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.validate_aud = false;
    rules
}

#[cfg(test)]
mod tests;
