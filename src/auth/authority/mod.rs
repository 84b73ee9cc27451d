//! Why somebody may, or may not, do something: the answer that administrators get.
//!
//! Asks what really decides, about another person than the one who asks: the table of the policy, the queries that say
//! who sees a record, and the engine that says which moves are open. Decides nothing itself.
pub mod http;

use super::policy::{Principal, Relation, Row, Rule, Standing};
use crate::{
    Error, Result, app,
    db::{Conn, columns::Time},
    discovery::{self, Discovery},
    error::Code,
    finding::{self, Finding},
    history::RecordRef,
    id::{Id, Key, PersonId},
    insight::{self, Insight},
    lifecycle::{Available, CORRECT, Unmet, facts},
    organization,
    pairing::{self, Pairing},
    person::{self, store::PersonName},
    transfer, transition,
    trial::{self, Trial},
    vocabulary::{Authn, OrganizationKind, RecordKind},
};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// A question about one person.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who would act.
    pub person: PersonId,
    /// What they would do.
    pub action: &'static Row,
    /// To which record.
    pub record: Option<(RecordKind, Uuid)>,
    /// For a move: the state it would lead to.
    pub to: Option<String>,
    /// For a move: which, where two lead there, and always for `correct`.
    pub name: Option<String>,
}

/// One thing that was asked, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleView {
    /// `active`, `role`, `visible`, what the person must be to the record, or `move`; `visible_to_…` says what alone
    /// would show the record.
    #[schema(max_length = 40, example = "steward")]
    pub rule: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was asked, for people.
    #[schema(max_length = 2000, example = "scientist, being a member of its steward")]
    pub message: String,
}

/// Why somebody may or may not do something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Explanation {
    /// Who would act.
    pub person: PersonName,
    /// What they would do.
    #[schema(max_length = 60, example = "revise")]
    pub action: &'static str,
    /// To which record.
    pub record: Option<RecordRef>,
    /// Whether they may; of a move, whether a body with what it needs would do.
    pub allowed: bool,
    /// Whether they see the record; null where none is named.
    pub visible: Option<bool>,
    /// Everything that was asked.
    #[schema(max_items = 500)]
    pub rules: Vec<RuleView>,
    /// Everything that is missing.
    #[schema(max_items = 500)]
    pub unmet: Vec<Unmet>,
}

/// What has been found so far.
#[derive(Default)]
struct Findings {
    rules: Vec<RuleView>,
    unmet: Vec<Unmet>,
}

impl Findings {
    fn note(&mut self, rule: &'static str, holds: bool, message: impl Into<String>) {
        self.rules.push(RuleView { rule, holds, message: message.into() });
    }
    fn lack(&mut self, gate: &'static str, message: impl Into<String>) {
        self.unmet.push(Unmet { gate, message: message.into(), ..Unmet::default() });
    }
}

/// Answers the question as things stand now.
///
/// # Errors
/// What the database says.
pub fn explain(conn: &mut Conn, question: &Question, at: Time) -> Result<Explanation> {
    let mut found = Findings::default();
    let person = person::store::Names::load(conn, [question.person])?.one(question.person)?;
    let who = person::store::principal(conn, question.person, Authn::System, at)?;
    found.note("active", who.is_some(), "is not disabled");
    let mut visible = question.record.is_some().then_some(false);
    match &who {
        None => found.lack("active", "is disabled, and may do nothing"),
        Some(who) => {
            ask_role(who, question.action, &mut found);
            if let Some((kind, id)) = question.record {
                visible = Some(ask_sight(conn, who, kind, id, &mut found)?);
                ask_relation(conn, who, question.action, kind, id, &mut found)?;
                if visible == Some(true) && question.to.is_some() {
                    ask_engine(conn, who, question, (kind, id), &mut found)?;
                }
            }
        }
    }
    let record = question.record.map(|(kind, id)| RecordRef { kind, id });
    let Findings { rules, unmet } = found;
    Ok(Explanation { person, action: question.action.name, record, allowed: unmet.is_empty(), visible, rules, unmet })
}

/// Whether they hold a role that may ask at all.
fn ask_role(who: &Principal, action: &Row, found: &mut Findings) {
    let roles = action.roles();
    let holds = action.grants().any(|grant| grant.is_for(&who.roles));
    let message = match &*roles {
        [] => "no role is needed".to_owned(),
        roles => format!("one of the roles {}", roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ")),
    };
    found.note("role", holds, message.clone());
    if !holds {
        found.unmet.push(Unmet { gate: "role", message, roles, ..Unmet::default() });
    }
}

/// Whether they see the record, and what of them alone would show it: each is asked of the query that decides.
fn ask_sight(conn: &mut Conn, who: &Principal, kind: RecordKind, id: Uuid, found: &mut Findings) -> Result<bool> {
    let sees = |conn: &mut Conn, who: &Principal| match app::seen(conn, who, kind, Key::Id(id)) {
        Ok(_) => Ok(true),
        Err(e) if e.code() == Code::NotFound => Ok(false),
        Err(e) => Err(e),
    };
    let anybody =
        Principal { id: Id::of(Uuid::nil()), roles: BTreeSet::new(), organizations: Vec::new(), ..who.clone() };
    found.note("visible_to_anybody", sees(conn, &anybody)?, "anybody signed in sees it");
    for role in &who.roles {
        let one = Principal { roles: [*role].into(), ..anybody.clone() };
        found.note("visible_to_role", sees(conn, &one)?, format!("every {role} sees it"));
    }
    let names = organization::store::Names::load(conn, who.organizations.iter().copied())?;
    for organization in &who.organizations {
        let one = Principal { organizations: vec![*organization], ..anybody.clone() };
        let name = names.one(*organization)?;
        found.note("visible_to_member", sees(conn, &one)?, format!("members of {} ({}) see it", name.code, name.name));
    }
    let alone = Principal { id: who.id, ..anybody };
    found.note("visible_to_person", sees(conn, &alone)?, "shown to this person by name, as an owner or a side");
    let visible = sees(conn, who)?;
    found.note("visible", visible, "sees it, by any of these or by several together");
    if !visible {
        found.lack("visible", "must see the record: to them it does not exist");
    }
    Ok(visible)
}

/// Whether they are to the record what the policy asks for.
fn ask_relation(
    conn: &mut Conn,
    who: &Principal,
    action: &Row,
    kind: RecordKind,
    id: Uuid,
    found: &mut Findings,
) -> Result<()> {
    let Some(rule) = action.over(kind) else { return Ok(()) };
    let standing = standing(conn, who, kind, id)?;
    for grant in rule.grants {
        found.note(grant.relation.as_str(), grant.admits(&who.roles, &standing), grant.in_words());
    }
    if !rule.admits(&who.roles, &standing) && asks_more_than_a_role(rule) {
        found.unmet.push(rule.unmet(&who.roles));
    }
    Ok(())
}

fn asks_more_than_a_role(rule: &Rule) -> bool {
    rule.grants.iter().any(|grant| grant.relation != Relation::Any && grant.relation != Relation::Gates)
}

/// What the gates of the lifecycle say of the moves that are meant.
fn ask_engine(
    conn: &mut Conn,
    who: &Principal,
    question: &Question,
    (kind, id): (RecordKind, Uuid),
    found: &mut Findings,
) -> Result<()> {
    let (to, name) = (question.to.as_deref().unwrap_or_default(), question.name.as_deref());
    let meant = |m: &Available| m.to == to && name.map_or(m.name != CORRECT, |name| m.name == name);
    let offers: Vec<_> = offers(conn, who, kind, Key::Id(id))?.into_iter().filter(meant).collect();
    for offer in &offers {
        found.note("move", offer.allowed, format!("{} to {}", offer.name, offer.to));
    }
    match &*offers {
        [] => found.lack("move", format!("no such move leads to {to} from where it is")),
        offers if offers.iter().any(|offer| offer.allowed) => {}
        offers => found.unmet.extend(offers.iter().flat_map(|offer| offer.unmet.clone())),
    }
    Ok(())
}

fn offers(conn: &mut Conn, who: &Principal, kind: RecordKind, key: Key) -> Result<Vec<Available>> {
    match kind {
        RecordKind::Discovery => transition::offers::<Discovery>(conn, who, key),
        RecordKind::Trial => transition::offers::<Trial>(conn, who, key),
        RecordKind::Finding => transition::offers::<Finding>(conn, who, key),
        RecordKind::Insight => transition::offers::<Insight>(conn, who, key),
        RecordKind::Pairing => transition::offers::<Pairing>(conn, who, key),
        RecordKind::Organization
        | RecordKind::Person
        | RecordKind::Lifecycle
        | RecordKind::Transfer
        | RecordKind::Webhook => Err(Error::Internal(format!("a {kind} does not move"))),
    }
}

/// What a person is to a record, as the record says it. A proposal of a pairing is taken to name them or their sponsor.
fn standing(conn: &mut Conn, who: &Principal, kind: RecordKind, id: Uuid) -> Result<Standing> {
    Ok(match kind {
        RecordKind::Organization => organization::standing(who, Id::of(id)),
        RecordKind::Person => person::standing(who, Id::of(id)),
        RecordKind::Lifecycle => Standing::to(kind),
        RecordKind::Discovery => {
            let names = organization::store::names(conn, who.organizations.iter().copied())?;
            let of_sponsor = names.values().any(|(_, kind)| *kind == OrganizationKind::Sponsor);
            let leads = facts::leads(conn, who.id, Id::of(id))?;
            let standing = discovery::store::load(conn, Id::of(id))?.standing(who);
            standing
                .being(Relation::Lead, leads)
                .being(Relation::NamedClinician, true)
                .being(Relation::NamedSponsor, of_sponsor)
        }
        RecordKind::Trial => trial::store::load(conn, Id::of(id))?.standing(who),
        RecordKind::Finding => {
            let finding = finding::store::load(conn, Id::of(id))?;
            let clinic = trial::store::load(conn, finding.trial_id)?.clinic_id;
            finding.standing(who, clinic)
        }
        RecordKind::Insight => insight::store::load(conn, Id::of(id))?.standing(who),
        RecordKind::Pairing => {
            let pairing = pairing::store::load(conn, Id::of(id))?;
            let lab = discovery::store::load(conn, pairing.discovery_id)?.lab_id;
            pairing.standing(who, lab)
        }
        RecordKind::Transfer => transfer::store::load(conn, Id::of(id))?.standing(who),
        RecordKind::Webhook => Standing::to(kind),
    })
}
