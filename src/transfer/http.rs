//! Routes of ownership transfers: take, ask the use case, answer.
use super::{
    Covered, OwnedKind, Transfer,
    change::{self, Declining, NewTransfer, Nothing},
    store::{self, Filter},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{AnswerTransfer, Permission, Principal, Read, TransferOwnership, WithdrawTransfer},
        scope::Access,
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    discovery, finding,
    http::{
        self, Links,
        answer::Answer,
        as_of::{self, AsOfQuery},
        body::{self, Body},
        openapi::{FieldsQuery, IdPath, ListOf, PageQuery},
        page::{After, PARAMETERS, Page, SortValue},
        params::Params,
    },
    id::{Id, OrganizationId, TransferId},
    insight,
    ledger::Context,
    organization::{self, store::OrganizationName},
    pairing,
    past::{self, AsOf, ShownThen},
    person::{self, store::PersonName},
    trial,
    vocabulary::{RecordKind, TransferState},
};
use actix_web::{HttpRequest, HttpResponse, get, post};
use deserr::Deserr;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list)
        .service(create)
        .service(create_many)
        .service(read)
        .service(accept)
        .service(decline)
        .service(withdraw)
        .service(list_history);
}

crate::history::http::history_route!(
    "Ownership transfers",
    "ownership_transfer",
    "/v1/ownership-transfers/{id}/history",
    RecordKind::Transfer
);

/// A record of a transfer, as far as the reader may see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransferredRecord {
    /// Its kind.
    pub kind: OwnedKind,
    /// Its id.
    pub id: Uuid,
    /// Its code.
    #[schema(max_length = 30, example = "D-17")]
    pub code: String,
    /// Its title, null for a token that may not read its kind; a pairing's is that of its discovery, null where the reader
    /// may not see or read that.
    #[schema(max_length = 300)]
    pub title: Option<String>,
}

/// A transfer as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransferView {
    /// Its id.
    pub id: TransferId,
    /// Its code.
    #[schema(max_length = 30, example = "X-5")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
    /// Where it stands.
    pub state: TransferState,
    /// Who owned the records when it was proposed.
    pub from: PersonName,
    /// Who is to own them.
    pub to: PersonName,
    /// The owner, or an administrator.
    pub proposed_by: PersonName,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The records it covers, without those the reader may not see.
    #[schema(max_items = 100)]
    pub records: Vec<TransferredRecord>,
    /// The steward they go to, where one was named.
    pub steward: Option<OrganizationName>,
    /// Whether an administrator forced it.
    pub forced: bool,
    /// Why it was declined.
    #[schema(max_length = 2000)]
    pub answer_reason: Option<String>,
    /// When it was accepted, declined or withdrawn.
    pub answered_at: Option<Time>,
    /// When it was proposed.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Where it is.
    pub links: Links,
    /// With `as_of`: how many leaves the checkpoint covers that it is as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
}

impl ShownThen for TransferView {
    fn was(&mut self, as_of: &AsOf) {
        self.as_of_size = Some(as_of.size);
    }
}

/// Code and title of the records that the reader may see.
type Titles = HashMap<Uuid, (String, Option<String>)>;

fn titles(conn: &mut Conn, who: &Principal, rows: &[Transfer]) -> Result<Titles> {
    let ids = |kind: OwnedKind| -> Vec<Uuid> {
        let covered = rows.iter().flat_map(|t| t.records.iter());
        covered.filter(|r| r.kind == kind).map(|r| r.id).collect()
    };
    let mut titles = Titles::new();
    let discoveries = discovery::store::names(conn, who, ids(OwnedKind::Discovery).into_iter().map(Id::of))?;
    titles.extend(discoveries.into_values().map(|d| (d.id.0, (d.code, Some(d.title)))));
    let trials = trial::store::visible_ids(conn, who, &ids(OwnedKind::Trial))?;
    let trials = trial::store::names(conn, trials.into_iter().map(Id::of))?;
    titles.extend(trials.into_values().map(|t| (t.id.0, (t.code, Some(t.title)))));
    let findings = finding::store::names(conn, who, ids(OwnedKind::Finding).into_iter().map(Id::of))?;
    titles.extend(findings.into_values().map(|f| (f.id.0, (f.code, Some(f.title)))));
    let insights = insight::store::names(conn, who, ids(OwnedKind::Insight).into_iter().map(Id::of))?;
    titles.extend(insights.into_values().map(|i| (i.id.0, (i.code, Some(i.title)))));
    let pairings = pairing::store::names(conn, who, ids(OwnedKind::Pairing).into_iter().map(Id::of))?;
    let paired = discovery::store::names(conn, who, pairings.values().map(|(_, discovery)| *discovery))?;
    titles.extend(pairings.into_iter().map(|(id, (code, discovery))| {
        let title = paired.get(&discovery).map(|d| d.title.clone());
        (id.0, (code, title))
    }));
    let readable = |kind: RecordKind| who.scope.allows(Some(kind), Access::Read);
    for covered in rows.iter().flat_map(|t| t.records.iter()) {
        // A pairing's title is a discovery's.
        let is_told =
            readable(covered.kind.into()) && (covered.kind != OwnedKind::Pairing || readable(RecordKind::Discovery));
        if let Some((_, title)) = titles.get_mut(&covered.id).filter(|_| !is_told) {
            *title = None;
        }
    }
    Ok(titles)
}

/// The given transfers as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Transfer>) -> Result<Vec<TransferView>> {
    let titles = titles(conn, who, &rows)?;
    let organizations = organization::store::Names::load(conn, rows.iter().filter_map(|t| t.steward_id))?;
    let named = |t: &Transfer| [t.from_person_id, t.to_person_id, t.proposed_by_id];
    let people = person::store::Names::load(conn, rows.iter().flat_map(named))?;
    let shown = |covered: &Covered| {
        let (code, title) = titles.get(&covered.id)?.clone();
        Some(TransferredRecord { kind: covered.kind, id: covered.id, code, title })
    };
    let steward = |id: OrganizationId| organizations.one(id);
    let view = |t: Transfer| {
        Ok(TransferView {
            id: t.id,
            code: RecordKind::Transfer.code(t.number),
            version: t.version,
            state: t.state,
            from: people.one(t.from_person_id)?,
            to: people.one(t.to_person_id)?,
            proposed_by: people.one(t.proposed_by_id)?,
            reason: t.reason,
            records: t.records.iter().filter_map(shown).collect(),
            steward: t.steward_id.map(steward).transpose()?,
            forced: t.forced,
            answer_reason: t.answer_reason,
            answered_at: t.answered_at,
            created_at: t.created_at,
            updated_at: t.updated_at,
            links: Links::of(RecordKind::Transfer, t.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

/// One transfer as one person sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Transfer) -> Result<TransferView> {
    http::only(views(conn, who, vec![row])?)
}

/// What a list may be narrowed by; each may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct TransferQuery {
    /// States.
    #[param(required = false)]
    state: Vec<TransferState>,
    /// Receivers; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    to_person_id: Vec<String>,
    /// Givers; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    from_person_id: Vec<String>,
}

/// Ownership transfers from, to or proposed by the caller, newest change first; all of them for administrators and auditors.
#[utoipa::path(tag = "Ownership transfers", operation_id = "list_ownership_transfers", params(PageQuery, TransferQuery),
    responses((status = 200, description = "A page of transfers", body = ListOf<TransferView>)))]
#[get("/v1/ownership-transfers")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] = &["state", "to_person_id", "from_person_id"];
    const SORTS: &[&str] = &["-updated_at", "created_at", "code"];
    let mut params = Params::read(&request, &[PARAMETERS, FILTERS].concat())?;
    let page = Page::read(&request, &mut params, SORTS);
    let filter = Filter {
        state: params.any("state"),
        to: params.people("to_person_id", who.id),
        from: params.people("from_person_id", who.id),
    };
    params.finish()?;
    let asked = page.clone();
    let (rows, total) = who
        .read(move |conn, who| {
            let (rows, total) = store::list(conn, who, &filter, &asked)?;
            Ok((views(conn, who, rows)?, total))
        })
        .await?;
    let sort = page.sort.clone();
    page.answer(&request, rows, total, move |t| After {
        value: match &*sort {
            "created_at" => t.created_at.to_cursor(),
            "code" => http::page::number_in(&t.code),
            _ => t.updated_at.to_cursor(),
        },
        id: t.id.0,
    })
}

/// Proposes to hand records over to another owner; an administrator can force it where the owner has left.
#[utoipa::path(tag = "Ownership transfers", operation_id = "propose_ownership_transfer", request_body = NewTransfer,
    responses((status = 201, description = "The new transfer", body = TransferView)))]
#[post("/v1/ownership-transfers")]
async fn create(who: Guard<TransferOwnership>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewTransfer>(body.clone())?;
    let transfer = change::propose(conn, who, context, new)?;
    let made = view(conn, who, transfer)?;
    Answer::created(RecordKind::Transfer, made.id.0, made.version, &made)
}

crate::bulk::http::batch_route!(
    "Ownership transfers",
    "propose_ownership_transfers",
    "/v1/ownership-transfers/batch",
    TransferOwnership,
    NewTransfer,
    TransferView,
    create_one
);

/// One ownership transfer.
#[utoipa::path(tag = "Ownership transfers", operation_id = "get_ownership_transfer", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The transfer", body = TransferView)))]
#[get("/v1/ownership-transfers/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Transfer)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let transfer = store::find(conn, who, key)?;
            past::store::shown(conn, who, transfer, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Accepts a transfer: every record goes to the caller, or none does.
#[utoipa::path(tag = "Ownership transfers", operation_id = "accept_ownership_transfer", params(IdPath),
    request_body = Nothing, responses((status = 200, description = "The transfer", body = TransferView)))]
#[post("/v1/ownership-transfers/{id}/accept")]
async fn accept(who: Guard<AnswerTransfer>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    answer(who, request, body, |conn, who, context, transfer, _: Nothing| change::accept(conn, who, context, transfer))
        .await
}

/// Declines a transfer.
#[utoipa::path(tag = "Ownership transfers", operation_id = "decline_ownership_transfer", params(IdPath),
    request_body = Declining, responses((status = 200, description = "The transfer", body = TransferView)))]
#[post("/v1/ownership-transfers/{id}/decline")]
async fn decline(who: Guard<AnswerTransfer>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    answer(who, request, body, |conn, _, context, transfer, why| change::decline(conn, context, transfer, why)).await
}

/// Withdraws a transfer.
#[utoipa::path(tag = "Ownership transfers", operation_id = "withdraw_ownership_transfer", params(IdPath),
    request_body = Nothing, responses((status = 200, description = "The transfer", body = TransferView)))]
#[post("/v1/ownership-transfers/{id}/withdraw")]
async fn withdraw(who: Guard<WithdrawTransfer>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    answer(who, request, body, |conn, _, context, transfer, _: Nothing| change::withdraw(conn, context, transfer)).await
}

/// Finds the transfer, asks whether the caller may, reads the body, and then does it.
async fn answer<P, B>(
    who: Guard<P>,
    request: HttpRequest,
    body: Body,
    act: fn(&mut Conn, &Principal, &Context, Transfer, B) -> Result<Transfer>,
) -> Result<HttpResponse>
where
    P: Permission,
    B: Deserr<crate::fault::Faults> + 'static,
{
    let key = http::key(&request, RecordKind::Transfer)?;
    who.post(&request, body, move |conn, who, context, body| {
        let transfer = store::find(conn, who, key)?;
        who.must::<P>(&transfer.standing(who))?;
        let said = body::parse::<B>(body.clone())?;
        let transfer = act(conn, who, context, transfer, said)?;
        let answered = view(conn, who, transfer)?;
        Answer::changed(answered.version, &answered)
    })
    .await
}
