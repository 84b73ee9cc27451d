//! What a POST answers, before it is an HTTP response: decided inside the transaction, so that it can be kept there.
use super::{Links, etag};
use crate::{Error, Result, vocabulary::RecordKind};
use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, ContentType, HeaderName, HeaderValue},
    },
};
use serde::Serialize;
use uuid::Uuid;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A good answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// 2xx.
    pub status: u16,
    /// Where what was made is.
    pub location: Option<String>,
    /// The version of the record it is about.
    pub etag: Option<String>,
    /// JSON text; none for no body.
    pub body: Option<String>,
    /// Records it is about that its body does not name by id and code.
    pub about: Vec<(RecordKind, Uuid)>,
    /// JSON pointers of what is shown once and never kept.
    pub once: Vec<String>,
    /// Whether it was given before.
    pub replayed: bool,
}

impl Answer {
    /// No body, no headers.
    pub const fn empty(status: u16) -> Self {
        Self { status, location: None, etag: None, body: None, about: Vec::new(), once: Vec::new(), replayed: false }
    }
    /// 200 with a body.
    ///
    /// # Errors
    /// For what JSON cannot hold.
    pub fn ok(view: &impl Serialize) -> Result<Self> {
        Ok(Self { body: Some(to_text(view)?), ..Self::empty(200) })
    }
    /// 201 with a body.
    ///
    /// # Errors
    /// For what JSON cannot hold.
    pub fn made(view: &impl Serialize) -> Result<Self> {
        Ok(Self { body: Some(to_text(view)?), ..Self::empty(201) })
    }
    /// 201 with a new record.
    ///
    /// # Errors
    /// For what JSON cannot hold.
    pub fn created(kind: RecordKind, id: Uuid, version: i64, view: &impl Serialize) -> Result<Self> {
        Ok(Self { location: Some(Links::of(kind, id).own), ..Self::made(view)?.at_version(version) })
    }
    /// 200 with a changed record.
    ///
    /// # Errors
    /// For what JSON cannot hold.
    pub fn changed(version: i64, view: &impl Serialize) -> Result<Self> {
        Ok(Self::ok(view)?.at_version(version))
    }
    /// The same with the version of the record it is about.
    pub fn at_version(mut self, version: i64) -> Self {
        self.etag = Some(etag::of(version));
        self
    }
    /// The response.
    pub fn respond(self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if self.replayed {
            response.insert_header((REPLAYED, HeaderValue::from_static("true")));
        }
        match self.body {
            Some(body) => response.content_type(ContentType::json()).body(body),
            None => response.finish(),
        }
    }
}

fn to_text(view: &impl Serialize) -> Result<String> {
    serde_json::to_string(view).map_err(|e| Error::Internal(e.to_string()))
}
