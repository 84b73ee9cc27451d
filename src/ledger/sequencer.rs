//! Gives events their place: contiguous positions, the tree, a signed checkpoint, all in one transaction.
//!
//! On SQLite the writer does it at the end of its batch, in the same commit; on PostgreSQL one node at a time, which holds
//! the lease (`ledger::lease`). It believes what it reads in its own transaction; what it remembers is compared with that.
use super::{
    checkpoint::{Head, Signer},
    event::{canonical, leaf_hash},
    guard::Guard,
    lease::Lease,
    log::{self, Generation, Leaf, Stored},
    tree::count,
};
use crate::{
    Error, Result,
    app::Clock,
    auth::keys::Keys,
    db::{Conn, Seal, columns::Time, migrate},
};
use ed25519_dalek::SigningKey;
use serde_json::json;

/// The most events that get their place at once.
const BATCH: i64 = 4096;

/// The origin of a generation: the log's name, from the second on with its number.
pub fn origin(log: &str, generation: i64) -> String {
    if generation == 1 { log.to_owned() } else { format!("{log}/{generation}") }
}

/// The generation that an origin names, if it is of this log.
pub fn generation_of(log: &str, origin: &str) -> Option<i64> {
    let (named, generation) = parted(origin);
    (named == log).then_some(generation)
}

/// The log and the generation that an origin names. The names of logs do not end in a number.
pub fn parted(origin: &str) -> (&str, i64) {
    let numbered = origin.rsplit_once('/').and_then(|(log, number)| Some((log, number.parse().ok()?)));
    numbered.filter(|(log, number)| *number > 1 && self::origin(log, *number) == origin).unwrap_or((origin, 1))
}

/// The log as it was when this process last looked.
#[derive(Debug, Clone)]
struct Known {
    generation: i64,
    head: Head,
}

/// Gives events their place.
pub struct Sequencer {
    key: SigningKey,
    guard: Guard,
    clock: Clock,
    lease: Lease,
    /// What is known to stand; none until this process has looked, or after it lost the lease.
    known: Option<Known>,
    /// What will be known once the present transaction is committed.
    next: Option<Known>,
}

impl Sequencer {
    /// Signs with the log's key, and never against the guard.
    pub fn new(keys: &Keys, guard: Guard, clock: Clock) -> Self {
        Self { key: keys.log().clone(), guard, clock, lease: Lease::default(), known: None, next: None }
    }

    /// The newest generation and its head, after making sure that it follows from what was known; a new generation if the
    /// database has been set back since.
    fn current(&self, conn: &mut Conn) -> Result<(Generation, Stored, Head)> {
        let log = migrate::log_name(conn)?;
        let guarded = match &self.known {
            Some(known) => Some(known.clone()),
            None => self.guarded(&log)?,
        };
        let Some(stored) = log::latest(conn)? else {
            return match guarded {
                None => self.begin(conn, &log, 1, None, None),
                Some(guarded) if self.known.is_none() => self.set_back(conn, &log, guarded.generation + 1, None),
                Some(_) => Err(Error::LogHalted("its checkpoints are gone".into())),
            };
        };
        let generation = log::generations(conn)?.pop().filter(|g| g.number == stored.generation);
        let generation =
            generation.ok_or_else(|| Error::LogHalted("its newest generation has no checkpoint".into()))?;
        let head = log::believed(conn, &generation.origin, &stored, &self.key.verifying_key())?;
        let Some(guarded) = guarded else {
            if head.size > 0 {
                tracing::warn!(size = head.size, "this node has no guard yet: it adopts the log as it is");
            }
            return Ok((generation, stored, head));
        };
        if is_less(&guarded, stored.generation, head.size) {
            if self.known.is_some() {
                return Err(Error::LogHalted("the database was set back while the service ran".into()));
            }
            return self.set_back(conn, &log, guarded.generation.max(stored.generation) + 1, Some(&stored));
        }
        if guarded.generation == stored.generation
            && log::root(conn, stored.generation, guarded.head.size)? != guarded.head.root
        {
            return Err(Error::LogHalted("it does not contain what this node has seen of it before".into()));
        }
        Ok((generation, stored, head))
    }

    fn guarded(&self, log: &str) -> Result<Option<Known>> {
        let Some((_, head)) = self.guard.read(log)? else { return Ok(None) };
        match generation_of(log, &head.origin) {
            Some(generation) => Ok(Some(Known { generation, head })),
            None => Err(Error::LogHalted(format!("the guard is of another log, {}", head.origin))),
        }
    }

    /// Begins the next generation of a log that has less than this node has seen of it.
    fn set_back(
        &self,
        conn: &mut Conn,
        log: &str,
        number: i64,
        kept: Option<&Stored>,
    ) -> Result<(Generation, Stored, Head)> {
        let seen = self.guard.read(log)?.map(|(note, _)| note);
        tracing::warn!(
            generation = number,
            "the database is older than what this node has seen of its log: the log goes on as a new generation"
        );
        self.begin(conn, log, number, seen.as_deref(), kept)
    }

    /// Begins the next generation because it is asked for: the log was restored together with its guard, and may go on in
    /// another way than others have seen. `seen` is the last checkpoint that is known of it, if somebody has one. None where
    /// a node is giving events their place at this moment.
    ///
    /// # Errors
    /// [`Error::Open`] when `seen` is of another log or not signed by its key, or the log contains it and nobody forces this;
    /// what the database says.
    pub fn go_on(&mut self, conn: &mut Conn, seen: Option<&str>, force: bool) -> Result<Option<Stored>> {
        let log = migrate::log_name(conn)?;
        if !self.lease.hold(conn)? {
            return Ok(None);
        }
        let none = || Error::Open("the log has no checkpoint yet: nobody can have seen another".into());
        let kept = log::latest(conn)?.ok_or_else(none)?;
        log::believed(conn, &origin(&log, kept.generation), &kept, &self.key.verifying_key())?;
        let guarded = self.guard.read(&log)?.map(|(note, _)| note);
        let mut newest = kept.generation;
        for note in seen.into_iter().chain(guarded.as_deref()) {
            newest = newest.max(self.known(&log, note)?.0);
        }
        if let Some(note) = seen.filter(|_| !force) {
            let (generation, head) = self.known(&log, note)?;
            let there = log::last_of(conn, generation)?.map_or(0, |last| last.size);
            if head.size <= there && log::root(conn, generation, head.size)? == head.root {
                return Err(Error::Open("the log contains the checkpoint that was seen: nothing was lost".into()));
            }
        }
        let seen = seen.or(guarded.as_deref());
        let (_, stored, _) = self.begin(conn, &log, newest + 1, seen.or(Some(&kept.note)), Some(&kept))?;
        Ok(Some(stored))
    }

    /// The generation and the head of a checkpoint that this log has signed.
    fn known(&self, log: &str, note: &str) -> Result<(i64, Head)> {
        let refused = |why: &dyn std::fmt::Display| Error::Open(format!("the checkpoint that was seen: {why}"));
        let origin = Head::read(note).map_err(|e| refused(&e))?.origin;
        let generation = generation_of(log, &origin).ok_or_else(|| refused(&format!("it is of {origin}")))?;
        let head = Head::verify(note, &Signer::new(&origin, &self.key).verifier()).map_err(|e| refused(&e))?;
        Ok((generation, head))
    }

    /// Begins a generation: from the second on its first leaf holds the last checkpoint anybody saw of the one before, and
    /// every leaf that is still there follows in its old order.
    fn begin(
        &self,
        conn: &mut Conn,
        log: &str,
        number: i64,
        seen: Option<&str>,
        kept: Option<&Stored>,
    ) -> Result<(Generation, Stored, Head)> {
        let signer = Signer::new(&origin(log, number), &self.key);
        let generation = Generation { number, origin: origin(log, number), verifier: signer.verifier() };
        let at = signed_at(self.clock.now(), kept);
        log::begin(conn, &generation, at)?;
        let (mut size, mut root) = (0, log::root(conn, number, 0)?);
        if number > 1 {
            let own = canonical(&json!({
                "v": 1,
                "log": log,
                "at": at,
                "action": "continued",
                "generation": number,
                "seen": seen,
                "kept": kept.map(|stored| &stored.note),
            }))?;
            root = log::append(conn, number, size, &[Leaf { enqueued: None, hash: leaf_hash(&own), own: Some(own) }])?;
            size += 1;
        }
        if let Some(kept) = kept {
            let mut from = 0;
            loop {
                let leaves = log::leaves_from(conn, kept.generation, from, BATCH)?;
                if leaves.is_empty() {
                    break;
                }
                from += count(leaves.len() as u64)?;
                root = log::append(conn, number, size, &leaves)?;
                size += leaves.len() as u64;
            }
        }
        let (stored, head) = sign(&signer, &generation, size, root, at)?;
        log::keep(conn, &stored)?;
        Ok((generation, stored, head))
    }
}

/// How far the clocks of nodes may lie apart, and a clock go back, in seconds.
const SKEW: i64 = 60;

/// When a checkpoint is signed: not before the one before it, so that the order of times is that of the log. A clock that is
/// further behind was wrong before and has been put right, and is believed.
fn signed_at(now: Time, before: Option<&Stored>) -> Time {
    match before {
        Some(before) if now < before.at && now >= before.at.plus_seconds(-SKEW) => before.at,
        _ => now,
    }
}

/// Whether a log has less than was seen of it.
fn is_less(seen: &Known, generation: i64, size: u64) -> bool {
    (generation, size) < (seen.generation, if generation < seen.generation { 0 } else { seen.head.size })
}

fn sign(
    signer: &Signer,
    generation: &Generation,
    size: u64,
    root: super::event::Hash,
    at: Time,
) -> Result<(Stored, Head)> {
    let note = signer.sign(size, root).map_err(|e| Error::Internal(format!("a checkpoint was not signed: {e}")))?;
    let stored = Stored { generation: generation.number, size, at, note };
    Ok((stored, Head { origin: generation.origin.clone(), size, root }))
}

impl Seal for Sequencer {
    fn seal(&mut self, conn: &mut Conn) -> Result<bool> {
        self.next = None;
        if self.known.is_some() && !log::any_pending(conn)? {
            return Ok(false);
        }
        if !self.lease.hold(conn)? {
            self.known = None;
            return Ok(false);
        }
        if self.lease.is_new() {
            self.known = None;
        }
        let (generation, stored, head) = self.current(conn)?;
        let leaves = log::pending(conn, BATCH)?;
        let more = leaves.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
        if leaves.is_empty() {
            self.next = Some(Known { generation: generation.number, head });
            return Ok(false);
        }
        let root = log::append(conn, generation.number, head.size, &leaves)?;
        log::placed(conn, &leaves)?;
        let signer = Signer::new(&generation.origin, &self.key);
        let at = signed_at(self.clock.now(), Some(&stored));
        let (stored, head) = sign(&signer, &generation, head.size + leaves.len() as u64, root, at)?;
        log::keep(conn, &stored)?;
        self.next = Some(Known { generation: generation.number, head });
        Ok(more)
    }

    fn settle(&mut self, committed: bool) {
        self.lease.settle(committed);
        let next = self.next.take();
        if committed && next.is_some() {
            self.known = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_name_their_generation() {
        for generation in [1, 2, 17] {
            assert_eq!(generation_of("benchside/x", &origin("benchside/x", generation)), Some(generation));
        }
        assert_eq!(parted("benchside/x/17"), ("benchside/x", 17));
        assert_eq!(parted("benchside/x"), ("benchside/x", 1));
        for foreign in
            ["benchside/y", "benchside/x/1", "benchside/x/02", "benchside/x2", "benchside/x/", "benchside/x/two"]
        {
            assert_eq!(generation_of("benchside/x", foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_clock_that_was_put_right_is_believed() {
        let noon: chrono::DateTime<chrono::Utc> = "2026-05-01T12:00:00Z".parse().unwrap();
        let time = |seconds| Time::from(noon).plus_seconds(seconds);
        let before = Stored { generation: 1, size: 1, at: time(0), note: String::new() };
        for (now, expected) in [(5, 5), (0, 0), (-1, 0), (-60, 0), (-61, -61), (-90_000_000, -90_000_000)] {
            assert_eq!(signed_at(time(now), Some(&before)), time(expected), "{now}");
        }
        assert_eq!(signed_at(time(-1), None), time(-1));
    }

    #[test]
    fn less_than_was_seen_is_set_back() {
        let head = Head { origin: "x".into(), size: 10, root: [0; 32] };
        let seen = Known { generation: 2, head };
        for (generation, size, expected) in [(1, 50, true), (2, 9, true), (2, 10, false), (2, 11, false), (3, 1, false)]
        {
            assert_eq!(is_less(&seen, generation, size), expected, "{generation}/{size}");
        }
    }
}
