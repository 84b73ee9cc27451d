//! The only SQL of webhooks and of what they are signed with.
use super::{MOST_SECRETS, OVERLAP_SECONDS, Webhook, secret::WebhookSecret};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees,
        columns::Time,
        finders,
        schema::{person, webhook, webhook_secret},
    },
    error::Code,
    http::page::{Page, keyset},
    id::{AnyId, PersonId, WebhookId},
    ledger::stored,
    vocabulary::{RecordKind, WebhookState},
};
use diesel::{prelude::*, sql_types::Bool};

stored!(Webhook, webhook, RecordKind::Webhook);
finders!(Webhook, webhook, WebhookId);

/// Its owner, administrators and auditors.
pub fn visible_to(who: &Principal) -> Sees<webhook::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    Box::new(webhook::owner_id.eq(who.id))
}

/// What a list of webhooks may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states.
    pub state: Vec<WebhookState>,
    /// Any of these owners.
    pub owner: Vec<PersonId>,
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Webhook>, Option<i64>)> {
    let matching = || {
        let mut query = webhook::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.state.is_empty() {
            query = query.filter(webhook::state.eq_any(filter.state.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(webhook::owner_id.eq_any(filter.owner.clone()));
        }
        query
    };
    let rows = keyset!(matching(), page, webhook: WebhookId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "name" => name: String,
        "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// The webhooks that are enabled, of owners who are there.
///
/// # Errors
/// What the database says.
pub fn enabled(conn: &mut Conn) -> Result<Vec<Webhook>> {
    let owned = webhook::table.inner_join(person::table.on(person::id.eq(webhook::owner_id)));
    let at_work = owned.filter(webhook::state.eq(WebhookState::Enabled)).filter(person::disabled_at.is_null());
    Ok(at_work.order(webhook::id).select(webhook::all_columns).load(conn)?)
}

/// How many there are that have not ended.
///
/// # Errors
/// What the database says.
pub fn count_not_ended(conn: &mut Conn) -> Result<i64> {
    Ok(webhook::table.filter(webhook::state.ne(WebhookState::Ended)).count().get_result(conn)?)
}

/// Keeps a new secret; those before it stay good for a while.
///
/// # Errors
/// 409 where too many are good already.
pub fn add_secret(conn: &mut Conn, id: WebhookId, secret: &WebhookSecret, at: Time) -> Result<()> {
    if secrets(conn, id, at)?.len() >= MOST_SECRETS {
        let detail = format!("A webhook has at most {MOST_SECRETS} secrets at once: wait until the oldest is over.");
        return Err(Error::refused(Code::Conflict, detail));
    }
    let before =
        webhook_secret::table.filter(webhook_secret::webhook_id.eq(id)).filter(webhook_secret::expires_at.is_null());
    let over = at.plus_seconds(OVERLAP_SECONDS);
    diesel::update(before).set(webhook_secret::expires_at.eq(over)).execute(conn)?;
    let row = (
        webhook_secret::id.eq(AnyId::fresh()),
        webhook_secret::webhook_id.eq(id),
        webhook_secret::secret.eq(secret.bytes().to_vec()),
        webhook_secret::created_at.eq(at),
    );
    diesel::insert_into(webhook_secret::table).values(row).execute(conn)?;
    Ok(())
}

/// The secrets that are good now, newest first.
///
/// # Errors
/// What the database says.
pub fn secrets(conn: &mut Conn, id: WebhookId, at: Time) -> Result<Vec<WebhookSecret>> {
    let good = webhook_secret::expires_at.is_null().or(webhook_secret::expires_at.assume_not_null().gt(at));
    let rows: Vec<Vec<u8>> = webhook_secret::table
        .filter(webhook_secret::webhook_id.eq(id))
        .filter(good)
        .order((webhook_secret::created_at.desc(), webhook_secret::id.desc()))
        .select(webhook_secret::secret)
        .load(conn)?;
    rows.iter().map(|bytes| WebhookSecret::kept(bytes)).collect()
}

/// Forgets at most so many secrets that were over before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget_secrets(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over: Vec<AnyId> = webhook_secret::table
        .filter(webhook_secret::expires_at.lt(before))
        .select(webhook_secret::id)
        .limit(most)
        .load(conn)?;
    Ok(diesel::delete(webhook_secret::table.filter(webhook_secret::id.eq_any(over))).execute(conn)?)
}
