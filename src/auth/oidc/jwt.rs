//! Judges the tokens of providers: which key may have signed one, and whether its claims make it one for us. Pure.
//!
//! Nothing in a header is followed: a key is one of the issuer's published set, found by its exact `kid`, and used with
//! the algorithm it is for. The library verifies the signature and nothing else, as for our own tokens.
use super::Claims;
use crate::{auth::token::signature_only, db::columns::Time};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, decode,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::collections::HashMap;

/// The longest token looked at, in bytes; lists of groups make some long.
pub const LONGEST_TOKEN: usize = 16 * 1024;
/// How far a provider's clock may be ahead of ours, in seconds.
pub const SKEW_SECONDS: i64 = 30;

/// The keys that a provider publishes, as far as they can be used: public ones to verify signatures with.
#[derive(Debug, Default)]
pub struct KeySet(HashMap<String, Vec<(Vec<Algorithm>, DecodingKey)>>);

impl KeySet {
    /// Reads a JWK set (RFC 7517). A key that is for something else, that has no id or that cannot be read is left out.
    /// `None` for what is no set.
    pub fn read(document: &Value) -> Option<Self> {
        let mut keys = Self::default();
        for member in document.get("keys")?.as_array()? {
            let Ok(jwk) = serde_json::from_value::<Jwk>(member.clone()) else { continue };
            let algorithms = algorithms(&jwk);
            if let (Some(kid), Ok(key)) = (&jwk.common.key_id, DecodingKey::from_jwk(&jwk))
                && !algorithms.is_empty()
            {
                keys.0.entry(kid.clone()).or_default().push((algorithms, key));
            }
        }
        Some(keys)
    }
    /// Whether there is a key for a token with this header.
    pub fn has(&self, header: &Header) -> bool {
        self.key(header).is_some()
    }
    fn key(&self, header: &Header) -> Option<&DecodingKey> {
        let keys = self.0.get(&header.kid)?;
        keys.iter().find(|(algorithms, _)| algorithms.contains(&header.alg)).map(|(_, key)| key)
    }
}

/// What a key may be used with: the algorithm it names, else those its type allows; nothing for a secret or a key that is
/// for something else.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let common = &jwk.common;
    let verifies = common.key_operations.as_ref().is_none_or(|o| o.contains(&KeyOperations::Verify));
    if !verifies || common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
        return Vec::new();
    }
    let by_type: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(ec) => match &ec.curve {
            EllipticCurve::P256 => &[ES256],
            EllipticCurve::P384 => &[ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => &[EdDSA],
        _ => &[],
    };
    let named = |algorithm: &Algorithm| common.key_algorithm.is_none_or(|name| KeyAlgorithm::from(*algorithm) == name);
    by_type.iter().copied().filter(named).collect()
}

/// What the header of a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    alg: Algorithm,
    kid: String,
    typ: Option<String>,
}

/// A header as it travels. A token that brings a key, says where one is, or must be understood in a way we do not know,
/// is no token for us.
#[derive(Deserialize)]
struct Wire {
    alg: Algorithm,
    kid: String,
    typ: Option<String>,
    jwk: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
}

impl Header {
    /// Reads the header of a token that may be verified.
    pub fn read(token: &str) -> Option<Self> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let Wire { alg, kid, typ, jwk, jku, x5u, x5c, crit } = part(token, 0)?;
        let strange = [jwk, jku, x5u, x5c, crit].iter().any(Option::is_some);
        (!strange).then_some(Self { alg, kid, typ })
    }
    /// Whether the token says that it is an access token (RFC 9068).
    fn is_of_access_token(&self) -> bool {
        let name = self.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        name == "at+jwt" || name == "application/at+jwt"
    }
    /// Whether it may be an id token: these have no type of their own.
    fn is_of_id_token(&self) -> bool {
        self.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"))
    }
}

/// Who a token says has issued it. Nothing is verified: this finds whom to ask for keys, and nothing more.
pub fn alleged_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issued {
        iss: String,
    }
    if token.len() > LONGEST_TOKEN {
        return None;
    }
    Some(part::<Issued>(token, 1)?.iss)
}

fn part<T: serde::de::DeserializeOwned>(token: &str, index: usize) -> Option<T> {
    let mut parts = token.split('.');
    let part = URL_SAFE_NO_PAD.decode(parts.nth(index)?).ok()?;
    serde_json::from_slice(&part).ok()
}

/// The claims of a token that one of the keys has signed.
fn verified(token: &str, header: &Header, keys: &KeySet) -> Option<Claims> {
    decode::<Claims>(token, keys.key(header)?, &signature_only(header.alg)).ok().map(|token| token.claims)
}

/// The claims of an access token that this issuer signed for this audience, good at `now`; `None` for any other, without
/// saying why.
pub fn access_token(
    token: &str,
    header: &Header,
    keys: &KeySet,
    issuer: &str,
    audience: &str,
    now: Time,
) -> Option<Claims> {
    if !header.is_of_access_token() {
        return None;
    }
    let claims = verified(token, header, keys)?;
    let for_us = claims.text("iss") == Some(issuer) && claims.says("aud", audience);
    (for_us && is_current(&claims, now)).then_some(claims)
}

/// What an id token must answer.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// What the issuer calls us.
    pub client_id: &'a str,
    /// What the sign-in was begun with.
    pub nonce: &'a str,
}

/// The claims of an id token (OpenID Connect Core, 3.1.3.7), good at `now`; `None` for any other.
pub fn id_token(token: &str, header: &Header, keys: &KeySet, expected: Expected<'_>, now: Time) -> Option<Claims> {
    if !header.is_of_id_token() {
        return None;
    }
    let claims = verified(token, header, keys)?;
    let for_us = claims.text("iss") == Some(expected.issuer)
        && claims.text("nonce") == Some(expected.nonce)
        && is_for_client(&claims, expected.client_id);
    (for_us && is_current(&claims, now)).then_some(claims)
}

/// Whether we are the audience. Where there are others, or a party is named that the token was issued to, it must be us.
fn is_for_client(claims: &Claims, client_id: &str) -> bool {
    let alone = match claims.get("aud") {
        Some(Value::String(_)) => true,
        Some(Value::Array(audience)) => audience.len() == 1,
        _ => return false,
    };
    let party = claims.get("azp");
    let is_party = party.is_some_and(|party| party == client_id);
    claims.says("aud", client_id) && (is_party || alone && party.is_none())
}

/// Whether the times fit: `exp` and `iat` are required, and `sub` goes with them.
fn is_current(claims: &Claims, now: Time) -> bool {
    let now = now.utc().timestamp();
    let (Some(exp), Some(iat)) = (claims.number("exp"), claims.number("iat")) else { return false };
    let nbf = match claims.get("nbf") {
        Some(nbf) => nbf.as_i64(),
        None => Some(iat),
    };
    let begun = nbf.is_some_and(|nbf| nbf.max(iat) <= now + SKEW_SECONDS);
    begun && now < exp && iat < exp && claims.subject().is_some()
}

#[cfg(test)]
mod tests;
