//! A pairing: a clinician who leads a discovery to the clinic, or a sponsor who takes part in it. Pure.
pub mod http;
pub mod store;

use crate::{
    db::columns::{Doc, Time},
    id::{DiscoveryId, OrganizationId, PairingId, PersonId},
    person::Tenure,
    vocabulary::{PairingKind, vocabulary},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::Serialize;

vocabulary! {
    /// Which side proposed: the discovery's lab, or the clinician or sponsor.
    ProposingSide { Lab = "lab", Counterpart = "counterpart" }
}

/// The state that grants sight and opens gates.
pub const ACCEPTED: &str = "accepted";

/// A pairing as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = crate::db::schema::pairing, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Pairing {
    /// Its id.
    pub id: PairingId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// The discovery.
    pub discovery_id: DiscoveryId,
    /// Clinical lead or industry partner.
    pub kind: PairingKind,
    /// The clinician, for a clinical lead.
    pub clinician_id: Option<PersonId>,
    /// The sponsor, for an industry partner.
    pub organization_id: Option<OrganizationId>,
    /// Who proposed it.
    pub proposed_by_id: PersonId,
    /// For which side.
    pub proposing_side: ProposingSide,
    /// Who owns the proposal: who made it.
    pub owner_id: PersonId,
    /// Owners past and present.
    pub owners: Doc<Vec<Tenure>>,
    /// At most 2 000 characters.
    pub message: String,
    /// A state of the lifecycle.
    pub state: String,
    /// Since when.
    pub state_entered_at: Time,
    /// When it was accepted or declined.
    pub answered_at: Option<Time>,
    /// The match explanation it was proposed on.
    pub match_explanation: Option<Doc<serde_json::Value>>,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}
