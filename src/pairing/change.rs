//! The use cases that change a pairing: propose, and the moves that answer, take back or end it.
use super::{Counterpart, DECLINED, Pairing, ProposingSide, speaks_for_lab, store};
use crate::{
    Error, Result,
    auth::{
        policy::{Principal, ProposePairing, Relation},
        scope::Scope,
    },
    db::{Conn, columns::Time},
    discovery::{self, Discovery},
    error::Code,
    fault::{Faults, Reason},
    id::{DiscoveryId, EventId, InsightId, Key, OrganizationId, PairingId, PersonId},
    ledger::{Change, Context, next_number, record_change},
    lifecycle::{
        self, Actor, Facts, Lifecycle, Unmet,
        builtin::{self, ACCEPTED},
    },
    organization,
    person::{self, Tenure},
    transition::{Movable, Passed, Situation},
    vocabulary::{Action, Authn, OrganizationKind, PairingKind, RecordKind, Role},
};
use deserr::Deserr;
use std::sync::Arc;
use utoipa::ToSchema;

/// A pairing to propose.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "discovery_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "kind": "clinical_lead",
    "clinician_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e56", "message": "Would you take this to your ALS clinic?"
}))]
pub struct NewPairing {
    /// The discovery, which the caller sees.
    pub discovery_id: DiscoveryId,
    /// What is looked for.
    pub kind: PairingKind,
    /// The clinician, for a `clinical_lead`.
    #[deserr(default)]
    pub clinician_id: Option<PersonId>,
    /// The sponsor, for an `industry_partner`.
    #[deserr(default)]
    pub organization_id: Option<OrganizationId>,
    /// To the other side.
    pub message: Reason,
}

impl NewPairing {
    /// Whom it names: a clinician and no organization for a clinical lead, the reverse for an industry partner.
    fn counterpart(&self, faults: &mut Faults) -> Option<Counterpart> {
        let (named, needed, other) = match self.kind {
            PairingKind::ClinicalLead => {
                let named = self.clinician_id.map(Counterpart::Clinician);
                (named, "/clinician_id", self.organization_id.map(|_| "/organization_id"))
            }
            PairingKind::IndustryPartner => {
                let named = self.organization_id.map(Counterpart::Sponsor);
                (named, "/organization_id", self.clinician_id.map(|_| "/clinician_id"))
            }
        };
        if named.is_none() {
            faults.push(needed, "required", format!("is required for the kind {}", self.kind));
        }
        if let Some(other) = other {
            faults.push(other, "not_applicable", format!("has no place in the kind {}", self.kind));
        }
        named.filter(|_| other.is_none())
    }
}

/// Proposes a pairing, for the lab of the discovery or for the clinician or sponsor it names.
///
/// # Errors
/// 403 for who is on neither side; 422 for a discovery, clinician or sponsor that is not there; 409 when the discovery
/// has ended, when the one who is asked cannot see it, and when the same pairing is open already.
pub fn propose(conn: &mut Conn, who: &Principal, context: &Context, new: NewPairing) -> Result<Pairing> {
    let mut faults = Faults::default();
    let seen = visible_discovery(conn, who, new.discovery_id, &mut faults)?;
    let named = new.counterpart(&mut faults);
    if let (Some(discovery), Some(counterpart)) = (&seen, named) {
        proposing_side(who, discovery, counterpart)?;
    }
    let asked = match named {
        Some(counterpart) => reader(conn, counterpart, context.at, &mut faults)?,
        None => None,
    };
    faults.into_result()?;
    let (Some(discovery), Some(counterpart), Some(asked)) = (seen, named, asked) else {
        return Err(Error::Internal("a proposal without faults names its sides".into()));
    };
    let side = proposing_side(who, &discovery, counterpart)?;
    if lifecycle::store::resolve(conn, &discovery.lifecycle)?.is_final(&discovery.stage) {
        return Err(Error::refused(Code::Immutable, "The discovery has ended: nobody is paired with it any more."));
    }
    if side == ProposingSide::Lab && !sees(conn, &asked, discovery.id)? {
        let detail = "They cannot see the discovery: share it with them before proposing.";
        return Err(Error::refused(Code::ShareFirst, detail));
    }
    let mut pairing = proposed(conn, who, context, new, side, discovery.owner_id)?;
    let change = Change { to: Some(pairing.state.clone()), ..Change::of(Action::Created) };
    record_change(conn, context, &mut pairing, change).map_err(|e| {
        let detail = "A pairing of this kind with the same counterpart is already proposed or accepted.";
        if e.is_unique_violation() { Error::refused(Code::Conflict, detail) } else { e }
    })?;
    Ok(pairing)
}

fn proposed(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    new: NewPairing,
    proposing_side: ProposingSide,
    discovery_owner: PersonId,
) -> Result<Pairing> {
    // An owner is a member of the steward, the discovery's lab: what the other side proposes, the discovery's owner owns.
    let owner = if proposing_side == ProposingSide::Lab { who.id } else { discovery_owner };
    let mut pairing = Pairing {
        id: PairingId::fresh(),
        number: next_number(conn, RecordKind::Pairing)?,
        version: 0,
        discovery_id: new.discovery_id,
        kind: new.kind,
        clinician_id: new.clinician_id,
        organization_id: new.organization_id,
        proposed_by_id: who.id,
        proposing_side,
        owner_id: owner,
        owners: vec![Tenure { person_id: owner, from: context.at, until: None }].into(),
        message: new.message.into(),
        state: builtin::pairing().initial().name.clone(),
        state_entered_at: context.at,
        answered_at: None,
        match_explanation: None,
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    pairing.index();
    Ok(pairing)
}

fn visible_discovery(
    conn: &mut Conn,
    who: &Principal,
    id: DiscoveryId,
    faults: &mut Faults,
) -> Result<Option<Discovery>> {
    match discovery::store::find(conn, who, id.into()) {
        Ok(discovery) => Ok(Some(discovery)),
        Err(e) if e.code() == Code::NotFound => {
            faults.push("/discovery_id", "not_found", format!("there is no discovery {id}"));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// For which side this person may propose.
fn proposing_side(who: &Principal, discovery: &Discovery, counterpart: Counterpart) -> Result<ProposingSide> {
    let standing = discovery
        .standing(who)
        .being(Relation::NamedClinician, counterpart == Counterpart::Clinician(who.id))
        .being(Relation::NamedSponsor, matches!(counterpart, Counterpart::Sponsor(id) if who.belongs_to(id)));
    who.must::<ProposePairing>(&standing)?;
    let of_lab = speaks_for_lab(who, discovery.lab_id);
    Ok(if of_lab { ProposingSide::Lab } else { ProposingSide::Counterpart })
}

/// The counterpart as one who reads: the clinician, or any partner of the sponsor.
fn reader(conn: &mut Conn, counterpart: Counterpart, at: Time, faults: &mut Faults) -> Result<Option<Principal>> {
    let reader = match counterpart {
        Counterpart::Clinician(id) => {
            person::store::principal(conn, id, Authn::System, at)?.filter(|p| p.is(Role::Clinician))
        }
        Counterpart::Sponsor(id) => organization::store::names(conn, [id])?.remove(&id).and_then(|(name, kind)| {
            (kind == OrganizationKind::Sponsor).then(|| Principal {
                // Nobody in particular: an id of no person.
                id: PersonId::of(uuid::Uuid::nil()),
                name: name.name,
                roles: [Role::Partner].into(),
                organizations: vec![id],
                authn: Authn::System,
                session: None,
                scope: Scope::everything(),
                at,
            })
        }),
    };
    if reader.is_none() {
        match counterpart {
            Counterpart::Clinician(_) => faults.push("/clinician_id", "not_found", "must be an active clinician"),
            Counterpart::Sponsor(_) => faults.push("/organization_id", "not_found", "must be a sponsor"),
        }
    }
    Ok(reader)
}

fn sees(conn: &mut Conn, who: &Principal, discovery: DiscoveryId) -> Result<bool> {
    Ok(!discovery::store::visible_ids(conn, who, &[discovery.0])?.is_empty())
}

/// What somebody is told who would accept what they cannot see.
const UNSHARED: &str = "You cannot see the discovery: its lab has to share it before you can accept.";

impl Movable for Pairing {
    const TAKES: &'static [&'static str] = &[];

    fn find(conn: &mut Conn, who: &Principal, key: Key) -> Result<Self> {
        store::find(conn, who, key)
    }
    fn lifecycle(&self, _: &mut Conn) -> Result<Arc<Lifecycle>> {
        Ok(Arc::new(builtin::pairing().clone()))
    }
    fn state(&self) -> &str {
        &self.state
    }
    fn entered_at(&self) -> Time {
        self.state_entered_at
    }
    fn situation(&self, conn: &mut Conn, who: &Principal, _: Option<InsightId>) -> Result<Situation> {
        let lab = discovery::store::load(conn, self.discovery_id)?.lab_id;
        let sides = self.sides_of(who, lab);
        Ok(Situation {
            facts: Facts { state: self.state.clone(), ..Facts::default() },
            actor: Actor {
                roles: who.roles.clone(),
                steward: who.belongs_to(lab),
                owner: self.owner_id == who.id,
                answers: sides.answers,
                proposes: sides.proposes,
                ..Actor::default()
            },
            insight: false,
        })
    }
    fn obstacle(&self, conn: &mut Conn, who: &Principal, to: &str) -> Result<Option<Unmet>> {
        if to != ACCEPTED || sees(conn, who, self.discovery_id)? {
            return Ok(None);
        }
        Ok(Some(Unmet { gate: "share", message: UNSHARED.into(), ..Unmet::default() }))
    }
    /// Accepting a clinical lead is accepting the hand-off: the first who accepts leads the discovery, alone.
    fn make(mut self, conn: &mut Conn, who: &Principal, context: &Context, passed: Passed<'_>) -> Result<EventId> {
        let Passed { step, effective_at, change, .. } = passed;
        if let Some(obstacle) = self.obstacle(conn, who, &step.to.name)? {
            return Err(Error::refused(Code::ShareFirst, obstacle.message));
        }
        self.state = step.to.name.clone();
        self.state_entered_at = effective_at;
        if self.state == ACCEPTED || self.state == DECLINED {
            self.answered_at = Some(effective_at);
        }
        record_change(conn, context, &mut self, change).map_err(|e| {
            let detail = "The discovery has an accepted clinical lead already, and has one at a time.";
            if e.is_unique_violation() { Error::refused(Code::Conflict, detail) } else { e }
        })
    }
}
