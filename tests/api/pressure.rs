//! What the service does when there is too much of something: slow clients, many requests, a database that is busy or away,
//! a stop while work is under way.
use crate::support::{Actor, Node, TestApp, on_both_engines};
use benchside::{
    app::Clock,
    http::edge::Edge,
    vocabulary::{OrganizationKind, Role},
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

on_both_engines!(
    a_body_that_trickles_is_refused_and_its_connection_ended,
    a_body_that_nobody_reads_holds_no_connection,
    a_head_that_trickles_ends_its_connection,
    a_caller_has_so_many_requests_and_is_told_how_many_are_left,
    who_has_no_good_token_is_counted_by_address,
    a_script_is_counted_with_its_owner,
    behind_a_proxy_addresses_are_counted_and_not_the_proxy,
    a_busy_database_refuses_within_a_second_and_probes_answer,
    a_stop_is_announced_and_requests_under_way_are_answered,
);

/// More than any deadline here, less than any default one.
const LONG: Duration = Duration::from_secs(8);

fn hasty() -> Edge {
    let second = Duration::from_secs(1);
    Edge { rate_limit: 0, header_deadline: second, body_deadline: second, keep_alive: second, ..Edge::default() }
}

fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.base.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Sends a byte now and then until the other side has had enough, and reads what it says; fails if it never has.
fn trickle(mut stream: TcpStream, bytes: &'static [u8]) -> String {
    let mut writer = stream.try_clone().unwrap();
    let (ended, end) = mpsc::channel::<()>();
    let trickling = std::thread::spawn(move || {
        while end.recv_timeout(Duration::from_millis(50)) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = writer.write_all(bytes);
        }
    });
    let began = Instant::now();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..n]);
    }
    assert!(began.elapsed() < LONG, "the connection was not ended: {}", String::from_utf8_lossy(&answer));
    drop(ended);
    trickling.join().unwrap();
    String::from_utf8(answer).unwrap()
}

/// One answer with a length; the connection stays.
fn answer(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let from = text.len();
        assert!(reader.read_line(&mut text).unwrap() > 0, "cut off: {text}");
        let line = text[from..].trim();
        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + &String::from_utf8(body).unwrap()
}

fn a_body_that_trickles_is_refused_and_its_connection_ended(app: &TestApp) {
    let node = app.node(hasty(), Clock::system());
    let ada = app.scientist("Ada", app.lab("A lab"));
    let token = &ada.token;
    let json = "host: x\r\ncontent-type: application/json\r\n";
    for head in [
        format!("POST /v1/auth/login HTTP/1.1\r\n{json}content-length: 1000\r\n\r\n"),
        format!("POST /v1/auth/login HTTP/1.1\r\n{json}transfer-encoding: chunked\r\n\r\n"),
        format!("POST /v1/discoveries HTTP/1.1\r\n{json}authorization: Bearer {token}\r\ncontent-length: 1000\r\n\r\n"),
    ] {
        let mut stream = connect(&node);
        stream.write_all(head.as_bytes()).unwrap();
        let bytes: &[u8] = if head.contains("chunked") { b"1\r\n \r\n" } else { b" " };
        let said = trickle(stream, bytes);
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert!(said.contains("\"code\":\"too_slow\"") && said.contains("connection: close"), "{said}");
    }
    // A body that comes in time is none the worse for coming in pieces.
    let mut stream = connect(&node);
    let body = json!({ "email": ada.email, "password": "wrong" }).to_string();
    let head = format!("POST /v1/auth/login HTTP/1.1\r\n{json}content-length: {}\r\n\r\n", body.len());
    for piece in [&head, &body[..9], &body[9..]] {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(answer(&stream).starts_with("HTTP/1.1 401"));
}

fn a_body_that_nobody_reads_holds_no_connection(app: &TestApp) {
    let node = app.node(hasty(), Clock::system());
    for (path, length, bytes) in [
        ("/v1/discoveries", "content-length: 1000000", &b" "[..]),
        ("/v1/discoveries", "transfer-encoding: chunked", b"1\r\n \r\n"),
        ("/nowhere", "transfer-encoding: chunked", b"1\r\n \r\n"),
        // Nothing more is sent at all.
        ("/v1/discoveries", "transfer-encoding: chunked", b""),
        ("/v1/discoveries", "content-length: 1000000", b""),
    ] {
        let mut stream = connect(&node);
        stream.write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n").as_bytes()).unwrap();
        let said = trickle(stream, bytes);
        let expected = if path == "/nowhere" { "HTTP/1.1 404" } else { "HTTP/1.1 401" };
        assert!(said.starts_with(expected), "{path} {length}: {said}");
    }
}

fn a_head_that_trickles_ends_its_connection(app: &TestApp) {
    let node = app.node(hasty(), Clock::system());
    let first = trickle(connect(&node), b"G");
    assert!(first.starts_with("HTTP/1.1 408") || first.starts_with("HTTP/1.1 400"), "{first}");
    // The library times the first head alone.
    let mut stream = connect(&node);
    for _ in 0..2 {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert!(answer(&stream).starts_with("HTTP/1.1 200"), "one connection serves several requests");
    }
    stream.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
    assert_eq!(trickle(stream, b"x: y\r\n"), "");
    // Nor does one idle for ever.
    let mut stream = connect(&node);
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    answer(&stream);
    assert_eq!(trickle(stream, b""), "");
}

/// Requests that are answered before the first 429.
fn until_refused(send: impl Fn() -> crate::support::Reply) -> usize {
    (0..200).position(|_| send().status == 429).expect("there is a limit")
}

fn a_caller_has_so_many_requests_and_is_told_how_many_are_left(app: &TestApp) {
    let lab = app.lab("A lab");
    let (ada, bo) = (app.scientist("Ada", lab), app.scientist("Bo", lab));
    let clock = Clock::standing_at(app.app.clock.now());
    let node = app.node(Edge { rate_limit: 3, ..Edge::default() }, clock.clone());
    let (ada, bo) = (ada.at(&node), bo.at(&node));
    let reply = ada.get("/v1/me").expect(200);
    assert_eq!(reply.header("ratelimit-policy"), Some("\"default\";q=30;w=10"));
    assert_eq!(reply.header("ratelimit"), Some("\"default\";r=29;t=1"));
    // What is at no route, or of no use, counts as well.
    ada.get("/v1/nowhere").refused(404, "not_found");
    let reply = ada.send("POST", "/v1/discoveries", &[("content-type", "text/plain")], Some(b"x")).expect(415);
    assert_eq!(reply.header("ratelimit"), Some("\"default\";r=27;t=1"));
    assert_eq!(until_refused(|| ada.get("/v1/me")), 27);
    let reply = ada.get("/v1/me");
    assert_eq!(reply.header("ratelimit"), Some("\"default\";r=0;t=10"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let problem = reply.refused(429, "too_many_requests");
    assert_eq!((problem["retry_after"].as_u64(), problem["instance"].as_str()), (Some(1), Some("/v1/me")));
    // Nobody else pays for it, and probes are free.
    bo.get("/v1/me").expect(200);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let reply = ada.get(path).expect(200);
        assert_eq!(reply.header("ratelimit"), None, "{path}");
    }
    clock.set((clock.now().utc() + chrono::TimeDelta::seconds(2)).into());
    assert_eq!(until_refused(|| ada.get("/v1/me")), 6);
}

fn who_has_no_good_token_is_counted_by_address(app: &TestApp) {
    let ada = app.scientist("Ada", app.lab("A lab"));
    let clock = Clock::standing_at(app.app.clock.now());
    let node = app.node(Edge { rate_limit: 3, ..Edge::default() }, clock);
    let (nobody, ada) = (app.anonymous().at(&node), ada.at(&node));
    let garbage = |token: &str| Actor { token: token.into(), ..nobody.clone() };
    let forged = format!("{}x", ada.token);
    // A new false token each time is no new caller; nor is it the person it names.
    for n in 0..10 {
        garbage(&format!("garbage{n}")).get("/v1/me").expect(401);
        garbage(&forged).get("/v1/me").expect(401);
    }
    assert_eq!(until_refused(|| nobody.get("/v1/me")), 10);
    garbage("another").get("/v1/nowhere").refused(429, "too_many_requests");
    // A client says of itself what it likes.
    nobody.send("GET", "/openapi.json", &[("x-forwarded-for", "203.0.113.9")], None).expect(429);
    ada.get("/v1/me").expect(200);
}

fn a_script_is_counted_with_its_owner(app: &TestApp) {
    let ada = app.scientist("Ada", app.lab("A lab"));
    let clock = Clock::standing_at(app.app.clock.now());
    let node = app.node(Edge { rate_limit: 3, ..Edge::default() }, clock);
    let token = json!({ "name": "Nightly", "scopes": ["read"], "expires_at": app.app.clock.now().plus_days(1) });
    let made = ada.post("/v1/auth/tokens", token).expect(201).body;
    let script = Actor { token: made["token"].as_str().unwrap().into(), ..ada.clone() }.at(&node);
    let left = |who: &Actor| {
        let standing = who.get("/v1/me").expect(200).header("ratelimit").unwrap().to_owned();
        standing.split(['=', ';']).nth(2).unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(left(&script), 29, "of the address: nobody knows yet whose it is");
    assert_eq!(left(&script), 29, "of its owner, who has made none");
    assert_eq!(left(&ada.at(&node)), 28);
    // Whoever floods the address with tokens that are none does not take the script along.
    let flood = Actor { token: made["token"].as_str().unwrap().replace("bsk_", "bsk-"), ..script.clone() };
    assert_eq!(until_refused(|| flood.get("/v1/me")), 29);
    assert_eq!(left(&script), 27);
    // Once it is revoked it is one of them.
    ada.send("DELETE", &format!("/v1/auth/tokens/{}", made["id"].as_str().unwrap()), &[], None).expect(204);
    script.get("/v1/me").refused(401, "unauthenticated");
    script.get("/v1/me").refused(429, "too_many_requests");
}

fn behind_a_proxy_addresses_are_counted_and_not_the_proxy(app: &TestApp) {
    let clock = Clock::standing_at(app.app.clock.now());
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    let node = app.node(Edge { rate_limit: 1, trusted_proxies, ..Edge::default() }, clock);
    let nobody = app.anonymous().at(&node);
    let from = |forwarded: &str| nobody.send("GET", "/docs", &[("x-forwarded-for", forwarded)], None);
    assert_eq!(until_refused(|| from("203.0.113.9")), 10);
    from("1.1.1.1, 203.0.113.9, 10.0.0.7").expect(429);
    from("203.0.113.9, 203.0.113.10").expect(308);
    // Whoever has one IPv6 address has 2^64 of them.
    let mut n = 0..;
    let spread = std::cell::RefCell::new(&mut n);
    let next = || format!("2001:db8:1:2::{:x}", spread.borrow_mut().next().unwrap_or(0) + 1);
    assert_eq!(until_refused(|| from(&next())), 10);
    from("2001:db8:1:3::1").expect(308);
    // Failed sign-ins are counted by the same address, and noted with it.
    let login = json!({ "email": "nobody@example.org", "password": "a long passphrase" }).to_string();
    let tries = |forwarded: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", forwarded)];
        nobody.send("POST", "/v1/auth/login", &headers, Some(login.as_bytes())).status
    };
    assert!((0..9).all(|_| tries("203.0.113.77") == 401));
}

fn a_busy_database_refuses_within_a_second_and_probes_answer(app: &TestApp) {
    let lab = app.lab("A lab");
    let node = app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
    let ada = app.scientist("Ada", lab).at(&node);
    let new = json!({ "title": "One", "summary": "s", "modality": "device", "lab_id": lab });
    ada.post("/v1/discoveries", new.clone()).expect(201);
    // Every connection of the node is at work, reading ones too.
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let (begun, beginnings) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut holding = Vec::new();
    let threads = if app.url.starts_with("sqlite:") { 3 } else { 8 };
    for n in 0..threads {
        let (db, gate, begun) = (node.app.db.clone(), gate.clone(), begun.clone());
        holding.push(runtime.spawn(async move {
            let hold = move |_: &mut benchside::db::Conn| {
                begun.send(()).unwrap();
                let _ = gate.lock().unwrap().recv();
                Ok(())
            };
            // SQLite has one thread that writes and two that read; PostgreSQL makes no difference.
            if n == 0 { db.write(hold).await } else { db.read(hold).await }
        }));
    }
    let runner = std::thread::spawn(move || {
        runtime.block_on(async {
            for held in holding {
                held.await.unwrap().unwrap();
            }
        });
    });
    for _ in 0..threads {
        beginnings.recv_timeout(LONG).unwrap();
    }
    let timed = |what: &dyn Fn() -> crate::support::Reply| {
        let began = Instant::now();
        (what(), began.elapsed())
    };
    for ask in [
        &(|| ada.post("/v1/discoveries", new.clone())) as &dyn Fn() -> crate::support::Reply,
        &|| ada.get("/v1/discoveries"),
        &|| ada.get("/health/ready"),
    ] {
        let (reply, took) = timed(ask);
        assert_eq!(reply.header("retry-after"), Some("1"));
        reply.refused(503, "overloaded");
        assert!(took < Duration::from_millis(1500), "a refusal after {took:?}");
    }
    let (reply, _) = timed(&|| ada.get("/health/live"));
    reply.expect(200);
    ada.get("/metrics").expect(200);
    for _ in 0..threads {
        go.send(()).unwrap();
    }
    runner.join().unwrap();
    let kept = ada.get("/v1/discoveries?count=true").expect(200);
    assert_eq!(kept.body["total"], 1, "what was refused was never done");
}

/// The service in a process of its own, killed when dropped.
struct Served {
    child: Child,
    base: String,
}

impl Served {
    fn on(app: &TestApp) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_benchside"))
            .args(["serve", "--database", &app.url, "--listen", "127.0.0.1:0", "--keys"])
            .arg(app.folder.join("keys"))
            .current_dir(&app.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("Listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, base }
    }
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }
}
impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn a_stop_is_announced_and_requests_under_way_are_answered(app: &TestApp) {
    let lab = app.organization(OrganizationKind::Lab, "A lab");
    let ada = app.person("Ada", &[Role::Scientist], &[lab]);
    let mut served = Served::on(app);
    let caller = Actor { base: served.base.clone(), ..app.anonymous() };
    caller.get("/health/ready").expect(200);
    // A request that has half come when the signal does.
    let mut stream = TcpStream::connect(served.base.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let new = json!({ "title": "At the last moment", "summary": "s", "modality": "device", "lab_id": lab }).to_string();
    let head = format!(
        "POST /v1/discoveries HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ada.token,
        new.len()
    );
    stream.write_all((head + &new[..10]).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    served.signal("TERM");
    let deadline = Instant::now() + Duration::from_secs(2);
    while caller.get("/health/ready").status != 503 {
        assert!(Instant::now() < deadline, "readiness stays");
        std::thread::sleep(Duration::from_millis(5));
    }
    caller.get("/health/live").expect(200);
    // Long after the notice new connections are refused, and the request is still answered.
    while TcpStream::connect(served.base.strip_prefix("http://").unwrap()).is_ok() {
        assert!(Instant::now() < deadline + LONG, "it still listens");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(served.child.try_wait().unwrap().is_none(), "it waits for the request");
    stream.write_all(&new.as_bytes()[10..]).unwrap();
    let said = answer(&stream);
    assert!(said.starts_with("HTTP/1.1 201") && said.contains("connection: close"), "{said}");
    stream.shutdown(Shutdown::Both).unwrap();
    assert!(served.child.wait().unwrap().success());
    let total = ada.get("/v1/discoveries?count=true").expect(200).body["total"].clone();
    assert_eq!(total, 1);
}

#[cfg(feature = "postgres")]
mod away {
    use super::*;
    use std::{
        net::TcpListener,
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, Ordering},
        },
    };

    /// Stands between the service and PostgreSQL, and can be cut.
    #[derive(Clone)]
    struct Relay {
        port: u16,
        open: Arc<AtomicBool>,
        streams: Arc<Mutex<Vec<TcpStream>>>,
    }

    impl Relay {
        fn to(server: String) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let relay = Self { port, open: Arc::new(AtomicBool::new(true)), streams: Arc::default() };
            let own = relay.clone();
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let client = client.unwrap();
                    if !own.open.load(Ordering::SeqCst) {
                        continue;
                    }
                    let Ok(server) = TcpStream::connect(&server) else { continue };
                    let mut streams = own.streams.lock().unwrap();
                    for (mut from, mut to) in [(&client, &server), (&server, &client)]
                        .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
                    {
                        std::thread::spawn(move || {
                            let _ = std::io::copy(&mut from, &mut to);
                            let _ = to.shutdown(Shutdown::Both);
                        });
                    }
                    streams.extend([client, server]);
                }
            });
            relay
        }
        fn cut(&self) {
            self.open.store(false, Ordering::SeqCst);
            for stream in self.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        fn mend(&self) {
            self.open.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn while_postgresql_is_away_callers_are_refused_within_a_second_and_served_when_it_is_back() {
        let app = TestApp::postgres();
        let (before, rest) = app.url.split_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let relay = Relay::to(server.into());
        let through = format!("{before}@127.0.0.1:{}/{name}", relay.port);
        let node = app.node_on(&through, Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
        let lab = app.lab("A lab");
        let ada = app.scientist("Ada", lab).at(&node);
        let new = json!({ "title": "One", "summary": "s", "modality": "device", "lab_id": lab });
        ada.get("/v1/me").expect(200);
        relay.cut();
        // More than there are connections: the first find theirs dead, the others find none.
        for round in 0..12 {
            let began = Instant::now();
            let reply = if round % 2 == 0 { ada.get("/v1/me") } else { ada.post("/v1/discoveries", new.clone()) };
            let took = began.elapsed();
            assert_eq!(reply.header("retry-after"), Some("1"), "{:#}", reply.body);
            reply.refused(503, "overloaded");
            assert!(took < Duration::from_millis(1500), "a refusal after {took:?}");
        }
        ada.get("/health/ready").refused(503, "overloaded");
        ada.get("/health/live").expect(200);
        relay.mend();
        let deadline = Instant::now() + LONG;
        while ada.get("/health/ready").status != 200 {
            assert!(Instant::now() < deadline, "it does not come back");
        }
        ada.post("/v1/discoveries", new).expect(201);
        assert_eq!(
            ada.get("/v1/discoveries?count=true").expect(200).body["total"],
            1,
            "what was refused was never done"
        );
    }
}
