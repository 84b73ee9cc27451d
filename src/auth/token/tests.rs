use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::path::PathBuf;

const ISSUER: &str = "https://benchside.example";
const AUDIENCE: &str = "benchside";
const NOW: i64 = 1_780_000_000;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn person() -> Uuid {
    Uuid::from_u128(7)
}

/// An issuer on keys of its own, and the private key it signs with.
struct Office {
    folder: PathBuf,
    tokens: Tokens,
    kid: String,
    key: SigningKey,
}

impl Office {
    fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("benchside-token-{}", Uuid::now_v7()));
        let keys = Keys::open(&folder).unwrap();
        let newest = &keys.tokens()[0];
        let (kid, key) = (newest.kid().to_owned(), newest.key().clone());
        Self { tokens: Tokens::new(&keys, ISSUER.into(), AUDIENCE.into()).unwrap(), folder, kid, key }
    }
    fn issue(&self) -> String {
        self.tokens.issue(person(), Uuid::from_u128(9), Uuid::from_u128(8), at(NOW), ACCESS_LIFETIME).unwrap()
    }
    fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.kid })
    }
    fn header_with(&self, name: &str, value: Value) -> Value {
        with(self.header(), name, value)
    }
    /// Signed by our own key, so that only what the token says can refuse it.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        signed(&self.key, &header.to_string(), &claims.to_string())
    }
    fn accepts(&self, token: &str) -> bool {
        self.tokens.verify(token, at(NOW)).is_some()
    }
}
impl Drop for Office {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": person(), "sid": Uuid::from_u128(9), "jti": Uuid::from_u128(8),
            "iat": NOW, "nbf": NOW, "exp": NOW + 900 })
}
fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}
fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}
fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(claims));
    format!("{message}.{}", b64(key.sign(message.as_bytes()).to_bytes()))
}

#[test]
fn what_is_issued_is_believed_for_its_life_and_no_longer() {
    let office = Office::open();
    let token = office.issue();
    let expected = Claims { sub: person(), sid: Uuid::from_u128(9) };
    assert_eq!(office.tokens.verify(&token, at(NOW)), Some(expected.clone()));
    assert_eq!(office.tokens.verify(&token, at(NOW + 899) + TimeDelta::milliseconds(999)), Some(expected));
    assert_eq!(office.tokens.verify(&token, at(NOW + 900)), None);
    assert_eq!(office.tokens.verify(&token, at(NOW - 1)), None);
}

#[test]
fn the_bytes_are_those_of_the_standard() {
    let office = Office::open();
    let parts: Vec<Value> = office
        .issue()
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts, [office.header(), claims()]);
}

#[test]
fn a_token_forged_with_nothing_wrong_is_believed() {
    // Guards the corpus below: each of its tokens differs from this one in one point.
    let office = Office::open();
    assert!(office.accepts(&office.sign(&office.header(), &claims())));
    assert!(office.accepts(&office.sign(&office.header(), &with(claims(), "scope", json!("later")))));
}

#[test]
fn lifetimes_have_bounds() {
    let office = Office::open();
    let issue = |life| office.tokens.issue(person(), person(), person(), at(NOW), life);
    for life in [TimeDelta::zero(), TimeDelta::milliseconds(999), TimeDelta::seconds(-5), TimeDelta::seconds(3601)] {
        assert!(matches!(issue(life), Err(TokenError::Lifetime)), "{life}");
    }
    assert!(office.accepts(&issue(LONGEST_LIFETIME).unwrap()));
}

#[test]
fn an_older_key_still_verifies() {
    let office = Office::open();
    let old = office.issue();
    let newer = Office::open();
    let name = format!("token-{}.pem", newer.kid);
    std::fs::copy(newer.folder.join(&name), office.folder.join(&name)).unwrap();
    let both = Tokens::new(&Keys::open(&office.folder).unwrap(), ISSUER.into(), AUDIENCE.into()).unwrap();
    assert!(both.verify(&old, at(NOW)).is_some());
    assert!(
        newer.accepts(&both.issue(person(), person(), person(), at(NOW), ACCESS_LIFETIME).unwrap()),
        "the newer key signs"
    );
    assert!(both.verify(&newer.issue(), at(NOW)).is_some());
    assert!(!office.accepts(&newer.issue()), "an unknown kid");
}

#[test]
fn hostile_claims_are_refused() {
    let office = Office::open();
    let mut hostile: Vec<(String, Value)> = Vec::new();
    for name in ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"] {
        hostile.push((format!("no {name}"), without(claims(), name)));
        for value in [json!(null), json!(true), json!({}), json!([])] {
            hostile.push((format!("{name} is {value}"), with(claims(), name, value)));
        }
    }
    for name in ["iss", "aud", "sub", "jti"] {
        for value in [json!(""), json!(7), json!([claims()[name]]), json!([claims()[name], "another"])] {
            hostile.push((format!("{name} is {value}"), with(claims(), name, value)));
        }
    }
    for name in ["iat", "nbf", "exp"] {
        let value = claims()[name].as_i64().unwrap();
        hostile.push((format!("{name} as text"), with(claims(), name, json!(value.to_string()))));
        hostile.push((format!("{name} with a fraction"), with(claims(), name, json!(value as f64 + 0.5))));
        for value in [json!(i64::MIN), json!(u64::MAX), json!(1e300)] {
            hostile.push((format!("{name} is {value}"), with(claims(), name, value)));
        }
    }
    let one_off = [
        ("another issuer", "iss", json!("https://benchside.example/")),
        ("issuer in capitals", "iss", json!(ISSUER.to_uppercase())),
        ("another audience", "aud", json!("benchside2")),
        ("audience with a space", "aud", json!("benchside ")),
        ("subject not a uuid", "sub", json!("admin")),
        ("subject as bytes", "sub", json!(vec![0; 16])),
        ("expired this second", "exp", json!(NOW)),
        ("expired long ago", "exp", json!(0)),
        ("future nbf", "nbf", json!(NOW + 1)),
        ("future iat", "iat", json!(NOW + 1)),
        ("lives too long", "exp", json!(NOW + 3601)),
        ("expires before it was issued", "exp", json!(NOW - 1)),
        ("issued before time", "iat", json!(-1)),
    ];
    hostile.extend(one_off.map(|(what, name, value)| (what.into(), with(claims(), name, value))));
    assert!(hostile.len() >= 60);
    for (what, claims) in hostile {
        assert!(!office.accepts(&office.sign(&office.header(), &claims)), "{what}");
    }
}

#[test]
fn hostile_headers_are_refused() {
    let office = Office::open();
    let attacker = SigningKey::from_bytes(&[1; 32]);
    let own_key = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(attacker.verifying_key().as_bytes()) });
    let mut hostile: Vec<(String, Value)> = Vec::new();
    for name in ["alg", "typ", "kid"] {
        hostile.push((format!("no {name}"), without(office.header(), name)));
        for value in [json!(null), json!(""), json!(1), json!([office.header()[name]])] {
            hostile.push((format!("{name} is {value}"), office.header_with(name, value)));
        }
    }
    for alg in ["none", "None", "HS256", "RS256", "ES256", "eddsa", "Ed25519", "EdDSA "] {
        hostile.push((format!("alg {alg}"), office.header_with("alg", json!(alg))));
    }
    for typ in ["JWT", "jwt", "AT+JWT", "application/at+jwt", "id_token", "dpop+jwt", "logout+jwt"] {
        hostile.push((format!("typ {typ}"), office.header_with("typ", json!(typ))));
    }
    for kid in ["../log", "' OR 1=1", &office.kid.to_lowercase(), &office.kid[..42], &format!("{} ", office.kid)] {
        hostile.push((format!("kid {kid}"), office.header_with("kid", json!(kid))));
    }
    for (name, value) in [
        ("jwk", own_key.clone()),
        ("jwk", json!(null)),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("surprise", json!(1)),
    ] {
        hostile.push((format!("{name} {value}"), office.header_with(name, value)));
    }
    for (what, header) in hostile {
        assert!(!office.accepts(&office.sign(&header, &claims())), "{what}");
        assert!(!office.accepts(&signed(&attacker, &header.to_string(), &claims().to_string())), "attacker's {what}");
    }
    let as_list = json!(["EdDSA", "at+jwt", office.kid]);
    assert!(!office.accepts(&office.sign(&as_list, &claims())), "header is a list");
    let twice = format!(r#"{{"alg":"none",{}"#, &office.header().to_string()[1..]);
    assert!(!office.accepts(&signed(&office.key, &twice, &claims().to_string())), "alg twice");
    let twice = format!(r#"{{"exp":{},{}"#, NOW + 1, &claims().to_string()[1..]);
    assert!(!office.accepts(&signed(&office.key, &office.header().to_string(), &twice)), "exp twice");
}

#[test]
fn hostile_signatures_and_shapes_are_refused() {
    let office = Office::open();
    let good = office.issue();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = b64(with(claims(), "sub", json!(Uuid::from_u128(9))).to_string());
    let hmac = |alg: &str, secret: &[u8]| {
        let mut confused = Header::new(if alg == "HS256" { Algorithm::HS256 } else { Algorithm::HS512 });
        confused.typ = Some(TYPE.into());
        confused.kid = Some(office.kid.clone());
        encode(&confused, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let public = office.key.verifying_key();
    let none = b64(office.header_with("alg", json!("none")).to_string());
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let malleable = {
        let mut bytes = raw.clone();
        add_group_order(&mut bytes[32..]);
        b64(bytes)
    };
    let flipped = |i: usize| {
        let mut bytes = raw.clone();
        bytes[i] ^= 1;
        format!("{header}.{payload}.{}", b64(bytes))
    };
    let hostile = [
        ("empty", String::new()),
        ("dots", "..".into()),
        ("not a token", "bsk_0123456789".into()),
        ("no signature", format!("{header}.{payload}")),
        ("empty signature", format!("{header}.{payload}.")),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none, our signature", format!("{none}.{payload}.{signature}")),
        ("public key as HS256 secret", hmac("HS256", public.as_bytes())),
        ("public key in base64 as HS256 secret", hmac("HS256", b64(public.as_bytes()).as_bytes())),
        ("public key as HS512 secret", hmac("HS512", public.as_bytes())),
        ("swapped payload", format!("{header}.{other}.{signature}")),
        ("swapped header", format!("{}.{payload}.{signature}", b64(office.header().to_string() + " "))),
        ("another key under our kid", {
            signed(&SigningKey::from_bytes(&[3; 32]), &office.header().to_string(), &claims().to_string())
        }),
        ("the log's key under our kid", {
            let keys = Keys::open(&office.folder).unwrap();
            signed(keys.log(), &office.header().to_string(), &claims().to_string())
        }),
        ("truncated", good[..good.len() - 1].into()),
        ("truncated by half", good[..good.len() / 2].into()),
        ("one bit of the signature", flipped(0)),
        ("one bit of its end", flipped(63)),
        ("signature of zeros", format!("{header}.{payload}.{}", b64([0; 64]))),
        ("signature with S raised by the group's order", format!("{header}.{payload}.{malleable}")),
        ("padded", format!("{good}==")),
        ("white space before", format!(" {good}")),
        ("white space after", format!("{good}\n")),
        ("with its scheme", format!("Bearer {good}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as encrypted ones have", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        ("a part before", format!("{header}.{good}")),
        ("payload not JSON", signed(&office.key, &office.header().to_string(), "hello")),
        ("payload null", office.sign(&office.header(), &json!(null))),
        ("payload not UTF-8", {
            let message = format!("{header}.{}", b64([0xff, 0xfe]));
            format!("{message}.{}", b64(office.key.sign(message.as_bytes()).to_bytes()))
        }),
        ("oversized", office.sign(&office.header(), &with(claims(), "pad", json!("x".repeat(4096))))),
        ("oversized nonsense", "a".repeat(10_000_000)),
        ("deeply nested", office.sign(&office.header(), &with(claims(), "sub", nested(200)))),
    ];
    for (what, token) in hostile {
        assert!(!office.accepts(&token), "{what}");
    }
    assert!(office.accepts(&good));
}

#[test]
fn the_longest_token_is_still_read() {
    let office = Office::open();
    let pad = (0..4096).rev().map(|n| office.sign(&office.header(), &with(claims(), "pad", json!("x".repeat(n)))));
    let longest = pad.into_iter().find(|token| token.len() <= LONGEST_TOKEN).unwrap();
    assert!(longest.len() > LONGEST_TOKEN - 2 && office.accepts(&longest));
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

/// Adds the order of Ed25519's group, little-endian: a verifier that does not require S below it sees the same signature.
fn add_group_order(s: &mut [u8]) {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, add) in s.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
}
