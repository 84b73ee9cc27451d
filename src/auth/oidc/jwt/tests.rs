use super::*;
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use jsonwebtoken::{EncodingKey, encode};
use serde_json::{Map, json};

const ISSUER: &str = "https://login.example.org";
const AUDIENCE: &str = "https://benchside.example.org";

struct Signer {
    key: SigningKey,
}

impl Signer {
    fn new(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]) }
    }
    fn jwk(&self, kid: &str) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA", "x": x })
    }
    /// Signs any header and any payload: what a hostile or broken provider could send.
    fn sign(&self, header: &Value, payload: &Value) -> String {
        use ed25519_dalek::Signer as _;
        let text =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes()))
    }
}

fn now() -> Time {
    Time::parse("2026-03-01T00:00:00Z").unwrap()
}
fn at() -> i64 {
    now().utc().timestamp()
}
fn with(mut base: Value, changes: &Value) -> Value {
    let members: &mut Map<String, Value> = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    base
}
fn keys() -> KeySet {
    KeySet::read(&json!({ "keys": [Signer::new(1).jwk("one"), Signer::new(2).jwk("two")] })).unwrap()
}

fn accepted(token: &str) -> Option<Claims> {
    let header = Header::read(token)?;
    access_token(token, &header, &keys(), ISSUER, AUDIENCE, now())
}
fn access(header: &Value, payload: &Value) -> String {
    let whole = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": at(), "exp": at() + 300, "jti": "x" });
    Signer::new(1).sign(&with(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "one" }), header), &with(whole, payload))
}

#[test]
fn an_access_token_for_us_is_accepted() {
    let nothing = json!({});
    for (header, payload) in [
        (nothing.clone(), nothing.clone()),
        (json!({ "typ": "application/AT+JWT" }), nothing.clone()),
        (json!({ "x5t": "a-thumbprint" }), nothing.clone()),
        (nothing.clone(), json!({ "aud": ["https://other.example.org", AUDIENCE] })),
        (nothing.clone(), json!({ "iat": at() + SKEW_SECONDS, "nbf": at() + SKEW_SECONDS })),
    ] {
        let claims = accepted(&access(&header, &payload));
        assert_eq!(claims.as_ref().and_then(Claims::subject), Some("ada"), "{header} {payload}");
    }
}

#[test]
fn no_other_token_is() {
    let nothing = json!({});
    for (header, payload) in [
        (json!({ "typ": "JWT" }), nothing.clone()),
        (json!({ "typ": null }), nothing.clone()),
        (json!({ "typ": 1 }), nothing.clone()),
        (json!({ "alg": "none" }), nothing.clone()),
        (json!({ "alg": "HS256" }), nothing.clone()),
        (json!({ "alg": "RS256" }), nothing.clone()),
        (json!({ "alg": "ES256" }), nothing.clone()),
        (json!({ "alg": "eddsa" }), nothing.clone()),
        (json!({ "kid": "two" }), nothing.clone()),
        (json!({ "kid": "One" }), nothing.clone()),
        (json!({ "kid": null }), nothing.clone()),
        (json!({ "kid": "" }), nothing.clone()),
        (json!({ "jku": "https://evil.example.org/keys" }), nothing.clone()),
        (json!({ "x5u": "https://evil.example.org/cert" }), nothing.clone()),
        (json!({ "x5c": ["MIIB"] }), nothing.clone()),
        (json!({ "jwk": Signer::new(1).jwk("one") }), nothing.clone()),
        (json!({ "crit": ["exp"] }), nothing.clone()),
        (nothing.clone(), json!({ "iss": "https://login.example.org/" })),
        (nothing.clone(), json!({ "iss": null })),
        (nothing.clone(), json!({ "iss": [ISSUER] })),
        (nothing.clone(), json!({ "aud": "https://other.example.org" })),
        (nothing.clone(), json!({ "aud": [] })),
        (nothing.clone(), json!({ "aud": null })),
        (nothing.clone(), json!({ "aud": { "0": AUDIENCE } })),
        (nothing.clone(), json!({ "sub": null })),
        (nothing.clone(), json!({ "sub": 7 })),
        (nothing.clone(), json!({ "sub": "" })),
        (nothing.clone(), json!({ "exp": null })),
        (nothing.clone(), json!({ "exp": at() })),
        (nothing.clone(), json!({ "exp": at().to_string() })),
        (nothing.clone(), json!({ "iat": null })),
        (nothing.clone(), json!({ "iat": at() + SKEW_SECONDS + 1 })),
        (nothing.clone(), json!({ "nbf": at() + SKEW_SECONDS + 1 })),
        (nothing.clone(), json!({ "nbf": "now" })),
    ] {
        assert!(accepted(&access(&header, &payload)).is_none(), "{header} {payload}");
    }
    let good = access(&nothing, &nothing);
    let (start, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = start.split_once('.').unwrap();
    for token in [
        String::new(),
        "..".to_owned(),
        start.to_owned(),
        format!("{start}."),
        format!("{good}x"),
        format!("{good}."),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("{}")),
        format!("{payload}.{header}.{signature}"),
        format!("{good}{}", "x".repeat(LONGEST_TOKEN)),
    ] {
        assert!(accepted(&token).is_none(), "{token}");
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let key = Signer::new(1).key;
    let secret = EncodingKey::from_secret(key.verifying_key().as_bytes());
    let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
    header.kid = Some("one".into());
    header.typ = Some("at+jwt".into());
    let payload = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": at(), "exp": at() + 300 });
    assert!(accepted(&encode(&header, &payload, &secret).unwrap()).is_none());
    assert!(key.to_pkcs8_der().is_ok());
}

#[test]
fn keys_that_are_for_something_else_are_left_out() {
    let jwk = |changes: Value| with(Signer::new(1).jwk("one"), &changes);
    let token = access(&json!({}), &json!({}));
    let header = Header::read(&token).unwrap();
    for (key, expected) in [
        (jwk(json!({})), true),
        (jwk(json!({ "use": null, "alg": null })), true),
        (jwk(json!({ "use": null, "key_ops": ["verify"] })), true),
        (jwk(json!({ "use": "enc" })), false),
        (jwk(json!({ "use": null, "key_ops": ["sign"] })), false),
        (jwk(json!({ "alg": "ES256" })), false),
        (jwk(json!({ "kid": null })), false),
        (jwk(json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" })), false),
        (json!("no key"), false),
    ] {
        let keys = KeySet::read(&json!({ "keys": [json!({ "kty": "strange" }), key] })).unwrap();
        assert_eq!(keys.has(&header), expected, "{key}");
    }
    assert!(KeySet::read(&json!([])).is_none());
    assert!(KeySet::read(&json!({ "keys": {} })).is_none());
}

fn identity(header: &Value, payload: &Value) -> Option<Claims> {
    let whole =
        json!({ "iss": ISSUER, "aud": "benchside", "sub": "ada", "nonce": "n", "iat": at(), "exp": at() + 300 });
    let token = Signer::new(1).sign(&with(json!({ "alg": "EdDSA", "kid": "one" }), header), &with(whole, payload));
    let expected = Expected { issuer: ISSUER, client_id: "benchside", nonce: "n" };
    id_token(&token, &Header::read(&token)?, &keys(), expected, now())
}

#[test]
fn an_id_token_is_for_us_alone_and_for_this_sign_in() {
    let nothing = json!({});
    for (header, payload) in [
        (nothing.clone(), nothing.clone()),
        (json!({ "typ": "JWT" }), nothing.clone()),
        (nothing.clone(), json!({ "aud": ["benchside"] })),
        (nothing.clone(), json!({ "azp": "benchside" })),
        (nothing.clone(), json!({ "aud": ["benchside", "another"], "azp": "benchside" })),
    ] {
        assert!(identity(&header, &payload).is_some(), "{header} {payload}");
    }
    for (header, payload) in [
        (json!({ "typ": "at+jwt" }), nothing.clone()),
        (json!({ "typ": "logout+jwt" }), nothing.clone()),
        (nothing.clone(), json!({ "nonce": "m" })),
        (nothing.clone(), json!({ "nonce": null })),
        (nothing.clone(), json!({ "iss": "https://evil.example.org" })),
        (nothing.clone(), json!({ "aud": "another" })),
        (nothing.clone(), json!({ "aud": ["another", "benchside"] })),
        (nothing.clone(), json!({ "azp": "another" })),
        (nothing.clone(), json!({ "azp": 1 })),
        (nothing.clone(), json!({ "exp": at() })),
        (nothing.clone(), json!({ "sub": null })),
    ] {
        assert!(identity(&header, &payload).is_none(), "{header} {payload}");
    }
}

#[test]
fn who_is_said_to_have_issued_a_token_is_read_without_belief() {
    assert_eq!(alleged_issuer(&access(&json!({}), &json!({}))).as_deref(), Some(ISSUER));
    for token in ["", "a.b.c", "bsk_0123", &access(&json!({}), &json!({ "iss": 7 }))] {
        assert_eq!(alleged_issuer(token), None);
    }
}
