//! The use cases of subscriptions: follow, and follow no more.
use super::{MOST, Subscription, store};
use crate::{
    Error, Result, app,
    auth::policy::Principal,
    db::{Conn, columns::Time, containing, take_turn},
    error::Code,
    fault::{Faults, Title},
    id::{AnyId, Key, OrganizationId, SubscriptionId},
    identifier::MeshId,
    organization,
    value::term_of,
    vocabulary::{OrganizationKind, RecordKind},
};
use deserr::Deserr;
use utoipa::ToSchema;

/// What to follow: exactly one of a record, a lab and a condition.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "condition": { "mesh": "D000690" } }))]
pub struct NewSubscription {
    /// A record that one may see: what happens to it.
    #[deserr(default)]
    pub record: Option<FollowedRecord>,
    /// A lab: what happens to its discoveries and to the insights put to it.
    #[deserr(default)]
    pub lab_id: Option<OrganizationId>,
    /// A condition: what happens to discoveries and trials that have it.
    #[deserr(default)]
    pub condition: Option<NewFollowedCondition>,
}

/// A record to follow.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "kind": "discovery", "id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55" }))]
pub struct FollowedRecord {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    pub id: AnyId,
}

/// A condition to follow: exactly one of its MeSH descriptor and its whole name.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "mesh": "D000690" }))]
pub struct NewFollowedCondition {
    /// Its MeSH descriptor.
    #[deserr(default)]
    pub mesh: Option<MeshId>,
    /// Its name, 1 to 300 characters; letter case does not count.
    #[deserr(default)]
    pub name: Option<Title>,
}

/// Follows something, from the next event on; what one follows already, one goes on following. Answers whether it is new.
///
/// # Errors
/// 422 for what is not there to be seen, 409 for one too many.
pub fn follow(conn: &mut Conn, who: &Principal, at: Time, new: NewSubscription) -> Result<(Subscription, bool)> {
    take_turn(conn, "subscriptions")?; // two at once: the second counts the first
    let wanted = Subscription { follows_after: store::last_event(conn)?, ..subscription(conn, who, at, new)? };
    let known = store::of(conn, who.id)?;
    let is_full = i64::try_from(known.len()).is_ok_and(|n| n >= MOST);
    if let Some(same) = known.into_iter().find(|s| s.target == wanted.target) {
        return Ok((same, false));
    }
    if is_full {
        let detail = format!("A person has at most {MOST} subscriptions: end one first.");
        return Err(Error::refused(Code::Conflict, detail));
    }
    store::insert(conn, &wanted)?;
    Ok((wanted, true))
}

fn subscription(conn: &mut Conn, who: &Principal, at: Time, new: NewSubscription) -> Result<Subscription> {
    let blank = Subscription {
        id: SubscriptionId::fresh(),
        person_id: who.id,
        target: String::new(),
        record_kind: None,
        record_id: None,
        lab_id: None,
        mesh: None,
        name: None,
        pattern: None,
        follows_after: 0,
        created_at: at,
    };
    match new {
        NewSubscription { record: Some(record), lab_id: None, condition: None } => {
            must_be_seen(conn, who, &record)?;
            let target = format!("record {}", record.id);
            Ok(Subscription { target, record_kind: Some(record.kind), record_id: Some(record.id), ..blank })
        }
        NewSubscription { record: None, lab_id: Some(lab), condition: None } => {
            let kind = organization::store::names(conn, [lab])?.get(&lab).map(|(_, kind)| *kind);
            if kind != Some(OrganizationKind::Lab) {
                return Err(Error::fault("/lab_id", "not_found", "must be an organization of kind lab"));
            }
            Ok(Subscription { target: format!("lab {lab}"), lab_id: Some(lab), ..blank })
        }
        NewSubscription { record: None, lab_id: None, condition: Some(condition) } => of_condition(condition, blank),
        NewSubscription { .. } => {
            Err(Error::fault("", "required", "exactly one of `record`, `lab_id` and `condition` is required"))
        }
    }
}

/// A hidden record is told from none by nothing.
fn must_be_seen(conn: &mut Conn, who: &Principal, record: &FollowedRecord) -> Result<()> {
    match app::seen(conn, who, record.kind, Key::Id(record.id.0)) {
        Err(e) if e.code() == Code::NotFound => {
            let message = format!("there is no such {}, or none that you may see", record.kind);
            Err(Error::fault("/record/id", "not_found", message))
        }
        found => found.map(drop),
    }
}

fn of_condition(condition: NewFollowedCondition, blank: Subscription) -> Result<Subscription> {
    let (mesh, name) = match condition {
        NewFollowedCondition { mesh: Some(mesh), name: None } => (Some(mesh.to_string()), None),
        NewFollowedCondition { mesh: None, name: Some(name) } => (None, Some(String::from(name))),
        NewFollowedCondition { .. } => {
            return Err(Error::fault("/condition", "required", "exactly one of `mesh` and `name` is required"));
        }
    };
    let term = mesh.as_deref().or(name.as_deref()).map(term_of).unwrap_or_default();
    Ok(Subscription { target: format!("condition {term}"), pattern: Some(containing(&term)), mesh, name, ..blank })
}

/// Follows something no more.
///
/// # Errors
/// 404 where there is no such subscription of one's own.
pub fn end(conn: &mut Conn, who: &Principal, id: SubscriptionId) -> Result<()> {
    if store::delete(conn, who.id, id)? { Ok(()) } else { Err(Error::not_found()) }
}
