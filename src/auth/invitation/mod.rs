//! Invitations: how somebody who has no password, or forgot theirs, comes to one. Good once, and of a person only the
//! newest. Of the secret only its SHA-256 is kept. Pure.
pub mod change;
pub mod http;
pub mod store;

use crate::db::columns::Time;
use serde::Serialize;
use utoipa::ToSchema;

/// How long an invitation may be used, in seconds: 72 hours.
pub const LIFETIME_SECONDS: i64 = 72 * 3600;

/// An invitation as it is handed out, once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Invited {
    /// What `/v1/auth/invitations/{token}` takes; null where an answer is repeated.
    #[schema(max_length = 47, example = "bsi_0Wx4k5o2mS8d3V9fQ7aZ1cL6eR0tY2uI4pO8hJ5gK3b")]
    pub token: Option<String>,
    /// Until when.
    pub expires_at: Time,
}
