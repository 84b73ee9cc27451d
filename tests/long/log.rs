//! The log under load: many writers, on PostgreSQL through two processes; one reader who listens all the time and tells how
//! late the log is, one who is cut off again and again. Afterwards the log is sound, and both have heard everything once.
//!
//!   BENCHSIDE_LONG_EVENTS=10000    how many events in all
//!   BENCHSIDE_LONG_WRITERS=64      by how many writers at once
use super::{Cast, Client, Server, free_port, fresh_folder, setting};
use benchside::{
    db::{Conn, Purpose, columns::Time},
    ledger::{log, verify_database},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

mod sqlite {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_log_is_whole_under_load() {
        let folder = super::fresh_folder();
        let url = format!("sqlite://{}", folder.join("benchside.db").display());
        super::the_log_is_whole_under_load(&url, &folder, 1);
    }
}
#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_log_is_whole_under_load() {
        super::the_log_is_whole_under_load(&super::super::support::fresh_postgres(), &super::fresh_folder(), 2);
    }
}

/// Logs, then revises again and again, until enough has happened.
fn write(client: &Client, lab: &Value, done: &AtomicU64, events: u64) -> Vec<(Version, Time)> {
    let mut acknowledged = Vec::new();
    let mut record: Option<Value> = None;
    while done.load(Ordering::Relaxed) < events {
        let answer = match &record {
            None => {
                let new = json!({ "title": "Under load", "modality": "device", "lab_id": lab });
                client.send("POST", "/v1/discoveries", None, &new)
            }
            Some(known) => {
                let path = format!("/v1/discoveries/{}", known["id"].as_str().unwrap());
                client.send(
                    "PATCH",
                    &path,
                    known["version"].as_i64(),
                    &json!({ "summary": fastrand::u64(..).to_string() }),
                )
            }
        };
        let (status, body) = answer.expect("nobody is killed here");
        match status {
            200 | 201 => {
                done.fetch_add(1, Ordering::Relaxed);
                acknowledged.push((version(&body), Time::now()));
                // A record has some versions, and then there is another.
                record = (body["version"].as_i64() < Some(20)).then_some(body);
            }
            503 => {}
            _ => panic!("{status} {body}"),
        }
    }
    acknowledged
}

/// A record and a version of it.
type Version = (String, i64);

fn version(record: &Value) -> Version {
    (record["id"].as_str().unwrap().to_owned(), record["version"].as_i64().unwrap())
}

/// Listens from a position on for so many events, and hands each over with the moment it came.
fn listen(port: u16, token: &str, last: &mut Option<String>, events: usize, mut heard: impl FnMut(Value)) -> usize {
    let mut request = ureq::get(format!("http://127.0.0.1:{port}/v1/events"))
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "text/event-stream");
    if let Some(last) = last.as_deref() {
        request = request.header("last-event-id", last);
    }
    let mut lines = BufReader::new(request.call().unwrap().into_body().into_reader()).lines();
    let mut taken = 0;
    while taken < events {
        let line = lines.next().expect("the stream goes on").unwrap();
        match line.split_once(": ") {
            Some(("id", id)) => *last = Some(id.to_owned()),
            Some(("data", data)) => {
                taken += 1;
                heard(serde_json::from_str(data).unwrap());
            }
            _ => {}
        }
    }
    taken
}

fn sequence(event: &Value) -> u64 {
    event["sequence"].as_str().unwrap().strip_prefix("1-").unwrap().parse().unwrap()
}

fn the_log_is_whole_under_load(url: &str, folder: &Path, processes: usize) {
    let (events, writers) = (setting("BENCHSIDE_LONG_EVENTS", 10_000), setting("BENCHSIDE_LONG_WRITERS", 64));
    let engine = url.split(':').next().unwrap();
    let cast = Cast::enter(url);
    let before = 1 + cast.emails.len() as u64;
    let ports: Vec<u16> = (0..processes).map(|_| free_port()).collect();
    let servers: Vec<Server> = ports.iter().map(|port| Server::start(url, folder, *port)).collect();
    let tokens: Vec<_> = cast.emails.iter().map(|email| Client::sign_in(ports[0], email)).collect();
    let (done, lab) = (AtomicU64::new(0), json!(cast.lab));
    let total = AtomicU64::new(u64::MAX);
    let began = Instant::now();
    let (mut heard, mut steady, mut broken, mut cuts) = (Vec::new(), Vec::new(), Vec::new(), 0_u64);
    let mut acknowledged = Vec::new();
    std::thread::scope(|scope| {
        let writing: Vec<_> = (0..writers)
            .map(|n| {
                let n = usize::try_from(n).unwrap();
                let token = tokens[n % tokens.len()].clone();
                let client = Client { token, ..Client::new(ports[n % processes]) };
                let (lab, done) = (&lab, &done);
                scope.spawn(move || write(&client, lab, done, events))
            })
            .collect();
        scope.spawn(|| {
            let mut last = None;
            // Some are still to come when the writers stop, so nobody waits for what never comes.
            listen(ports[0], &tokens[0], &mut last, usize::try_from(before + events).unwrap(), |event| {
                let record = &event["data"]["record"];
                let told = (record["id"].as_str().unwrap().to_owned(), event["data"]["version"].as_i64().unwrap());
                heard.push((told, sequence(&event), Time::now()));
                steady.push(sequence(&event));
            });
        });
        scope.spawn(|| {
            let mut last = None;
            while (broken.len() as u64) < before + events {
                let left = usize::try_from(before + events).unwrap() - broken.len();
                let some = fastrand::usize(1..=17).min(left);
                listen(*fastrand::choice(&ports).unwrap(), &tokens[1], &mut last, some, |event| {
                    broken.push(sequence(&event))
                });
                cuts += 1;
            }
        });
        for writer in writing {
            acknowledged.extend(writer.join().unwrap());
        }
        total.store(before + done.load(Ordering::Relaxed), Ordering::Relaxed);
    });
    let took = began.elapsed();
    let expected: Vec<u64> = (0..before + events).collect();
    assert!(steady == expected, "the steady reader has heard everything once, in order");
    assert!(broken == expected, "and so has the one who was cut off {cuts} times");
    assert!(cuts >= (events / 10).min(1000), "only {cuts} cuts");
    let total = total.into_inner();
    let mut conn = Conn::open(&url.parse().unwrap(), Purpose::Read).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while log::latest(&mut conn).unwrap().unwrap().size < total {
        assert!(Instant::now() < deadline, "the log is not brought up to date");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(servers);
    let report = conn.snapshot(|conn| verify_database::verify(conn, None, &[])).unwrap();
    assert!(report.is_clean(), "{:#?}", report.faults);
    assert_eq!((report.size, report.waiting), (total, 0));
    // From the answer, which comes after the commit, to the signed checkpoint that covers it, and to the reader.
    let checkpoints = log::checkpoints_after(&mut conn, 1, 0, i64::MAX).unwrap();
    let acknowledged: HashMap<Version, Time> = acknowledged.into_iter().collect();
    let since = |from: Time, to: Time| (to.utc() - from.utc()).to_std().unwrap_or_default();
    let (mut signed, mut read): (Vec<Duration>, Vec<Duration>) = heard
        .into_iter()
        .filter_map(|(told, index, at)| {
            let answered = *acknowledged.get(&told)?;
            let covering = checkpoints.partition_point(|checkpoint| checkpoint.size <= index);
            Some((since(answered, checkpoints[covering].at), since(answered, at)))
        })
        .unzip();
    let (signed_late, read_late) = (percentiles(&mut signed), percentiles(&mut read));
    println!(
        "{engine}: {total} events of {writers} writers through {processes} processes in {:.1} s, sound; from the answer to \
         the signed checkpoint p50 {:.0?}, p99 {:.0?}, to the feed p50 {:.0?}, p99 {:.0?}; a reader cut off {cuts} times \
         heard each once",
        took.as_secs_f64(),
        signed_late.0,
        signed_late.1,
        read_late.0,
        read_late.1,
    );
    assert!(signed_late.1 < Duration::from_secs(1), "the log is late: {signed_late:?}");
    let _ = std::fs::remove_dir_all(folder);
}

/// The median and the 99th percentile.
fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    let at = |of_hundred: usize| times[(times.len() * of_hundred / 100).min(times.len() - 1)];
    (at(50), at(99))
}
