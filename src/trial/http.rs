//! Routes of trials: take, ask the use case, answer.
use super::{
    Trial,
    body::{NewLinks, NewTrial, TrialPatch},
    change, link,
    store::{self, Filter},
    view::{LinkView, TrialView, links, view, views},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{LinkTrial, Principal, Read, RegisterTrial, Revise},
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    http::{
        self,
        answer::Answer,
        as_of::{self, AsOfQuery},
        body::{self, Body},
        etag::{self, IfMatch},
        openapi::{DataOf, FieldsQuery, IdPath, IfMatchHeader, ListOf, PageQuery},
        page::{After, PARAMETERS_AND_AS_OF, Page, SortValue},
        params::Params,
    },
    ledger::Context,
    past,
    value::{fold, term_of},
    vocabulary::{Phase, RecordKind, StudyType, TrialSource, TrialStatus, Visibility},
};
use actix_web::{HttpRequest, HttpResponse, get, http::header, patch, post, put};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list)
        .service(create)
        .service(create_many)
        .service(read)
        .service(revise)
        .service(list_links)
        .service(replace_links)
        .service(list_transitions)
        .service(make_transition)
        .service(available_transitions)
        .service(list_history);
}

crate::transition::http::movable_routes!(
    Trial,
    "Trials",
    "trial",
    "/v1/trials/{id}/transitions",
    "/v1/trials/{id}/transitions/available",
    "/v1/trials/{id}/history"
);

/// What a list may be narrowed by; each may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct TrialQuery {
    /// Statuses.
    #[param(required = false)]
    overall_status: Vec<TrialStatus>,
    /// Phases; a combined phase is found by either.
    #[param(required = false)]
    phase: Vec<Phase>,
    /// Study types.
    #[param(required = false)]
    study_type: Vec<StudyType>,
    /// Clinics.
    #[param(required = false)]
    clinic_id: Vec<uuid::Uuid>,
    /// Owners; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
    /// Visibilities.
    #[param(required = false)]
    visibility: Vec<Visibility>,
    /// Sources.
    #[param(required = false)]
    source: Vec<TrialSource>,
    /// Conditions, by MeSH id or name.
    #[param(max_length = 300, required = false, example = "D000690")]
    condition: Vec<String>,
    /// Registry numbers.
    #[param(max_length = 11, required = false, example = "NCT00973089")]
    nct_id: Vec<String>,
    /// Discoveries it is linked to.
    #[param(required = false)]
    discovery_id: Vec<uuid::Uuid>,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
    /// Words that all occur in it.
    #[param(max_length = 300, required = false, example = "motor neuron")]
    q: String,
}

/// Trials, newest change first.
#[utoipa::path(tag = "Trials", operation_id = "list_trials", params(PageQuery, TrialQuery, AsOfQuery),
    responses((status = 200, description = "A page of trials", body = ListOf<TrialView>)))]
#[get("/v1/trials")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] = &[
        "overall_status",
        "phase",
        "study_type",
        "clinic_id",
        "owner_id",
        "visibility",
        "source",
        "condition",
        "nct_id",
        "discovery_id",
        "updated_after",
        "q",
    ];
    const SORTS: &[&str] = &["-updated_at", "created_at", "brief_title", "code"];
    let mut params = Params::read(&request, &[PARAMETERS_AND_AS_OF, FILTERS].concat())?;
    let as_of = as_of::of_list(&mut params, who.at, FILTERS, &["overall_status", "clinic_id", "owner_id"]);
    let page = Page::read(&request, &mut params, as_of.map_or(SORTS, |_| as_of::SORTS));
    let filter = Filter {
        overall_status: params.any("overall_status"),
        phase: params.any("phase"),
        study_type: params.any("study_type"),
        clinic: params.ids("clinic_id"),
        owner: params.people("owner_id", who.id),
        visibility: params.any("visibility"),
        source: params.any("source"),
        condition: params.texts("condition").iter().map(|c| term_of(c)).collect(),
        nct_id: params.any("nct_id"),
        discovery: params.ids("discovery_id"),
        updated_after: params.time("updated_after"),
        words: params.words("q", fold),
    };
    params.finish()?;
    let asked = page.clone();
    let listed =
        who.read(move |conn, who| past::store::list(conn, who, as_of, &filter, &asked, store::list, views)).await?;
    let sort = page.sort.clone();
    page.answer_listed(&request, listed, move |t| After {
        value: match &*sort {
            "created_at" => t.created_at.to_cursor(),
            "brief_title" => t.brief_title.to_cursor(),
            "code" => http::page::number_in(&t.code),
            _ => t.updated_at.to_cursor(),
        },
        id: t.id.0,
    })
}

/// Registers a trial of one of the caller's clinics.
#[utoipa::path(tag = "Trials", operation_id = "register_trial", request_body = NewTrial,
    responses((status = 201, description = "The new trial", body = TrialView)))]
#[post("/v1/trials")]
async fn create(who: Guard<RegisterTrial>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewTrial>(body.clone())?;
    let trial = change::register(conn, who, context, new)?;
    let made = view(conn, who, trial)?;
    Answer::created(RecordKind::Trial, made.id.0, made.version, &made)
}

crate::bulk::http::batch_route!(
    "Trials",
    "register_trials",
    "/v1/trials/batch",
    RegisterTrial,
    NewTrial,
    TrialView,
    create_one
);

/// One trial.
#[utoipa::path(tag = "Trials", operation_id = "get_trial", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The trial", body = TrialView)))]
#[get("/v1/trials/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Trial)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let trial = store::find(conn, who, key)?;
            past::store::shown(conn, who, trial, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Revises a trial (RFC 7396 merge patch).
#[utoipa::path(tag = "Trials", operation_id = "revise_trial", params(IdPath, IfMatchHeader),
    request_body(content = TrialPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The trial", body = TrialView)))]
#[patch("/v1/trials/{id}")]
async fn revise(who: Guard<Revise>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Trial)?;
    let if_match = IfMatch::of(&request);
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let trial = store::find(conn, who, key)?;
            who.must::<Revise>(&trial.standing(who))?;
            if_match.check(trial.version)?;
            let patch = body::parse::<TrialPatch>(change::merged(&trial, body.clone()))?;
            let revised = change::revise(conn, context, trial, patch)?;
            view(conn, who, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}

/// The discoveries a trial is linked to, as far as the caller may see them.
#[utoipa::path(tag = "Trials", operation_id = "list_trial_discoveries", params(IdPath),
    responses((status = 200, description = "The links", body = DataOf<LinkView>)))]
#[get("/v1/trials/{id}/discoveries")]
async fn list_links(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Trial)?;
    let (version, found) = who
        .read(move |conn, who| {
            let trial = store::find(conn, who, key)?;
            Ok((trial.version, links(conn, who, &trial)?))
        })
        .await?;
    if etag::none_match(&request, version)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag::of(version))).finish());
    }
    Ok(http::changed(version, &json!({ "data": found })))
}

/// Replaces the links to discoveries that the caller can see; `If-Match` names the trial's version.
#[utoipa::path(tag = "Trials", operation_id = "replace_trial_discoveries", params(IdPath, IfMatchHeader),
    request_body = NewLinks,
    responses((status = 200, description = "The links, with the trial's new version as `ETag`",
        body = DataOf<LinkView>)))]
#[put("/v1/trials/{id}/discoveries")]
async fn replace_links(who: Guard<LinkTrial>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Trial)?;
    let if_match = IfMatch::of(&request);
    let body = body.json().await?;
    let (version, linked) = who
        .write(move |conn, who, context| {
            let trial = store::find(conn, who, key)?;
            let trial = link::relink(conn, who, context, trial, &if_match, body.clone())?;
            Ok((trial.version, links(conn, who, &trial)?))
        })
        .await?;
    Ok(http::changed(version, &json!({ "data": linked })))
}
