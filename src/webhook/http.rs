//! Routes of webhooks: take, ask the use case, answer.
use super::{
    Webhook,
    change::{self, NewWebhook, Redelivery, WebhookPatch},
    delivery::{self, Delivery, DeliveryError},
    secret::WebhookSecret,
    store::{self, Filter},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{ManageWebhooks, Principal, Read},
    },
    db::{Conn, columns::Time},
    history::{self, ChangedRecord, Entry},
    http::{
        self, Links,
        answer::Answer,
        body::{self, Body},
        etag::IfMatch,
        openapi::{FieldsQuery, IdPath, IfMatchHeader, ListOf, PageQuery},
        page::{After, PARAMETERS, Page, SortValue},
        params::Params,
    },
    id::{DeliveryId, EventId, WebhookId},
    ledger::{feed::Position, log},
    organization::{self, store::OrganizationName},
    person::{self, store::PersonName},
    transfer::change::Nothing,
    vocabulary::{Action, DeliveryState, RecordKind, WebhookState},
};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list)
        .service(create)
        .service(read)
        .service(revise)
        .service(end)
        .service(create_secret)
        .service(list_deliveries)
        .service(redeliver)
        .service(list_history);
}

crate::history::http::history_route!("Webhooks", "webhook", "/v1/webhooks/{id}/history", RecordKind::Webhook);

/// A webhook as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its id.
    pub id: WebhookId,
    /// Its code.
    #[schema(max_length = 30, example = "W-3")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
    /// What it is for.
    #[schema(max_length = 300, example = "Portfolio dashboard")]
    pub name: String,
    /// Where events are sent.
    #[schema(max_length = 2000, example = "https://dashboard.example.org/hooks/benchside")]
    pub url: String,
    /// Of records of these kinds; of all where there are none.
    #[schema(max_items = 100)]
    pub kinds: Vec<RecordKind>,
    /// Of these actions; of all where there are none.
    #[schema(max_items = 100)]
    pub actions: Vec<Action>,
    /// Of records about any of these conditions, by MeSH id or name; of all where there are none.
    #[schema(max_items = 100, max_length = 300, example = json!(["D000690"]))]
    pub conditions: Vec<String>,
    /// Of records whose steward is one of these; of all where there are none.
    #[schema(max_items = 100)]
    pub organizations: Vec<OrganizationName>,
    /// Where it stands.
    pub state: WebhookState,
    /// Through whose sight it is told.
    pub owner: PersonName,
    /// Whether events are sent now: it is enabled, and its owner may read. Otherwise they wait.
    pub delivering: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Where it is.
    pub links: Links,
}

/// A webhook with a new secret: shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookWithSecret {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// What deliveries are signed with from now on; null in a repeated answer.
    #[schema(max_length = 60, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    pub secret: Option<String>,
}

/// The given webhooks, in a fixed number of queries.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, rows: Vec<Webhook>) -> Result<Vec<WebhookView>> {
    let organizations =
        organization::store::Names::load(conn, rows.iter().flat_map(|w| w.organization_ids.iter().copied()))?;
    let people = person::store::Names::load(conn, rows.iter().map(|w| w.owner_id))?;
    let readers = person::store::readers(conn, rows.iter().map(|w| w.owner_id))?;
    let view = |w: Webhook| {
        Ok(WebhookView {
            id: w.id,
            code: RecordKind::Webhook.code(w.number),
            version: w.version,
            delivering: w.state == WebhookState::Enabled && readers.contains(&w.owner_id),
            name: w.name,
            url: w.url,
            kinds: w.kinds.0,
            actions: w.actions.0,
            conditions: w.conditions.0,
            organizations: organizations.many(&w.organization_ids)?,
            state: w.state,
            owner: people.one(w.owner_id)?,
            created_at: w.created_at,
            updated_at: w.updated_at,
            links: Links::of(RecordKind::Webhook, w.id.0),
        })
    };
    rows.into_iter().map(view).collect()
}

fn view(conn: &mut Conn, row: Webhook) -> Result<WebhookView> {
    http::only(views(conn, vec![row])?)
}

/// What a list may be narrowed by; each may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct WebhookQuery {
    /// States.
    #[param(required = false)]
    state: Vec<WebhookState>,
    /// Owners; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
}

/// Webhooks, newest change first: all of them for administrators and auditors, for others those they own.
#[utoipa::path(tag = "Webhooks", operation_id = "list_webhooks", params(PageQuery, WebhookQuery),
    responses((status = 200, description = "A page of webhooks", body = ListOf<WebhookView>)))]
#[get("/v1/webhooks")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const SORTS: &[&str] = &["-updated_at", "created_at", "name", "code"];
    let mut params = Params::read(&request, &[PARAMETERS, &["state", "owner_id"]].concat())?;
    let page = Page::read(&request, &mut params, SORTS);
    let filter = Filter { state: params.any("state"), owner: params.people("owner_id", who.id) };
    params.finish()?;
    let asked = page.clone();
    let (rows, total) = who
        .read(move |conn, who| {
            let (rows, total) = store::list(conn, who, &filter, &asked)?;
            Ok((views(conn, rows)?, total))
        })
        .await?;
    let sort = page.sort.clone();
    page.answer(&request, rows, total, move |w| After {
        value: match &*sort {
            "created_at" => w.created_at.to_cursor(),
            "name" => w.name.to_cursor(),
            "code" => http::page::number_in(&w.code),
            _ => w.updated_at.to_cursor(),
        },
        id: w.id.0,
    })
}

/// Makes a webhook. It is told of what happens from now on. At most 100 are there at once, those that have ended not counted.
#[utoipa::path(tag = "Webhooks", operation_id = "create_webhook", request_body = NewWebhook,
    responses((status = 201, description = "The new webhook, with its secret", body = WebhookWithSecret)))]
#[post("/v1/webhooks")]
async fn create(who: Guard<ManageWebhooks>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let reach = who.app().postman.reach().clone();
    who.post(&request, body, move |conn, who, context, body| {
        let new = body::parse::<NewWebhook>(body.clone())?;
        let (webhook, secret) = change::create(conn, who, context, &reach, new)?;
        let made = with_secret(conn, webhook, &secret)?;
        let answer = Answer::created(RecordKind::Webhook, made.webhook.id.0, made.webhook.version, &made)?;
        Ok(Answer { once: vec!["/secret".into()], ..answer })
    })
    .await
}

fn with_secret(conn: &mut Conn, webhook: Webhook, secret: &WebhookSecret) -> Result<WebhookWithSecret> {
    Ok(WebhookWithSecret { webhook: view(conn, webhook)?, secret: Some(secret.expose()) })
}

/// One webhook.
#[utoipa::path(tag = "Webhooks", operation_id = "get_webhook", params(IdPath, FieldsQuery),
    responses((status = 200, description = "The webhook", body = WebhookView)))]
#[get("/v1/webhooks/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Webhook)?;
    let found = who
        .read(move |conn, who| {
            let webhook = store::find(conn, who, key)?;
            view(conn, webhook)
        })
        .await?;
    http::record(&request, found.version, &found)
}

/// Revises a webhook (RFC 7396 merge patch), enables or disables it.
#[utoipa::path(tag = "Webhooks", operation_id = "revise_webhook", params(IdPath, IfMatchHeader),
    request_body(content = WebhookPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The webhook", body = WebhookView)))]
#[patch("/v1/webhooks/{id}")]
async fn revise(who: Guard<ManageWebhooks>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Webhook)?;
    let if_match = IfMatch::of(&request);
    let reach = who.app().postman.reach().clone();
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let webhook = store::find(conn, who, key)?;
            if_match.check(webhook.version)?;
            let patch = body::parse::<WebhookPatch>(body.clone())?;
            let revised = change::revise(conn, who, context, &reach, webhook, patch)?;
            view(conn, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}

/// Ends a webhook.
///
/// Nothing is sent any more. The record and its history stay.
#[utoipa::path(tag = "Webhooks", operation_id = "end_webhook", params(IdPath),
    responses((status = 204, description = "It has ended")))]
#[delete("/v1/webhooks/{id}")]
async fn end(who: Guard<ManageWebhooks>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Webhook)?;
    who.write(move |conn, who, context| {
        let webhook = store::find(conn, who, key)?;
        change::end(conn, context, webhook)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Has a webhook sign with a new secret too. The ones before stay good for 24 hours: until then each delivery carries a
/// signature by every one of them.
#[utoipa::path(tag = "Webhooks", operation_id = "create_webhook_secret", params(IdPath), request_body = Nothing,
    responses((status = 201, description = "The webhook, with the new secret", body = WebhookWithSecret)))]
#[post("/v1/webhooks/{id}/secrets")]
async fn create_secret(who: Guard<ManageWebhooks>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Webhook)?;
    who.post(&request, body, move |conn, who, context, body| {
        let webhook = store::find(conn, who, key)?;
        body::parse::<Nothing>(body.clone())?;
        let (webhook, secret) = change::add_secret(conn, context, webhook)?;
        let made = with_secret(conn, webhook, &secret)?;
        let answer = Answer::made(&made)?.at_version(made.webhook.version);
        Ok(Answer { once: vec!["/secret".into()], ..answer })
    })
    .await
}

/// A delivery as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The event: the `webhook-id` of every try.
    pub event_id: EventId,
    /// Where the event stands in the log; null for the moment until it has its place there.
    #[schema(max_length = 40, example = "1-41")]
    pub sequence: Option<String>,
    /// The record that the event changed.
    pub record: ChangedRecord,
    /// What was done to it.
    pub action: Action,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries so far, since it was last asked for.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    pub attempts: i32,
    /// When it is tried next, where it waits.
    pub next_attempt_at: Option<Time>,
    /// The status of the last answer; null where there was none.
    #[schema(minimum = 100, maximum = 999, example = 200)]
    pub last_status: Option<i32>,
    /// Why the last try came to nothing.
    pub last_error: Option<DeliveryError>,
    /// When a receiver took it.
    pub delivered_at: Option<Time>,
    /// When it came in sight, or was asked for again.
    pub created_at: Time,
    /// Where the log proves the event.
    #[schema(max_length = 100, example = "/v1/ledger/events/41/proof")]
    pub proof: Option<String>,
    #[serde(skip)]
    enqueued: i64,
}

impl DeliveryView {
    fn of(delivery: Delivery, entry: Entry, generation: Option<i64>) -> Self {
        let index = entry.leaf_index.and_then(|index| u64::try_from(index).ok());
        let waits = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id,
            event_id: entry.event_id,
            sequence: generation.zip(index).map(|(generation, index)| Position { generation, index }.to_string()),
            record: entry.record,
            action: entry.action,
            state: delivery.state,
            attempts: delivery.attempts,
            next_attempt_at: waits.then_some(delivery.next_at),
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            delivered_at: delivery.settled_at.filter(|_| delivery.state == DeliveryState::Delivered),
            created_at: delivery.created_at,
            proof: entry.proof,
            enqueued: delivery.enqueued,
        }
    }
}

/// What deliveries may be narrowed by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct DeliveryQuery {
    /// States; may be repeated for "any of".
    #[param(required = false)]
    state: Vec<DeliveryState>,
}

/// What a webhook was told or is to be told, newest event first; without the events that the caller may not see. Where those
/// are many, a page holds fewer than its limit and goes on all the same.
#[utoipa::path(tag = "Webhooks", operation_id = "list_webhook_deliveries", params(IdPath, PageQuery, DeliveryQuery),
    responses((status = 200, description = "A page of deliveries", body = ListOf<DeliveryView>)))]
#[get("/v1/webhooks/{id}/deliveries")]
async fn list_deliveries(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Webhook)?;
    let mut params = Params::read(&request, &[PARAMETERS, &["state"]].concat())?;
    let page = Page::read(&request, &mut params, &["-sequence"]);
    let states: Vec<DeliveryState> = params.any("state");
    params.finish()?;
    let asked = page.clone();
    let (rows, next) = who
        .read(move |conn, who| {
            let webhook = store::find(conn, who, key)?;
            deliveries(conn, who, webhook.id, &states, &asked)
        })
        .await?;
    page.answer_part(&request, &rows, next)
}

/// Deliveries that a page leaves out because their reader may not see the event must not end it early: so many more are read.
const READ_AHEAD: i64 = 64;
/// So often at most: then the page ends early, and says where it goes on.
const BATCHES: usize = 20;

fn deliveries(
    conn: &mut Conn,
    who: &Principal,
    webhook: WebhookId,
    states: &[DeliveryState],
    page: &Page,
) -> Result<(Vec<DeliveryView>, Option<After>)> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let generation = log::newest_generation(conn)?;
    let mut after: Option<i64> = page.after.as_ref().map(After::value_as).transpose()?;
    let mut seen: Vec<DeliveryView> = Vec::new();
    for _ in 0..BATCHES {
        let batch = page.limit + READ_AHEAD;
        let rows = delivery::store::list(conn, webhook, states, after, page.descending, batch)?;
        let last = i64::try_from(rows.len()).is_ok_and(|n| n < batch);
        after = rows.last().map(|d| d.enqueued).or(after);
        let numbers: Vec<i64> = rows.iter().map(|d| d.enqueued).collect();
        let told = history::store::told(conn, who, &numbers)?;
        let mut entries: HashMap<i64, Entry> = told.into_iter().map(|entry| (entry.enqueued, entry)).collect();
        seen.extend(rows.into_iter().filter_map(|delivery| {
            let entry = entries.remove(&delivery.enqueued)?;
            Some(DeliveryView::of(delivery, entry, generation))
        }));
        if seen.len() > limit {
            seen.truncate(limit);
            let next = seen.last().map(|d| After { value: d.enqueued.to_string(), id: d.id.0 });
            return Ok((seen, next));
        }
        if last {
            return Ok((seen, None));
        }
    }
    // The last that was read is hidden: its number says where to go on, and its id nothing.
    Ok((seen, after.map(|number| After { value: number.to_string(), id: Uuid::nil() })))
}

/// What came of asking for events again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "count": 12, "until": "1-99" }))]
struct RedeliveryView {
    /// How many events wait to be delivered again.
    #[schema(minimum = 0, maximum = 1000)]
    count: usize,
    /// Up to where the range was gone through: where that is before its end, ask again from the next one on.
    #[schema(max_length = 40)]
    until: Option<String>,
}

/// Has events of a range of the log delivered again, those that the webhook asks for and its owner may see: as many as may wait
/// yet, which is 1000 at once, of 20000 events that are gone through. What the webhook has not come to is delivered anyway, and
/// is not counted.
#[utoipa::path(tag = "Webhooks", operation_id = "redeliver_webhook_events", params(IdPath), request_body = Redelivery,
    responses((status = 202, description = "They wait to be delivered", body = RedeliveryView)))]
#[post("/v1/webhooks/{id}/redeliver")]
async fn redeliver(who: Guard<ManageWebhooks>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Webhook)?;
    who.post(&request, body, move |conn, who, context, body| {
        let webhook = store::find(conn, who, key)?;
        let asked = body::parse::<Redelivery>(body.clone())?;
        let again = change::redeliver(conn, who, context, &webhook, asked)?;
        let view = RedeliveryView { count: again.count, until: again.until.map(|until| until.to_string()) };
        let about = vec![(RecordKind::Webhook, webhook.id.0)];
        Ok(Answer { status: 202, about, ..Answer::ok(&view)? })
    })
    .await
}
