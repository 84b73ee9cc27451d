//! Versions as entity tags: `"7"` is version 7 (RFC 9110, strong).
use crate::{Error, Result, error::Code};
use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};

/// The tag of a version.
pub fn of(version: i64) -> String {
    format!("\"{version}\"")
}

/// The most bytes `If-None-Match` may have.
pub const LONGEST_IF_NONE_MATCH: usize = 2000;

/// Whether `If-None-Match` names this version.
///
/// # Errors
/// 400 when it is too long.
pub fn none_match(request: &HttpRequest, version: i64) -> Result<bool> {
    let tags = tags(request, &header::IF_NONE_MATCH);
    if request.headers().get_all(header::IF_NONE_MATCH).any(|value| value.len() > LONGEST_IF_NONE_MATCH) {
        let detail = format!("If-None-Match has at most {LONGEST_IF_NONE_MATCH} bytes.");
        return Err(Error::refused(Code::Malformed, detail));
    }
    Ok(tags == ["*"] || tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == of(version)))
}

/// The members of a list of entity tags, or `*` alone.
fn tags<'a>(request: &'a HttpRequest, name: &HeaderName) -> Vec<&'a str> {
    let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// What `If-Match` said. It is read early and decided late: 404 and 403 come before 428 and 412.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No header.
    Absent,
    /// `*`: any version.
    Any,
    /// One of these tags, compared as they are written.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// Reads the header.
    pub fn of(request: &HttpRequest) -> Self {
        if !request.headers().contains_key(header::IF_MATCH) {
            return Self::Absent;
        }
        match &*tags(request, &header::IF_MATCH) {
            ["*"] => Self::Any,
            tags => Self::OneOf(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        }
    }

    /// # Errors
    /// 428 without a header, 412 with the current version when it names another.
    pub fn check(&self, current: i64) -> Result<()> {
        match self {
            Self::Absent => Err(Error::refused(Code::VersionRequired, "Send If-Match with the ETag you last read.")),
            Self::Any => Ok(()),
            Self::OneOf(tags) if tags.contains(&of(current)) => Ok(()),
            Self::OneOf(_) => Err(Error::Stale { current }),
        }
    }
}
