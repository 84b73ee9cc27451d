//! A provider that says whatever a test wants it to, and counts what it is asked.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

#[derive(Default)]
struct State {
    keys: Vec<(String, SigningKey)>,
    answer: Value,
    userinfo: Value,
    asked: BTreeMap<String, usize>,
    is_down: bool,
}

/// A provider on a loopback port.
pub struct Fake {
    pub issuer: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// One with one key, `first`.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (served, own) = (state.clone(), issuer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, issuer) = (served.clone(), own.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &state, &issuer));
            }
        });
        let fake = Self { issuer, state };
        fake.publishes(&["first"]);
        fake
    }

    /// Has exactly these keys from now on; one that was there before stays the same key.
    pub fn publishes(&self, kids: &[&str]) {
        let mut state = self.state.lock().unwrap();
        let old = std::mem::take(&mut state.keys);
        for kid in kids {
            let known = old.iter().find(|(name, _)| name == kid).map(|(_, key)| key.clone());
            state.keys.push(((*kid).to_owned(), known.unwrap_or_else(fresh_key)));
        }
    }

    /// What its token endpoint says from now on.
    pub fn answers(&self, answer: Value) {
        self.state.lock().unwrap().answer = answer;
    }
    /// What its userinfo endpoint says from now on.
    pub fn tells(&self, userinfo: Value) {
        self.state.lock().unwrap().userinfo = userinfo;
    }
    /// Whether it gives no answers from now on.
    pub fn is_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }
    /// How often something was asked of it.
    pub fn asked(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.get(path).copied().unwrap_or(0)
    }

    /// A token signed with one of its keys.
    pub fn signs(&self, typ: &str, kid: &str, claims: &Value) -> String {
        let state = self.state.lock().unwrap();
        let (_, key) = state.keys.iter().find(|(name, _)| name == kid).unwrap();
        signed(key, typ, kid, claims)
    }
}

pub fn fresh_key() -> SigningKey {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    SigningKey::from_bytes(&seed)
}

/// A token that this key signs under any name.
pub fn signed(key: &SigningKey, typ: &str, kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": "EdDSA", "typ": typ, "kid": kid }).to_string();
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).to_bytes()))
}

fn answer(stream: TcpStream, state: &Mutex<State>, issuer: &str) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        head.push(line);
    }
    let Some(first) = head.first() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let length = head.iter().find_map(|l| l.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    let (status, body) = {
        let mut state = state.lock().unwrap();
        *state.asked.entry(path.clone()).or_default() += 1;
        match &*path {
            _ if state.is_down => ("503 Service Unavailable", json!({})),
            "/.well-known/openid-configuration" => ("200 OK", metadata(issuer)),
            "/keys" => ("200 OK", json!({ "keys": state.keys.iter().map(jwk).collect::<Vec<_>>() })),
            "/token" => ("200 OK", state.answer.clone()),
            "/userinfo" => ("200 OK", state.userinfo.clone()),
            _ => ("404 Not Found", json!({})),
        }
    };
    let body = body.to_string();
    let length = body.len();
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"), "userinfo_endpoint": format!("{issuer}/userinfo"),
    })
}

fn jwk((kid, key): &(String, SigningKey)) -> Value {
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA", "x": x })
}
