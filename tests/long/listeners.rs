//! Thousands who listen to the feed and mostly hear nothing: what happens reaches each of them once, and meanwhile requests
//! are answered as if they were not there.
//!
//!   BENCHSIDE_LONG_LISTENERS=3000   how many
use super::{
    Cast, Client, Server, free_port, fresh_folder, setting,
    slow::{memory, percentile},
};
use serde_json::{Value, json};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

mod sqlite {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_listeners_hear_everything_and_cost_little() {
        let folder = super::fresh_folder();
        let url = format!("sqlite://{}", folder.join("benchside.db").display());
        super::listeners_hear_everything_and_cost_little(&url, &folder);
    }
}
#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_listeners_hear_everything_and_cost_little() {
        super::listeners_hear_everything_and_cost_little(
            &super::super::support::fresh_postgres(),
            &super::fresh_folder(),
        );
    }
}

/// What happens while they listen.
const EVENTS: usize = 6;
/// The longest that an event may be on its way to the last of them.
const PATIENCE: Duration = Duration::from_secs(60);

struct Listener {
    stream: TcpStream,
    /// What has come since the last end of a line.
    rest: Vec<u8>,
    id: String,
    /// The sequences of the events that have come, in the order in which they came.
    heard: Vec<String>,
}

impl Listener {
    fn connect(port: u16, token: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "GET /v1/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, rest: Vec::new(), id: String::new(), heard: Vec::new() }
    }

    /// Takes what has come.
    fn hear(&mut self) {
        let mut part = [0; 65536];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => panic!("a stream ended after {:?}", self.heard),
                Ok(n) => self.take(&part[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => panic!("{e}"),
            }
        }
    }

    fn take(&mut self, part: &[u8]) {
        self.rest.extend(part);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        for line in std::str::from_utf8(&lines).unwrap().lines() {
            match line.split_once(": ") {
                Some(("id", id)) => self.id = id.to_owned(),
                Some(("data", _)) => self.heard.push(self.id.clone()),
                _ => {}
            }
        }
    }
}

/// How long requests take, one after the other, on a connection that is kept.
fn asked(client: &Client, times: usize) -> Vec<Duration> {
    let ask = |_| {
        let began = Instant::now();
        let answer = client.send("GET", "/v1/discoveries?limit=20", None, &Value::Null);
        assert!(matches!(answer, Some((200, _))), "{answer:?}");
        std::thread::sleep(Duration::from_millis(5));
        began.elapsed() - Duration::from_millis(5)
    };
    (0..times).map(ask).collect()
}

fn listeners_hear_everything_and_cost_little(url: &str, folder: &Path) {
    rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap();
    let many = usize::try_from(setting("BENCHSIDE_LONG_LISTENERS", 3000)).unwrap();
    let engine = url.split(':').next().unwrap();
    let cast = Cast::enter(url);
    let port = free_port();
    let server = Server::start(url, folder, port);
    let tokens: Vec<_> = cast.emails.iter().map(|email| Client::sign_in(port, email)).collect();
    let client = Client { token: tokens[0].clone(), ..Client::new(port) };
    let alone = (percentile(&mut asked(&client, 200), 99), memory(server.0.id()));
    let began = Instant::now();
    let mut listeners: Vec<Listener> = (0..many).map(|n| Listener::connect(port, &tokens[n % tokens.len()])).collect();
    // The lab and its people were there before.
    let before = 1 + tokens.len();
    let gather = |listeners: &mut Vec<Listener>, events: usize| {
        let began = Instant::now();
        loop {
            listeners.iter_mut().for_each(Listener::hear);
            let behind = listeners.iter().filter(|one| one.heard.len() < events).count();
            if behind == 0 {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "{behind} listeners have not heard {events} events");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    gather(&mut listeners, before);
    let connected = began.elapsed();
    let idle = percentile(&mut asked(&client, 200), 99);
    let (mut busy, mut late) = (Vec::new(), Vec::new());
    for n in 1..=EVENTS {
        let new = json!({ "title": format!("Heard by all {n}"), "modality": "device", "lab_id": cast.lab });
        let (status, body) = client.send("POST", "/v1/discoveries", None, &new).unwrap();
        assert_eq!(status, 201, "{body}");
        let posted = Instant::now();
        busy.extend(asked(&client, 20));
        gather(&mut listeners, before + n);
        late.push(posted.elapsed());
    }
    let expected: Vec<String> = (0..before + EVENTS).map(|index| format!("1-{index}")).collect();
    let wrong = listeners.iter().filter(|one| one.heard != expected).count();
    assert_eq!(wrong, 0, "{wrong} listeners heard something else than each event once, in order");
    let (busy, late) = (percentile(&mut busy, 99), percentile(&mut late, 50));
    let held = memory(server.0.id()).saturating_sub(alone.1);
    println!(
        "{engine}: {many} listeners, connected and caught up in {connected:.1?}; a request at p99 {:.1?} alone, {idle:.1?} \
         beside them, {busy:.1?} while an event goes out; to the last listener p50 {late:.1?}; {held} KiB more memory",
        alone.0
    );
    assert!(busy < Duration::from_millis(250), "requests wait for listeners: {busy:?}");
    assert!(held < many as u64 * 100, "a listener holds {} KiB", held / many as u64);
    drop(server);
    let _ = std::fs::remove_dir_all(folder);
}
