//! The outermost layer: every answer gets its request id and its security headers, every problem its instance.
use crate::{Error, error::Code};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The id of a request: the caller's if it is a UUID, else made here.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub Uuid);

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
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let given = request.headers().get(&REQUEST_ID).and_then(|v| v.to_str().ok()).and_then(|v| Uuid::parse_str(v).ok());
    let id = given.unwrap_or_else(Uuid::now_v7);
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(problem) = problem_of(&response, id) {
        let headers = response.headers().clone();
        let mut answer = HttpResponse::build(response.status());
        for (name, value) in headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            answer.insert_header((name.clone(), value.clone()));
        }
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response = response.into_response(answer.body(problem.to_string()));
    }
    let policy = if response.request().path().starts_with("/docs") { DOCS_POLICY } else { POLICY };
    secure(response.headers_mut(), id, policy);
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
    problem.insert("instance".into(), json!(response.request().path()));
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
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// The reference at `/docs` needs its own scripts and styles, and nothing from elsewhere.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; frame-ancestors 'none'";

fn secure(headers: &mut header::HeaderMap, id: Uuid, policy: &'static str) {
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
    set("cache-control", "no-store");
    set("content-security-policy", policy);
}
