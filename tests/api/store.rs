//! What the store promises to everything above it, on both engines.
use crate::support::{TestApp, fresh_folder};
use benchside::{
    Error, Result,
    db::{
        Conn, Db, Settings,
        schema::{
            discovery, event, event_pending, finding, insight, log_leaf, organization, pairing, person, transfer, trial,
        },
    },
    id::AnyId,
};
use diesel::{
    connection::{Connection, SimpleConnection, TransactionManager},
    prelude::*,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use uuid::Uuid;

diesel::table! { scratch (n) { n -> BigInt, } }

/// A new database and a folder to look into.
struct Place {
    url: String,
    folder: PathBuf,
}

impl Place {
    fn sqlite() -> Self {
        let folder = fresh_folder();
        Self { url: format!("sqlite://{}", folder.join("store.db").display()), folder }
    }
    #[cfg(feature = "postgres")]
    fn postgres() -> Self {
        Self { url: crate::support::fresh_postgres(), folder: fresh_folder() }
    }
    fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }
    /// One thread each, so that a thread that died would be missed.
    fn open(&self, settings: Settings) -> Db {
        Db::open(&self.url, &Settings { readers: 1, connections: 1, ..settings }).unwrap()
    }
    /// As [`Place::open`], and nobody is refused on a busy machine.
    fn open_patiently(&self) -> Db {
        self.open(Settings { patience: Duration::from_secs(60), ..Settings::default() })
    }
    /// A connection of one's own, past the store.
    fn raw(&self) -> Conn {
        Conn::open(&self.url.parse().unwrap(), benchside::db::Purpose::Write).unwrap()
    }
}
impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod sqlite { $(#[test] fn $story() { super::$story(&super::Place::sqlite()) })+ }
        #[cfg(feature = "postgres")]
        mod postgres { $(#[test] fn $story() { super::$story(&super::Place::postgres()) })+ }
    };
}
on_both!(
    a_failing_closure_loses_its_own_changes_and_nobody_elses,
    a_panicking_read_leaves_no_trace_and_reads_cannot_write,
    who_is_not_begun_in_time_is_refused_and_never_run,
    a_refusal_and_a_beginning_exclude_each_other,
    a_file_that_another_process_holds_makes_nobody_wait_for_long,
    a_failed_commit_fails_everyone_in_it_and_the_next_one_works,
    a_closure_that_ends_the_transaction_itself_is_survived,
    an_unknown_scheme_is_refused_and_makes_no_file,
    a_database_from_a_newer_version_is_refused,
);
mod events {
    use super::{events_are_final, every_change_is_one_event_with_the_bytes_of_the_ledger};
    use crate::support::on_both_engines;
    on_both_engines!(every_change_is_one_event_with_the_bytes_of_the_ledger, events_are_final);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

fn add(conn: &mut Conn, n: i64) -> Result<usize> {
    Ok(diesel::insert_into(scratch::table).values(scratch::n.eq(n)).execute(conn)?)
}
fn numbers(conn: &mut Conn) -> Result<BTreeSet<i64>> {
    Ok(scratch::table.select(scratch::n).load(conn)?.into_iter().collect())
}
async fn kept(db: &Db) -> BTreeSet<i64> {
    db.read(numbers).await.unwrap()
}
async fn make_scratch(db: &Db) {
    db.write(|conn| Ok(conn.batch_execute("CREATE TABLE scratch (n BIGINT PRIMARY KEY)")?)).await.unwrap();
}

type Closure = Box<dyn Fn(&mut Conn) -> Result<usize> + Send>;

/// Runs the closures behind one that waits until all of them are queued: on SQLite they share one commit.
async fn in_one_batch(db: &Db, closures: Vec<Closure>) -> Vec<Result<usize>> {
    let (running, runs) = tokio::sync::oneshot::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (running, gate) = (std::sync::Mutex::new(Some(running)), std::sync::Mutex::new(gate));
    let holding = db.clone();
    let first: JoinHandle<Result<()>> = tokio::spawn(async move {
        holding
            .write(move |_| {
                if let Some(running) = running.lock().unwrap().take() {
                    running.send(()).unwrap();
                }
                gate.lock().unwrap().recv().unwrap();
                Ok(())
            })
            .await
    });
    runs.await.unwrap();
    let mut waiting = Vec::new();
    for closure in closures {
        let db = db.clone();
        waiting.push(tokio::spawn(async move { db.write(closure).await }));
        // Each stands in the queue before the next is sent.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for waiting in waiting {
        answers.push(waiting.await.unwrap());
    }
    answers
}

fn a_failing_closure_loses_its_own_changes_and_nobody_elses(place: &Place) {
    block_on(async {
        let db = place.open_patiently();
        make_scratch(&db).await;
        let good = |n: i64| -> Closure { Box::new(move |conn| add(conn, n)) };
        let closures: Vec<Closure> = vec![
            good(1),
            Box::new(|conn| add(conn, 102).and(Err(Error::Internal("no".into())))),
            good(3),
            Box::new(|conn| {
                add(conn, 104)?;
                panic!("on purpose")
            }),
            good(5),
            Box::new(|conn| {
                add(conn, 106)?;
                conn.transaction::<usize, Error, _>(|conn| {
                    add(conn, 206)?;
                    panic!("on purpose, two levels deep")
                })
            }),
            good(7),
            Box::new(|conn| {
                add(conn, 108)?;
                <Conn as Connection>::TransactionManager::begin_transaction(conn)?;
                <Conn as Connection>::TransactionManager::begin_transaction(conn)?;
                add(conn, 208)
            }),
            good(9),
            // What the database refuses (a key that is there) is an error like another.
            Box::new(|conn| add(conn, 110).and_then(|_| add(conn, 1))),
            // A nested transaction that is given up and answered for: the rest of the closure counts.
            Box::new(|conn| {
                let inner = conn.transaction::<usize, Error, _>(|conn| add(conn, 211).and(Err(Error::Closed)));
                assert!(inner.is_err());
                add(conn, 11)
            }),
        ];
        let answers = in_one_batch(&db, closures).await;
        for good in [0, 2, 4, 6, 8, 10] {
            assert_eq!(*answers[good].as_ref().unwrap(), 1, "{good}");
        }
        assert!(matches!(&answers[1], Err(Error::Internal(why)) if why == "no"), "{:?}", answers[1]);
        assert!(matches!(answers[3], Err(Error::Panicked)), "{:?}", answers[3]);
        assert!(matches!(answers[5], Err(Error::Panicked)), "{:?}", answers[5]);
        assert!(matches!(&answers[7], Err(Error::Internal(why)) if why.contains("left a transaction open")));
        assert!(answers[9].as_ref().is_err_and(Error::is_unique_violation), "{:?}", answers[9]);
        assert_eq!(kept(&db).await, BTreeSet::from([1, 3, 5, 7, 9, 11]));
        // The thread lives on, with nothing of theirs left.
        for n in 20..30 {
            db.write(move |conn| add(conn, n)).await.unwrap();
        }
        assert_eq!(kept(&db).await.len(), 16);
        db.close();
        assert!(matches!(db.write(|conn| add(conn, 40)).await, Err(Error::Closed)));
    });
}

fn a_panicking_read_leaves_no_trace_and_reads_cannot_write(place: &Place) {
    block_on(async {
        let db = place.open_patiently();
        make_scratch(&db).await;
        db.write(|conn| add(conn, 1)).await.unwrap();
        let panicked = db.read(|conn| -> Result<()> {
            numbers(conn)?;
            panic!("on purpose")
        });
        assert!(matches!(panicked.await, Err(Error::Panicked)));
        let panicked = db.read(|conn| {
            conn.transaction::<(), Error, _>(|conn| {
                numbers(conn)?;
                panic!("on purpose, two levels deep")
            })
        });
        // SQLite's readers refuse the nesting itself: a closure has its transaction already.
        assert!(panicked.await.is_err_and(|e| matches!(e, Error::Panicked) || place.is_sqlite()));
        // Neither keeps its snapshot: the one reader sees what came after.
        db.write(|conn| add(conn, 2)).await.unwrap();
        assert_eq!(kept(&db).await, BTreeSet::from([1, 2]));

        for forbidden in ["INSERT INTO scratch VALUES (3)", "DELETE FROM scratch", "CREATE TABLE other (n BIGINT)"] {
            let wrote = db.read(move |conn| Ok(conn.batch_execute(forbidden)?)).await;
            let refusal = wrote.expect_err(forbidden).to_string();
            assert!(refusal.contains("readonly") || refusal.contains("read-only"), "{refusal}");
        }
        assert_eq!(kept(&db).await, BTreeSet::from([1, 2]));

        // One snapshot for all queries of a read.
        let (seen, look) = (std::sync::Mutex::new(db.clone()), tokio::runtime::Handle::current());
        if place.is_sqlite() {
            let twice = db.read(move |conn| {
                let before = numbers(conn)?;
                let db = seen.lock().unwrap().clone();
                look.block_on(db.write(|conn| add(conn, 3)))?;
                Ok((before, numbers(conn)?))
            });
            let (before, after) = twice.await.unwrap();
            assert_eq!(before, after);
            assert_eq!(kept(&db).await, BTreeSet::from([1, 2, 3]));
        }
        db.close();
    });
}

/// Keeps every thread of the store busy until the sender is dropped or says so.
async fn held(db: &Db) -> (mpsc::Sender<()>, JoinHandle<Result<usize>>) {
    let (go, gate) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    let db = db.clone();
    let holding = tokio::spawn(async move {
        db.write(move |_| {
            running.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
            Ok(0)
        })
        .await
    });
    tokio::task::spawn_blocking(move || runs.recv().unwrap()).await.unwrap();
    (go, holding)
}

fn who_is_not_begun_in_time_is_refused_and_never_run(place: &Place) {
    let patience = Duration::from_millis(200);
    block_on(async {
        let db = place.open(Settings { queue: 2, patience, ..Settings::default() });
        make_scratch(&db).await;
        let (go, holding) = held(&db).await;
        let send = |n: i64| {
            let db = db.clone();
            tokio::spawn(async move { db.write(move |conn| add(conn, n)).await })
        };
        // Two wait in the queue, the others for a place in it: all are told within the same time.
        let began = Instant::now();
        let refused: Vec<_> = (1..=6).map(send).collect();
        for refused in refused {
            assert!(matches!(refused.await.unwrap(), Err(Error::Overloaded)));
        }
        let waited = began.elapsed();
        assert!(waited >= patience && waited < patience + Duration::from_millis(700), "{waited:?}");
        // One that comes to wait is begun in time.
        let late = send(7);
        tokio::time::sleep(Duration::from_millis(10)).await;
        go.send(()).unwrap();
        assert_eq!(holding.await.unwrap().unwrap(), 0, "what has begun is waited for");
        assert_eq!(late.await.unwrap().unwrap(), 1);
        assert_eq!(kept(&db).await, BTreeSet::from([7]));
        db.close();
    });
}

/// Many give up at about the moment at which they would be begun; each is either run and told so, or neither.
fn a_refusal_and_a_beginning_exclude_each_other(place: &Place) {
    block_on(async {
        let db = place.open(Settings { patience: Duration::from_millis(20), ..Settings::default() });
        make_scratch(&db).await;
        let writes: Vec<_> = (1..=400)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_micros(fastrand::u64(0..200_000))).await;
                    let written = db.write(move |conn| {
                        std::thread::sleep(Duration::from_micros(500));
                        add(conn, n)
                    });
                    (n, written.await)
                })
            })
            .collect();
        let (mut told, mut refused) = (BTreeSet::new(), 0);
        for write in writes {
            match write.await.unwrap() {
                (n, Ok(_)) => drop(told.insert(n)),
                (_, Err(Error::Overloaded)) => refused += 1,
                (n, Err(e)) => panic!("{n}: {e}"),
            }
        }
        assert!(refused > 0 && !told.is_empty(), "{} kept, {refused} refused: both must happen", told.len());
        // The last ones that were begun may still be at it.
        while matches!(db.write(|_| Ok(0)).await, Err(Error::Overloaded)) {}
        let db_after = Db::open(&place.url, &Settings::default()).unwrap();
        assert_eq!(kept(&db_after).await, told);
        db_after.close();
        db.close();
    });
}

/// SQLite: another process writes to the file, and keeps at it.
fn a_file_that_another_process_holds_makes_nobody_wait_for_long(place: &Place) {
    if !place.is_sqlite() {
        return;
    }
    block_on(async {
        let db = place.open(Settings { patience: Duration::from_millis(200), ..Settings::default() });
        make_scratch(&db).await;
        let mut other = place.raw();
        other.batch_execute("BEGIN IMMEDIATE").unwrap();
        let began = Instant::now();
        assert!(matches!(db.write(|conn| add(conn, 1)).await, Err(Error::Overloaded)));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        other.batch_execute("ROLLBACK").unwrap();
        while matches!(db.write(|conn| add(conn, 2)).await, Err(Error::Overloaded)) {}
        assert_eq!(kept(&db).await, BTreeSet::from([2]));
        db.close();
    });
}

fn a_failed_commit_fails_everyone_in_it_and_the_next_one_works(place: &Place) {
    block_on(async {
        let db = place.open_patiently();
        make_scratch(&db).await;
        db.write(|conn| {
            let child = "CREATE TABLE child (n BIGINT REFERENCES scratch (n) DEFERRABLE INITIALLY DEFERRED)";
            Ok(conn.batch_execute(child)?)
        })
        .await
        .unwrap();
        let orphan = |conn: &mut Conn| {
            add(conn, 2)?;
            conn.batch_execute("INSERT INTO child VALUES (99)")?;
            Ok(1)
        };
        let closures: Vec<Closure> =
            vec![Box::new(|conn| add(conn, 1)), Box::new(orphan), Box::new(|conn| add(conn, 3))];
        let answers = in_one_batch(&db, closures).await;
        let not_committed = |answer: &Result<usize>| matches!(answer, Err(Error::NotCommitted(_)));
        assert!(not_committed(&answers[1]), "{:?}", answers[1]);
        if place.is_sqlite() {
            assert!(answers.iter().all(not_committed), "{answers:?}");
            assert_eq!(kept(&db).await, BTreeSet::new());
        } else {
            assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
            assert_eq!(kept(&db).await, BTreeSet::from([1, 3]));
        }
        let again: Vec<Closure> = vec![Box::new(|conn| add(conn, 11)), Box::new(|conn| add(conn, 12))];
        assert!(in_one_batch(&db, again).await.iter().all(Result::is_ok));
        assert!(kept(&db).await.is_superset(&BTreeSet::from([11, 12])));
        db.close();
    });
}

fn a_closure_that_ends_the_transaction_itself_is_survived(place: &Place) {
    block_on(async {
        let db = place.open_patiently();
        make_scratch(&db).await;
        let closures: Vec<Closure> = vec![Box::new(|conn| {
            add(conn, 1)?;
            conn.batch_execute("ROLLBACK")?;
            Ok(1)
        })];
        let answers = in_one_batch(&db, closures).await;
        // PostgreSQL takes a COMMIT outside a transaction for a warning: there the closure alone has itself to blame.
        if place.is_sqlite() {
            assert!(answers[0].is_err(), "{answers:?}");
        }
        assert_eq!(kept(&db).await, BTreeSet::new());
        db.write(|conn| add(conn, 2)).await.unwrap();
        assert_eq!(kept(&db).await, BTreeSet::from([2]));
        db.close();
    });
}

fn an_unknown_scheme_is_refused_and_makes_no_file(place: &Place) {
    let file = place.folder.join("typo.db");
    for url in [format!("sqlit://{0}", file.display()), format!("file:{0}", file.display()), file.display().to_string()]
    {
        assert!(matches!(Db::open(&url, &Settings::default()), Err(Error::Open(_))), "{url}");
    }
    let nowhere = format!("sqlite://{}", place.folder.join("no/such/folder/store.db").display());
    assert!(matches!(Db::open(&nowhere, &Settings::default()), Err(Error::Open(_))));
    assert_eq!(std::fs::read_dir(&place.folder).unwrap().count(), 0);
}

fn a_database_from_a_newer_version_is_refused(place: &Place) {
    let log = {
        let db = place.open_patiently();
        db.close();
        db.log().to_owned()
    };
    let again = place.open_patiently();
    assert_eq!(again.log(), log, "the log keeps its name");
    again.close();
    let mut raw = place.raw();
    let step = "INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('9999', CURRENT_TIMESTAMP)";
    raw.batch_execute(step).unwrap();
    let Err(Error::Open(refusal)) = Db::open(&place.url, &Settings::default()) else { panic!("it was opened") };
    assert!(refusal.contains("newer version") && refusal.contains("9999"), "{refusal}");
    raw.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '9999'").unwrap();
    place.open_patiently().close();
}

#[derive(Debug, Queryable, PartialEq, Clone)]
struct Row {
    enqueued: i64,
    kind: String,
    record_id: AnyId,
    version: i64,
    action: String,
    leaf: Vec<u8>,
    leaf_hash: Vec<u8>,
    salt: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
}

fn events(conn: &mut Conn) -> Result<Vec<Row>> {
    Ok(event::table
        .order((event::record_id, event::record_version))
        .select((
            event::enqueued,
            event::record_kind,
            event::record_id,
            event::record_version,
            event::action,
            event::leaf,
            event::leaf_hash,
            event::salt,
            event::payload,
        ))
        .load(conn)?)
}

type Records = BTreeMap<(&'static str, Uuid), (i64, Vec<u8>)>;

/// Version and head of every record there is, by kind and id.
fn records(conn: &mut Conn) -> Result<Records> {
    let mut all = BTreeMap::new();
    macro_rules! of {
        ($($table:ident),+) => {$({
            let rows: Vec<(AnyId, i64, Vec<u8>)> = $table::table
                .select(($table::id, $table::version, $table::head))
                .load::<(benchside::id::Id<_>, i64, Vec<u8>)>(conn)?;
            all.extend(rows.into_iter().map(|(id, version, head)| ((stringify!($table), id.0), (version, head))));
        })+};
    }
    of!(organization, person, discovery, trial, finding, insight, pairing, transfer);
    Ok(all)
}

fn sha(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().fold(Sha256::new(), |sha, part| sha.chain_update(part)).finalize().to_vec()
}

fn every_string<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|v| every_string(v, found)),
        Value::Object(members) => members.values().for_each(|v| every_string(v, found)),
        Value::Number(n) => assert!(n.as_i64().is_some_and(|n| n.abs() < 1 << 53), "{n} is no whole number"),
        Value::Null | Value::Bool(_) => {}
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// `2026-10-02T09:14:03.123456Z`.
fn is_time(text: &str) -> bool {
    text.len() == 27
        && text.ends_with('Z')
        && text.as_bytes()[19] == b'.'
        && benchside::db::columns::Time::parse(text).is_some()
}

fn every_change_is_one_event_with_the_bytes_of_the_ledger(app: &TestApp) {
    crate::walk::the_loop_closes(app);
    let rows = app.read(events);
    let records = app.read(records);
    let log = app.app.db.log().to_owned();

    let mut histories: BTreeMap<(String, Uuid), Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        histories.entry((row.kind.clone(), row.record_id.0)).or_default().push(row);
    }
    let kinds: BTreeSet<_> = histories.keys().map(|(kind, _)| kind.as_str()).collect();
    let all = ["discovery", "finding", "insight", "organization", "pairing", "person", "transfer", "trial"];
    assert_eq!(kinds, BTreeSet::from(all), "the walk touches every kind");
    assert!(rows.iter().any(|r| r.action == "signed") && rows.len() > 30, "{}", rows.len());

    // No record without its events and no event without its record, up to the very last version.
    let stored: BTreeSet<_> = records.keys().map(|(kind, id)| ((*kind).to_owned(), *id)).collect();
    assert_eq!(stored, histories.keys().cloned().collect());
    for ((kind, id), (version, head)) in &records {
        let last = histories[&((*kind).to_owned(), *id)].last().copied().unwrap();
        assert_eq!((last.version, &last.leaf_hash), (*version, head), "{kind} {id}");
    }

    for ((kind, id), history) in &histories {
        let mut prev = Value::Null;
        for (index, row) in history.iter().enumerate() {
            assert_eq!(row.version, i64::try_from(index).unwrap() + 1, "{kind} {id}");
            let leaf: Value = serde_json::from_slice(&row.leaf).unwrap();
            assert_eq!(serde_json_canonicalizer::to_vec(&leaf).unwrap(), row.leaf, "RFC 8785");
            assert!(row.leaf.len() <= 65_535);
            assert_eq!(
                keys(&leaf),
                [
                    "action",
                    "actor",
                    "at",
                    "commit",
                    "effective_at",
                    "from",
                    "id",
                    "log",
                    "prev",
                    "reason",
                    "record",
                    "request",
                    "signature",
                    "to",
                    "v"
                ]
            );
            assert_eq!(keys(&leaf["record"]), ["id", "kind", "version"]);
            assert_eq!(keys(&leaf["actor"]), ["authn", "person"]);
            assert_eq!((&leaf["v"], leaf["log"].as_str()), (&Value::from(1), Some(&*log)));
            assert_eq!(leaf["record"], serde_json::json!({ "kind": kind, "id": id, "version": row.version }));
            assert_eq!(leaf["action"], row.action.as_str());
            assert!(is_time(leaf["at"].as_str().unwrap()) && is_time(leaf["effective_at"].as_str().unwrap()), "{leaf}");
            if row.action == "signed" {
                assert_eq!(keys(&leaf["signature"]), ["digest", "meaning"]);
            }

            assert_eq!(leaf["prev"], prev, "{kind} {id} {}", row.version);
            assert_eq!(row.leaf_hash, sha(&[&[0], &row.leaf]));
            prev = hex::encode(&row.leaf_hash).into();

            let (salt, payload) = (row.salt.as_ref().unwrap(), row.payload.as_ref().unwrap());
            assert_eq!(salt.len(), 32);
            assert_eq!(leaf["commit"], hex::encode(sha(&[&[2], salt, payload])));
            let content: Value = serde_json::from_slice(payload).unwrap();
            assert_eq!(serde_json_canonicalizer::to_vec(&content).unwrap(), *payload, "RFC 8785");
            assert_eq!(content["record"]["version"], row.version);

            // Ids, codes and times only: a name, an address or a sentence has a character that none of these has.
            let mut strings = Vec::new();
            every_string(&leaf, &mut strings);
            for text in strings {
                let plain = |c: char| c.is_ascii_alphanumeric() || "_-/:.".contains(c);
                assert!(text.len() <= 64 && text.chars().all(plain), "{text} in {leaf}");
            }
            let text = String::from_utf8(row.leaf.clone()).unwrap().to_lowercase();
            for secret in
                ["ada", "okafor", "lindqvist", "example.org", "hsp70", "als clinic", "northwind", "progressors"]
            {
                // Hex may spell a short name.
                let spelt_by_chance = secret.chars().all(|c| c.is_ascii_hexdigit());
                assert!(spelt_by_chance || !text.contains(secret), "{secret} in {text}");
            }
        }
    }
    // Each blinded by its own salt, each in its place in the log or waiting for it.
    let salts: BTreeSet<_> = rows.iter().map(|r| r.salt.clone()).collect();
    assert_eq!(salts.len(), rows.len());
    let (pending, placed) = app.read(|conn| {
        let pending: Vec<i64> = event_pending::table.select(event_pending::enqueued).load(conn)?;
        let placed: Vec<Option<i64>> = log_leaf::table.select(log_leaf::enqueued).load(conn)?;
        Ok((pending, placed))
    });
    let known: Vec<i64> = pending.into_iter().chain(placed.into_iter().flatten()).collect();
    assert_eq!(known.len(), rows.len());
    assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), rows.iter().map(|r| r.enqueued).collect());
    // `enqueued` rises per record.
    for history in histories.values() {
        assert!(history.windows(2).all(|pair| pair[0].enqueued < pair[1].enqueued));
    }
    // The signer's printed name, the reason in words: outside the leaf, in the payload.
    let payloads: Vec<String> = rows.iter().map(|r| String::from_utf8(r.payload.clone().unwrap()).unwrap()).collect();
    assert!(payloads.iter().any(|p| p.contains(r#""signer":"Ada Okafor""#)));
    assert!(payloads.iter().any(|p| p.contains("Understand the responders first")));
}

fn events_are_final(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = serde_json::json!({ "title": "T", "modality": "device", "lab_id": lab });
    let discovery = ada.post("/v1/discoveries", new).expect(201);
    ada.patch(&format!("/v1/discoveries/{}", discovery.id()), 1, serde_json::json!({ "trl": 4 })).expect(200);
    let before = app.read(events);
    assert!(before.len() >= 4);

    let sqlite = app.url.starts_with("sqlite:");
    // As strict as the service, or as careless as a shell: no pragmas, no settings.
    let mut own = Conn::open(&app.url.parse().unwrap(), benchside::db::Purpose::Write).unwrap();
    let mut careless = if sqlite {
        Conn::Sqlite(SqliteConnection::establish(app.url.strip_prefix("sqlite://").unwrap()).unwrap())
    } else {
        Conn::open(&app.url.parse().unwrap(), benchside::db::Purpose::Write).unwrap()
    };
    let columns = [
        if sqlite { "enqueued = enqueued + 1000000" } else { "enqueued = DEFAULT" },
        "id = record_id",
        "record_kind = 'other'",
        "record_id = id",
        "record_version = record_version + 1000",
        "action = 'other'",
        "move = 'other'",
        "from_state = 'other'",
        "to_state = 'other'",
        "actor_id = id",
        "at = '2020-01-01T00:00:00.000000Z'",
        "effective_at = '2020-01-01T00:00:00.000000Z'",
        "leaf = leaf_hash",
        "leaf_hash = leaf",
    ];
    let mut forbidden: Vec<String> = Vec::new();
    for column in columns {
        forbidden.push(format!("UPDATE event SET {column}"));
        forbidden.push(format!("UPDATE event SET {column}, salt = NULL, payload = NULL"));
    }
    forbidden.extend(
        [
            "UPDATE event SET salt = NULL",
            "UPDATE event SET payload = NULL",
            "UPDATE event SET payload = leaf",
            "UPDATE event SET action = action",
            "DELETE FROM event",
            "DELETE FROM event WHERE record_version = 1",
            "UPDATE log_identity SET log = 'other'",
            "DELETE FROM log_identity",
            "UPDATE log_leaf SET position = position",
            "DELETE FROM log_leaf WHERE position = 0",
            "UPDATE log_node SET hash = hash",
            "DELETE FROM log_node",
            "UPDATE log_checkpoint SET note = note",
            "DELETE FROM log_checkpoint",
            "UPDATE log_generation SET verifier = 'mine'",
            "DELETE FROM log_generation",
        ]
        .map(String::from),
    );
    if sqlite {
        let rest = "record_kind, record_id, record_version, action, move, from_state, to_state, actor_id, at, effective_at, \
                    leaf, leaf_hash, NULL, NULL FROM event";
        forbidden.extend([
            "INSERT OR REPLACE INTO event SELECT * FROM event".into(),
            "REPLACE INTO event SELECT * FROM event WHERE record_version = 2".into(),
            // Each of the three unique keys alone.
            format!(
                "INSERT OR REPLACE INTO event SELECT enqueued, randomblob(16), {}",
                rest.replace("record_id", "randomblob(16)")
            ),
            format!(
                "INSERT OR REPLACE INTO event SELECT enqueued + 1000000, id, {}",
                rest.replace("record_id", "randomblob(16)")
            ),
            format!("INSERT OR REPLACE INTO event SELECT enqueued + 1000000, randomblob(16), {rest}"),
            "UPDATE OR REPLACE event SET enqueued = 1 WHERE enqueued = 2".into(),
            "INSERT OR REPLACE INTO log_leaf SELECT generation, position, NULL, x'00' FROM log_leaf".into(),
            "INSERT OR REPLACE INTO log_node SELECT generation, number, zeroblob(32) FROM log_node".into(),
            "INSERT OR REPLACE INTO log_checkpoint SELECT generation, size, at, 'mine' FROM log_checkpoint".into(),
        ]);
    } else {
        forbidden.extend(
            [
                "TRUNCATE event CASCADE",
                "TRUNCATE event, event_pending, event_mention",
                "TRUNCATE log_identity",
                "TRUNCATE log_node",
                "TRUNCATE log_leaf",
                "TRUNCATE log_checkpoint",
            ]
            .map(String::from),
        );
        let takes_over = "INSERT INTO event (id, record_kind, record_id, record_version, action, at, effective_at, leaf, leaf_hash) \
             SELECT id, record_kind, record_id, record_version, action, at, effective_at, leaf, leaf_hash FROM event \
             ON CONFLICT (record_id, record_version) DO UPDATE SET action = 'other'";
        forbidden.push(takes_over.into());
    }
    for conn in [&mut own, &mut careless] {
        for statement in &forbidden {
            // The service works on the same tables meanwhile; PostgreSQL then calls off one of the two.
            let refusal = loop {
                let Err(refusal) = conn.batch_execute(statement) else { panic!("accepted: {statement}") };
                let refusal = refusal.to_string();
                if refusal != "deadlock detected" {
                    break refusal;
                }
            };
            let why = [
                "events are final",
                "the log keeps its name",
                "the log is only appended to",
                "duplicate key",
                "cannot truncate a table referenced in a foreign key",
            ];
            assert!(why.iter().any(|why| refusal.contains(why)), "{statement}: {refusal}");
        }
    }
    assert_eq!(app.read(events), before);

    // Erasing salt and payload together is the one permitted update, and it is for good.
    let erase = "UPDATE event SET salt = NULL, payload = NULL WHERE record_kind = 'discovery' AND record_version = 1";
    own.batch_execute(erase).unwrap();
    let after = app.read(events);
    let erased = |row: &Row| row.kind == "discovery" && row.version == 1;
    assert_eq!(after.iter().filter(|row| row.salt.is_none() && row.payload.is_none()).count(), 1);
    for (was, is) in before.iter().zip(&after) {
        let expected = if erased(was) { Row { salt: None, payload: None, ..was.clone() } } else { was.clone() };
        assert_eq!(*is, expected);
    }
    for statement in
        ["UPDATE event SET payload = leaf WHERE payload IS NULL", "DELETE FROM event WHERE payload IS NULL"]
    {
        assert!(own.batch_execute(statement).is_err(), "{statement}");
    }
    assert_eq!(app.read(events), after);
}

/// What a plain role meets: the database asks for the transaction again, and the store does so.
#[cfg(feature = "postgres")]
mod retries {
    use super::*;
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    };

    /// A database owned by a role without any rights beyond it.
    struct Plain {
        admin: Conn,
        url: String,
        name: String,
    }
    impl Plain {
        fn new() -> Self {
            let server = std::env::var("BENCHSIDE_TEST_POSTGRES").unwrap();
            let mut admin = Conn::open(&server.parse().unwrap(), benchside::db::Purpose::Write).unwrap();
            let name = format!("plain{}", Uuid::now_v7().simple());
            for statement in [
                format!("CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{name}'"),
                format!("GRANT {name} TO CURRENT_USER"),
                format!("CREATE DATABASE {name} OWNER {name}"),
                format!("ALTER DATABASE {name} SET lc_messages = 'C'"),
                format!("ALTER DATABASE {name} SET deadlock_timeout = '100ms'"),
            ] {
                admin.batch_execute(&statement).unwrap();
            }
            let (scheme, rest) = server.split_once("://").unwrap();
            let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
            let (host, _) = address.split_once('/').unwrap();
            Self { admin, url: format!("{scheme}://{name}:{name}@{host}/{name}"), name }
        }
    }
    impl Drop for Plain {
        fn drop(&mut self) {
            let _ = self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
            let _ = self.admin.batch_execute(&format!("DROP ROLE {}", self.name));
        }
    }

    async fn opened(plain: &Plain) -> Db {
        let db = Db::open(&plain.url, &Settings { connections: 2, ..Settings::default() }).unwrap();
        make_scratch(&db).await;
        db.write(|conn| {
            Ok(conn.batch_execute(
                "CREATE TABLE tally (n BIGINT, total BIGINT); INSERT INTO tally VALUES (1, 0), (2, 0)",
            )?)
        })
        .await
        .unwrap();
        let plain = db.read(|conn| {
            let set = diesel::dsl::sql::<diesel::sql_types::Text>("current_setting('is_superuser')");
            Ok(diesel::select(set).get_result::<String>(conn)?)
        });
        assert_eq!(plain.await.unwrap(), "off");
        db
    }

    diesel::table! { tally (n) { n -> BigInt, total -> BigInt, } }

    fn total(conn: &mut Conn, n: i64) -> Result<i64> {
        Ok(tally::table.filter(tally::n.eq(n)).select(tally::total).get_result(conn)?)
    }

    #[test]
    fn a_serialization_failure_is_tried_again() {
        let plain = Plain::new();
        block_on(async {
            let db = opened(&plain).await;
            let (together, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
            let both: Vec<_> = (1..=2)
                .map(|n| {
                    let (db, together, runs) = (db.clone(), together.clone(), runs.clone());
                    let first = AtomicU32::new(0);
                    tokio::spawn(async move {
                        db.write(move |conn| {
                            runs.fetch_add(1, Ordering::SeqCst);
                            conn.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
                            let before = total(conn, 1)?;
                            if first.fetch_add(1, Ordering::SeqCst) == 0 {
                                together.wait(); // both have read the same
                            }
                            diesel::update(tally::table.filter(tally::n.eq(1)))
                                .set(tally::total.eq(before + 1))
                                .execute(conn)?;
                            add(conn, n)
                        })
                        .await
                    })
                })
                .collect();
            for one in both {
                assert_eq!(one.await.unwrap().unwrap(), 1);
            }
            assert_eq!(runs.load(Ordering::SeqCst), 3, "one of the two ran again");
            assert_eq!(db.read(|conn| total(conn, 1)).await.unwrap(), 2, "no update is lost");
            assert_eq!(kept(&db).await, BTreeSet::from([1, 2]));
            db.close();
        });
    }

    #[test]
    fn a_deadlock_is_tried_again() {
        let plain = Plain::new();
        block_on(async {
            let db = opened(&plain).await;
            let (together, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
            let both: Vec<_> = [(1, 2), (2, 1)]
                .into_iter()
                .map(|(mine, theirs)| {
                    let (db, together, runs) = (db.clone(), together.clone(), runs.clone());
                    let first = AtomicU32::new(0);
                    let bump = |conn: &mut Conn, n: i64| -> Result<usize> {
                        let row = tally::table.filter(tally::n.eq(n));
                        Ok(diesel::update(row).set(tally::total.eq(tally::total + 1)).execute(conn)?)
                    };
                    tokio::spawn(async move {
                        db.write(move |conn| {
                            runs.fetch_add(1, Ordering::SeqCst);
                            bump(conn, mine)?;
                            if first.fetch_add(1, Ordering::SeqCst) == 0 {
                                together.wait(); // each holds a row that the other wants
                            }
                            bump(conn, theirs)?;
                            add(conn, mine)
                        })
                        .await
                    })
                })
                .collect();
            for one in both {
                assert_eq!(one.await.unwrap().unwrap(), 1);
            }
            // PostgreSQL ends one of the two, or, where both find out at once, both: at least one ran again, none too often.
            let runs = runs.load(Ordering::SeqCst);
            assert!((3..=10).contains(&runs), "{runs} runs");
            for n in [1, 2] {
                assert_eq!(db.read(move |conn| total(conn, n)).await.unwrap(), 2);
            }
            assert_eq!(kept(&db).await, BTreeSet::from([1, 2]));
            db.close();
        });
    }

    #[test]
    fn tries_are_bounded() {
        let plain = Plain::new();
        block_on(async {
            let db = opened(&plain).await;
            let runs = Arc::new(AtomicU32::new(0));
            let counted = runs.clone();
            let answer = db.write(move |conn| {
                let n = i64::from(counted.fetch_add(1, Ordering::SeqCst));
                add(conn, n)?;
                let raise = "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$";
                Ok(conn.batch_execute(raise)?)
            });
            assert!(
                matches!(answer.await, Err(benchside::Error::Overloaded)),
                "nothing was done, and the caller is told to come again"
            );
            let runs = runs.load(Ordering::SeqCst);
            assert!((2..=16).contains(&runs), "{runs} runs");
            assert_eq!(kept(&db).await, BTreeSet::new());
            db.write(|conn| add(conn, 1)).await.unwrap();
            db.close();
        });
    }
}
