//! Checks a log against itself, leaf by leaf: the tree, every checkpoint, the chain of each record's versions. What the
//! leaves come from, a [database](super::verify_database) or an [export](super::export), is read elsewhere. Pure.
use super::{
    checkpoint::Head,
    event::{Hash, leaf_hash},
    tree::{self, Nodes},
};
use crate::{Result, vocabulary::vocabulary};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

vocabulary! {
    /// What is wrong with a log.
    FaultKind {
        LeafMissing = "leaf_missing", LeafChanged = "leaf_changed", LeafMalformed = "leaf_malformed",
        TreeChanged = "tree_changed", CheckpointWrong = "checkpoint_wrong", Truncated = "truncated",
        ChainBroken = "chain_broken", EventChanged = "event_changed", PayloadChanged = "payload_changed",
        PayloadMissing = "payload_missing", EventUnplaced = "event_unplaced", RecordChanged = "record_changed",
        FileUnexpected = "file_unexpected",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The first leaf that is touched, where it is one of the log's.
    pub index: Option<u64>,
    /// What it is.
    pub kind: FaultKind,
    /// In words.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            Some(index) => write!(f, "index {index}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The log's origin.
    pub origin: String,
    /// How many leaves were read.
    pub size: u64,
    /// The root over them, in hex.
    pub root: String,
    /// Events that wait for their place.
    pub waiting: u64,
    /// Events whose payload was erased.
    pub erased: u64,
    /// Of a log that goes on after an older database was restored: what was lost by that.
    pub continued: Option<Continued>,
    /// Everything that is wrong, the first offending index first.
    pub faults: Vec<Fault>,
}

/// How a generation began: it is signed like any other log, so whoever asks is told that there was one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Continued {
    /// How many leaves of the generation before had been seen by the node that went on.
    pub seen: u64,
    /// How many of them were still there.
    pub kept: u64,
}

impl std::fmt::Display for Continued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seen, kept } = self;
        write!(
            f,
            "it goes on after an older database was restored: of {seen} leaves that had been seen before, {kept} were kept"
        )
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The most faults that are told: whoever has so many has a wholly different log.
const MOST_FAULTS: usize = 1000;

/// What a leaf says of its event.
#[derive(Debug, Clone)]
pub struct Said(pub Value);

impl Said {
    /// The text at a pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }
    /// The record and its version.
    pub fn record(&self) -> Option<(Uuid, i64)> {
        Some((Uuid::parse_str(self.text("/record/id")?).ok()?, self.0.pointer("/record/version")?.as_i64()?))
    }
}

/// The nodes that a leaf completes, with their numbers.
pub type NewNodes = Vec<(u64, Hash)>;

/// Walks a log from its first leaf to its last.
pub struct Walk {
    log: Option<String>,
    size: u64,
    nodes: Nodes,
    heads: HashMap<Uuid, (i64, Hash)>,
    /// The checkpoints so far all hold up to here.
    sound: u64,
    /// Whether one did not: those after it cannot, and say no more.
    diverged: bool,
    /// What the first leaf says of the generation before.
    before: Option<Before>,
    faults: Vec<Fault>,
}

/// The generation before, as the first leaf of this one has it, and as the leaves behind that leaf have it.
struct Before {
    told: Continued,
    /// Its head, where its leaves all follow here: the first leaf of a later generation does not.
    kept: Option<Head>,
    size: u64,
    nodes: Nodes,
}

impl Before {
    fn of(leaf: &Said) -> Self {
        let head = |member: &str| leaf.text(member).and_then(|note| Head::read(note).ok());
        let kept = head("/kept");
        let size = |head: Option<&Head>| head.map_or(0, |head| head.size);
        let told = Continued { seen: size(head("/seen").as_ref()).max(size(kept.as_ref())), kept: size(kept.as_ref()) };
        let kept = kept.filter(|head| leaf.text("/log") == Some(&*head.origin));
        Self { told, kept, size: 0, nodes: Nodes::default() }
    }
    /// Whether the leaves so far, this one with them, are those that were kept; unknown until there are as many.
    fn meets(&mut self, leaf: Hash) -> Result<Option<bool>> {
        let Some(kept) = self.kept.as_ref().filter(|kept| self.size < kept.size) else { return Ok(None) };
        tree::grow(self.size, &mut self.nodes, &[leaf])?;
        self.size += 1;
        if self.size < kept.size { Ok(None) } else { Ok(Some(tree::root(self.size, &self.nodes)? == kept.root)) }
    }
}

impl Walk {
    /// Of a log of this name, where it is known.
    pub fn of(log: Option<String>) -> Self {
        Self {
            log,
            size: 0,
            nodes: Nodes::default(),
            heads: HashMap::new(),
            sound: 0,
            diverged: false,
            before: None,
            faults: Vec::new(),
        }
    }

    /// How many leaves were walked.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn root(&self) -> Result<Hash> {
        tree::root(self.size, &self.nodes)
    }

    /// Notes that something is wrong.
    pub fn fault(&mut self, index: Option<u64>, kind: FaultKind, what: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { index, kind, what: what.into() });
        }
    }

    /// The next leaf. Answers what it says, if it is of an event, and the nodes it completes.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn leaf(&mut self, bytes: &[u8]) -> Result<(Option<Said>, NewNodes)> {
        let index = self.size;
        let hash = leaf_hash(bytes);
        let made = tree::grow(self.size, &mut self.nodes, &[hash])?;
        self.size += 1;
        if let Some(before) = &mut self.before
            && before.meets(hash)? == Some(false)
        {
            let what = "the leaves up to here are not those of the generation before that were kept";
            self.fault(Some(index), FaultKind::TreeChanged, what);
        }
        let said = self.read(index, bytes);
        if let Some(said) = &said {
            self.follow(index, said, hash);
        }
        Ok((said, made))
    }

    /// An event that has no place yet: it goes on where its record's last one ends.
    pub fn waiting(&mut self, bytes: &[u8]) -> Option<Said> {
        let said = self.read(u64::MAX, bytes)?;
        self.follow(u64::MAX, &said, leaf_hash(bytes));
        Some(said)
    }

    fn read(&mut self, index: u64, bytes: &[u8]) -> Option<Said> {
        let place = (index != u64::MAX).then_some(index);
        let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
        let canonical = parsed.as_ref().and_then(|value| super::event::canonical(value).ok());
        let Some(value) = parsed.filter(|_| canonical.as_deref() == Some(bytes)) else {
            self.fault(place, FaultKind::LeafMalformed, "the leaf is not RFC 8785 JSON");
            return None;
        };
        let said = Said(value);
        if self.log.is_some() && said.text("/log") != self.log.as_deref() {
            self.fault(place, FaultKind::LeafMalformed, "the leaf is of another log");
        }
        if index == 0 && said.text("/action") == Some("continued") {
            self.before = Some(Before::of(&said));
            return None;
        }
        if said.record().is_none() {
            self.fault(place, FaultKind::LeafMalformed, "the leaf names no record");
            return None;
        }
        Some(said)
    }

    fn follow(&mut self, index: u64, said: &Said, hash: Hash) {
        let place = (index != u64::MAX).then_some(index);
        let Some((record, version)) = said.record() else { return };
        let before = self.heads.insert(record, (version, hash));
        let expected = before.map_or(1, |(version, _)| version + 1);
        if version != expected {
            let what = format!("version {version} of {record} stands where version {expected} should");
            self.fault(place, FaultKind::ChainBroken, what);
        } else if said.text("/prev").map(str::to_owned) != before.map(|(_, hash)| hex::encode(hash)) {
            let what = format!("version {version} of {record} does not name the version before it");
            self.fault(place, FaultKind::ChainBroken, what);
        }
    }

    /// A checkpoint of this many leaves, which have just been walked.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn checkpoint(&mut self, note: &str, verifier: &str) -> Result<()> {
        match Head::verify(note, verifier) {
            Err(e) => {
                let what = format!("the checkpoint of {} leaves: {e}", self.size);
                self.fault(Some(self.sound), FaultKind::CheckpointWrong, what);
                Ok(())
            }
            Ok(head) => self.head(&head),
        }
    }

    /// Whether something is known to be wrong among these leaves.
    pub fn explains(&self, leaves: &std::ops::Range<u64>) -> bool {
        self.faults.iter().any(|fault| fault.index.is_some_and(|index| leaves.contains(&index)))
    }

    /// A head that was signed over the leaves just walked.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn head(&mut self, head: &Head) -> Result<()> {
        if head.size == self.size && head.root == self.root()? {
            self.sound = self.size;
        } else if !self.diverged {
            self.diverged = true;
            // Where a leaf is known to be wrong, it is what the root tells of.
            if !self.explains(&(self.sound..self.size)) {
                let what = format!(
                    "the checkpoint of {} leaves is of another history: something from here to index {} was changed",
                    head.size,
                    self.size.saturating_sub(1)
                );
                self.fault(Some(self.sound), FaultKind::CheckpointWrong, what);
            }
        }
        Ok(())
    }

    /// A checkpoint of more leaves than there are.
    pub fn beyond(&mut self, size: u64) {
        let what = format!("a checkpoint covers {size} leaves, and there are {}", self.size);
        self.fault(Some(self.size), FaultKind::Truncated, what);
    }

    /// The last version of each record and the hash of its leaf.
    pub const fn heads(&self) -> &HashMap<Uuid, (i64, Hash)> {
        &self.heads
    }

    /// What was found.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn report(mut self, origin: String, waiting: u64, erased: u64) -> Result<Report> {
        let root = hex::encode(self.root()?);
        let continued = self.before.as_ref().map(|before| before.told);
        if let Some(before) = self.before.take()
            && before.size < before.kept.as_ref().map_or(0, |kept| kept.size)
        {
            self.fault(
                Some(self.size),
                FaultKind::Truncated,
                "leaves that were kept of the generation before are not there",
            );
        }
        // What is wrong with the log itself comes before what is wrong with the records of today.
        self.faults.sort_by_key(|f| (f.kind == FaultKind::RecordChanged, f.index.unwrap_or(u64::MAX)));
        Ok(Report { origin, size: self.size, root, waiting, erased, continued, faults: self.faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{checkpoint::Signer, event::canonical};
    use ed25519_dalek::SigningKey;
    use serde_json::json;

    fn walked(kept: &[&[u8]], leaves: &[&[u8]]) -> Report {
        let mut nodes = Nodes::default();
        let hashes: Vec<Hash> = kept.iter().map(|leaf| leaf_hash(leaf)).collect();
        tree::grow(0, &mut nodes, &hashes).unwrap();
        let size = kept.len() as u64;
        let signer = Signer::new("x", &SigningKey::from_bytes(&[7; 32]));
        let note = signer.sign(size, tree::root(size, &nodes).unwrap()).unwrap();
        let first = json!({ "log": "x", "action": "continued", "seen": note, "kept": note });
        let mut walk = Walk::of(Some("x".into()));
        for leaf in [&*canonical(&first).unwrap()].iter().chain(leaves) {
            walk.leaf(leaf).unwrap();
        }
        walk.report("x/2".into(), 0, 0).unwrap()
    }

    #[test]
    fn a_generation_begins_with_what_was_kept_of_the_one_before() {
        let wrong = |report: &Report, kind: FaultKind| report.faults.iter().find(|f| f.kind == kind).map(|f| f.index);
        let same = walked(&[b"a", b"b"], &[b"a", b"b", b"c"]);
        assert_eq!(same.continued, Some(Continued { seen: 2, kept: 2 }));
        assert_eq!((wrong(&same, FaultKind::TreeChanged), wrong(&same, FaultKind::Truncated)), (None, None));
        let rewritten = walked(&[b"a", b"b"], &[b"A", b"b", b"c"]);
        assert_eq!(wrong(&rewritten, FaultKind::TreeChanged), Some(Some(2)));
        let shorter = walked(&[b"a", b"b"], &[b"a"]);
        assert_eq!(wrong(&shorter, FaultKind::Truncated), Some(Some(2)));
    }
}
