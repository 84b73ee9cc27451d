//! The use cases of webhooks: make, revise, end, sign with another secret, deliver again.
use super::{MOST_WEBHOOKS, Webhook, WebhookSwitch, delivery, reach::Reach, secret::WebhookSecret, store};
use crate::{
    Error, Result,
    auth::{
        policy::{Principal, Read},
        scope::Access,
    },
    db::{Conn, columns::Time, take_turn},
    error::Code,
    fault::{Change as Patch, Faults, List, Text, Title},
    id::{OrganizationId, PersonId, WebhookId},
    ledger::{Change, Context, feed::Position, log, next_number, record_change},
    organization, person,
    vocabulary::{Action, Authn, RecordKind, WebhookState},
};
use deserr::Deserr;
use serde_json::json;
use std::collections::HashSet;
use utoipa::ToSchema;

/// A webhook to make.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "name": "Portfolio dashboard", "url": "https://dashboard.example.org/hooks/benchside",
    "kinds": ["discovery"], "actions": ["moved", "corrected"], "conditions": ["D000690"]
}))]
pub struct NewWebhook {
    /// What it is for, in 1–300 characters.
    pub name: Title,
    /// Where events are sent: https, without a name or a password in it.
    pub url: Text<1, 2000>,
    /// Of records of these kinds; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub kinds: List<RecordKind>,
    /// Of these actions; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub actions: List<Action>,
    /// Of records about any of these conditions, by MeSH id or name; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: List<Title>,
    /// Of records whose steward is one of these; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub organization_ids: List<OrganizationId>,
    /// Through whose sight it is told; the caller where nobody is named.
    #[deserr(default)]
    pub owner_id: Option<PersonId>,
}

/// A merge patch of a webhook.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "state": "disabled" }))]
pub struct WebhookPatch {
    /// What it is for, in 1–300 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub name: Patch<Title>,
    /// Where events are sent.
    #[deserr(default)]
    #[schema(required = false)]
    pub url: Patch<Text<1, 2000>>,
    /// Of records of these kinds; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub kinds: Patch<List<RecordKind>>,
    /// Of these actions; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub actions: Patch<List<Action>>,
    /// Of records about any of these conditions; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: Patch<List<Title>>,
    /// Of records whose steward is one of these; of all where there are none.
    #[deserr(default)]
    #[schema(required = false)]
    pub organization_ids: Patch<List<OrganizationId>>,
    /// Through whose sight it is told.
    #[deserr(default)]
    #[schema(required = false)]
    pub owner_id: Patch<PersonId>,
    /// Whether events are sent. While it is disabled they wait.
    #[deserr(default)]
    #[schema(required = false)]
    pub state: Patch<WebhookSwitch>,
}

/// Which events to deliver again.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "from": "1-41", "to": "1-99" }))]
pub struct Redelivery {
    /// The `sequence` of the first.
    pub from: Text<3, 40>,
    /// The `sequence` of the last; the end of the log without it.
    #[deserr(default)]
    pub to: Option<Text<3, 40>>,
}

/// Makes a webhook, and the secret it signs with, which is shown to nobody again.
///
/// # Errors
/// 403 for a token that may not read what it is told; 409 where there are too many already; 422 for what does not fit.
pub fn create(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    reach: &Reach,
    new: NewWebhook,
) -> Result<(Webhook, WebhookSecret)> {
    let mut webhook = Webhook {
        id: WebhookId::fresh(),
        number: next_number(conn, RecordKind::Webhook)?,
        version: 0,
        name: new.name.into(),
        url: new.url.into(),
        kinds: new.kinds.0.into(),
        actions: new.actions.0.into(),
        conditions: texts(new.conditions).into(),
        organization_ids: new.organization_ids.0.into(),
        state: WebhookState::Enabled,
        owner_id: new.owner_id.unwrap_or(who.id),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    refuse_out_of_scope(who, &webhook)?;
    misfits(conn, context, reach, &mut webhook)?.into_result()?;
    refuse_too_many(conn)?;
    let change = Change { to: Some(webhook.state.as_str().into()), ..Change::of(Action::Created) };
    record_change(conn, context, &mut webhook, change)?;
    let secret = WebhookSecret::fresh()?;
    store::add_secret(conn, webhook.id, &secret, context.at)?;
    delivery::store::begin(conn, webhook.id)?;
    Ok((webhook, secret))
}

/// Revises a webhook. The caller has checked who may, and the version.
///
/// # Errors
/// 403 for a token that may not read what it is told; 409 for one that has ended; 422 for what does not fit.
pub fn revise(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    reach: &Reach,
    mut webhook: Webhook,
    patch: WebhookPatch,
) -> Result<Webhook> {
    refuse_ended(&webhook)?;
    let before = webhook.state;
    patch.name.apply(&mut webhook.name);
    patch.url.apply(&mut webhook.url);
    patch.owner_id.apply(&mut webhook.owner_id);
    patch.state.apply(&mut webhook.state);
    if let Patch::To(List(kinds)) = patch.kinds {
        webhook.kinds = kinds.into();
    }
    if let Patch::To(List(actions)) = patch.actions {
        webhook.actions = actions.into();
    }
    if let Patch::To(conditions) = patch.conditions {
        webhook.conditions = texts(conditions).into();
    }
    if let Patch::To(List(organizations)) = patch.organization_ids {
        webhook.organization_ids = organizations.into();
    }
    refuse_out_of_scope(who, &webhook)?;
    misfits(conn, context, reach, &mut webhook)?.into_result()?;
    let change = if webhook.state == before { Change::of(Action::Revised) } else { switch(before, webhook.state) };
    record_change(conn, context, &mut webhook, change)?;
    Ok(webhook)
}

/// Ends a webhook: nothing is sent any more, and it stays as it is. One that has ended already is left alone.
///
/// # Errors
/// What the database says.
pub fn end(conn: &mut Conn, context: &Context, mut webhook: Webhook) -> Result<()> {
    if webhook.state != WebhookState::Ended {
        let change = switch(webhook.state, WebhookState::Ended);
        webhook.state = WebhookState::Ended;
        record_change(conn, context, &mut webhook, change)?;
    }
    Ok(())
}

/// Has a webhook sign with another secret too; the ones before stay good for a day.
///
/// # Errors
/// 409 for one that has ended, and where too many secrets are good already.
pub fn add_secret(conn: &mut Conn, context: &Context, mut webhook: Webhook) -> Result<(Webhook, WebhookSecret)> {
    refuse_ended(&webhook)?;
    let secret = WebhookSecret::fresh()?;
    let mut change = Change::of(Action::Revised);
    change.extra.insert("secret".into(), json!("made"));
    record_change(conn, context, &mut webhook, change)?;
    store::add_secret(conn, webhook.id, &secret, context.at)?;
    Ok((webhook, secret))
}

/// What came of asking for events again.
#[derive(Debug, Clone, Copy)]
pub struct AskedAgain {
    /// How many wait to be delivered again.
    pub count: usize,
    /// Up to where the range was gone through, itself too; none before the first event.
    pub until: Option<Position>,
}

/// Has events of a range of the log delivered again.
///
/// # Errors
/// 409 for a webhook that has ended, whose owner may not read, or of which too many deliveries wait; 410 for a position of an
/// older generation; 422 for one that is none.
pub fn redeliver(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    webhook: &Webhook,
    asked: Redelivery,
) -> Result<AskedAgain> {
    refuse_ended(webhook)?;
    refuse_out_of_scope(who, webhook)?;
    let newest = log::latest(conn)?.ok_or_else(|| Error::LogHalted("there is no checkpoint yet".into()))?;
    let mut faults = Faults::default();
    let from = position("/from", &asked.from.0, &newest, &mut faults)?;
    let to = match &asked.to {
        Some(text) => position("/to", &text.0, &newest, &mut faults)?,
        None => i64::try_from(newest.size).unwrap_or(i64::MAX) - 1,
    };
    if to < from && faults.0.is_empty() {
        faults.push("/to", "out_of_range", "must not be before `from`");
    }
    faults.into_result()?;
    let Some(owner) = reader(conn, webhook.owner_id, context.at)? else {
        return Err(Error::refused(Code::Conflict, "Its owner may not read: name another first."));
    };
    let range = from..to.saturating_add(1);
    let (count, until) = delivery::store::ask_again(conn, webhook, &owner, &newest, range, context.at)?;
    let index = until.checked_sub(1).and_then(|last| u64::try_from(last).ok());
    Ok(AskedAgain { count, until: index.map(|index| Position { generation: newest.generation, index }) })
}

fn position(at: &str, text: &str, newest: &log::Stored, faults: &mut Faults) -> Result<i64> {
    let Ok(position) = text.parse::<Position>() else {
        faults.push(at, "invalid_format", "must be the `sequence` of an event, such as 1-41");
        return Ok(0);
    };
    if position.generation < newest.generation {
        let detail = format!("Events are numbered anew since generation {}.", newest.generation);
        return Err(Error::refused(Code::FeedReset, detail));
    }
    if position.generation > newest.generation || position.index >= newest.size {
        faults.push(at, "out_of_range", "must be the `sequence` of an event that was");
    }
    Ok(i64::try_from(position.index).unwrap_or(i64::MAX))
}

fn switch(from: WebhookState, to: WebhookState) -> Change {
    let action = if to == WebhookState::Enabled { Action::Enabled } else { Action::Disabled };
    Change { from: Some(from.as_str().into()), to: Some(to.as_str().into()), ..Change::of(action) }
}

fn texts(list: List<Title>) -> Vec<String> {
    list.0.into_iter().map(String::from).collect()
}

fn refuse_ended(webhook: &Webhook) -> Result<()> {
    if webhook.state == WebhookState::Ended {
        return Err(Error::refused(Code::Immutable, "The webhook has ended."));
    }
    Ok(())
}

/// Each is looked after again and again, whether anything is to be sent or not.
fn refuse_too_many(conn: &mut Conn) -> Result<()> {
    take_turn(conn, "webhooks")?; // two at once: the second counts the first
    if store::count_not_ended(conn)? >= MOST_WEBHOOKS {
        let detail = format!("There are {MOST_WEBHOOKS} webhooks already: end one that nobody needs first.");
        return Err(Error::refused(Code::Conflict, detail));
    }
    Ok(())
}

/// A webhook tells what its kinds' events hold: a token may send nobody what it may not read itself.
fn refuse_out_of_scope(who: &Principal, webhook: &Webhook) -> Result<()> {
    let told = if webhook.kinds.is_empty() { RecordKind::ALL } else { &webhook.kinds.0 };
    told.iter().try_for_each(|kind| who.scope.must_allow(Some(*kind), Access::Read))
}

/// What does not fit. The address is kept as it was read when it was checked.
fn misfits(conn: &mut Conn, context: &Context, reach: &Reach, webhook: &mut Webhook) -> Result<Faults> {
    let mut faults = Faults::default();
    match reach.target(&webhook.url) {
        Ok(url) => webhook.url = url.into(),
        Err((code, message)) => faults.push("/url", code, message),
    }
    repeated("/kinds", &webhook.kinds, &mut faults);
    repeated("/actions", &webhook.actions, &mut faults);
    repeated("/conditions", &webhook.conditions, &mut faults);
    repeated("/organization_ids", &webhook.organization_ids, &mut faults);
    let there = organization::store::names(conn, webhook.organization_ids.iter().copied())?;
    for (index, id) in webhook.organization_ids.iter().enumerate().filter(|(_, id)| !there.contains_key(id)) {
        faults.push(format!("/organization_ids/{index}"), "not_found", format!("there is no organization {id}"));
    }
    if reader(conn, webhook.owner_id, context.at)?.is_none() {
        faults.push("/owner_id", "not_found", "must be an active person who may read");
    }
    Ok(faults)
}

fn repeated<T: std::hash::Hash + Eq>(at: &str, members: &[T], faults: &mut Faults) {
    let mut seen = HashSet::new();
    for (index, _) in members.iter().enumerate().filter(|(_, member)| !seen.insert(*member)) {
        faults.push(format!("{at}/{index}"), "duplicate", "stands here already");
    }
}

/// A person, if they are there and may read.
///
/// # Errors
/// What the database says.
pub fn reader(conn: &mut Conn, id: PersonId, at: Time) -> Result<Option<Principal>> {
    let person = person::store::principal(conn, id, Authn::System, at)?;
    Ok(person.filter(Principal::may_ask::<Read>))
}
