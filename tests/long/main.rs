//! What takes too long for every change; `.ci/long` runs it. The figures it prints stand in the docs.
//!
//! Kills under load: `benchside serve` is killed (SIGKILL) at a random moment while many clients write to it over HTTP.
//! What it acknowledged is kept here, outside. After a restart on the same database and port, every acknowledged version
//! is there with its event and its content, and there is no version without an event and no event without a version. What
//! was cut off is asked again under the same Idempotency-Key: it is answered, and has been done once.
//!
//!   BENCHSIDE_LONG_ROUNDS=20    kills
//!   BENCHSIDE_LONG_CLIENTS=32   clients at once
//!
//! Slow clients ([`slow`]): what a thousand of them and a saturating load leave of the service.
//!
//! The log ([`log`]): many writers, two processes, readers who are cut off.
//!
//! Listeners ([`listeners`]): thousands of them, who mostly hear nothing.
//!
//! Refreshes at once ([`refresh`]): one successor in each round, and a replay that ends the session.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
#[path = "../api/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros)]
mod support;

mod listeners;
mod log;
mod refresh;
mod slow;

use benchside::{
    auth::password::{Passwords, Secret},
    db::{
        Conn, Db, Purpose, Settings,
        columns::Time,
        schema::{discovery, event, event_pending, log_leaf, organization, person},
    },
    id::{AnyId, DiscoveryId, OrganizationId, PersonId},
    ledger::{Context, verify_database},
    vocabulary::Authn,
};
use diesel::{Connection, connection::SimpleConnection, prelude::*};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use support::{PASSWORD, fresh_folder};
use uuid::Uuid;

mod sqlite {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_kills_under_load_lose_nothing() {
        let folder = super::fresh_folder();
        let url = format!("sqlite://{}", folder.join("benchside.db").display());
        super::kills_under_load_lose_nothing(&url, &folder);
    }
}
#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_kills_under_load_lose_nothing() {
        super::kills_under_load_lose_nothing(&super::support::fresh_postgres(), &super::fresh_folder());
    }
}

const PEOPLE: usize = 8;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// One lab and its scientists, made before the first start.
struct Cast {
    lab: OrganizationId,
    emails: Vec<String>,
}

impl Cast {
    fn enter(url: &str) -> Self {
        let db = Db::open(url, &Settings { readers: 1, connections: 1, ..Settings::default() }).unwrap();
        let context = Context {
            log: db.log().into(),
            person: None,
            authn: Authn::System,
            at: Time::now(),
            request: Uuid::now_v7(),
        };
        let hash = Passwords::new(1).hash_blocking(&Secret::from(PASSWORD.to_owned())).unwrap();
        let emails: Vec<_> = (0..PEOPLE).map(|n| format!("scientist-{n}@example.org")).collect();
        let people = emails.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lab = runtime.block_on(db.write(move |conn| {
            let new = json!({ "name": "The lab", "kind": "lab" });
            let lab = benchside::organization::change::create(conn, &context, benchside::http::body::parse(new)?)?.id;
            for email in &people {
                let new = json!({ "name": "A Scientist", "email": email, "roles": ["scientist"], "memberships": [{ "organization_id": lab }] });
                let id = benchside::person::change::create(conn, &context, benchside::http::body::parse(new)?)?.id;
                benchside::person::change::set_password_hash(conn, id, &hash, context.at)?;
            }
            Ok(lab)
        }));
        db.close();
        Self { lab: lab.unwrap(), emails }
    }
}

/// The service in a process of its own.
struct Server(Child);

impl Server {
    fn start(url: &str, folder: &Path, port: u16) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("serve.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_benchside"))
            .args(["serve", "--database", url, "--listen", &format!("127.0.0.1:{port}")])
            // What comes from one machine here comes from many elsewhere.
            .args(["--rate-limit", "0", "--trusted-proxies", "127.0.0.1"])
            .arg("--keys")
            .arg(folder.join("keys"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = Client::new(port);
        while !matches!(client.send("GET", "/health/ready", None, &Value::Null), Some((200, _))) {
            if let Some(status) = server.0.try_wait().unwrap() {
                let log = std::fs::read_to_string(folder.join("serve.log")).unwrap();
                panic!("serve ended by itself: {status}\n{log}");
            }
            assert!(Instant::now() < deadline, "not ready after 30 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was still running");
        self.0.kill().unwrap();
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(self.0.wait().unwrap().signal(), Some(9));
    }
}
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps its connection, and knows what became of a request or that it does not.
struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Client {
    fn new(port: u16) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        Self { agent, base: format!("http://127.0.0.1:{port}"), token: String::new() }
    }
    /// An access token: anew after each start, since nothing but the password outlives a kill for certain.
    fn sign_in(port: u16, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD });
        let (status, token) = Self::new(port).send("POST", "/v1/auth/login", None, &body).expect("it was just ready");
        assert_eq!(status, 200, "{token}");
        token["access_token"].as_str().unwrap().to_owned()
    }
    fn post(&self, post: &Post) -> Option<(u16, Value, bool)> {
        self.ask("POST", &post.path, post.version, &post.body, Some(post.key))
    }
    /// `None`: no answer, or half of one.
    fn send(&self, method: &str, path: &str, version: Option<i64>, body: &Value) -> Option<(u16, Value)> {
        self.ask(method, path, version, body, None).map(|(status, body, _)| (status, body))
    }
    /// As [`Client::send`], under a key; also answers whether this was a replay.
    fn ask(
        &self,
        method: &str,
        path: &str,
        version: Option<i64>,
        body: &Value,
        key: Option<Uuid>,
    ) -> Option<(u16, Value, bool)> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if let Some(version) = version {
            request = request.header("if-match", format!("\"{version}\""));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key.to_string());
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let mut answer = self.agent.run(request.header("content-type", kind).body(body).unwrap()).ok()?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let text = answer.body_mut().read_to_string().ok()?;
        Some((status, serde_json::from_str(&text).ok()?, replayed))
    }
}

/// What a client was told: this version of this record holds this.
#[derive(Debug, Clone)]
struct Told {
    member: &'static str,
    value: Value,
    action: &'static str,
}
type Acknowledged = BTreeMap<(Uuid, i64), Told>;

/// A POST with its key, which says what it will have been told.
#[derive(Debug, Clone)]
struct Post {
    path: String,
    version: Option<i64>,
    body: Value,
    key: Uuid,
    told: Told,
}

/// One client: the records it logged, and what it asked last without hearing.
#[derive(Default)]
struct Desk {
    mine: Vec<Uuid>,
    cut_off: Option<Post>,
}

/// What the clients share.
struct Load<'a> {
    port: u16,
    lab: OrganizationId,
    stop: AtomicBool,
    /// Of everybody: several clients fight for these.
    contested: &'a [Uuid],
    acknowledged: Mutex<Acknowledged>,
    refused: AtomicU64,
    unanswered: AtomicU64,
    /// Cut off by a kill, and then found done, or done now.
    replayed: AtomicU64,
    repeated: AtomicU64,
}

impl Load<'_> {
    /// One person's work until the server is gone: records of their own are logged, revised, validated, advanced, put on
    /// hold and resumed, and now and then one that others want too is revised.
    fn work(&self, token: &str, round: u64, desk: &mut Desk) {
        let client = Client { token: token.to_owned(), ..Client::new(self.port) };
        if let Some(post) = desk.cut_off.take()
            && !self.repeat(&client, post, desk)
        {
            return self.lost();
        }
        let mut known: HashMap<Uuid, Value> = HashMap::new();
        for step in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let marker = format!("round {round}, step {step}, {}", Uuid::now_v7());
            if desk.mine.len() < 4 || step % 40 == 39 {
                let new = json!({ "title": "Under load", "summary": marker, "modality": "device", "lab_id": self.lab });
                let told = Told { member: "summary", value: json!(marker), action: "created" };
                let key = Uuid::now_v7();
                let post = Post { path: "/v1/discoveries".into(), version: None, body: new, key, told };
                let Some((status, body, _)) = client.post(&post) else {
                    desk.cut_off = Some(post);
                    return self.lost();
                };
                if !self.is_busy(status) {
                    assert_eq!(status, 201, "{body}");
                    let id = self.acknowledge(&body, post.told);
                    desk.mine.push(id);
                    known.insert(id, body);
                }
                continue;
            }
            let contested = !self.contested.is_empty() && step % 5 == 4;
            let id = *fastrand::choice(if contested { self.contested } else { &desk.mine[..] }).unwrap();
            let path = format!("/v1/discoveries/{id}");
            // Of a contested record, or after a restart, one has to look first.
            let record = match known.get(&id).filter(|_| !contested) {
                Some(record) => record.clone(),
                None => {
                    let Some((status, body)) = client.send("GET", &path, None, &Value::Null) else {
                        return self.lost();
                    };
                    if self.is_busy(status) {
                        continue;
                    }
                    assert_eq!(status, 200, "{body}");
                    body
                }
            };
            let version = record["version"].as_i64().unwrap();
            let moving = !contested && step % 2 == 0;
            known.remove(&id);
            let (answer, told) = if moving {
                let (to, body) = next_move(&record);
                let told = Told { member: "stage", value: json!(to), action: "moved" };
                let (path, key) = (format!("{path}/transitions"), Uuid::now_v7());
                let post = Post { path, version: Some(version), body, key, told: told.clone() };
                let answer = client.post(&post).map(|(status, body, _)| (status, body));
                desk.cut_off = answer.is_none().then_some(post);
                (answer, told)
            } else {
                let told = Told { member: "summary", value: json!(marker), action: "revised" };
                let patch = json!({ "summary": marker, "trl": 4 });
                (client.send("PATCH", &path, Some(version), &patch), told)
            };
            let Some((status, body)) = answer else { return self.lost() };
            match status {
                200 => {
                    assert_eq!(body["version"], version + 1);
                    self.acknowledge(&body, told);
                    known.insert(id, body);
                }
                201 => {
                    assert_eq!(body["record"]["version"], version + 1);
                    self.acknowledge(&body["record"], told);
                }
                // Somebody was faster, a gate is not met yet, or too much is queued: nothing was done.
                409 | 412 | 503 => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                _ => panic!("{path}: {status} {body}"),
            }
        }
    }

    /// Asks again what a kill cut off; false if this is cut off too.
    fn repeat(&self, client: &Client, post: Post, desk: &mut Desk) -> bool {
        let Some((status, body, replayed)) = client.post(&post) else {
            desk.cut_off = Some(post);
            return false;
        };
        self.repeated.fetch_add(1, Ordering::Relaxed);
        self.replayed.fetch_add(replayed.into(), Ordering::Relaxed);
        match (status, post.version) {
            (201, None) => desk.mine.push(self.acknowledge(&body, post.told)),
            (201, Some(_)) => {
                self.acknowledge(&body["record"], post.told);
            }
            // It was not done, and somebody else changed the record.
            (409 | 412, Some(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            _ => assert!(self.is_busy(status), "{}: {status} {body}", post.path),
        }
        true
    }

    fn acknowledge(&self, record: &Value, told: Told) -> Uuid {
        let id = record["id"].as_str().unwrap().parse().unwrap();
        let before = self.acknowledged.lock().unwrap().insert((id, record["version"].as_i64().unwrap()), told);
        assert!(before.is_none(), "one version was given to two: {record} {before:?}");
        id
    }

    /// Whether too much is queued: nothing was done then.
    fn is_busy(&self, status: u16) -> bool {
        let busy = status == 503;
        self.refused.fetch_add(busy.into(), Ordering::Relaxed);
        busy
    }

    fn lost(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }
}

fn next_move(record: &Value) -> (String, Value) {
    let stage = record["stage"].as_str().unwrap();
    match stage {
        "logged" => {
            let evidence = json!([{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }]);
            ("validated".into(), json!({ "to": "validated", "evidence": evidence }))
        }
        "validated" if record["trl"].as_i64().unwrap_or(0) >= 3 => {
            ("preclinical".into(), json!({ "to": "preclinical" }))
        }
        "on_hold" => {
            let to = record["held_from"].as_str().unwrap();
            (to.into(), json!({ "to": to, "reason": "It goes on" }))
        }
        _ => ("on_hold".into(), json!({ "to": "on_hold", "reason": "A pause" })),
    }
}

/// `enqueued`, kind, record, version, action, leaf hash, payload.
type EventRow<Record, Payload> = (i64, String, Record, i64, String, Vec<u8>, Payload);

/// What the tables hold, of one moment.
struct Stored {
    records: HashMap<Uuid, (&'static str, i64, Vec<u8>)>,
    summaries: HashMap<Uuid, (String, String)>,
    events: Vec<EventRow<Uuid, Vec<u8>>>,
    /// In its place in the log, or waiting for it.
    pending: BTreeSet<i64>,
}

impl Stored {
    fn read(url: &str) -> Self {
        let mut conn = Conn::open(&url.parse().unwrap(), Purpose::Read).unwrap();
        let snapshot = conn.engine() == "postgres";
        conn.transaction::<_, diesel::result::Error, _>(|conn| {
            if snapshot {
                conn.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
            }
            let mut records = HashMap::new();
            let labs: Vec<(OrganizationId, i64, Vec<u8>)> =
                organization::table.select((organization::id, organization::version, organization::head)).load(conn)?;
            records.extend(labs.into_iter().map(|(id, version, head)| (id.0, ("organization", version, head))));
            let people: Vec<(PersonId, i64, Vec<u8>)> =
                person::table.select((person::id, person::version, person::head)).load(conn)?;
            records.extend(people.into_iter().map(|(id, version, head)| (id.0, ("person", version, head))));
            let found: Vec<(DiscoveryId, i64, Vec<u8>, String, String)> = discovery::table
                .select((discovery::id, discovery::version, discovery::head, discovery::summary, discovery::stage))
                .load(conn)?;
            let mut summaries = HashMap::new();
            for (id, version, head, summary, stage) in found {
                records.insert(id.0, ("discovery", version, head));
                summaries.insert(id.0, (summary, stage));
            }
            let events: Vec<EventRow<AnyId, Option<Vec<u8>>>> = event::table
                .order((event::record_id, event::record_version))
                .select((
                    event::enqueued,
                    event::record_kind,
                    event::record_id,
                    event::record_version,
                    event::action,
                    event::leaf_hash,
                    event::payload,
                ))
                .load(conn)?;
            let events = events.into_iter().map(|(n, kind, id, version, action, hash, payload)| {
                (n, kind, id.0, version, action, hash, payload.expect("nothing was erased"))
            });
            let events = events.collect();
            let waiting: Vec<i64> = event_pending::table.select(event_pending::enqueued).load(conn)?;
            let placed: Vec<Option<i64>> = log_leaf::table.select(log_leaf::enqueued).load(conn)?;
            let pending = waiting.into_iter().chain(placed.into_iter().flatten()).collect();
            Ok(Self { records, summaries, events, pending })
        })
        .unwrap()
    }

    /// Every fault there is.
    fn compare(&self, acknowledged: &Acknowledged) -> Vec<String> {
        let mut faults = Vec::new();
        let mut last: HashMap<Uuid, (i64, &Vec<u8>, Value)> = HashMap::new();
        let mut told = 0;
        let mut logged = BTreeSet::new();
        for (enqueued, kind, id, version, action, hash, payload) in &self.events {
            let before = last.get(id).map_or(0, |(version, ..)| *version);
            if *version != before + 1 {
                faults.push(format!("{kind} {id}: event of version {version} follows that of {before}"));
            }
            if self.records.get(id).is_none_or(|(k, ..)| k != kind) {
                faults.push(format!("{kind} {id}: an event without a record"));
            }
            if !self.pending.contains(enqueued) {
                faults.push(format!("{kind} {id}: version {version} has no place in the log and waits for none"));
            }
            let content: Value = serde_json::from_slice(payload).unwrap();
            if kind == "discovery" && action == "created" && !logged.insert(content["record"]["summary"].to_string()) {
                faults.push(format!("{id} was logged twice: {content}"));
            }
            if content["record"]["version"] != *version {
                faults.push(format!("{kind} {id}: the event of version {version} holds another"));
            }
            if let Some(expected) = acknowledged.get(&(*id, *version)) {
                told += 1;
                if content["record"][expected.member] != expected.value || action != expected.action {
                    faults.push(format!(
                        "{id} version {version} was acknowledged as {expected:?}, is {action} {content}"
                    ));
                }
            }
            last.insert(*id, (*version, hash, content));
        }
        if told != acknowledged.len() {
            let there: BTreeSet<_> = self.events.iter().map(|(_, _, id, version, ..)| (*id, *version)).collect();
            let missing = acknowledged.iter().filter(|(key, _)| !there.contains(key));
            faults.extend(missing.map(|(key, told)| format!("{key:?} was acknowledged and is gone: {told:?}")));
        }
        for (id, (kind, version, head)) in &self.records {
            match last.get(id) {
                None => faults.push(format!("{kind} {id}: a record without an event")),
                Some((of_event, hash, _)) if of_event != version || *hash != head => {
                    faults.push(format!("{kind} {id} is at version {version}, its last event at {of_event}"));
                }
                Some((_, _, content)) => {
                    if let Some((summary, stage)) = self.summaries.get(id)
                        && (content["record"]["summary"] != **summary || content["record"]["stage"] != **stage)
                    {
                        faults.push(format!("{kind} {id}: its row is not what its last event holds"));
                    }
                }
            }
        }
        if self.pending.len() != self.events.len() {
            faults.push(format!("{} events, {} placed or pending", self.events.len(), self.pending.len()));
        }
        faults
    }
}

/// A comparison that cannot fail proves nothing: each kind of damage is found.
fn damage_is_found(url: &str, acknowledged: &Acknowledged) {
    let finds = |damage: &dyn Fn(&mut Stored, &mut Acknowledged), what: &str| {
        let (mut stored, mut acknowledged) = (Stored::read(url), acknowledged.clone());
        damage(&mut stored, &mut acknowledged);
        let faults = stored.compare(&acknowledged);
        assert!(faults.iter().any(|fault| fault.contains(what)), "{what}: {faults:?}");
    };
    let newest = |stored: &Stored| stored.events.iter().rposition(|e| e.1 == "discovery").unwrap();
    finds(&|_, told| *told = told.iter().map(|((id, v), t)| ((*id, v + 100_000), t.clone())).collect(), "is gone");
    finds(&|_, told| told.values_mut().for_each(|t| t.value = json!("another")), "was acknowledged as");
    finds(
        &|stored, _| {
            let mut twice =
                stored.events[stored.events.iter().position(|e| e.1 == "discovery" && e.3 == 1).unwrap()].clone();
            twice.2 = Uuid::now_v7();
            stored.events.push(twice);
        },
        "was logged twice",
    );
    finds(
        &|stored, _| {
            let id = stored.events[newest(stored)].2;
            stored.events.retain(|e| e.2 != id);
        },
        "a record without an event",
    );
    finds(
        &|stored, _| {
            let id = stored.events[newest(stored)].2;
            stored.records.remove(&id);
        },
        "an event without a record",
    );
    finds(
        &|stored, _| {
            let id = stored.events[newest(stored)].2;
            stored.records.get_mut(&id).unwrap().1 += 1;
        },
        "its last event at",
    );
    finds(
        &|stored, _| {
            let enqueued = stored.events[newest(stored)].0;
            stored.pending.remove(&enqueued);
        },
        "waits for none",
    );
}

/// Below the ports that clients are given, so that no client sits on it when the server comes back.
fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(20_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

fn kills_under_load_lose_nothing(url: &str, folder: &Path) {
    let rounds = setting("BENCHSIDE_LONG_ROUNDS", 20);
    let clients = usize::try_from(setting("BENCHSIDE_LONG_CLIENTS", 32)).unwrap();
    let engine = url.split(':').next().unwrap();
    let cast = Cast::enter(url);
    let port = free_port();
    let mut acknowledged = Acknowledged::new();
    let mut desks: Vec<Desk> = (0..clients).map(|_| Desk::default()).collect();
    let (mut refused, mut unanswered, mut unheard, mut loaded) = (0, 0, 0, Duration::ZERO);
    let (mut repeated, mut replayed) = (0, 0);
    let mut server = Server::start(url, folder, port);
    for round in 1..=rounds {
        let contested: Vec<_> = desks.iter().take(3).filter_map(|desk| desk.mine.first().copied()).collect();
        let tokens: Vec<_> = cast.emails.iter().map(|email| Client::sign_in(port, email)).collect();
        let load = Load {
            port,
            lab: cast.lab,
            stop: AtomicBool::new(false),
            contested: &contested,
            acknowledged: Mutex::default(),
            refused: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            replayed: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        };
        let began = Instant::now();
        std::thread::scope(|scope| {
            for (n, desk) in desks.iter_mut().enumerate() {
                let (load, token) = (&load, &tokens[n % PEOPLE]);
                scope.spawn(move || load.work(token, round, desk));
            }
            // Never before the load is on; then at any moment.
            let deadline = Instant::now() + Duration::from_secs(60);
            while load.acknowledged.lock().unwrap().len() < clients {
                assert!(Instant::now() < deadline, "no load after 60 s");
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..2_500_000)));
            server.kill();
            load.stop.store(true, Ordering::Relaxed);
        });
        loaded += began.elapsed();
        refused += load.refused.into_inner();
        repeated += load.repeated.into_inner();
        replayed += load.replayed.into_inner();
        let cut = load.unanswered.into_inner();
        assert!(cut > 0, "the kill met requests under way");
        unanswered += cut;
        let now = load.acknowledged.into_inner().unwrap();
        let heard = now.len();
        for (key, told) in now {
            assert!(acknowledged.insert(key, told).is_none(), "{key:?} was given away twice, before and after a kill");
        }
        server = Server::start(url, folder, port);
        let stored = Stored::read(url);
        let faults = stored.compare(&acknowledged);
        assert!(faults.is_empty(), "{engine}, round {round}:\n{}", faults.join("\n"));
        let mut conn = Conn::open(&url.parse().unwrap(), Purpose::Read).unwrap();
        let log = conn.snapshot(|conn| verify_database::verify(conn, None, &[])).unwrap();
        assert!(log.is_clean(), "{engine}, round {round}: {:#?}", log.faults);
        let changes = stored.events.iter().filter(|e| e.1 == "discovery").count();
        unheard = changes - acknowledged.len();
        println!(
            "{engine} round {round}: {heard} acknowledged, {cut} requests cut off; in all {changes} changes stored, \
             {unheard} of them never acknowledged"
        );
    }
    damage_is_found(url, &acknowledged);
    assert!(rounds < 10 || replayed > 0, "no kill fell between a commit and its answer");
    drop(server);
    println!(
        "{engine}: {rounds} kills, {clients} clients, {} acknowledged changes in {:.0} s of load, all there with their \
         events; {unanswered} requests cut off, {unheard} of them stored though unanswered; {refused} refused (412, 409, 503); \
         {repeated} repeated under their keys, {replayed} of them done already",
        acknowledged.len(),
        loaded.as_secs_f64(),
    );
    let _ = std::fs::remove_dir_all(folder);
}
