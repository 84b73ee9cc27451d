//! Every way a request can fail: one error type, and one table from code to status and title.
//!
//! Nothing here names a query, a path of the machine or a stack: what a caller may not know goes to the log.
use crate::fault::Faults;
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use diesel::result::{DatabaseErrorKind, Error as Diesel};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A result whose error is the service's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($variant:ident = $code:literal, $status:literal, $title:literal;)+) => {
        /// The stable code of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $variant),+ }

        impl Code {
            /// The whole table, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The string in the problem's `code`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $code),+ } }
            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status),+ } }
            /// The problem's `title`.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title),+ } }
        }
    };
}
codes! {
    Malformed = "malformed", 400, "The request cannot be read";
    UnknownParameter = "unknown_parameter", 400, "There is no such query parameter here";
    Unauthenticated = "unauthenticated", 401, "A valid access token is needed";
    InvalidCredentials = "invalid_credentials", 401, "E-mail and password do not match";
    SignInFailed = "sign_in_failed", 401, "The sign-in at the identity provider came to nothing";
    SessionEnded = "session_ended", 401, "The session is over";
    NotPermitted = "not_permitted", 403, "You may not do this";
    NotFound = "not_found", 404, "There is no such thing, or none that you may see";
    MethodNotAllowed = "method_not_allowed", 405, "This path does not take that method";
    NotAcceptable = "not_acceptable", 406, "No representation suits the Accept header";
    TooSlow = "too_slow", 408, "The body came too slowly";
    Immutable = "immutable", 409, "The record cannot be changed any more";
    NoSuchMove = "no_such_move", 409, "No such move leads from the present state";
    GatesUnmet = "gates_unmet", 409, "The move is not open yet";
    SignatureInvalid = "signature_invalid", 409, "The signature does not fit";
    ShareFirst = "share_first", 409, "They cannot see the discovery: share it first";
    Conflict = "conflict", 409, "That conflicts with what is there";
    BatchRefused = "batch_refused", 409, "Items of an atomic batch were refused";
    InProgress = "in_progress", 409, "The first request under this key is still running";
    Erased = "erased", 410, "What is asked for was erased";
    FeedReset = "feed_reset", 410, "The log goes on as a new generation: begin again";
    VersionMismatch = "version_mismatch", 412, "The record has changed since you read it";
    TooLarge = "too_large", 413, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", 415, "The body's media type is not understood here";
    Invalid = "invalid", 422, "The request has faults";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The key was used with another body";
    VersionRequired = "version_required", 428, "Say which version you mean with If-Match";
    TooManyRequests = "too_many_requests", 429, "Too many requests";
    Internal = "internal", 500, "Something went wrong on our side";
    Overloaded = "overloaded", 503, "The service is busy; try again shortly";
    LedgerHalted = "ledger_halted", 503, "The ledger stands still until an operator has looked at it";
}

/// What can go wrong, as callers need to tell it apart.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A refusal that the caller is told about: a code, a sentence, and members of the problem.
    #[error("{}: {detail}", code.as_str())]
    Refused {
        /// Which row of the table.
        code: Code,
        /// One sentence for people.
        detail: String,
        /// Further members of the problem document.
        members: Map<String, Value>,
    },
    /// The input has faults: all of them.
    #[error("{} faults", .0.0.len())]
    Invalid(Faults),
    /// The record is no longer of the version that the caller names.
    #[error("the record changed since it was read")]
    Stale {
        /// The version stored now.
        current: i64,
    },
    /// Another transaction changed a record after this one read it: all is to be done anew, on what is there now.
    #[error("another change came first")]
    Overtaken,
    /// It was not begun for as long as a caller may wait. Nothing was done; trying later is safe.
    #[error("too much work is queued")]
    Overloaded,
    /// The closure panicked. Its changes are gone, its neighbours' are not.
    #[error("the work panicked")]
    Panicked,
    /// The commit that carried this work failed, and with it every closure in the same commit.
    #[error("not committed: {0}")]
    NotCommitted(Arc<Diesel>),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// The log is not what was seen of it before, or cannot be signed: it stands still, and says so.
    #[error("the ledger stands still: {0}")]
    LogHalted(String),
    /// The database cannot be opened or is not one of ours.
    #[error("{0}")]
    Open(String),
    /// The database refused or failed.
    #[error("database: {0}")]
    Database(Arc<Diesel>),
    /// Anything else that is our fault.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A refusal with a sentence.
    pub fn refused(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused { code, detail: detail.into(), members: Map::new() }
    }
    /// The same refusal with one more member in its problem.
    pub fn with(mut self, name: &str, value: impl serde::Serialize) -> Self {
        if let Self::Refused { members, .. } = &mut self {
            members.insert(name.into(), json!(value));
        }
        self
    }
    /// What hidden and absent records alike answer.
    pub fn not_found() -> Self {
        Self::refused(Code::NotFound, "There is no such record, or none that you may see.")
    }
    /// 403 with a sentence.
    pub fn not_permitted(detail: impl Into<String>) -> Self {
        Self::refused(Code::NotPermitted, detail).with("unmet", Value::Array(Vec::new()))
    }
    /// 422 with one fault.
    pub fn fault(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(Faults::at(pointer, code, message))
    }

    /// Whether the whole transaction is to be done again: it was overtaken, or PostgreSQL asks for it after a serialization
    /// failure or a deadlock.
    ///
    /// diesel maps SQLSTATE 40001 to a kind, keeps 40P01 `Unknown` and hands out no SQLSTATE at all, so the deadlock
    /// is known by its message, which `lc_messages` keeps in English where the role may set it.
    pub fn wants_retry(&self) -> bool {
        let e = match self {
            Self::Overtaken => return true,
            Self::Database(e) | Self::NotCommitted(e) => e,
            _ => return false,
        };
        match &**e {
            Diesel::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
            Diesel::DatabaseError(DatabaseErrorKind::Unknown, info) => info.message() == "deadlock detected",
            _ => false,
        }
    }
    /// The connection is gone: the thread that owns it opens another.
    pub fn lost_connection(&self) -> bool {
        matches!(self, Self::Database(e) | Self::NotCommitted(e) if is_lost(e))
    }
    /// Another transaction held a row for longer than this one would wait (PostgreSQL 55P03, known by its message as
    /// deadlocks are).
    pub fn timed_out_waiting(&self) -> bool {
        matches!(self, Self::Database(e) if matches!(&**e, Diesel::DatabaseError(DatabaseErrorKind::Unknown, info)
            if info.message() == "canceling statement due to lock timeout"))
    }
    /// Two rows claimed the same unique key. What that means is said at the call site: SQLite names no constraint.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(e) if matches!(**e, Diesel::DatabaseError(DatabaseErrorKind::UniqueViolation, _)))
    }
    /// The row of the table this error belongs to.
    pub const fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Invalid(_) => Code::Invalid,
            Self::Stale { .. } => Code::VersionMismatch,
            Self::Overtaken | Self::Overloaded | Self::Closed => Code::Overloaded,
            Self::LogHalted(_) => Code::LedgerHalted,
            Self::Panicked | Self::NotCommitted(_) | Self::Open(_) | Self::Database(_) | Self::Internal(_) => {
                Code::Internal
            }
        }
    }

    /// The problem document (RFC 9457), without `instance` and `request_id`, which [`crate::http::problem`] adds.
    pub fn problem(&self) -> Map<String, Value> {
        let code = self.code();
        let mut problem = Map::new();
        problem.insert("type".into(), json!(format!("urn:benchside:problem:{}", code.as_str())));
        problem.insert("title".into(), json!(code.title()));
        problem.insert("status".into(), json!(code.status()));
        problem.insert("code".into(), json!(code.as_str()));
        let detail = match self {
            Self::Refused { detail, members, .. } => {
                problem.extend(members.clone());
                detail.clone()
            }
            Self::Invalid(faults) => {
                problem.insert("errors".into(), json!(faults.0));
                match faults.0.len() {
                    1 => "One fault was found.".into(),
                    n => format!("{n} faults were found."),
                }
            }
            Self::Stale { current } => {
                problem.insert("current_version".into(), json!(current));
                "Read the record again and decide anew.".into()
            }
            Self::Overtaken | Self::Overloaded | Self::Closed => {
                "Nothing was done; the same request may be sent again.".into()
            }
            Self::LogHalted(_) => {
                "Records can be read and changed; their events wait for their place in the log.".into()
            }
            // The server may have committed before its answer was lost.
            Self::NotCommitted(e) if is_lost(e) => {
                "It is not known whether this was kept: read the record again, or repeat under the same Idempotency-Key."
                    .into()
            }
            Self::Panicked | Self::NotCommitted(_) | Self::Open(_) | Self::Database(_) | Self::Internal(_) => {
                "Nothing was changed. The request id finds the cause in the log.".into()
            }
        };
        problem.insert("detail".into(), json!(detail));
        problem
    }
}

/// A commit on a connection that is gone cannot be rolled back either: diesel says both.
fn is_lost(e: &Diesel) -> bool {
    match e {
        Diesel::DatabaseError(DatabaseErrorKind::ClosedConnection, _) | Diesel::BrokenTransactionManager => true,
        Diesel::RollbackErrorOnCommit { commit_error, .. } => is_lost(commit_error),
        _ => false,
    }
}

impl From<Diesel> for Error {
    fn from(e: Diesel) -> Self {
        match e {
            Diesel::NotFound => Self::not_found(),
            e => Self::Database(Arc::new(e)),
        }
    }
}
impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
    fn error_response(&self) -> HttpResponse {
        if self.code() == Code::Internal {
            tracing::error!(error = %self, "request failed");
        }
        let mut answer = HttpResponse::build(self.status_code());
        answer.content_type("application/problem+json");
        match self.code() {
            Code::Unauthenticated => {
                answer.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            }
            // What is left of the body is not waited for.
            Code::TooSlow | Code::TooLarge => {
                answer.force_close();
            }
            Code::Overloaded | Code::LedgerHalted => {
                answer.insert_header((header::RETRY_AFTER, HeaderValue::from_static("1")));
            }
            _ => {}
        }
        if let Self::Refused { code: Code::TooManyRequests, members, .. } = self
            && let Some(seconds) = members.get("retry_after").and_then(Value::as_u64)
        {
            answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        answer.body(Value::Object(self.problem()).to_string())
    }
}
