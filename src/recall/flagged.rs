//! The two kinds of record that a recall flags, behind one door. Loads and saves through each kind's own store.
use super::FlaggedKind;
use crate::{
    Result,
    auth::policy::{Principal, Standing},
    db::{Conn, columns::Time, hold_rows},
    discovery::{self, Discovery},
    id::{AnyId, EventId, Id},
    insight::{self, Insight},
    ledger::{Change, Context, record_change},
};

/// A record that stands on a finding.
pub enum Flagged {
    /// A discovery that an insight caused.
    Discovery(Box<Discovery>),
    /// An insight that cites it.
    Insight(Box<Insight>),
}

impl Flagged {
    /// The record, whoever asks; no other transaction changes it until this one ends, so that of two recalls neither finds
    /// the other's version stale.
    ///
    /// # Errors
    /// When it is not there, which no flagged record ever is.
    pub fn take(conn: &mut Conn, kind: FlaggedKind, id: AnyId) -> Result<Self> {
        match kind {
            FlaggedKind::Discovery => {
                hold_rows(conn, "SELECT 1 FROM discovery WHERE id = $1 FOR NO KEY UPDATE", id.0)?;
                discovery::store::load(conn, Id::of(id.0)).map(|d| Self::Discovery(Box::new(d)))
            }
            FlaggedKind::Insight => {
                hold_rows(conn, "SELECT 1 FROM insight WHERE id = $1 FOR NO KEY UPDATE", id.0)?;
                insight::store::load(conn, Id::of(id.0)).map(|i| Self::Insight(Box::new(i)))
            }
        }
    }

    /// What this person is to it.
    pub fn standing(&self, who: &Principal) -> Standing {
        match self {
            Self::Discovery(d) => d.standing(who),
            Self::Insight(i) => i.standing(who),
        }
    }

    /// Since when a recall waits there.
    pub const fn recalled_at(&mut self) -> &mut Option<Time> {
        match self {
            Self::Discovery(d) => &mut d.recalled_at,
            Self::Insight(i) => &mut i.recalled_at,
        }
    }

    /// Saves it with its event.
    ///
    /// # Errors
    /// What the database says.
    pub fn record(&mut self, conn: &mut Conn, context: &Context, change: Change) -> Result<EventId> {
        match self {
            Self::Discovery(d) => record_change(conn, context, &mut **d, change),
            Self::Insight(i) => record_change(conn, context, &mut **i, change),
        }
    }
}
