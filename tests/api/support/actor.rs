//! A person, or nobody, who sends requests.
use super::{PASSWORD, contract};
use benchside::id::PersonId;
use serde_json::{Value, json};
use std::time::Duration;

/// Who acts.
#[derive(Debug, Clone)]
pub struct Actor {
    pub id: PersonId,
    pub name: String,
    pub email: String,
    pub token: String,
    pub base: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    /// The body as it came.
    pub text: String,
    pub etag: Option<String>,
    pub location: Option<String>,
    pub headers: Vec<(String, String)>,
}

impl Reply {
    /// The reply, if its status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }
    /// The problem, if its status and code are these.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{:#}", self.body);
        self.body
    }
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }
    pub fn version(&self) -> i64 {
        self.body["version"].as_i64().unwrap()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl Actor {
    /// The same caller at another node.
    pub fn at(&self, node: &super::Node) -> Self {
        Self { base: node.base.clone(), ..self.clone() }
    }
    /// Sends any request; what is answered must be what the document says.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !headers.iter().any(|(name, _)| *name == "accept-encoding") {
            request = request.header("accept-encoding", "identity");
        }
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = agent.run(request.body(body.unwrap_or_default().to_vec()).unwrap()).unwrap();
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let find = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let (etag, location) = (find("etag"), find("location"));
        let status = answer.status().as_u16();
        let bytes = answer.into_body().with_config().limit(64 * 1024 * 1024).read_to_vec().unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // What is compressed was asked for by a test that reads it itself.
        if find("content-encoding").is_none() {
            contract::check(method, path, status, find("content-type").as_deref(), &text);
        }
        let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        Reply { status, body, text, etag, location, headers }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None)
    }
    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
    }
    /// A request that names the version it means.
    pub fn versioned(&self, method: &str, path: &str, version: i64, body: Value) -> Reply {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let tag = format!("\"{version}\"");
        self.send(method, path, &[("content-type", kind), ("if-match", &tag)], Some(body.to_string().as_bytes()))
    }
    pub fn patch(&self, path: &str, version: i64, body: Value) -> Reply {
        self.versioned("PATCH", path, version, body)
    }
    pub fn put(&self, path: &str, version: i64, body: Value) -> Reply {
        self.versioned("PUT", path, version, body)
    }
    /// Moves a record at its present version.
    #[track_caller]
    pub fn moves(&self, path: &str, body: Value) -> Reply {
        let version = self.get(path).expect(200).version();
        self.versioned("POST", &format!("{path}/transitions"), version, body)
    }
    /// Moves a record at its present version, with a signature of this meaning.
    #[track_caller]
    pub fn signs(&self, path: &str, meaning: &str, body: Value) -> Reply {
        let (challenge, version) = self.challenge(path, meaning, &body);
        let mut signed = body;
        signed["signature"] = json!({ "challenge_id": challenge, "password": PASSWORD });
        self.versioned("POST", &format!("{path}/transitions"), version, signed)
    }
    /// Asks for a challenge; answers its id and the version it is for.
    #[track_caller]
    pub fn challenge(&self, path: &str, meaning: &str, body: &Value) -> (String, i64) {
        let record = self.get(path).expect(200);
        let kind = match path.split('/').nth(2).unwrap() {
            "discoveries" => "discovery",
            plural => plural.trim_end_matches('s'),
        };
        let asked = json!({
            "record": { "kind": kind, "id": record.id() }, "version": record.version(),
            "meaning": meaning, "transition": body,
        });
        let challenge = self.post("/v1/signatures/challenges", asked).expect(201);
        (challenge.id(), record.version())
    }
}
