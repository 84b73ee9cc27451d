//! Checks a log against itself, leaf by leaf: the tree, every checkpoint, the chain of each record's versions. What the
//! leaves come from, a [database](super::verify_database) or an [export](super::export), is read elsewhere. Pure.
mod former;

use super::{
    checkpoint::{Head, NotBelieved, renamed},
    event::{Hash, leaf_hash},
    sequencer::parted,
    tree::Growing,
};
use crate::{Error, Result, vocabulary::vocabulary};
pub use former::Continued;
use former::Former;
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
    /// Of a log that goes on after an older database was restored: what was lost by that, each time, the last first.
    pub continued: Vec<Continued>,
    /// Everything that is wrong, the first offending index first.
    pub faults: Vec<Fault>,
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
    origin: String,
    tree: Growing,
    heads: HashMap<Uuid, (i64, Hash)>,
    /// The checkpoints so far all hold up to here.
    sound: u64,
    /// Whether one did not: those after it cannot, and say no more.
    diverged: bool,
    /// The generations before, the last first, as the first leaves say.
    former: Vec<Former>,
    /// Heads that were kept elsewhere.
    pinned: Vec<Head>,
    /// Those of them that were met hold up to here.
    kept: u64,
    faults: Vec<Fault>,
}

/// The head of a checkpoint that was kept elsewhere, of whichever generation of the log, signed with its key.
///
/// # Errors
/// [`Error::Open`] when it is not to be believed.
pub fn pinned(note: &str, verifier: &str) -> Result<Head> {
    let believed = || {
        let origin = Head::read(note)?.origin;
        let (own, _) = verifier.split_once('+').ok_or(NotBelieved::Key)?;
        if parted(&origin).0 != parted(own).0 {
            return Err(NotBelieved::Origin);
        }
        Head::verify(note, &renamed(verifier, &origin)?)
    };
    believed().map_err(|e| Error::Open(format!("the pinned checkpoint: {e}")))
}

impl Walk {
    /// Of a log of this origin, which must contain what was pinned.
    pub fn of(origin: String, pinned: Vec<Head>) -> Self {
        Self {
            origin,
            tree: Growing::default(),
            heads: HashMap::new(),
            sound: 0,
            diverged: false,
            former: Vec::new(),
            pinned,
            kept: 0,
            faults: Vec::new(),
        }
    }

    /// How many leaves were walked.
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root over them.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn root(&self) -> Result<Hash> {
        self.tree.root()
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
        let index = self.size();
        let hash = leaf_hash(bytes);
        let made = self.tree.push(hash)?;
        self.of_former(index, hash)?;
        let said = self.read(index, bytes);
        if let Some(said) = &said {
            self.follow(index, said, hash);
        }
        self.meet_pinned()?;
        Ok((said, made))
    }

    /// What was kept elsewhere of as many leaves as were walked. All stored checkpoints fit a log that was rewritten and signed
    /// anew, so what does not fit these is somewhere behind the last of these that did.
    fn meet_pinned(&mut self) -> Result<()> {
        let (origin, size) = (&self.origin, self.tree.size());
        let met: Vec<Head> = self.pinned.extract_if(.., |head| head.origin == *origin && head.size == size).collect();
        for head in met {
            let root = self.root()?;
            if head.root == root {
                self.kept = size;
            } else {
                let what = format!(
                    "the checkpoint of {size} leaves that was kept is of another history: something below index {size} was changed"
                );
                self.fault(Some(self.kept), FaultKind::CheckpointWrong, what);
            }
        }
        Ok(())
    }

    /// A leaf is what the generations before had in its place.
    fn of_former(&mut self, index: u64, hash: Hash) -> Result<()> {
        let mut wrong = Vec::new();
        for (first, former) in (1..).zip(&mut self.former) {
            if !former.takes(hash)? {
                continue;
            }
            if former.is_whole()? == Some(false) {
                let what = "the leaves up to here are not those of the generation before that were kept".to_owned();
                wrong.push((index, FaultKind::TreeChanged, what));
            }
            for head in self.pinned.iter().filter(|head| former.is_of(&head.origin)) {
                if former.is(head)? == Some(false) {
                    let what =
                        format!("the checkpoint of {} leaves of {} is of another history", head.size, head.origin);
                    wrong.push((first, FaultKind::CheckpointWrong, what));
                }
            }
        }
        for (index, kind, what) in wrong {
            self.fault(Some(index), kind, what);
        }
        Ok(())
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
        if said.text("/log") != Some(parted(&self.origin).0) {
            self.fault(place, FaultKind::LeafMalformed, "the leaf is of another log");
        }
        if index == self.former.len() as u64 && said.text("/action") == Some("continued") {
            self.former.push(Former::of(&said));
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
                let what = format!("the checkpoint of {} leaves: {e}", self.size());
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
        if head.size == self.size() && head.root == self.root()? {
            self.sound = self.size();
        } else if !self.diverged {
            self.diverged = true;
            // Where a leaf is known to be wrong, it is what the root tells of.
            if !self.explains(&(self.sound..self.size())) {
                let what = format!(
                    "the checkpoint of {} leaves is of another history: something from here to index {} was changed",
                    head.size,
                    self.size().saturating_sub(1)
                );
                self.fault(Some(self.sound), FaultKind::CheckpointWrong, what);
            }
        }
        Ok(())
    }

    /// A checkpoint of more leaves than there are.
    pub fn beyond(&mut self, size: u64) {
        let what = format!("a checkpoint covers {size} leaves, and there are {}", self.size());
        self.fault(Some(self.size()), FaultKind::Truncated, what);
    }

    /// What was kept elsewhere and never came.
    fn pinned_beyond(&mut self) {
        for head in std::mem::take(&mut self.pinned) {
            if head.origin == self.origin {
                if head.size > self.size() {
                    self.beyond(head.size);
                }
                continue;
            }
            let former = self.former.iter().zip(0..).find(|(former, _)| former.is_of(&head.origin));
            let (index, kept) = former.map_or((None, 0), |(former, index)| (Some(index), former.kept()));
            if head.size > kept {
                let what = format!("{} had {} leaves once, of which {kept} were kept", head.origin, head.size);
                self.fault(index, FaultKind::Truncated, what);
            }
        }
    }

    /// The last version of each record and the hash of its leaf.
    pub const fn heads(&self) -> &HashMap<Uuid, (i64, Hash)> {
        &self.heads
    }

    /// What was found.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn report(mut self, waiting: u64, erased: u64) -> Result<Report> {
        let (root, size) = (hex::encode(self.root()?), self.size());
        let continued = self.former.iter().map(Former::told).collect();
        if self.former.iter().any(|former| former.come() < former.kept()) {
            let what = "leaves that were kept of the generation before are not there";
            self.fault(Some(size), FaultKind::Truncated, what);
        }
        self.pinned_beyond();
        // What is wrong with the log itself comes before what is wrong with the records of today.
        self.faults.sort_by_key(|f| (f.kind == FaultKind::RecordChanged, f.index.unwrap_or(u64::MAX)));
        Ok(Report { origin: self.origin, size, root, waiting, erased, continued, faults: self.faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{
        checkpoint::Signer,
        event::canonical,
        sequencer::origin,
        tree::{Nodes, grow, root},
    };
    use ed25519_dalek::SigningKey;
    use serde_json::json;

    type Leaves = Vec<Vec<u8>>;

    fn signer(generation: i64) -> Signer {
        Signer::new(&origin("x", generation), &SigningKey::from_bytes(&[7; 32]))
    }

    fn note(generation: i64, leaves: &[Vec<u8>]) -> String {
        let mut nodes = Nodes::default();
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        grow(0, &mut nodes, &hashes).unwrap();
        signer(generation).sign(leaves.len() as u64, root(leaves.len() as u64, &nodes).unwrap()).unwrap()
    }

    fn leaves(texts: &[&str]) -> Leaves {
        texts.iter().map(|text| canonical(&json!({ "log": "x", "text": text })).unwrap()).collect()
    }

    /// What goes on from this, as the next generation would have it.
    fn continued(seen: &str, kept: &str, behind: Leaves) -> Leaves {
        let first = canonical(&json!({ "log": "x", "action": "continued", "seen": seen, "kept": kept })).unwrap();
        std::iter::once(first).chain(behind).collect()
    }

    fn walked(generation: i64, leaves: &[Vec<u8>], kept: Option<&str>) -> Report {
        let kept = kept.map(|note| pinned(note, &signer(generation).verifier()).unwrap());
        let mut walk = Walk::of(origin("x", generation), kept.into_iter().collect());
        for leaf in leaves {
            walk.leaf(leaf).unwrap();
        }
        walk.report(0, 0).unwrap()
    }

    fn wrong(report: &Report, kind: FaultKind) -> Option<Option<u64>> {
        report.faults.iter().find(|f| f.kind == kind).map(|f| f.index)
    }

    #[test]
    fn a_generation_begins_with_what_was_kept_of_the_one_before() {
        let kept = leaves(&["a", "b"]);
        let goes_on = |behind: &[&str]| continued(&note(1, &kept), &note(1, &kept), leaves(behind));
        let same = walked(2, &goes_on(&["a", "b", "c"]), None);
        assert_eq!(same.continued, [Continued { seen: 2, kept: 2 }]);
        assert_eq!((wrong(&same, FaultKind::TreeChanged), wrong(&same, FaultKind::Truncated)), (None, None));
        let rewritten = walked(2, &goes_on(&["A", "b", "c"]), None);
        assert_eq!(wrong(&rewritten, FaultKind::TreeChanged), Some(Some(2)));
        let shorter = walked(2, &goes_on(&["a"]), None);
        assert_eq!(wrong(&shorter, FaultKind::Truncated), Some(Some(2)));
    }

    /// `a b c` was seen, `a b` was kept; then `d` came, was seen, and was lost.
    #[test]
    fn what_was_pinned_of_any_generation_is_looked_for() {
        let (seen, kept) = (leaves(&["a", "b", "c"]), leaves(&["a", "b"]));
        let second = continued(&note(1, &seen), &note(1, &kept), leaves(&["a", "b", "d"]));
        let third = continued(&note(2, &second), &note(2, &second[..3]), [&second[..3], &leaves(&["e"])].concat());
        let clean = walked(3, &third, None);
        assert_eq!(clean.continued, [Continued { seen: 4, kept: 3 }, Continued { seen: 3, kept: 2 }]);
        let of_tree = |report: &Report| {
            report.faults.iter().find(|f| f.kind != FaultKind::LeafMalformed).map(|f| (f.index, f.kind))
        };
        assert_eq!(of_tree(&clean), None);
        let forged = leaves(&["a", "B"]);
        for (pin, expected) in [
            (note(3, &third), None),
            (note(3, &third[..2]), None),
            (note(2, &second[..3]), None),
            (note(2, &second[..1]), None),
            (note(1, &kept), None),
            (note(1, &kept[..1]), None),
            (note(2, &second), Some((Some(0), FaultKind::Truncated))),
            (note(1, &seen), Some((Some(1), FaultKind::Truncated))),
            (note(1, &forged), Some((Some(2), FaultKind::CheckpointWrong))),
            (note(2, &forged), Some((Some(1), FaultKind::CheckpointWrong))),
            (note(3, &forged), Some((Some(0), FaultKind::CheckpointWrong))),
            (note(3, &[&third[..], &forged].concat()), Some((Some(5), FaultKind::Truncated))),
            (note(4, &kept), Some((None, FaultKind::Truncated))),
        ] {
            assert_eq!(of_tree(&walked(3, &third, Some(&pin))), expected, "{pin}");
        }
        let elsewhere = Signer::new("y", &SigningKey::from_bytes(&[7; 32])).sign(0, [0; 32]).unwrap();
        let stranger = Signer::new("x", &SigningKey::from_bytes(&[8; 32])).sign(0, [0; 32]).unwrap();
        for note in [elsewhere, stranger] {
            assert!(pinned(&note, &signer(3).verifier()).is_err(), "{note}");
        }
    }
}
