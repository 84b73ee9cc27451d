//! A thousand clients that never finish their requests, beside a load of real ones and a storm of sign-ins, all that two
//! cores can take: whether the service lives is still answered at once, and its memory stays what it was.
//!
//!   BENCHSIDE_LONG_SECONDS=30   how long
use super::{Cast, Client, Server, free_port, fresh_folder, setting};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

mod sqlite {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_slow_clients_leave_the_service_upright() {
        let folder = super::fresh_folder();
        let url = format!("sqlite://{}", folder.join("benchside.db").display());
        super::slow_clients_leave_the_service_upright(&url, &folder);
    }
}
#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_slow_clients_leave_the_service_upright() {
        super::slow_clients_leave_the_service_upright(&super::super::support::fresh_postgres(), &super::fresh_folder());
    }
}

/// Slow heads, and as many slow bodies.
const SLOW: usize = 500;
const WORKERS: usize = 16;
const SIGN_INS: usize = 4;

/// Clients that send a byte a second. Whoever is turned out comes back.
struct Slow {
    heads: Vec<String>,
    streams: Vec<Option<TcpStream>>,
}

impl Slow {
    /// Half of the bodies come from somebody who is signed in, so that they are waited for.
    fn new(token: &str) -> Self {
        let json = "host: x\r\ncontent-type: application/json\r\n";
        let head = |n: usize| match n % 4 {
            0 | 1 => "GET /v1/me HTTP/1.1\r\nhost: x\r\nx: ".to_owned(),
            2 => format!(
                "POST /v1/discoveries HTTP/1.1\r\n{json}authorization: Bearer {token}\r\ncontent-length: 900000\r\n\r\n"
            ),
            _ => format!("POST /v1/auth/login HTTP/1.1\r\n{json}content-length: 900000\r\n\r\n"),
        };
        Self { heads: (0..2 * SLOW).map(head).collect(), streams: (0..2 * SLOW).map(|_| None).collect() }
    }

    /// Once round: everyone sends a byte, and who was turned out connects again. Answers how many were.
    fn round(&mut self, port: u16) -> usize {
        let mut turned_out = 0;
        for (stream, head) in self.streams.iter_mut().zip(&self.heads) {
            let holds = stream.as_mut().is_some_and(|open| {
                let sent = open.write(b" ").is_ok();
                let silent = matches!(open.read(&mut [0; 1024]), Err(e) if e.kind() == ErrorKind::WouldBlock);
                sent && silent
            });
            if !holds {
                turned_out += usize::from(stream.is_some());
                *stream = TcpStream::connect(("127.0.0.1", port)).ok();
                if let Some(open) = stream {
                    open.write_all(head.as_bytes()).unwrap();
                    open.set_nonblocking(true).unwrap();
                }
            }
        }
        turned_out
    }
}

/// What the threads share.
#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    turned_out: AtomicU64,
    answers: Mutex<BTreeMap<(&'static str, u16), Vec<Duration>>>,
}

impl Watch {
    fn note(&self, what: &'static str, began: Instant, answer: Option<(u16, Value)>) {
        let status = answer.map_or(0, |(status, _)| status);
        self.answers.lock().unwrap().entry((what, status)).or_default().push(began.elapsed());
    }
    fn until_stopped(&self, mut act: impl FnMut()) {
        while !self.stop.load(Ordering::Relaxed) {
            act();
        }
    }
}

/// Reads and writes as fast as they are answered.
fn work(watch: &Watch, port: u16, token: &str, lab: &Value) {
    let client = Client { token: token.to_owned(), ..Client::new(port) };
    let new = json!({ "title": "Under load", "summary": "s", "modality": "device", "lab_id": lab });
    let mut n = 0_u64;
    watch.until_stopped(|| {
        n += 1;
        let began = Instant::now();
        if n.is_multiple_of(8) {
            watch.note("write", began, client.send("POST", "/v1/discoveries", None, &new));
        } else {
            watch.note(
                "read",
                began,
                client.send("GET", "/v1/discoveries?limit=20&sort=-updated_at", None, &Value::Null),
            );
        }
    });
}

/// Guesses at accounts that there are not, each from another address, so that no throttle stops it.
fn storm(watch: &Watch, port: u16) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    watch.until_stopped(|| {
        let body = json!({ "email": format!("{}@example.org", fastrand::u64(..)), "password": "a long passphrase" });
        let request = ureq::http::Request::post(format!("http://127.0.0.1:{port}/v1/auth/login"))
            .header("content-type", "application/json")
            .header("x-forwarded-for", Ipv4Addr::from_bits(fastrand::u32(..)).to_string());
        let began = Instant::now();
        let status = agent.run(request.body(body.to_string()).unwrap()).map(|answer| answer.status().as_u16());
        watch.note("sign-in", began, status.ok().map(|status| (status, Value::Null)));
    });
}

/// Asks on a connection of its own each time, as probes do.
fn probe(watch: &Watch, port: u16) {
    watch.until_stopped(|| {
        let began = Instant::now();
        watch.note("live", began, Client::new(port).send("GET", "/health/live", None, &Value::Null));
        std::thread::sleep(Duration::from_millis(20));
    });
}

/// Resident memory in KiB.
pub fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

pub fn percentile(times: &mut [Duration], of_hundred: usize) -> Duration {
    times.sort();
    times[(times.len() * of_hundred / 100).min(times.len() - 1)]
}

fn slow_clients_leave_the_service_upright(url: &str, folder: &Path) {
    let seconds = setting("BENCHSIDE_LONG_SECONDS", 30);
    let engine = url.split(':').next().unwrap();
    let cast = Cast::enter(url);
    let port = free_port();
    let server = Server::start(url, folder, port);
    let tokens: Vec<_> = cast.emails.iter().map(|email| Client::sign_in(port, email)).collect();
    let (watch, lab) = (Watch::default(), json!(cast.lab));
    let mut memories = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow = Slow::new(&tokens[0]);
            watch.until_stopped(|| {
                let began = Instant::now();
                watch.turned_out.fetch_add(slow.round(port) as u64, Ordering::Relaxed);
                std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
            });
            let holding = slow.streams.iter().flatten().count();
            assert!(holding > SLOW, "only {holding} slow clients were connected");
        });
        for n in 0..WORKERS {
            let (watch, token, lab) = (&watch, &tokens[n % tokens.len()], &lab);
            scope.spawn(move || work(watch, port, token, lab));
        }
        for _ in 0..SIGN_INS {
            scope.spawn(|| storm(&watch, port));
        }
        scope.spawn(|| probe(&watch, port));
        for _ in 0..seconds {
            std::thread::sleep(Duration::from_secs(1));
            memories.push(memory(server.0.id()));
        }
        watch.stop.store(true, Ordering::Relaxed);
    });
    let turned_out = watch.turned_out.into_inner();
    println!("{engine}: {seconds} s, {SLOW} slow heads, {SLOW} slow bodies, {turned_out} of them turned out");
    let mut answers = watch.answers.into_inner().unwrap();
    for ((what, status), times) in &mut answers {
        let (n, median, worst) = (times.len(), percentile(times, 50), percentile(times, 99));
        println!("{engine}: {what} {status}: {n}, p50 {median:.1?}, p99 {worst:.1?}");
    }
    let third = memories.len() / 3;
    let peak = |part: &[u64]| part.iter().copied().max().unwrap();
    let (early, late) = (peak(&memories[third..2 * third]), peak(&memories[2 * third..]));
    println!("{engine}: memory in MiB {:?}", memories.iter().map(|kib| kib / 1024).collect::<Vec<_>>());
    let probes = answers.keys().filter(|(what, _)| *what == "live").collect::<Vec<_>>();
    assert_eq!(probes, [&("live", 200)], "every probe is answered");
    let live = answers.get_mut(&("live", 200)).unwrap();
    assert!(percentile(live, 99) < Duration::from_millis(100), "liveness at p99: {:?}", percentile(live, 99));
    let odd: Vec<_> = answers.keys().filter(|(_, status)| ![200, 201, 401, 429, 503].contains(status)).collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert!(answers[&("read", 200)].len() > 100 && answers[&("write", 201)].len() > 10, "real work is done meanwhile");
    assert!(turned_out > 0, "slow clients are turned out");
    assert!(late < early + early / 10 + 16 * 1024, "memory grew from {early} to {late} KiB");
    drop(server);
    let _ = std::fs::remove_dir_all(folder);
}
