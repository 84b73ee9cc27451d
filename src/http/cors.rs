//! Which other sites' pages may call the API: those of a list, by default none.
//!
//! Never with cookies: whoever calls brings an access token, so a page can do no more than the person whose token it has.
use super::edge::Origin;
use actix_cors::Cors;
use actix_web::http::header;

/// How long a browser may remember what it may do, in seconds.
const REMEMBERED: usize = 3600;

/// The layer for these sites.
pub fn layer(origins: &[Origin]) -> Cors {
    let cors = origins.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin.as_str()));
    cors.allowed_methods(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"])
        .allowed_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::HeaderName::from_static("idempotency-key"),
            header::HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            "ETag",
            "Location",
            "Link",
            "Allow",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
            "Idempotent-Replayed",
            "X-Request-Id",
        ])
        .max_age(REMEMBERED)
}
