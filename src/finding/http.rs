//! Routes of findings: take, ask the use case, answer.
use super::{
    DRAFT, Finding, SUPERSEDED, WITHDRAWN,
    change::{self, FindingPatch, NewFinding},
    store::{self, Filter},
};
use crate::{
    Error, Result,
    auth::{
        extract::Guard,
        policy::{Principal, Read, RecordFinding, Revise},
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    fault::Faults,
    history::{self, SignatureView},
    http::{
        self, Links,
        answer::Answer,
        as_of::{self, AsOfQuery},
        body::{self, Body},
        etag::IfMatch,
        openapi::{FieldsQuery, IdPath, IfMatchHeader, ListOf, PageQuery},
        page::{After, PARAMETERS_AND_AS_OF, Page, SortValue},
        params::Params,
    },
    id::{FindingId, Key, TrialId},
    identifier::CalendarDate,
    ledger::Context,
    past::{self, AsOf, ShownThen},
    person::{
        self,
        store::{OwnerView, PersonName},
    },
    trial::{self, store::TrialName},
    value::{Effect, fold},
    vocabulary::{FindingKind, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, get, patch, post};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list_of_trial)
        .service(create)
        .service(create_many)
        .service(list)
        .service(read)
        .service(revise)
        .service(list_transitions)
        .service(make_transition)
        .service(available_transitions)
        .service(list_history);
}

crate::transition::http::movable_routes!(
    Finding,
    "Findings",
    "finding",
    "/v1/findings/{id}/transitions",
    "/v1/findings/{id}/transitions/available",
    "/v1/findings/{id}/history"
);

/// A finding as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FindingView {
    /// Its id.
    pub id: FindingId,
    /// Its code.
    #[schema(max_length = 30, example = "F-9")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 2)]
    pub version: i64,
    /// What it is about.
    pub kind: FindingKind,
    /// 1–300 characters.
    #[schema(max_length = 300)]
    pub title: String,
    /// Markdown.
    #[schema(max_length = 20000)]
    pub narrative: String,
    /// The day it was observed.
    pub observed_on: CalendarDate,
    /// Whether nobody had expected it.
    pub unexpected: bool,
    /// Its size, with its uncertainty.
    pub effect: Option<Effect>,
    /// CTCAE grade; safety only.
    #[schema(minimum = 1, maximum = 5)]
    pub ctcae_grade: Option<i32>,
    /// A state of the lifecycle.
    #[schema(max_length = 60, example = "signed")]
    pub state: String,
    /// Since when, in effect.
    pub state_entered_at: Time,
    /// The finding whose place it takes when signed, where the reader may see that.
    pub supersedes_id: Option<FindingId>,
    /// The finding that took its place, where the reader may see that.
    pub superseded_by: Option<FindingId>,
    /// The trial that showed it.
    pub trial: TrialName,
    /// Its author.
    pub owner: PersonName,
    /// Owners past and present.
    #[schema(max_items = 1000)]
    pub owners: Vec<OwnerView>,
    /// The signature it was signed with; null for what never was.
    pub signature: Option<SignatureView>,
    /// When it was recorded.
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

/// The given findings as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Finding>) -> Result<Vec<FindingView>> {
    let people = person::store::Names::load(conn, rows.iter().flat_map(|f| f.owners.iter().map(|t| t.person_id)))?;
    let trials = trial::store::names(conn, rows.iter().map(|f| f.trial_id).collect::<Vec<_>>())?;
    let superseded: Vec<_> = rows.iter().filter_map(|f| f.supersedes_id.map(|id| id.0)).collect();
    let superseded = store::visible_ids(conn, who, &superseded)?;
    let successors = store::successors(conn, who, rows.iter().map(|f| f.id).collect::<Vec<_>>())?;
    let mut signatures = history::store::signatures(conn, rows.iter().map(|f| f.id.0))?;
    let view = |f: Finding| {
        Ok(FindingView {
            id: f.id,
            code: RecordKind::Finding.code(f.number),
            version: f.version,
            kind: f.kind,
            title: f.title,
            narrative: f.narrative,
            observed_on: f.observed_on,
            unexpected: f.unexpected,
            effect: f.effect.map(|e| e.0),
            ctcae_grade: f.ctcae_grade,
            state: f.state,
            state_entered_at: f.state_entered_at,
            supersedes_id: f.supersedes_id.filter(|id| superseded.contains(&id.0)),
            superseded_by: successors.get(&f.id).copied(),
            trial: trials
                .get(&f.trial_id)
                .cloned()
                .ok_or_else(|| Error::Internal(format!("no trial {}", f.trial_id)))?,
            owner: people.one(f.owner_id)?,
            owners: people.owners(&f.owners)?,
            signature: signatures.remove(&f.id.0),
            created_at: f.created_at,
            updated_at: f.updated_at,
            links: Links::of(RecordKind::Finding, f.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for FindingView {
    fn was(&mut self, as_of: &AsOf) {
        self.superseded_by = self.superseded_by.filter(|_| self.state == SUPERSEDED);
        self.signature = self.signature.take().filter(|_| ![DRAFT, WITHDRAWN].contains(&&*self.state));
        self.as_of_size = Some(as_of.size);
    }
}

/// One finding as one person sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Finding) -> Result<FindingView> {
    http::only(views(conn, who, vec![row])?)
}

/// What a list may be narrowed by; each but `unexpected`, `updated_after` and `q` may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct FindingQuery {
    /// Kinds.
    #[param(required = false)]
    kind: Vec<FindingKind>,
    /// States.
    #[param(max_length = 60, required = false, example = "signed")]
    state: Vec<String>,
    /// Owners; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
    /// Only those that were, or were not, unexpected.
    #[param(required = false)]
    unexpected: bool,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
    /// Words that all occur in it.
    #[param(max_length = 300, required = false, example = "fast progressors")]
    q: String,
}

/// Which trials.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct OfTrials {
    /// Trials.
    #[param(required = false)]
    trial_id: Vec<uuid::Uuid>,
}

const FILTERS: &[&str] = &["kind", "state", "owner_id", "unexpected", "updated_after", "q"];
const SORTS: &[&str] = &["-updated_at", "created_at", "observed_on", "title", "code"];

fn filter_of(params: &mut Params, who: &Principal) -> Filter {
    Filter {
        kind: params.any("kind"),
        state: params.names("state"),
        trial: Vec::new(),
        owner: params.people("owner_id", who.id),
        unexpected: params.flag("unexpected"),
        updated_after: params.time("updated_after"),
        words: params.words("q", fold),
    }
}

async fn answer(
    who: Guard<Read>,
    request: HttpRequest,
    page: Page,
    as_of: Option<Time>,
    filter: Filter,
    of: Option<Key>,
) -> Result<HttpResponse> {
    let asked = page.clone();
    let listed = who
        .read(move |conn, who| {
            let mut filter = filter.clone();
            if let Some(key) = of {
                filter.trial = vec![trial::store::find(conn, who, key)?.id];
            }
            past::store::list(conn, who, as_of, &filter, &asked, store::list, views)
        })
        .await?;
    let sort = page.sort.clone();
    page.answer_listed(&request, listed, move |f| After {
        value: match &*sort {
            "created_at" => f.created_at.to_cursor(),
            "observed_on" => f.observed_on.to_string(),
            "title" => f.title.to_cursor(),
            "code" => http::page::number_in(&f.code),
            _ => f.updated_at.to_cursor(),
        },
        id: f.id.0,
    })
}

/// Findings, newest change first.
#[utoipa::path(tag = "Findings", operation_id = "list_findings", params(PageQuery, FindingQuery, OfTrials, AsOfQuery),
    responses((status = 200, description = "A page of findings", body = ListOf<FindingView>)))]
#[get("/v1/findings")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &[PARAMETERS_AND_AS_OF, FILTERS, &["trial_id"]].concat())?;
    let as_of = as_of::of_list(&mut params, who.at, FILTERS, &["state", "owner_id"]);
    let page = Page::read(&request, &mut params, as_of.map_or(SORTS, |_| as_of::SORTS));
    let filter = Filter { trial: params.ids("trial_id"), ..filter_of(&mut params, &who) };
    params.finish()?;
    answer(who, request, page, as_of, filter, None).await
}

/// Findings of one trial, newest change first.
#[utoipa::path(tag = "Findings", operation_id = "list_trial_findings", params(IdPath, PageQuery, FindingQuery, AsOfQuery),
    responses((status = 200, description = "A page of findings", body = ListOf<FindingView>)))]
#[get("/v1/trials/{id}/findings")]
async fn list_of_trial(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Trial)?;
    let mut params = Params::read(&request, &[PARAMETERS_AND_AS_OF, FILTERS].concat())?;
    let as_of = as_of::of_list(&mut params, who.at, FILTERS, &["state", "owner_id"]);
    let page = Page::read(&request, &mut params, as_of.map_or(SORTS, |_| as_of::SORTS));
    let filter = filter_of(&mut params, &who);
    params.finish()?;
    answer(who, request, page, as_of, filter, Some(key)).await
}

/// Records a finding of a trial of the caller's clinic, as a draft.
#[utoipa::path(tag = "Findings", operation_id = "record_finding", params(IdPath), request_body = NewFinding,
    responses((status = 201, description = "The draft", body = FindingView)))]
#[post("/v1/trials/{id}/findings")]
async fn create(who: Guard<RecordFinding>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Trial)?;
    who.post(&request, body, move |conn, who, context, body| create_one(conn, who, context, key, body)).await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, trial: Key, body: &Value) -> Result<Answer> {
    let trial = trial::store::find(conn, who, trial)?;
    who.must::<RecordFinding>(&trial.standing(who))?;
    let new = body::parse::<NewFinding>(body.clone())?;
    let finding = change::record(conn, who, context, &trial, new)?;
    let made = view(conn, who, finding)?;
    Answer::created(RecordKind::Finding, made.id.0, made.version, &made)
}

/// One of many findings: a finding, and the trial it is of.
struct FindingOfTrial;
impl PartialSchema for FindingOfTrial {
    fn schema() -> RefOr<Schema> {
        let mut finding = NewFinding::schema();
        if let RefOr::T(Schema::Object(finding)) = &mut finding {
            finding.properties.insert("trial_id".into(), TrialId::schema());
            finding.required.push("trial_id".into());
            if let Some(Value::Object(example)) = &mut finding.example {
                example.insert("trial_id".into(), "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55".into());
            }
        }
        finding
    }
}
impl ToSchema for FindingOfTrial {
    fn name() -> Cow<'static, str> {
        "FindingOfTrial".into()
    }
}

/// The trial is named in the body, where a request of its own names it in the path.
fn create_of_trial(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let mut finding = body.clone();
    let named = finding.as_object_mut().and_then(|members| members.remove("trial_id"));
    let trial = named.as_ref().and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
    let Some(trial) = trial else {
        let mut faults = Faults::at("/trial_id", "invalid_format", "must be the UUID of a trial");
        faults.0.extend(body::faults_of::<NewFinding>(finding).0);
        return Err(faults.into());
    };
    create_one(conn, who, context, Key::Id(trial), &finding)
}

crate::bulk::http::batch_route!(
    "Findings",
    "record_findings",
    "/v1/findings/batch",
    RecordFinding,
    FindingOfTrial,
    FindingView,
    create_of_trial
);

/// One finding.
#[utoipa::path(tag = "Findings", operation_id = "get_finding", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The finding", body = FindingView)))]
#[get("/v1/findings/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Finding)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let finding = store::find(conn, who, key)?;
            past::store::shown(conn, who, finding, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Revises a draft (RFC 7396 merge patch). What was signed or withdrawn is immutable.
#[utoipa::path(tag = "Findings", operation_id = "revise_finding", params(IdPath, IfMatchHeader),
    request_body(content = FindingPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The finding", body = FindingView)))]
#[patch("/v1/findings/{id}")]
async fn revise(who: Guard<Revise>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Finding)?;
    let if_match = IfMatch::of(&request);
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let finding = store::find(conn, who, key)?;
            let clinic = trial::store::load(conn, finding.trial_id)?.clinic_id;
            who.must::<Revise>(&finding.standing(who, clinic))?;
            if_match.check(finding.version)?;
            let patch = body::parse::<FindingPatch>(body.clone())?;
            let revised = change::revise(conn, who, context, finding, patch)?;
            view(conn, who, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}
