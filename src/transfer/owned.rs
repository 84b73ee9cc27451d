//! The five kinds of record that have an owner, behind one door: who owns it, who its steward is, and handing it over.
//!
//! Loads and saves through each kind's own store; knows nothing of transfers.
use super::{Covered, OwnedKind};
use crate::{
    Result,
    auth::policy::{Principal, Standing},
    db::{Conn, columns::Time},
    discovery::{self, Discovery},
    error::Code,
    finding::{self, Finding},
    id::{EventId, Id, Key, OrganizationId, PersonId},
    insight::{self, Insight},
    ledger::{Change, Context, Stored, record_change},
    pairing::{self, Pairing},
    person,
    trial::{self, Trial},
    vocabulary::OrganizationKind,
};
use std::collections::HashSet;
use uuid::Uuid;

/// A record that has an owner; a finding comes with the clinic of its trial, a pairing with the lab of its discovery.
#[derive(Debug, Clone)]
pub enum Owned {
    /// Its steward is its lab.
    Discovery(Box<Discovery>),
    /// Its steward is its clinic.
    Trial(Box<Trial>),
    /// Its steward is its trial's.
    Finding(Box<Finding>, OrganizationId),
    /// Its steward is its clinic.
    Insight(Box<Insight>),
    /// Its steward is its discovery's.
    Pairing(Box<Pairing>, OrganizationId),
}

impl Owned {
    /// The record, if this person may see it; `None` for hidden and absent alike.
    ///
    /// # Errors
    /// What the database says.
    pub fn find(conn: &mut Conn, who: &Principal, covered: Covered) -> Result<Option<Self>> {
        let key = Key::Id(covered.id);
        let found = match covered.kind {
            OwnedKind::Discovery => discovery::store::find(conn, who, key).map(|d| Self::Discovery(Box::new(d))),
            OwnedKind::Trial => trial::store::find(conn, who, key).map(|t| Self::Trial(Box::new(t))),
            OwnedKind::Finding => finding::store::find(conn, who, key).and_then(|f| Self::of_finding(conn, f)),
            OwnedKind::Insight => insight::store::find(conn, who, key).map(|i| Self::Insight(Box::new(i))),
            OwnedKind::Pairing => pairing::store::find(conn, who, key).and_then(|p| Self::of_pairing(conn, p)),
        };
        match found {
            Ok(owned) => Ok(Some(owned)),
            Err(e) if e.code() == Code::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The record, whoever asks: a transfer covers what its receiver may not see yet.
    ///
    /// # Errors
    /// When it is not there, which no record ever is.
    pub fn load(conn: &mut Conn, covered: Covered) -> Result<Self> {
        let id = covered.id;
        match covered.kind {
            OwnedKind::Discovery => discovery::store::load(conn, Id::of(id)).map(|d| Self::Discovery(Box::new(d))),
            OwnedKind::Trial => trial::store::load(conn, Id::of(id)).map(|t| Self::Trial(Box::new(t))),
            OwnedKind::Finding => finding::store::load(conn, Id::of(id)).and_then(|f| Self::of_finding(conn, f)),
            OwnedKind::Insight => insight::store::load(conn, Id::of(id)).map(|i| Self::Insight(Box::new(i))),
            OwnedKind::Pairing => pairing::store::load(conn, Id::of(id)).and_then(|p| Self::of_pairing(conn, p)),
        }
    }

    fn of_finding(conn: &mut Conn, finding: Finding) -> Result<Self> {
        let clinic = trial::store::load(conn, finding.trial_id)?.clinic_id;
        Ok(Self::Finding(Box::new(finding), clinic))
    }

    fn of_pairing(conn: &mut Conn, pairing: Pairing) -> Result<Self> {
        let lab = discovery::store::load(conn, pairing.discovery_id)?.lab_id;
        Ok(Self::Pairing(Box::new(pairing), lab))
    }

    /// Its owner.
    pub fn owner(&self) -> PersonId {
        match self {
            Self::Discovery(d) => d.owner_id,
            Self::Trial(t) => t.owner_id,
            Self::Finding(f, _) => f.owner_id,
            Self::Insight(i) => i.owner_id,
            Self::Pairing(p, _) => p.owner_id,
        }
    }

    /// Its steward.
    pub fn steward(&self) -> OrganizationId {
        match self {
            Self::Discovery(d) => d.lab_id,
            Self::Trial(t) => t.clinic_id,
            Self::Insight(i) => i.clinic_id,
            Self::Finding(_, steward) | Self::Pairing(_, steward) => *steward,
        }
    }

    /// What this person is to it.
    pub fn standing(&self, who: &Principal) -> Standing {
        match self {
            Self::Discovery(d) => d.standing(who),
            Self::Trial(t) => t.standing(who),
            Self::Finding(f, clinic) => f.standing(who, *clinic),
            Self::Insight(i) => i.standing(who),
            Self::Pairing(p, lab) => p.standing(who, *lab),
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Discovery(d) => d.id.0,
            Self::Trial(t) => t.id.0,
            Self::Finding(f, _) => f.id.0,
            Self::Insight(i) => i.id.0,
            Self::Pairing(p, _) => p.id.0,
        }
    }

    /// Its code.
    pub fn code(&self) -> String {
        match self {
            Self::Discovery(d) => d.code(),
            Self::Trial(t) => t.code(),
            Self::Finding(f, _) => f.code(),
            Self::Insight(i) => i.code(),
            Self::Pairing(p, _) => p.code(),
        }
    }

    /// What its steward must be, where it has one of its own to change.
    pub const fn steward_kind(&self) -> Option<OrganizationKind> {
        match self {
            Self::Discovery(_) => Some(OrganizationKind::Lab),
            Self::Trial(_) => Some(OrganizationKind::Clinic),
            Self::Finding(..) | Self::Insight(_) | Self::Pairing(..) => None,
        }
    }

    /// Its steward once everything in `covered` has gone to the steward named: a finding follows its trial and a pairing
    /// its discovery; neither goes alone, nor does an insight.
    pub fn steward_after(&self, named: Option<OrganizationId>, covered: &HashSet<Uuid>) -> OrganizationId {
        let goes = match self {
            Self::Discovery(_) | Self::Trial(_) => true,
            Self::Finding(f, _) => covered.contains(&f.trial_id.0),
            Self::Pairing(p, _) => covered.contains(&p.discovery_id.0),
            Self::Insight(_) => false,
        };
        named.filter(|_| goes).unwrap_or_else(|| self.steward())
    }

    /// Whether its owner still has a place there: in the steward, or on the side of a pairing that is not the lab's.
    pub fn is_kept_by(&self, owner: &Principal) -> bool {
        let of_counterpart = match self {
            Self::Pairing(p, _) => p.counterpart().is_some_and(|c| c.is_spoken_for_by(owner)),
            Self::Discovery(_) | Self::Trial(_) | Self::Finding(..) | Self::Insight(_) => false,
        };
        owner.belongs_to(self.steward()) || of_counterpart
    }

    /// Gives it to another owner, and to another steward where it has one of its own.
    pub fn hand_over(&mut self, to: PersonId, steward: OrganizationId, at: Time) {
        let (owner, owners) = match self {
            Self::Discovery(d) => {
                d.lab_id = steward;
                (&mut d.owner_id, &mut d.owners)
            }
            Self::Trial(t) => {
                t.clinic_id = steward;
                (&mut t.owner_id, &mut t.owners)
            }
            Self::Finding(f, _) => (&mut f.owner_id, &mut f.owners),
            Self::Insight(i) => (&mut i.owner_id, &mut i.owners),
            Self::Pairing(p, _) => (&mut p.owner_id, &mut p.owners),
        };
        *owner = to;
        person::hand_over(owners, to, at);
    }

    /// Saves it with its event.
    ///
    /// # Errors
    /// [`crate::Error::Overtaken`] when another change came first.
    pub fn record(&mut self, conn: &mut Conn, context: &Context, change: Change) -> Result<EventId> {
        match self {
            Self::Discovery(d) => record_change(conn, context, &mut **d, change),
            Self::Trial(t) => record_change(conn, context, &mut **t, change),
            Self::Finding(f, _) => record_change(conn, context, &mut **f, change),
            Self::Insight(i) => record_change(conn, context, &mut **i, change),
            Self::Pairing(p, _) => record_change(conn, context, &mut **p, change),
        }
    }
}
