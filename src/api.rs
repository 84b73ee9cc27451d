//! Mounts each slice's routes, builds the OpenAPI document from them, and serves both.
use crate::{
    Error, Result,
    app::App,
    auth, bulk, discovery,
    error::Code,
    finding, history,
    http::{
        accept::{self, Offers},
        connection::{self, Patience, Timed},
        cors, document, limit,
        metrics::{self, Metrics},
        openapi::Problem,
        params, problem,
    },
    insight, ledger, lifecycle, notice, organization, pairing, person, pipeline, recall, signature, subscription,
    transfer, trial, webhook, work,
};
use actix_http::{HttpService, error::DispatchError};
use actix_server::{Server, ServerBuilder};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    HttpRequest, HttpResponse,
    dev::AppConfig,
    get,
    http::header::{self, HeaderValue},
    middleware::{Compress, Condition, from_fn},
    web,
};
use futures_util::future::{Either, select};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    future::pending,
    net::TcpListener,
    pin::pin,
    sync::{LazyLock, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
};
use utoipa::{
    OpenApi, ToSchema,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_actix_web::{AppExt, service_config::ServiceConfig};
use utoipa_swagger_ui::{Config, SwaggerUi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Benchside",
        description = "Tracks translational research from the laboratory bench to the bedside and back again. Benchside \
            holds aggregate science, never participant data, and is no safety-reporting system.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(name = "The operator of this installation")
    ),
    servers((url = "/", description = "This installation")),
    tags(
        (name = "Authentication", description = "Signing in, and who one is"),
        (name = "Authority", description = "Why somebody may or may not do something"),
        (name = "Bulk", description = "Many changes in one request"),
        (name = "Discoveries", description = "What laboratories find, on its way to the clinic"),
        (name = "Findings", description = "What clinics observe in trials"),
        (name = "Insights", description = "What findings tell the laboratory"),
        (name = "Ledger", description = "Proof that history was not rewritten"),
        (name = "Lifecycles", description = "The states of records and the moves between them"),
        (name = "Notifications", description = "What happened to what one owns and follows"),
        (name = "Operations", description = "What those who run the service ask it"),
        (name = "Organizations", description = "Laboratories, clinics and sponsors"),
        (name = "Ownership transfers", description = "Records handed from one owner to another"),
        (name = "Pairings", description = "Discoveries and the clinicians or sponsors who take them up"),
        (name = "People", description = "Who takes part, with which roles and where"),
        (name = "Pipeline", description = "How records move, in figures"),
        (name = "Recalls", description = "What a finding that no longer stands led to, until somebody answers for it"),
        (name = "Signatures", description = "Challenges that electronic signatures answer"),
        (name = "Trials", description = "Trials, what they test and what they found"),
        (name = "Work", description = "What waits for somebody"),
        (name = "Webhooks", description = "Events sent to whoever subscribed to them"),
    ),
    components(schemas(Problem)),
    modifiers(&BearerTokens),
    security(("bearer" = []))
)]
struct Base;

struct BearerTokens;
impl utoipa::Modify for BearerTokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".into());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Every route that stands in the document.
fn routes(cfg: &mut ServiceConfig) {
    cfg.configure(auth::http::routes)
        .configure(auth::authority::http::routes)
        .configure(signature::http::routes)
        .configure(organization::http::routes)
        .configure(person::http::routes)
        .configure(lifecycle::http::routes)
        .configure(discovery::http::routes)
        .configure(trial::http::routes)
        .configure(finding::http::routes)
        .configure(insight::http::routes)
        .configure(pairing::http::routes)
        .configure(transfer::http::routes)
        .configure(recall::http::routes)
        .configure(work::http::routes)
        .configure(webhook::http::routes)
        .configure(subscription::http::routes)
        .configure(notice::http::routes)
        .configure(pipeline::http::routes)
        .configure(bulk::http::routes)
        .configure(history::across::http::routes)
        .configure(ledger::http::routes)
        .configure(ledger::feed::http::routes)
        .service(live)
        .service(ready)
        .service(metrics_text)
        .service(jwks)
        .service(openapi_json);
}

/// The OpenAPI document, made once.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let (_, api) =
            actix_web::App::new().into_utoipa_app().openapi(Base::openapi()).configure(routes).split_for_parts();
        document::finished(serde_json::to_value(api).unwrap_or(Value::Null))
    });
    &DOCUMENT
}

/// How long a stop waits for requests under way, in seconds.
const DRAIN_SECONDS: u64 = 20;
/// How long the rest of an unwanted body is read after the answer, so that the answer is not lost with it.
const LINGER: Duration = Duration::from_secs(1);
/// How long a client may take nothing of an answer.
const STALL: Duration = Duration::from_secs(30);

/// The HTTP server over a bound socket; it runs once it is awaited, and stops gracefully on SIGTERM and SIGINT.
///
/// # Errors
/// When the socket cannot be served.
pub fn server(app: web::Data<App>, listener: TcpListener, workers: usize) -> Result<Server> {
    let metrics = web::Data::new(Metrics::new(app.postman.figures()).map_err(|e| Error::Internal(e.to_string()))?);
    let offers = web::Data::new(Offers::of(document()));
    let edge = app.edge.clone();
    let patience = Patience { idle: edge.keep_alive, head: edge.header_deadline, linger: LINGER, stall: STALL };
    let most = usize::try_from(edge.max_connections).unwrap_or(usize::MAX).div_ceil(workers);
    let stop = stop_signal(app.clone());
    let builder = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections(most)
        .shutdown_timeout(DRAIN_SECONDS)
        .shutdown_signal(stop);
    let draining = builder.graceful_shutdown_signal();
    let listening = builder.listen("http", listener, move || {
        let ui = SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json").validator_url("none"));
        let (service, _) = actix_web::App::new().into_utoipa_app().configure(routes).split_for_parts();
        let service = service
            .app_data(app.clone())
            .app_data(metrics.clone())
            .app_data(offers.clone())
            .route("/docs", web::get().to(docs))
            .service(ui)
            .default_service(web::to(unmatched))
            .wrap(from_fn(limit::layer))
            .wrap(Condition::new(!edge.cors_origins.is_empty(), cors::layer(&edge.cors_origins)))
            .wrap(from_fn(metrics::layer))
            .wrap(from_fn(problem::layer))
            .wrap(Compress::default())
            .wrap(from_fn(accept::encodings))
            .wrap(tracing_actix_web::TracingLogger::default())
            .wrap(from_fn(connection::layer));
        let draining = draining.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(edge.keep_alive)
            .client_request_timeout(edge.header_deadline)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|io: &Timed<TcpStream>, data| {
                data.insert(io.pulse());
            })
            .h1(map_config(service, |()| AppConfig::default()));
        let timed = fn_service(move |io: TcpStream| async move {
            let peer = io.peer_addr().ok();
            Ok::<_, DispatchError>((Timed::new(io, patience), peer))
        });
        timed.and_then(http)
    });
    Ok(listening.map_err(|e| Error::Internal(format!("cannot serve: {e}")))?.run())
}

/// Resolves when the service is to stop. After SIGTERM it first says for a while that it is not ready, so that whoever
/// sends it traffic can stop doing so; Ctrl-C is somebody who waits.
async fn stop_signal(app: web::Data<App>) {
    let (term, interrupt) = (pin!(received(SignalKind::terminate())), pin!(received(SignalKind::interrupt())));
    let is_term = matches!(select(term, interrupt).await, Either::Left(_));
    app.stopping.store(true, Ordering::Relaxed);
    app.pulse.wake();
    if is_term {
        tokio::time::sleep(app.edge.drain_notice).await;
    }
}

async fn received(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(e) => {
            tracing::error!(error = %e, "a signal cannot be waited for");
            pending().await
        }
    }
}

/// What is at no route: 405 where another method is, else 404. Whoever is not signed in learns neither, but of the paths
/// that are for whoever is not.
async fn unmatched(request: HttpRequest) -> Result<HttpResponse> {
    let item = item_at(request.path());
    let open = item.is_some_and(|item| item.values().filter_map(Value::as_object).any(document::is_open));
    if request.path().starts_with("/v1/") && !open {
        auth::extract::signed_in(&request).await?;
    }
    // Whatever takes GET takes HEAD.
    let methods = item.into_iter().flat_map(Map::keys).map(String::as_str);
    let allowed: Vec<_> =
        methods
            .flat_map(|method| {
                if method == "get" { vec!["GET".to_owned(), "HEAD".to_owned()] } else { vec![method.to_uppercase()] }
            })
            .collect();
    if allowed.is_empty() {
        return Err(Error::refused(Code::NotFound, "There is no such path."));
    }
    let allow = allowed.join(", ");
    let refusal = Error::refused(Code::MethodNotAllowed, format!("This path takes {allow}."));
    let mut answer = HttpResponse::from_error(refusal);
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    Ok(answer)
}

/// What the document says of a path.
fn item_at(path: &str) -> Option<&'static Map<String, Value>> {
    let segments: Vec<_> = path.split('/').collect();
    let matches = |template: &str| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let paths = document().get("paths").and_then(Value::as_object).into_iter().flatten();
    let item = paths.into_iter().filter(|(template, _)| matches(template)).min_by_key(|(t, _)| t.matches('{').count());
    item.and_then(|(_, item)| item.as_object())
}

async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// How the process is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    #[schema(max_length = 20, example = "ok")]
    status: &'static str,
}

/// The process answers.
#[utoipa::path(tag = "Operations", operation_id = "get_liveness", security(()),
    responses((status = 200, description = "It lives", body = Health)))]
#[get("/health/live")]
async fn live(request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    Ok(HttpResponse::Ok().json(Health { status: "ok" }))
}

/// The process can serve: it is not about to stop, and its database answers within a second.
#[utoipa::path(tag = "Operations", operation_id = "get_readiness", security(()),
    responses((status = 200, description = "It can serve", body = Health)))]
#[get("/health/ready")]
async fn ready(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    if app.stopping.load(Ordering::Relaxed) {
        return Err(Error::Closed);
    }
    let asked = app.db.read(crate::db::migrate::log_name);
    match tokio::time::timeout(Duration::from_secs(1), asked).await {
        Ok(Ok(_)) => Ok(HttpResponse::Ok().json(Health { status: "ok" })),
        Ok(Err(_)) | Err(_) => Err(Error::Overloaded),
    }
}

/// Operational figures, in the Prometheus text format.
#[utoipa::path(tag = "Operations", operation_id = "get_metrics", security(()),
    responses((status = 200, description = "The figures", body = String, content_type = "text/plain")))]
#[get("/metrics")]
async fn metrics_text(metrics: web::Data<Metrics>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    Ok(metrics.answer())
}

/// The public keys that access tokens are verified with (RFC 7517).
#[utoipa::path(tag = "Authentication", operation_id = "get_jwks", security(()),
    responses((status = 200, description = "A JWK set", body = Value, example = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "kZ3v0x1mQ2", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }] }))))]
#[get("/.well-known/jwks.json")]
async fn jwks(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    Ok(HttpResponse::Ok().json(app.tokens.jwks()))
}

/// This document.
#[utoipa::path(tag = "Operations", operation_id = "get_openapi", security(()),
    responses((status = 200, description = "The OpenAPI document", body = Value,
        example = json!({ "openapi": "3.1.0", "info": { "title": "Benchside" }, "paths": {} }))))]
#[get("/openapi.json")]
async fn openapi_json(request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    Ok(HttpResponse::Ok().json(document()))
}
