//! What operations of the OpenAPI document have in common: parameters, envelopes, problems.
use crate::fault::Fault;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// The record, by id or code.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IdPath {
    /// A UUID, or a code such as `D-17`.
    #[param(min_length = 3, max_length = 36, example = "D-17")]
    pub id: String,
}

/// What is no record has no code: by id.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UuidPath {
    /// Its id.
    #[param(example = "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")]
    pub id: uuid::Uuid,
}

/// The version that is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// The `ETag` last read.
    #[param(rename = "If-Match", max_length = 200, example = "\"3\"")]
    pub if_match: String,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows on a page.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    pub limit: i64,
    /// `next_cursor` of the page before.
    #[param(max_length = 2000, required = false)]
    pub cursor: String,
    /// A field to sort by, with `-` in front for descending.
    #[param(max_length = 60, required = false, example = "-updated_at")]
    pub sort: String,
    /// Whether to add the exact `total`.
    #[param(required = false)]
    pub count: bool,
    /// Only these members of each record, separated by commas.
    #[param(max_length = 1000, required = false, example = "id,code")]
    pub fields: String,
}

/// Only some members of the answer.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FieldsQuery {
    /// Only these members, separated by commas.
    #[param(max_length = 1000, required = false, example = "id,code")]
    pub fields: String,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct ListOf<T> {
    /// The rows.
    #[schema(max_items = 200)]
    pub data: Vec<T>,
    /// The cursor of the next page; null on the last.
    #[schema(max_length = 2000)]
    pub next_cursor: Option<String>,
    /// The exact number of rows in all, with `count=true`.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// With `as_of`: how many leaves the checkpoint covers that the rows are as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
    /// With `as_of`: records whose version of then was erased, so that nobody can say whether they were among the rows.
    #[schema(max_items = 100000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<Vec<ErasedThen>>,
}

/// A record whose version of a past moment was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasedThen {
    /// Its id.
    pub id: uuid::Uuid,
    /// Its code.
    #[schema(max_length = 30, example = "D-17")]
    pub code: String,
    /// The version.
    #[schema(minimum = 1, example = 2)]
    pub version: i64,
}

/// A list that is always whole.
#[derive(Serialize, ToSchema)]
pub struct DataOf<T> {
    /// The rows.
    #[schema(max_items = 1000)]
    pub data: Vec<T>,
}

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:benchside:problem:not_found", "title": "There is no such thing, or none that you may see",
    "status": 404, "detail": "There is no such record, or none that you may see.", "code": "not_found",
    "instance": "/v1/discoveries/D-17", "request_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55"
}))]
pub struct Problem {
    /// One URN per code; `docs/api.md` lists them.
    #[serde(rename = "type")]
    #[schema(max_length = 100)]
    pub problem_type: String,
    /// The code in words.
    #[schema(max_length = 200)]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// This occurrence in words.
    #[schema(max_length = 2000)]
    pub detail: String,
    /// The path that was asked for.
    #[schema(max_length = 2000)]
    pub instance: String,
    /// A stable code, for programs.
    #[schema(max_length = 60)]
    pub code: String,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: uuid::Uuid,
    /// Every fault of the input (422).
    #[schema(max_items = 1000)]
    pub errors: Option<Vec<Fault>>,
    /// Every gate that is not met (403, 409).
    #[schema(max_items = 100)]
    pub unmet: Option<Vec<crate::lifecycle::Unmet>>,
    /// The version stored now (412).
    #[schema(minimum = 1)]
    pub current_version: Option<i64>,
    /// The query parameter that is none (400).
    #[schema(max_length = 60)]
    pub parameter: Option<String>,
    /// In how many seconds to try again, as in `Retry-After` (429).
    #[schema(minimum = 0, maximum = 86400)]
    pub retry_after: Option<u64>,
    /// The state that no such move leads from (409).
    #[schema(max_length = 60)]
    pub from: Option<String>,
    /// The state that no such move leads to (409).
    #[schema(max_length = 60)]
    pub to: Option<String>,
}
