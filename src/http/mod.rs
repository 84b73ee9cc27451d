//! What every handler shares: reading parameters and bodies, versions, pages, problems, headers.
//!
//! Knows no entity.
pub mod accept;
pub mod answer;
pub mod as_of;
pub mod body;
pub mod connection;
pub mod cors;
pub mod document;
pub mod edge;
pub mod etag;
pub mod fields;
pub mod json;
pub mod limit;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod params;
pub mod problem;

use crate::{Error, Result, id::Key, vocabulary::RecordKind};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Serialize;

/// The record a path names.
///
/// # Errors
/// 404 when the segment names no record of that kind.
pub fn key(request: &HttpRequest, kind: RecordKind) -> Result<Key> {
    let segment = request.match_info().get("id").unwrap_or_default();
    Key::parse(kind, segment).ok_or_else(Error::not_found)
}

/// The UUID in a path of what is no record.
///
/// # Errors
/// 404 when the segment is none.
pub fn uuid(request: &HttpRequest) -> Result<uuid::Uuid> {
    let segment = request.match_info().get("id").unwrap_or_default();
    uuid::Uuid::parse_str(segment).map_err(|_| Error::not_found())
}

/// Where a record is.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Links {
    /// This record.
    #[serde(rename = "self")]
    #[schema(max_length = 200, example = "/v1/discoveries/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")]
    pub own: String,
}

impl Links {
    /// The links of a record.
    pub fn of(kind: RecordKind, id: uuid::Uuid) -> Self {
        Self { own: format!("/v1/{}/{id}", kind.plural()) }
    }
}

/// 200 with a record and its version as `ETag`; 304 when the caller has that version.
///
/// # Errors
/// 422 for a `fields` that names no member.
pub fn record<V: Serialize + utoipa::PartialSchema>(
    request: &HttpRequest,
    version: i64,
    view: &V,
) -> Result<HttpResponse> {
    answered(request, version, view, &["fields"])
}

/// As [`record`], for an operation that takes `as_of` besides, which its handler has read.
///
/// # Errors
/// 422 for a `fields` that names no member.
pub fn record_as_of<V: Serialize + utoipa::PartialSchema>(
    request: &HttpRequest,
    version: i64,
    view: &V,
) -> Result<HttpResponse> {
    answered(request, version, view, &["fields", as_of::AS_OF])
}

fn answered<V: Serialize + utoipa::PartialSchema>(
    request: &HttpRequest,
    version: i64,
    view: &V,
    known: &[&str],
) -> Result<HttpResponse> {
    let mut params = params::Params::read(request, known)?;
    let fields = fields::Fields::read(&mut params);
    params.finish()?;
    fields.check::<V>()?;
    if etag::none_match(request, version)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag::of(version))).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of(version))).json(fields.of(view)?))
}

/// 200 with a changed record.
pub fn changed(version: i64, view: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, etag::of(version))).json(view)
}

/// The one view of a list of one.
///
/// # Errors
/// [`Error::Internal`] when there is none.
pub fn only<V>(mut views: Vec<V>) -> Result<V> {
    views.pop().ok_or_else(|| Error::Internal("a record without a view".into()))
}

/// 200 with `{data: […]}`.
pub fn data<T: Serialize>(data: Vec<T>) -> HttpResponse {
    HttpResponse::Ok().json(openapi::DataOf { data })
}
