//! Routes of the pipeline: read the parameters, gather, count, answer.
use super::{
    Period,
    funnel::{self, Funnel},
    overview::{self, KINDS, Overview},
    store,
};
use crate::{
    Result,
    auth::{extract::Guard, policy::Read},
    db::columns::Time,
    discovery::store::Filter,
    http::{
        as_of::{self, AsOfQuery},
        params::Params,
    },
    value::term_of,
    vocabulary::{Modality, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, get};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(get_overview).service(get_funnel);
}

/// Which period, and which discoveries. Each filter may be repeated for "any of"; records of other kinds are not narrowed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct PipelineQuery {
    /// The first moment of the period, in effective time; 365 days before its last by default.
    #[param(required = false)]
    from: Time,
    /// The last moment of the period; now, or the moment of `as_of`, by default.
    #[param(required = false)]
    to: Time,
    /// Labs of discoveries.
    #[param(required = false)]
    lab_id: Vec<uuid::Uuid>,
    /// Conditions of discoveries, by MeSH id or name.
    #[param(max_length = 300, required = false, example = "D000690")]
    condition: Vec<String>,
    /// Modalities of discoveries.
    #[param(required = false)]
    modality: Vec<Modality>,
    /// Lifecycles of discoveries, `name@version`.
    #[param(max_length = 60, required = false, example = "translational@1")]
    lifecycle: Vec<String>,
}

/// The period, the discoveries, and the past moment that is asked about.
fn asked(request: &HttpRequest, now: Time) -> Result<(Period, Filter, Option<Time>)> {
    const KNOWN: &[&str] = &["from", "to", "lab_id", "condition", "modality", "lifecycle", as_of::AS_OF];
    let mut params = Params::read(request, KNOWN)?;
    let moment = as_of::read(&mut params, now);
    let (from, to) = (params.time("from"), params.time("to").unwrap_or(moment.unwrap_or(now)));
    let from = from.unwrap_or_else(|| to.plus_days(-Period::DAYS));
    if from > to && params.faults.0.is_empty() {
        params.faults.push_parameter("from", "out_of_range", format!("must not be after `to`, {to}"));
    }
    let filter = Filter {
        lab: params.ids("lab_id"),
        condition: params.texts("condition").iter().map(|c| term_of(c)).collect(),
        modality: params.any("modality"),
        lifecycle: params.names("lifecycle"),
        ..Filter::default()
    };
    params.finish()?;
    Ok((Period { from, to }, filter, moment))
}

/// Where records are now, and how many entered and left each state in a period; only those the caller may see.
#[utoipa::path(tag = "Pipeline", operation_id = "get_pipeline_overview", params(PipelineQuery, AsOfQuery),
    responses((status = 200, description = "A row for every state of every lifecycle in use", body = Overview)))]
#[get("/v1/pipeline/overview")]
async fn get_overview(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let (period, filter, moment) = asked(&request, who.at)?;
    let counted = who
        .read(move |conn, who| {
            let asked = store::asked(conn, filter.clone(), moment)?;
            let told = store::stories(conn, who, KINDS, &asked)?;
            let mut counted = overview::overview(&told.stories, moment.unwrap_or(who.at), period);
            counted.as_of_size = told.then.map(|then| then.as_of_size);
            counted.erased = told.then.map(|then| then.erased);
            Ok(counted)
        })
        .await?;
    Ok(HttpResponse::Ok().json(counted))
}

/// First stays of discoveries in each live stage that began in a period, by how they came out; only those the caller may see.
#[utoipa::path(tag = "Pipeline", operation_id = "get_pipeline_funnel", params(PipelineQuery, AsOfQuery),
    responses((status = 200, description = "A row for every live stage of every lifecycle in use", body = Funnel)))]
#[get("/v1/pipeline/funnel")]
async fn get_funnel(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let (period, filter, moment) = asked(&request, who.at)?;
    let counted = who
        .read(move |conn, who| {
            let asked = store::asked(conn, filter.clone(), moment)?;
            let told = store::stories(conn, who, &[RecordKind::Discovery], &asked)?;
            let mut counted = funnel::funnel(&told.stories, period);
            counted.as_of_size = told.then.map(|then| then.as_of_size);
            counted.erased = told.then.map(|then| then.erased);
            Ok(counted)
        })
        .await?;
    Ok(HttpResponse::Ok().json(counted))
}
