//! Access tokens: JWT (RFC 7519) of type `at+jwt` (RFC 9068), signed with EdDSA (RFC 8037), strictly checked.
//!
//! The library verifies the signature and nothing else; header and claims are checked here, in one place each, because it
//! would by default let a token pass without `aud` or `iss`, take a list as audience, never look at `typ`, and read the
//! system's clock. A header has exactly three members, so nothing in it can point at a key. There is no leeway: nodes that
//! share keys are expected to share the time.
//!
//! A token says who and which session; what that person may do is asked of the database on every request.
//!
//! A signature is verified once and remembered under the SHA-256 of the whole token; whether the token is good *now* is
//! asked each time. What is remembered belongs to one set of keys and goes with it.
use super::keys::{Keys, TokenKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};
use uuid::Uuid;

/// How long an access token lives: 900 s.
pub const ACCESS_LIFETIME: TimeDelta = TimeDelta::seconds(900);
/// The longest life, `exp` − `iat`, that is issued or believed: one hour.
pub const LONGEST_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// The longest token looked at, in bytes; ours are some 500.
pub const LONGEST_TOKEN: usize = 4096;
/// How many verified tokens are remembered, at some 200 bytes each.
const REMEMBERED: usize = 10_000;

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
}

/// The claims as they travel. Every one is required; times are whole seconds (a NumericDate without fraction).
#[derive(Clone, Serialize, Deserialize)]
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

/// Issues and verifies the access tokens of one issuer for one audience, with keys that may change meanwhile.
#[derive(Debug)]
pub struct Tokens {
    issuer: String,
    audience: String,
    rules: Validation,
    held: RwLock<Arc<Held>>,
}

/// The keys of one moment. Its `Debug` shows none.
#[derive(Debug)]
struct Held {
    header: Header,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    jwks: Value,
    /// What tokens say whose signature was good, by digest.
    verified: Cache<[u8; 32], Wire>,
}

impl Held {
    fn of(keys: &Keys) -> Result<Self, TokenError> {
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
            header,
            signing: EncodingKey::from_ed_der(private.as_bytes()),
            verifying: keys.tokens().iter().map(|key| (key.kid().to_owned(), public(key))).collect(),
            jwks: keys.jwks(),
            verified: Cache::new(REMEMBERED),
        })
    }
}

impl Tokens {
    /// Signs with the newest of the keys, and believes them all.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the newest key cannot sign.
    pub fn new(keys: &Keys, issuer: String, audience: String) -> Result<Self, TokenError> {
        Ok(Self {
            issuer,
            audience,
            rules: signature_only(Algorithm::EdDSA),
            held: RwLock::new(Arc::new(Held::of(keys)?)),
        })
    }

    /// Goes on with these keys, and believes what the others signed no longer; answers whether they differ.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the newest key cannot sign; the keys stay what they were.
    pub fn renew(&self, keys: &Keys) -> Result<bool, TokenError> {
        if self.held().jwks == keys.jwks() {
            return Ok(false);
        }
        let held = Arc::new(Held::of(keys)?);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(true)
    }

    /// The public halves of the keys as a JWK set, newest first.
    pub fn jwks(&self) -> Value {
        self.held().jwks.clone()
    }

    /// The keys of now; a request that has them goes on with them.
    fn held(&self) -> Arc<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
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
        let Held { header, signing, .. } = &*self.held();
        encode(header, &claims, signing)
            .map_err(|e| TokenError::Key { kid: header.kid.clone().unwrap_or_default(), reason: e.to_string() })
    }

    /// The claims of a token that is good at `now`; `None` for any other, without saying why.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let (held, digest) = (self.held(), Sha256::digest(token).into());
        if let Some(claims) = held.verified.get(&digest) {
            return self.accept(&claims, now.timestamp());
        }
        let key = held.verifying.get(named_key(token)?.as_str())?;
        let claims = decode::<Wire>(token, key, &self.rules).ok()?.claims;
        let accepted = self.accept(&claims, now.timestamp())?;
        held.verified.insert(digest, claims);
        Some(accepted)
    }

    /// Whether a token names a key that is not here: one that was made elsewhere a moment ago, or none.
    pub fn names_unknown_key(&self, token: &str) -> bool {
        token.len() <= LONGEST_TOKEN && named_key(token).is_some_and(|kid| !self.held().verifying.contains_key(&kid))
    }

    fn accept(&self, claims: &Wire, now: i64) -> Option<Claims> {
        let for_us = claims.iss == self.issuer && claims.aud == self.audience;
        let current = claims.iat <= claims.nbf && claims.nbf <= now && now < claims.exp;
        let life = claims.exp.checked_sub(claims.iat)?;
        if !(for_us && current && life <= LONGEST_LIFETIME.num_seconds()) {
            return None;
        }
        Some(Claims { sub: claims.sub, sid: claims.sid })
    }
}

/// The key that a token of our type and algorithm names.
fn named_key(token: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(token.split_once('.')?.0).ok()?;
    let header: StrictHeader<'_> = serde_json::from_slice(&header).ok()?;
    (header.alg == ALGORITHM && header.typ == TYPE).then(|| header.kid.to_owned())
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
