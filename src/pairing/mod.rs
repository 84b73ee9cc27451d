//! A pairing: a clinician who leads a discovery to the clinic, or a sponsor who takes part in it. Pure.
pub mod change;
pub mod http;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::{DiscoveryId, OrganizationId, PairingId, PersonId},
    person::Tenure,
    value::search_text,
    vocabulary::{PairingKind, RecordKind, Role, vocabulary},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

vocabulary! {
    /// Which side proposed: the discovery's lab, or the clinician or sponsor.
    ProposingSide { Lab = "lab", Counterpart = "counterpart" }
}

/// The state in which the side that was asked has said no.
pub const DECLINED: &str = "declined";

/// Who a discovery's lab is paired with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counterpart {
    /// A clinician, who would lead it to the clinic.
    Clinician(PersonId),
    /// A sponsor, who would take part in it.
    Sponsor(OrganizationId),
}

impl Counterpart {
    /// Whether this person speaks for it: the clinician themself, or a partner of the sponsor.
    pub fn is_spoken_for_by(self, who: &Principal) -> bool {
        match self {
            Self::Clinician(id) => who.id == id,
            Self::Sponsor(id) => who.is(Role::Partner) && who.belongs_to(id),
        }
    }
}

/// Whether this person speaks for the lab of a discovery.
pub fn speaks_for_lab(who: &Principal, lab: OrganizationId) -> bool {
    who.is(Role::Scientist) && who.belongs_to(lab)
}

/// A pairing as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
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

impl Pairing {
    /// What this person is to it, given the lab of the discovery.
    pub fn standing(&self, who: &Principal, lab: OrganizationId) -> Standing {
        Standing::to(RecordKind::Pairing)
            .being(Relation::Owner, self.owner_id == who.id)
            .being(Relation::Steward, who.belongs_to(lab))
    }

    /// Who the lab is paired with; every pairing names one of the two.
    pub fn counterpart(&self) -> Option<Counterpart> {
        let sponsor = self.organization_id.map(Counterpart::Sponsor);
        self.clinician_id.map(Counterpart::Clinician).or(sponsor)
    }

    /// Whether this person proposes, and whether they answer, given the lab of the discovery.
    pub fn sides_of(&self, who: &Principal, lab: OrganizationId) -> Sides {
        let of_lab = speaks_for_lab(who, lab);
        let of_counterpart = self.counterpart().is_some_and(|c| c.is_spoken_for_by(who));
        match self.proposing_side {
            ProposingSide::Lab => Sides { proposes: of_lab, answers: of_counterpart },
            ProposingSide::Counterpart => Sides { proposes: of_counterpart, answers: of_lab },
        }
    }

    /// Brings the folded column in line with the field it is made from.
    pub fn index(&mut self) {
        self.search = search_text([&*self.message]);
    }
}

/// On which sides of a pairing a person is: on both, where they work in the lab and in the clinic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// On the side that asked.
    pub proposes: bool,
    /// On the side that was asked.
    pub answers: bool,
}

#[cfg(test)]
mod side_tests {
    use super::*;
    use crate::{id::Id, vocabulary::Authn};

    fn person(id: PersonId, role: Role, organizations: &[OrganizationId]) -> Principal {
        Principal {
            id,
            name: "Somebody".into(),
            roles: [role].into(),
            organizations: organizations.to_vec(),
            authn: Authn::Password,
            session: None,
            scope: crate::auth::scope::Scope::everything(),
            at: Time::now(),
        }
    }

    fn pairing(proposing_side: ProposingSide, counterpart: Counterpart) -> Pairing {
        let (kind, clinician_id, organization_id) = match counterpart {
            Counterpart::Clinician(id) => (PairingKind::ClinicalLead, Some(id), None),
            Counterpart::Sponsor(id) => (PairingKind::IndustryPartner, None, Some(id)),
        };
        Pairing {
            id: Id::fresh(),
            number: 1,
            version: 1,
            discovery_id: Id::fresh(),
            kind,
            clinician_id,
            organization_id,
            proposed_by_id: Id::fresh(),
            proposing_side,
            owner_id: Id::fresh(),
            owners: Doc::default(),
            message: "Will you?".into(),
            state: "proposed".into(),
            state_entered_at: Time::now(),
            answered_at: None,
            match_explanation: None,
            search: String::new(),
            created_at: Time::now(),
            updated_at: Time::now(),
            head: Vec::new(),
        }
    }

    #[test]
    fn one_side_asks_and_the_other_answers() {
        let (lab, sponsor, clinician) = (Id::fresh(), Id::fresh(), Id::fresh());
        let (asks, answers) = (Sides { proposes: true, answers: false }, Sides { proposes: false, answers: true });
        let neither = Sides { proposes: false, answers: false };
        let scientist = person(Id::fresh(), Role::Scientist, &[lab]);
        let lead = person(clinician, Role::Clinician, &[]);
        let partner = person(Id::fresh(), Role::Partner, &[sponsor]);
        for (side, counterpart, who, sides) in [
            (ProposingSide::Lab, Counterpart::Clinician(clinician), &scientist, asks),
            (ProposingSide::Lab, Counterpart::Clinician(clinician), &lead, answers),
            (ProposingSide::Counterpart, Counterpart::Clinician(clinician), &scientist, answers),
            (ProposingSide::Counterpart, Counterpart::Clinician(clinician), &lead, asks),
            (ProposingSide::Lab, Counterpart::Sponsor(sponsor), &partner, answers),
            (ProposingSide::Counterpart, Counterpart::Sponsor(sponsor), &partner, asks),
            (ProposingSide::Counterpart, Counterpart::Sponsor(Id::fresh()), &partner, neither),
        ] {
            assert_eq!(pairing(side, counterpart).sides_of(who, lab), sides, "{side} {counterpart:?} {}", who.id);
        }
    }

    #[test]
    fn only_scientists_speak_for_a_lab_and_only_partners_for_a_sponsor() {
        let (lab, sponsor) = (Id::fresh(), Id::fresh());
        let proposed = pairing(ProposingSide::Lab, Counterpart::Sponsor(sponsor));
        for role in [Role::Clinician, Role::Administrator, Role::Auditor] {
            let who = person(Id::fresh(), role, &[lab, sponsor]);
            assert_eq!(proposed.sides_of(&who, lab), Sides { proposes: false, answers: false }, "{role}");
        }
    }
}
