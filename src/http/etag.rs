//! Versions as entity tags: `"7"` is version 7 (RFC 9110, strong).
use crate::{Error, Result, error::Code};
use actix_web::{HttpRequest, http::header};

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
    let all = || request.headers().get_all(header::IF_NONE_MATCH);
    if all().any(|value| value.len() > LONGEST_IF_NONE_MATCH) {
        let detail = format!("If-None-Match has at most {LONGEST_IF_NONE_MATCH} bytes.");
        return Err(Error::refused(Code::Malformed, detail));
    }
    let tags = all().filter_map(|v| v.to_str().ok());
    Ok(tags.flat_map(|v| v.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == of(version)
    }))
}

/// What `If-Match` said. It is read early and decided late: 404 and 403 come before 428 and 412.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No header.
    Absent,
    /// `*`: any version.
    Any,
    /// One of these tags; what is no version of ours matches none.
    OneOf(Vec<Option<i64>>),
}

impl IfMatch {
    /// Reads the header.
    pub fn of(request: &HttpRequest) -> Self {
        let mut values = request.headers().get_all(header::IF_MATCH).peekable();
        if values.peek().is_none() {
            return Self::Absent;
        }
        let text: Vec<_> = values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim).collect();
        if text.contains(&"*") {
            return Self::Any;
        }
        let version = |tag: &str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Self::OneOf(text.into_iter().map(version).collect())
    }

    /// # Errors
    /// 428 without a header, 412 with the current version when it names another.
    pub fn check(&self, current: i64) -> Result<()> {
        match self {
            Self::Absent => Err(Error::refused(Code::VersionRequired, "Send If-Match with the ETag you last read.")),
            Self::Any => Ok(()),
            Self::OneOf(versions) if versions.contains(&Some(current)) => Ok(()),
            Self::OneOf(_) => Err(Error::Stale { current: Some(current) }),
        }
    }
}
