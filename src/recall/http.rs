//! Routes of recalls: take, ask the use case, answer.
use super::{
    FlaggedKind, Recall, RecallCause, RecallState,
    change::{self, Acknowledgement},
    store::{self, Filter},
};
use crate::{
    Error, Result,
    auth::{
        extract::Guard,
        policy::{AcknowledgeRecall, Principal, Read},
        scope::Access,
    },
    db::{Conn, columns::Time},
    finding::{self, store::FindingName},
    http::{
        self, Links,
        answer::Answer,
        body::{self, Body},
        openapi::{ListOf, PageQuery, UuidPath},
        page::{After, PARAMETERS, Page, SortValue},
        params::Params,
    },
    id::RecallId,
    person::{self, store::PersonName},
    vocabulary::RecordKind,
};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(acknowledge);
}

/// A record that stands on a finding.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecalledRecord {
    /// Its kind.
    pub kind: FlaggedKind,
    /// Its id.
    pub id: Uuid,
    /// Its code.
    #[schema(max_length = 30, example = "I-3")]
    pub code: String,
    /// Its title.
    #[schema(max_length = 300, example = "Why do fast progressors respond?")]
    pub title: String,
    /// Who owns it now: whose work this is.
    pub owner: PersonName,
    /// Where it is.
    pub links: Links,
}

/// A recall as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecallView {
    /// Its id.
    pub id: RecallId,
    /// Whether somebody has answered for it.
    pub state: RecallState,
    /// What became of the finding.
    pub cause: RecallCause,
    /// The finding, where the reader may see and read it.
    pub finding: Option<FindingName>,
    /// The record that stands on it.
    pub record: RecalledRecord,
    /// Since when.
    pub raised_at: Time,
    /// When somebody answered for it.
    pub acknowledged_at: Option<Time>,
    /// Who.
    pub acknowledged_by: Option<PersonName>,
    /// What they said.
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// The given recalls as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Recall>) -> Result<Vec<RecallView>> {
    let records = store::names(conn, &rows)?;
    let findings = match who.scope.allows(Some(RecordKind::Finding), Access::Read) {
        true => finding::store::names(conn, who, rows.iter().map(|r| r.finding_id).collect::<Vec<_>>())?,
        false => Default::default(),
    };
    let named = records.values().map(|r| r.owner).chain(rows.iter().filter_map(|r| r.acknowledged_by));
    let people = person::store::Names::load(conn, named.collect::<Vec<_>>())?;
    let view = |r: Recall| {
        let record = records.get(&r.record_id).ok_or_else(|| Error::Internal("a recall without a record".into()))?;
        let kind = RecordKind::from(r.record_kind);
        Ok(RecallView {
            id: r.id,
            state: r.state(),
            cause: r.cause,
            finding: findings.get(&r.finding_id).cloned(),
            record: RecalledRecord {
                kind: r.record_kind,
                id: r.record_id.0,
                code: kind.code(record.number),
                title: record.title.clone(),
                owner: people.one(record.owner)?,
                links: Links::of(kind, r.record_id.0),
            },
            raised_at: r.raised_at,
            acknowledged_at: r.acknowledged_at,
            acknowledged_by: r.acknowledged_by.map(|id| people.one(id)).transpose()?,
            note: r.note,
        })
    };
    rows.into_iter().map(view).collect()
}

/// What a list may be narrowed by; each may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct RecallQuery {
    /// States.
    #[param(required = false)]
    state: Vec<RecallState>,
    /// Kinds of the records that are recalled.
    #[param(required = false)]
    kind: Vec<FlaggedKind>,
    /// Owners of these records; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
    /// Findings that no longer stand.
    #[param(required = false)]
    finding_id: Vec<Uuid>,
}

/// Recalls of records that the caller sees, the latest first.
///
/// Retracting or superseding a finding recalls every insight that cites it and every discovery those caused: spawned,
/// refined, or sent back to the bench.
#[utoipa::path(tag = "Recalls", operation_id = "list_recalls", params(PageQuery, RecallQuery),
    responses((status = 200, description = "A page of recalls", body = ListOf<RecallView>)))]
#[get("/v1/recalls")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] = &["state", "kind", "owner_id", "finding_id"];
    let mut params = Params::read(&request, &[PARAMETERS, FILTERS].concat())?;
    let page = Page::read(&request, &mut params, &["-raised_at"]);
    let filter = Filter {
        state: params.any("state"),
        kind: params.any("kind"),
        owner: params.people("owner_id", who.id),
        finding: params.ids("finding_id"),
    };
    params.finish()?;
    let asked = page.clone();
    let (rows, total) = who
        .read(move |conn, who| {
            let (rows, total) = store::list(conn, who, &filter, &asked)?;
            Ok((views(conn, who, rows)?, total))
        })
        .await?;
    page.answer(&request, rows, total, |r| After { value: r.raised_at.to_cursor(), id: r.id.0 })
}

/// Answers for a recall of a record of one's own.
///
/// It leaves the owner's work; with its last recall the record is no longer recalled.
#[utoipa::path(tag = "Recalls", operation_id = "acknowledge_recall", params(UuidPath), request_body = Acknowledgement,
    responses((status = 200, description = "The recall", body = RecallView)))]
#[post("/v1/recalls/{id}/acknowledge")]
async fn acknowledge(who: Guard<AcknowledgeRecall>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let id = RecallId::of(http::uuid(&request)?);
    who.post(&request, body, move |conn, who, context, body| {
        let said = || body::parse::<Acknowledgement>(body.clone());
        let recall = change::acknowledge(conn, who, context, id, said)?;
        Answer::ok(&http::only(views(conn, who, vec![recall])?)?)
    })
    .await
}
