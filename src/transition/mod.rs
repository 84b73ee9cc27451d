//! Moves: one path for every kind of record that has a lifecycle.
//!
//! [`attempt`] keeps the order of checks (404, 403, 428, 412, 422, 409) in one place; a kind says, through [`Movable`],
//! what its gates ask about and what a move does to it.
pub mod http;

use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{Conn, columns::Time},
    error::Code,
    fault::{self, FAULT_LIMIT, Faults, List, Reason, Text},
    http::etag::IfMatch,
    id::{DiscoveryId, EventId, InsightId, Key, OrganizationId, PersonId},
    ledger::{Change, Context, Stored, event::Signed},
    lifecycle::{
        Actor, Available, Brings, Facts, Gate, Lifecycle, Origin, Refusal, Request, Step, Target, Unmet, available,
        evaluate,
    },
    signature::{self, Answer, Subject},
    value::Reference,
    vocabulary::{Action, Meaning, Outcome, ReferenceKind, StopReason},
};
use deserr::Deserr;
use serde_json::{Map, Value, json};
use std::{collections::HashSet, sync::Arc};
use utoipa::ToSchema;

/// The body of a move. Which members a move takes and needs, its lifecycle says.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "to": "validated", "evidence": [{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }] }))]
pub struct Order {
    /// The state to move to.
    pub to: Text<1, 60>,
    /// The move, where two lead to the same state, and always for `correct`.
    #[deserr(rename = "move", default)]
    #[schema(rename = "move")]
    pub name: Option<Text<1, 60>>,
    /// Why, in words.
    #[deserr(default)]
    pub reason: Option<Reason>,
    /// Why it was stopped, in the vocabulary.
    #[deserr(default)]
    pub stop_reason: Option<StopReason>,
    /// Why a trial was stopped, as the registry wants it.
    #[deserr(default)]
    pub why_stopped: Option<Text<1, 250>>,
    /// References that join the record's in the same version.
    #[deserr(default)]
    pub evidence: Option<List<Reference>>,
    /// The insight that sends a discovery back.
    #[deserr(default)]
    pub insight_id: Option<InsightId>,
    /// The new discovery, for an insight resolved as `new_discovery`.
    #[deserr(default)]
    #[schema(value_type = Option<Object>)]
    pub discovery: Option<Value>,
    /// The refined discovery, for an insight resolved as `refined_discovery`.
    #[deserr(default)]
    pub discovery_id: Option<DiscoveryId>,
    /// What came of an insight.
    #[deserr(default)]
    pub outcome: Option<Outcome>,
    /// The same in words.
    #[deserr(default)]
    pub outcome_note: Option<Text<1, 2000>>,
    /// Who answers an insight for the lab.
    #[deserr(default)]
    pub assignee_id: Option<PersonId>,
    /// The lab an insight is routed to anew.
    #[deserr(default)]
    pub lab_id: Option<OrganizationId>,
    /// When the move took effect; never in the future, nor before the present state was entered.
    #[deserr(default)]
    pub effective_at: Option<Time>,
    /// The electronic signature, where one is needed.
    #[deserr(default)]
    pub signature: Option<Answer>,
}

/// What gates ask, gathered for one record and one person.
pub struct Situation {
    /// About the record.
    pub facts: Facts,
    /// About the person.
    pub actor: Actor,
    /// Whether the insight that the body cites stands on signed findings and concerns this record.
    pub insight: bool,
}

/// A move that passed every check, about to be made.
pub struct Passed<'a> {
    /// The step of the lifecycle.
    pub step: Step<'a>,
    /// The body.
    pub order: Order,
    /// When it takes effect.
    pub effective_at: Time,
    /// What the event says; the kind may add to it.
    pub change: Change,
}

/// A kind of record that moves.
pub trait Movable: Stored + Sized {
    /// The members of [`Order`] that its moves take, besides `to`, `move`, `reason`, `effective_at` and `signature`.
    const TAKES: &'static [&'static str];

    /// The record, if this person may see it.
    ///
    /// # Errors
    /// 404.
    fn find(conn: &mut Conn, who: &Principal, key: Key) -> Result<Self>;
    /// Its lifecycle.
    ///
    /// # Errors
    /// When the lifecycle is not there.
    fn lifecycle(&self, conn: &mut Conn) -> Result<Arc<Lifecycle>>;
    /// The state it is in.
    fn state(&self) -> &str;
    /// Since when.
    fn entered_at(&self) -> Time;
    /// What its gates ask.
    ///
    /// # Errors
    /// What the database says.
    fn situation(&self, conn: &mut Conn, who: &Principal, insight: Option<InsightId>) -> Result<Situation>;
    /// What only this kind can find wrong with a body that is well formed; asked before a refusal by gates is answered.
    ///
    /// # Errors
    /// What the database says.
    fn faults(&self, _: &mut Conn, _: &Principal, _: &Order) -> Result<Faults> {
        Ok(Faults::default())
    }
    /// What stands in the way of a move to this state that no gate asks about; the move is refused for it as well.
    ///
    /// # Errors
    /// What the database says.
    fn obstacle(&self, _: &mut Conn, _: &Principal, _to: &str) -> Result<Option<Unmet>> {
        Ok(None)
    }
    /// Keeps what its gates rest on as it is until the move is made.
    ///
    /// # Errors
    /// What the database says.
    fn hold(&self, _: &mut Conn, _cited: Option<InsightId>) -> Result<()> {
        Ok(())
    }
    /// Makes the move: changes the record, saves it with its event, and does what else belongs to it in the same
    /// transaction. Answers the event.
    ///
    /// # Errors
    /// 422 or 409 for what only this kind can check.
    fn make(self, conn: &mut Conn, who: &Principal, context: &Context, passed: Passed<'_>) -> Result<EventId>;
}

/// A signature whose signer proved that it is them, or did not: checked before the transaction, off the request thread.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// Whether the challenge was open, and the password right or the signer authenticated at their provider.
    pub right: bool,
}

/// Makes a move or says, in the contract's order, why not.
///
/// # Errors
/// 404, 403, 428, 412, 422, 409.
pub fn attempt<M: Movable>(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    asked: &Asked,
    checked: Option<Checked>,
) -> Result<EventId> {
    if asked.body.get("signature").is_some() {
        who.may_sign()?;
    }
    let record = M::find(conn, who, asked.key)?;
    let lifecycle = record.lifecycle(conn)?;
    let cited = uuid_at(&asked.body, "insight_id").map(InsightId::of);
    record.hold(conn, cited)?;
    let situation = record.situation(conn, who, cited)?;
    let to = asked.body.get("to").and_then(Value::as_str).unwrap_or_default();
    let name = asked.body.get("move").and_then(Value::as_str);
    let meaning = required_meaning(&lifecycle, &situation.facts.state, to, name);
    let brings = brings(&asked.body, &situation, meaning);
    let verdict = evaluate(&lifecycle, &situation.facts, &situation.actor, &Request { to, name, brings });

    if let Err(Refusal::Unmet { unmet, authority: true }) = &verdict {
        return Err(refused(Code::NotPermitted, "This move is not yours to make.", unmet));
    }
    asked.if_match.check(record.version())?;
    let order = order::<M>(&asked.body, &lifecycle)?;
    let effective_at = effective_at(&record, &order, context.at)?;
    record.faults(conn, who, &order)?.into_result()?;
    let step = verdict.map_err(|refusal| refusal_of(refusal, &record, to))?;
    let signature = match &order.signature {
        Some(answer) => Some(sign(conn, who, context, &record, answer, checked, meaning, &asked.body)?),
        None => None,
    };
    let change = change(&record, &step, &order, effective_at, signature);
    record.make(conn, who, context, Passed { step, order, effective_at, change })
}

/// Each move from where the record is, with what stands between it and this person.
///
/// # Errors
/// 404.
pub fn offers<M: Movable>(conn: &mut Conn, who: &Principal, key: Key) -> Result<Vec<Available>> {
    let record = M::find(conn, who, key)?;
    let lifecycle = record.lifecycle(conn)?;
    let situation = record.situation(conn, who, None)?;
    let mut offers = available(&lifecycle, &situation.facts, &situation.actor);
    for offer in &mut offers {
        offer.unmet.extend(record.obstacle(conn, who, &offer.to)?);
        offer.allowed = offer.unmet.is_empty();
    }
    Ok(offers)
}

/// What was asked, as the request had it.
#[derive(Clone)]
pub struct Asked {
    /// Of which record.
    pub key: Key,
    /// The version the caller saw.
    pub if_match: IfMatch,
    /// The body.
    pub body: Value,
}

fn order<M: Movable>(body: &Value, lifecycle: &Lifecycle) -> Result<Order> {
    const ALWAYS: &[&str] = &["to", "move", "reason", "effective_at", "signature"];
    let parsed = fault::read::<Order>(body.clone());
    let mut faults = parsed.as_ref().err().cloned().unwrap_or_default();
    let named: HashSet<String> = faults.0.iter().filter_map(|f| f.pointer.clone()).collect();
    for name in body.as_object().into_iter().flat_map(Map::keys).take(FAULT_LIMIT) {
        let known = ALWAYS.contains(&&**name) || M::TAKES.contains(&&**name);
        let at = fault::member(name);
        if !known && !named.contains(&at) {
            let message = format!("is taken by no move of a {}", M::KIND);
            faults.push(at, "not_applicable", message);
        }
    }
    if let Some(to) = body.get("to").and_then(Value::as_str)
        && lifecycle.state(to).is_none()
        && !named.contains("/to")
    {
        let states: Vec<_> = lifecycle.states().iter().map(|s| s.name.as_str()).collect();
        faults.push("/to", "unknown_value", format!("must be one of {}", states.join(", ")));
    }
    match parsed {
        Ok(order) if faults.0.is_empty() => Ok(order),
        _ => Err(Error::Invalid(faults)),
    }
}

fn effective_at<M: Movable>(record: &M, order: &Order, now: Time) -> Result<Time> {
    let Some(at) = order.effective_at else { return Ok(now.max(record.entered_at())) };
    if at > now {
        return Err(Error::fault("/effective_at", "in_future", "must not be in the future"));
    }
    if at < record.entered_at() {
        let message = format!("must not be before the present state was entered, {}", record.entered_at());
        return Err(Error::fault("/effective_at", "too_early", message));
    }
    Ok(at)
}

fn uuid_at(body: &Value, member: &str) -> Option<uuid::Uuid> {
    body.get(member).and_then(Value::as_str).and_then(|text| uuid::Uuid::parse_str(text).ok())
}

/// What the body brings, read leniently: authority is decided before the body's faults are.
fn brings(body: &Value, situation: &Situation, meaning: Option<Meaning>) -> Brings {
    let has = |member: &str| body.get(member).is_some_and(|v| !v.is_null());
    let evidence = body.get("evidence").and_then(Value::as_array).into_iter().flatten();
    let kinds = evidence.filter_map(|r| r.get("kind")?.as_str()?.parse::<ReferenceKind>().ok());
    Brings {
        reason: has("reason"),
        stop_reason: has("stop_reason"),
        why_stopped: has("why_stopped"),
        evidence: kinds.collect(),
        insight: situation.insight,
        signature: if has("signature") { meaning } else { None },
        outcome: has("outcome"),
        lab_id: has("lab_id"),
    }
}

/// What the signature of the move meant must say: whether one that came fits is checked on its own.
fn required_meaning(lifecycle: &Lifecycle, from: &str, to: &str, name: Option<&str>) -> Option<Meaning> {
    moves_meant(lifecycle, from, to, name).find_map(|m| {
        m.gates.iter().find_map(|g| if let Gate::Signature(meaning) = g.gate { Some(meaning) } else { None })
    })
}

/// The moves of a lifecycle that a request from here to there may mean: `correct` only when named.
pub fn moves_meant<'a>(
    lifecycle: &'a Lifecycle,
    from: &'a str,
    to: &'a str,
    name: Option<&'a str>,
) -> impl Iterator<Item = &'a crate::lifecycle::Move> {
    let meant = move |m: &&crate::lifecycle::Move| match name {
        Some(name) => m.name == name,
        None => !m.is_correction(),
    };
    lifecycle.moves().iter().filter(meant).filter(move |m| may_lead(m, from, to))
}

fn may_lead(made: &crate::lifecycle::Move, from: &str, to: &str) -> bool {
    let starts = match &made.from {
        Origin::States(names) => names.iter().any(|name| name == from),
        Origin::Any => true,
    };
    let ends = match &made.to {
        Target::States(names) => names.iter().any(|name| name == to),
        Target::HeldFrom | Target::Any => true,
    };
    starts && ends
}

fn refused(code: Code, detail: &str, unmet: &[Unmet]) -> Error {
    Error::refused(code, detail).with("unmet", unmet)
}

fn refusal_of<M: Movable>(refusal: Refusal, record: &M, to: &str) -> Error {
    match refusal {
        // An unknown state is a fault of the body and was answered as one.
        Refusal::UnknownState | Refusal::NoSuchMove => {
            let detail = format!("No such move leads from {} to {to}.", record.state());
            Error::refused(Code::NoSuchMove, detail).with("from", record.state()).with("to", to)
        }
        Refusal::Ambiguous(names) => {
            Error::fault("/move", "required", format!("several moves lead there; name one of {}", names.join(", ")))
        }
        Refusal::Unmet { unmet, .. } => refused(Code::GatesUnmet, "What the move needs is not all there yet.", &unmet),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one thing a signature is bound to")]
fn sign<M: Movable>(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    record: &M,
    answer: &Answer,
    checked: Option<Checked>,
    meaning: Option<Meaning>,
    body: &Value,
) -> Result<Signed> {
    let invalid = |detail: &str| Error::refused(Code::SignatureInvalid, detail);
    let open = signature::store::find(conn, answer.challenge_id, who.id)?
        .filter(|c| c.consumed_at.is_none() && c.expires_at > context.at && c.attempts <= signature::ATTEMPTS);
    let Some(challenge) = open else {
        return Err(invalid("The challenge is unknown, used, expired or void: ask for another."));
    };
    if !checked.is_some_and(|c| c.right) {
        return Err(invalid(match answer.password {
            Some(_) => "The password is wrong.",
            None => "You have not been authenticated at your identity provider for this challenge.",
        }));
    }
    let subject = Subject {
        challenge: challenge.id,
        issued_at: challenge.issued_at,
        kind: M::KIND,
        record: record.id(),
        version: record.version(),
        meaning: challenge.meaning,
        transition: body,
    };
    let digest = signature::digest(&subject, who)?;
    if challenge.digest != digest || meaning.is_some_and(|m| m != challenge.meaning) {
        return Err(invalid("The challenge was issued for another record, version, meaning or body."));
    }
    if !signature::store::consume(conn, challenge.id, context.at)? {
        return Err(invalid("The challenge has been used."));
    }
    Ok(Signed {
        person_id: who.id,
        signer: who.name.clone(),
        meaning: challenge.meaning,
        signed_at: context.at,
        digest: hex::encode(digest),
    })
}

fn change<M: Movable>(record: &M, step: &Step<'_>, order: &Order, at: Time, signature: Option<Signed>) -> Change {
    let code = order.stop_reason.map(StopReason::as_str).or(order.outcome.map(Outcome::as_str));
    let mut extra = Map::new();
    if let Some(stop_reason) = order.stop_reason {
        extra.insert("stop_reason".into(), json!(stop_reason));
    }
    if let Some(insight) = order.insight_id {
        extra.insert("insight_id".into(), json!(insight));
    }
    Change {
        move_name: Some(step.made.name.clone()),
        from: Some(record.state().to_owned()),
        to: Some(step.to.name.clone()),
        reason_code: code,
        reason: order.reason.clone().map(|r| r.0),
        signature,
        effective_at: Some(at),
        extra,
        ..Change::of(if step.correction { Action::Corrected } else { Action::Moved })
    }
}
