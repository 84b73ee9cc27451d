//! The generations before: a log that went on after an older database was restored begins with a leaf that says so, and goes
//! on with every leaf that was kept. Pure.
use super::Said;
use crate::{
    Result,
    ledger::{checkpoint::Head, event::Hash, tree::Growing},
};
use serde::Serialize;

/// How a generation began: it is signed like any other log, so whoever asks is told that there was one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Continued {
    /// How many leaves of the generation before had been seen by whoever went on.
    pub seen: u64,
    /// How many leaves of it were still there.
    pub kept: u64,
}

impl std::fmt::Display for Continued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seen, kept } = self;
        write!(f, "it goes on as a new generation: of {seen} leaves that had been seen before, {kept} were kept")
    }
}

/// A generation before, as the leaf that ended it has it, and as the leaves behind that have it.
#[derive(Debug)]
pub struct Former {
    seen: Option<Head>,
    kept: Option<Head>,
    tree: Growing,
}

impl Former {
    /// As a leaf says that begins a generation.
    pub fn of(leaf: &Said) -> Self {
        let head = |member: &str| leaf.text(member).and_then(|note| Head::read(note).ok());
        Self { seen: head("/seen"), kept: head("/kept"), tree: Growing::default() }
    }

    /// How many leaves of it were kept.
    pub fn kept(&self) -> u64 {
        self.kept.as_ref().map_or(0, |head| head.size)
    }

    /// What was lost with it.
    pub fn told(&self) -> Continued {
        Continued { seen: self.seen.as_ref().map_or(0, |head| head.size).max(self.kept()), kept: self.kept() }
    }

    /// Whether leaves of this origin are what was kept.
    pub fn is_of(&self, origin: &str) -> bool {
        self.kept.as_ref().is_some_and(|head| head.origin == origin)
    }

    /// How many of the leaves that were kept have come.
    pub const fn come(&self) -> u64 {
        self.tree.size()
    }

    /// Takes the next leaf; false if all that were kept have come before.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn takes(&mut self, leaf: Hash) -> Result<bool> {
        let takes = self.come() < self.kept();
        if takes {
            self.tree.push(leaf)?;
        }
        Ok(takes)
    }

    /// Whether the leaves that have come are those that were kept; unknown until all have.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn is_whole(&self) -> Result<Option<bool>> {
        self.kept.as_ref().map_or(Ok(None), |kept| self.is(kept))
    }

    /// Whether this is the head of the leaves that have come; unknown while it is of more or fewer.
    ///
    /// # Errors
    /// Never, of a tree that was grown here.
    pub fn is(&self, head: &Head) -> Result<Option<bool>> {
        Ok(if head.size == self.come() { Some(self.tree.root()? == head.root) } else { None })
    }
}
