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
};
use crate::{
    Error, Result,
    app::Clock,
    auth::keys::Keys,
    db::{Conn, Seal, migrate},
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
    let rest = origin.strip_prefix(log)?;
    let number = if rest.is_empty() { 1 } else { rest.strip_prefix('/')?.parse().ok()? };
    (self::origin(log, number) == origin).then_some(number)
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
                None => self.begin(conn, &log, 1, None),
                Some(guarded) if self.known.is_none() => self.begin(conn, &log, guarded.generation + 1, None),
                Some(_) => Err(Error::LogHalted("its checkpoints are gone".into())),
            };
        };
        let generation = log::generations(conn)?.pop().filter(|g| g.number == stored.generation);
        let generation =
            generation.ok_or_else(|| Error::LogHalted("its newest generation has no checkpoint".into()))?;
        let verifier = Signer::new(&generation.origin, &self.key).verifier();
        let head = Head::verify(&stored.note, &verifier).map_err(|e| {
            Error::LogHalted(format!(
                "its last checkpoint is not to be believed: {e}. Was the keys folder lost or replaced?"
            ))
        })?;
        if head.size != stored.size || log::root(conn, generation.number, head.size)? != head.root {
            return Err(Error::LogHalted("its tree is not that of its last checkpoint".into()));
        }
        let Some(guarded) = guarded else {
            if head.size > 0 {
                tracing::warn!(size = head.size, "this node has no guard yet: it adopts the log as it is");
            }
            return Ok((generation, stored, head));
        };
        if set_back(&guarded, stored.generation, head.size) {
            if self.known.is_some() {
                return Err(Error::LogHalted("the database was set back while the service ran".into()));
            }
            let next = guarded.generation.max(stored.generation) + 1;
            return self.begin(conn, &log, next, Some(&stored));
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

    /// Begins a generation: from the second on its first leaf holds the last checkpoint anybody saw of the one before, and
    /// every event that is still there follows in its old order.
    fn begin(
        &self,
        conn: &mut Conn,
        log: &str,
        number: i64,
        kept: Option<&Stored>,
    ) -> Result<(Generation, Stored, Head)> {
        let signer = Signer::new(&origin(log, number), &self.key);
        let generation = Generation { number, origin: origin(log, number), verifier: signer.verifier() };
        let at = self.clock.now();
        log::begin(conn, &generation, at)?;
        let (mut size, mut root) = (0, log::root(conn, number, 0)?);
        if number > 1 {
            let guarded = self.guard.read(log)?.map(|(note, _)| note);
            tracing::warn!(
                generation = number,
                "the database is older than what this node has seen of its log: the log goes on as a new generation"
            );
            let own = canonical(&json!({
                "v": 1,
                "log": log,
                "at": at,
                "action": "continued",
                "generation": number,
                "seen": guarded,
                "kept": kept.map(|stored| &stored.note),
            }))?;
            root = log::append(conn, number, size, &[Leaf { enqueued: None, hash: leaf_hash(&own), own: Some(own) }])?;
            size += 1;
        }
        if let Some(kept) = kept {
            let mut from = 0;
            loop {
                let events = log::events_from(conn, kept.generation, from, BATCH)?;
                let Some((last, _)) = events.last() else { break };
                from = last + 1;
                let leaves: Vec<Leaf> = events.into_iter().map(|(_, leaf)| leaf).collect();
                root = log::append(conn, number, size, &leaves)?;
                size += leaves.len() as u64;
            }
        }
        let (stored, head) = sign(&signer, &generation, size, root, at)?;
        log::keep(conn, &stored)?;
        Ok((generation, stored, head))
    }
}

/// Whether a log has less than was seen of it.
fn set_back(seen: &Known, generation: i64, size: u64) -> bool {
    (generation, size) < (seen.generation, if generation < seen.generation { 0 } else { seen.head.size })
}

fn sign(
    signer: &Signer,
    generation: &Generation,
    size: u64,
    root: super::event::Hash,
    at: crate::db::columns::Time,
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
        // Checkpoints are in the order of their times, whatever the clock does.
        let at = self.clock.now().max(stored.at);
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
        for foreign in
            ["benchside/y", "benchside/x/1", "benchside/x/02", "benchside/x2", "benchside/x/", "benchside/x/two"]
        {
            assert_eq!(generation_of("benchside/x", foreign), None, "{foreign}");
        }
    }

    #[test]
    fn less_than_was_seen_is_set_back() {
        let head = Head { origin: "x".into(), size: 10, root: [0; 32] };
        let seen = Known { generation: 2, head };
        for (generation, size, expected) in [(1, 50, true), (2, 9, true), (2, 10, false), (2, 11, false), (3, 1, false)]
        {
            assert_eq!(set_back(&seen, generation, size), expected, "{generation}/{size}");
        }
    }
}
