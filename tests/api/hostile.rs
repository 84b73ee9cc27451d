//! Hostile tokens, sent to the served app: each is refused, and nothing in any answer tells which check refused it. On
//! both engines. What the verifier itself makes of many more stands beside it, in `auth::token`.
use crate::support::{Actor, PASSWORD, TestApp, on_both_engines};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use benchside::auth::{
    keys::Keys,
    session::OpaqueToken,
    token::{ACCESS_LIFETIME, LONGEST_TOKEN},
};
use ed25519_dalek::{Signer, SigningKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};
use uuid::Uuid;

on_both_engines!(hostile_tokens_all_get_the_same_answer, well_formed_authorization_is_read);

/// Sends `GET path` with these header lines as they are, and answers everything that came back, but for what every answer
/// has of its own: the request's id and the time.
fn answer(app: &TestApp, path: &str, lines: &[Vec<u8>]) -> String {
    let mut stream = TcpStream::connect(app.base.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n").into_bytes();
    for line in lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or("none");
    let mut head: Vec<_> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
    head[1..].sort_unstable();
    format!("{}\n\n{body}", head.join("\n")).replace(id, "<request id>")
}
fn bearer(token: &str) -> Vec<Vec<u8>> {
    vec![format!("Authorization: Bearer {token}").into_bytes()]
}
fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}
fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

/// Somebody's good token taken apart, and the key it was signed with: whoever forges below has more than an attacker has.
struct Forge {
    key: SigningKey,
    header: Value,
    claims: Value,
    good: String,
}

impl Forge {
    fn of(app: &TestApp, who: &Actor) -> Self {
        let keys = Keys::read(&app.folder.join("keys")).unwrap();
        let part = |n: usize| {
            let bytes = URL_SAFE_NO_PAD.decode(who.token.split('.').nth(n).unwrap()).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        Self { key: keys.tokens()[0].key().clone(), header: part(0), claims: part(1), good: who.token.clone() }
    }
    fn signed_by(key: &SigningKey, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(claims));
        format!("{message}.{}", b64(key.sign(message.as_bytes()).to_bytes()))
    }
    fn sign(&self, header: &Value, claims: &Value) -> String {
        Self::signed_by(&self.key, &header.to_string(), &claims.to_string())
    }
    fn claiming(&self, name: &str, value: Value) -> String {
        self.sign(&self.header, &with(self.claims.clone(), name, value))
    }
    fn hmac(&self, secret: &[u8]) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some("at+jwt".into());
        header.kid = self.header["kid"].as_str().map(str::to_owned);
        encode(&header, &self.claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    /// What the claims say is wrong.
    fn bad_claims(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        for name in ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"] {
            bad.push((format!("no {name}"), self.sign(&self.header, &without(self.claims.clone(), name))));
            bad.push((format!("{name} null"), self.claiming(name, json!(null))));
            bad.push((format!("{name} in a list"), self.claiming(name, json!([self.claims[name]]))));
        }
        let now = self.claims["iat"].as_i64().unwrap();
        for (what, name, value) in [
            ("a number as issuer", "iss", json!(1)),
            ("another issuer", "iss", json!("https://issuer.example")),
            ("another audience", "aud", json!("another")),
            ("several audiences", "aud", json!(["benchside", "another"])),
            ("a person who is not", "sub", json!(Uuid::now_v7())),
            ("a person's code", "sub", json!("U-1")),
            ("a session that is not", "sid", json!(Uuid::now_v7())),
            ("expired", "exp", json!(now - 1)),
            ("expires now", "exp", json!(now)),
            ("an expiry as text", "exp", json!((now + 900).to_string())),
            ("an expiry with a fraction", "exp", json!(now as f64 + 900.5)),
            ("lives for a year", "exp", json!(now + 31_536_000)),
            ("not yet good", "nbf", json!(now + 600)),
            ("issued in the future", "iat", json!(now + 600)),
        ] {
            bad.push((what.into(), self.claiming(name, value)));
        }
        bad
    }

    /// What the header says is wrong.
    fn bad_headers(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        let attacker = SigningKey::from_bytes(&[1; 32]);
        let own_key = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(attacker.verifying_key().as_bytes()) });
        let kid = self.header["kid"].as_str().unwrap();
        for name in ["alg", "typ", "kid"] {
            bad.push((format!("no {name}"), self.sign(&without(self.header.clone(), name), &self.claims)));
        }
        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("ES256")),
            ("alg", json!("Ed25519")),
            ("typ", json!("JWT")),
            ("typ", json!("id_token")),
            ("typ", json!("logout+jwt")),
            ("kid", json!("../log")),
            ("kid", json!("' OR '1'='1")),
            ("kid", json!(kid.to_lowercase())),
            ("jwk", own_key.clone()),
            ("jku", json!("https://attacker.example/jwks.json")),
            ("x5u", json!("https://attacker.example/cert.pem")),
            ("x5c", json!(["MIIB"])),
            ("crit", json!(["exp"])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
        ] {
            let header = with(self.header.clone(), name, value.clone());
            bad.push((format!("{name} {value}"), self.sign(&header, &self.claims)));
            let forged = Self::signed_by(&attacker, &header.to_string(), &self.claims.to_string());
            bad.push((format!("an attacker's with {name} {value}"), forged));
        }
        let unsigned = with(self.header.clone(), "alg", json!("none"));
        bad.push(("none, unsigned".into(), format!("{}.{}.", b64(unsigned.to_string()), b64(self.claims.to_string()))));
        let twice = format!(r#"{{"alg":"none",{}"#, &self.header.to_string()[1..]);
        bad.push(("alg twice".into(), Self::signed_by(&self.key, &twice, &self.claims.to_string())));
        let twice = format!(r#"{{"sub":"{}",{}"#, Uuid::now_v7(), &self.claims.to_string()[1..]);
        bad.push(("sub twice".into(), Self::signed_by(&self.key, &self.header.to_string(), &twice)));
        bad
    }

    /// What is no token of ours at all, or not signed for what it says.
    fn bad_shapes(&self, app: &TestApp) -> Vec<(String, String)> {
        let good = &self.good;
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let public = self.key.verifying_key();
        let keys = Keys::read(&app.folder.join("keys")).unwrap();
        let (text, claims) = (self.header.to_string(), self.claims.to_string());
        let id_token = json!({ "iss": "benchside", "aud": "benchside", "sub": self.claims["sub"], "nonce": "n",
            "iat": self.claims["iat"], "exp": self.claims["exp"], "email": "ada@example.org" });
        let other = b64(with(self.claims.clone(), "sub", json!(Uuid::now_v7())).to_string());
        let shapes = [
            ("empty", String::new()),
            ("a word", "garbage".into()),
            ("dots", "..".into()),
            ("no signature", format!("{header}.{payload}")),
            ("an empty signature", format!("{header}.{payload}.")),
            ("another payload", format!("{header}.{other}.{signature}")),
            ("zeros as signature", format!("{header}.{payload}.{}", b64([0; 64]))),
            ("truncated", good[..good.len() - 1].into()),
            ("truncated by half", good[..good.len() / 2].into()),
            ("padded", format!("{good}==")),
            ("four parts", format!("{good}.{signature}")),
            ("five parts", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
            ("its scheme twice", format!("Bearer {good}")),
            ("two tokens", format!("{good} {good}")),
            ("two tokens and a comma", format!("{good},{good}")),
            ("a tab before", format!("\t{good}")),
            ("quoted", format!("\"{good}\"")),
            ("in capitals", good.to_uppercase()),
            ("not base64url", good.replace(['-', '_'], "+").replacen('e', "/", 1)),
            ("public key as secret", self.hmac(public.as_bytes())),
            ("public key in base64 as secret", self.hmac(b64(public.as_bytes()).as_bytes())),
            ("nothing as secret", self.hmac(b"")),
            ("another key", Self::signed_by(&SigningKey::from_bytes(&[3; 32]), &text, &claims)),
            ("the log's key", Self::signed_by(keys.log(), &text, &claims)),
            (
                "an id token",
                Self::signed_by(
                    &self.key,
                    &with(self.header.clone(), "typ", json!("JWT")).to_string(),
                    &id_token.to_string(),
                ),
            ),
            ("an id token that says it is an access token", self.sign(&self.header, &id_token)),
            ("claims that are no object", self.sign(&self.header, &json!("admin"))),
            ("claims that are no JSON", Self::signed_by(&self.key, &text, "hello")),
            ("oversized", self.claiming("pad", json!("x".repeat(LONGEST_TOKEN)))),
            ("oversized nonsense", "a".repeat(30_000)),
        ];
        shapes.map(|(what, token)| (what.to_owned(), token)).into()
    }
}

/// Tokens that were good, or are good for something else.
fn spent(app: &TestApp, ada: &Actor) -> Vec<(String, String)> {
    let bo = app.auditor("Bo Lindqvist");
    let login = json!({ "email": ada.email, "password": PASSWORD });
    let signed_out = app.anonymous().post("/v1/auth/login", login.clone()).expect(200).body;
    let out = Actor { token: signed_out["access_token"].as_str().unwrap().into(), ..ada.clone() };
    out.get("/v1/me").expect(200);
    out.post("/v1/auth/logout", json!({})).expect(204);
    let refresh = app.anonymous().post("/v1/auth/login", login).expect(200).body["refresh_token"].clone();
    let until = app.app.clock.now().plus_days(1);
    let personal = |name: &str| {
        let new = json!({ "name": name, "scopes": ["read"], "expires_at": until });
        ada.post("/v1/auth/tokens", new).expect(201).body
    };
    let (live, revoked) = (personal("Live"), personal("Revoked"));
    ada.send("DELETE", &format!("/v1/auth/tokens/{}", revoked["id"].as_str().unwrap()), &[], None).expect(204);
    let live = live["token"].as_str().unwrap();
    let fresh = |prefix: &str| OpaqueToken::fresh(prefix).unwrap().expose().to_owned();
    // Somebody else's session with this person's name on it: signed by ourselves, and still refused.
    let theirs = Forge::of(app, &bo).claims["sid"].clone();
    let stolen: Uuid = serde_json::from_value(theirs).unwrap();
    let mixed = app.app.tokens.issue(ada.id.0, stolen, Uuid::now_v7(), app.app.clock.now().utc(), ACCESS_LIFETIME);
    vec![
        ("a session that was signed out".into(), out.token),
        ("another's session".into(), mixed.unwrap()),
        ("a refresh token".into(), refresh.as_str().unwrap().into()),
        ("an invitation".into(), fresh(OpaqueToken::INVITATION)),
        ("a personal token never made".into(), fresh(OpaqueToken::PERSONAL)),
        ("a revoked personal token".into(), revoked["token"].as_str().unwrap().into()),
        ("a personal token in capitals".into(), live.to_uppercase()),
        ("a personal token's start".into(), live[..46].into()),
        ("a personal token and more".into(), format!("{live}A")),
        ("a personal token with a percent sign".into(), format!("{}%", &live[..46])),
        ("a personal token under another word".into(), live.replace("bsk_", "bsr_")),
        ("only the word".into(), "bsk_".into()),
    ]
}

fn hostile_tokens_all_get_the_same_answer(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let forge = Forge::of(app, &ada);
    let good = answer(app, "/v1/me", &bearer(&forge.good));
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    // Guards the corpus: what is forged with nothing wrong is believed.
    assert_eq!(answer(app, "/v1/me", &bearer(&forge.sign(&forge.header, &forge.claims))), good);

    let mut hostile = Vec::new();
    hostile.extend(forge.bad_claims());
    hostile.extend(forge.bad_headers());
    hostile.extend(forge.bad_shapes(app));
    hostile.extend(spent(app, &ada));
    let mut sent: Vec<(String, Vec<Vec<u8>>)> =
        hostile.into_iter().map(|(what, token)| (what, bearer(&token))).collect();
    let good = &forge.good;
    let line = |text: String| text.into_bytes();
    sent.extend([
        ("two headers".to_owned(), [bearer(good), bearer(good)].concat()),
        ("two headers, the second bad".into(), [bearer(good), bearer("x")].concat()),
        ("another scheme".into(), vec![line(format!("Authorization: Basic {good}"))]),
        ("no scheme".into(), vec![line(format!("Authorization: {good}"))]),
        ("no space".into(), vec![line(format!("Authorization: Bearer{good}"))]),
        ("a tab for a space".into(), vec![line(format!("Authorization: Bearer\t{good}"))]),
        ("another header".into(), vec![line(format!("X-Access-Token: {good}"))]),
        ("a cookie".into(), vec![line(format!("Cookie: access_token={good}"))]),
        ("bytes that are no text".into(), vec![b"Authorization: Bearer \xff\xfe".to_vec()]),
    ]);
    assert!(sent.len() >= 120, "{} are sent", sent.len());
    let expected = answer(app, "/v1/me", &[]);
    assert!(expected.starts_with("HTTP/1.1 401") && expected.contains("www-authenticate: Bearer"), "{expected}");
    assert!(expected.contains("\"request_id\":\"<request id>\""), "{expected}");
    for (what, lines) in &sent {
        assert_eq!(&answer(app, "/v1/me", lines), &expected, "{what}");
    }
    // In the query a token is a parameter like another: nobody is signed in, and that is said first.
    let in_query = answer(app, &format!("/v1/me?access_token={good}"), &[]);
    assert_eq!(in_query, expected);
    ada.get("/v1/me").expect(200);
}

fn well_formed_authorization_is_read(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    for line in [
        format!("Authorization: Bearer {}", ada.token),
        format!("authorization: bearer {}", ada.token),
        format!("AUTHORIZATION: BEARER {}", ada.token),
        format!("Authorization:   Bearer   {}  ", ada.token),
    ] {
        assert!(answer(app, "/v1/me", &[line.clone().into_bytes()]).starts_with("HTTP/1.1 200"), "{line}");
    }
}
