//! The outermost layer: every answer gets its request id and its security headers, every problem its instance.
use crate::{Error, app::App, error::Code};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The id of a request: the caller's if it is a UUID, else made here.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub Uuid);

/// As much of a path as a problem repeats, in characters.
const LONGEST_INSTANCE: usize = 2000;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestId {
    /// The id this layer gave the request.
    pub fn of(request: &HttpRequest) -> Uuid {
        request.extensions().get::<Self>().map_or_else(Uuid::nil, |id| id.0)
    }
}

/// The layer; goes around everything else.
///
/// # Errors
/// None of its own: every error becomes a problem.
pub async fn layer(
    app: web::Data<App>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let given = request.headers().get(&REQUEST_ID).and_then(|v| v.to_str().ok()).and_then(|v| Uuid::parse_str(v).ok());
    let id = given.unwrap_or_else(Uuid::now_v7);
    request.extensions_mut().insert(RequestId(id));
    if request.method() == Method::HEAD {
        // The routes answer as to GET; the HTTP library, which has seen the request, leaves the body out.
        request.head_mut().method = Method::GET;
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(problem) = problem_of(&response, id) {
        let headers = response.headers().clone();
        let mut answer = HttpResponse::build(response.status());
        for (name, value) in headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            answer.insert_header((name.clone(), value.clone()));
        }
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if response.response().head().connection_type() == ConnectionType::Close {
            answer.force_close();
        }
        response = response.into_response(answer.body(problem.to_string()));
    }
    let https = app.edge.is_https(response.request());
    secure(&mut response, id, https);
    Ok(response)
}

fn problem_of(response: &ServiceResponse<BoxBody>, id: Uuid) -> Option<Value> {
    let mut problem = match response.response().error() {
        Some(error) => match error.as_error::<Error>() {
            Some(own) => own.problem(),
            None => Error::refused(foreign(error.as_response_error().status_code()), "").problem(),
        },
        None => return None,
    };
    let instance: String = response.request().path().chars().take(LONGEST_INSTANCE).collect();
    problem.insert("instance".into(), json!(instance));
    problem.insert("request_id".into(), json!(id));
    Some(Value::Object(problem))
}

/// The row of the table for an error that the HTTP library made.
fn foreign(status: StatusCode) -> Code {
    match status.as_u16() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        406 => Code::NotAcceptable,
        413 => Code::TooLarge,
        415 => Code::UnsupportedMediaType,
        503 => Code::Overloaded,
        400..500 => Code::Malformed,
        _ => Code::Internal,
    }
}

/// Answers are data: nothing in them may run or be framed.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The reference at `/docs` needs its own scripts, styles and images, and asks this service. Its style sheet has images in
/// it (`data:`).
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// No answer needs the machine it is shown on.
const PERMISSIONS: &str = "accelerometer=(), bluetooth=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
     hid=(), microphone=(), midi=(), payment=(), serial=(), usb=()";
/// What is nobody's secret may be kept for a while.
const KEPT: &str = "public, max-age=300";

fn secure(response: &mut ServiceResponse<BoxBody>, id: Uuid, https: bool) {
    let path = response.request().path();
    let docs = path.starts_with("/docs");
    let public = docs || ["/openapi.json", "/.well-known/jwks.json"].contains(&path);
    let cache = if public && response.status().is_success() { KEPT } else { "no-store" };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    let mut set = |name: &'static str, value: &'static str| {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "no-referrer");
    set("cache-control", cache);
    set("content-security-policy", if docs { DOCS_POLICY } else { POLICY });
    set("cross-origin-opener-policy", "same-origin");
    set("cross-origin-resource-policy", "same-origin");
    set("permissions-policy", PERMISSIONS);
    if https {
        set("strict-transport-security", "max-age=63072000");
    }
}
