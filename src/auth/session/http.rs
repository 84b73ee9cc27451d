//! Routes of sessions: refreshing, signing out, and seeing and ending one's own.
use super::{OpaqueToken, Session, store};
use crate::{
    Error, Result,
    app::App,
    auth::{extract::Guard, policy::OwnAccess, token::ACCESS_LIFETIME},
    db::{Conn, columns::Time},
    error::Code,
    fault::{Faults, Text},
    http::{
        self,
        body::{self, Body, Empty},
        openapi::{DataOf, UuidPath},
    },
    id::{PersonId, SessionId},
    vocabulary::Authn,
};
use actix_web::{HttpRequest, HttpResponse, delete, get, http::header, post, web};
use deserr::Deserr;
use serde::Serialize;
use std::net::IpAddr;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(refresh_tokens).service(logout).service(list).service(end);
}

/// An access token (RFC 6750) and the refresh token that brings the next one (RFC 6749).
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// A JWT; opaque to clients.
    #[schema(max_length = 4096, example = "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2lnbmF0dXJl")]
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(max_length = 10, example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds.
    #[schema(minimum = 1, maximum = 3600, example = 900)]
    pub expires_in: i64,
    /// Good once, for `/v1/auth/refresh`.
    #[schema(max_length = 47, example = "bsr_0Wx4k5o2mS8d3V9fQ7aZ1cL6eR0tY2uI4pO8hJ5gK3b")]
    pub refresh_token: String,
}

/// A session that begins now.
pub fn beginning(
    who: PersonId,
    authn: Authn,
    issuer: Option<String>,
    request: &HttpRequest,
    address: IpAddr,
    at: Time,
) -> Session {
    let client = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Session {
        id: SessionId::fresh(),
        person_id: who,
        authn,
        issuer,
        client: client.map(|agent| agent.chars().take(200).collect()),
        address: Some(address.to_string()),
        created_at: at,
        last_used_at: at,
        expires_at: Session::expiry(at, at),
        ended_at: None,
    }
}

/// 200 with the tokens of a session.
///
/// # Errors
/// When the token key cannot sign.
pub fn tokens(app: &App, who: PersonId, session: SessionId, refresh: &OpaqueToken, at: Time) -> Result<HttpResponse> {
    let issued = app.tokens.issue(who.0, session.0, Uuid::now_v7(), at.utc(), ACCESS_LIFETIME);
    Ok(HttpResponse::Ok().json(Tokens {
        access_token: issued.map_err(|e| Error::Internal(e.to_string()))?,
        token_type: "Bearer",
        expires_in: ACCESS_LIFETIME.num_seconds(),
        refresh_token: refresh.expose().to_owned(),
    }))
}

/// A refresh token.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "refresh_token": "bsr_0Wx4k5o2mS8d3V9fQ7aZ1cL6eR0tY2uI4pO8hJ5gK3b" }))]
pub struct Refreshing {
    /// The newest of the session.
    pub refresh_token: Text<1, 200>,
}

/// Trades a refresh token for new tokens. Each is good once: used again after ten seconds, or after its successor was
/// used, it ends the session.
#[utoipa::path(tag = "Authentication", operation_id = "refresh_tokens", request_body = Refreshing, security(()),
    responses((status = 200, description = "The next tokens", body = Tokens)))]
#[post("/v1/auth/refresh")]
async fn refresh_tokens(app: web::Data<App>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::accept::check(&request)?;
    http::params::none(&request)?;
    let Refreshing { refresh_token } = body::parse(body.json().await?)?;
    let refused =
        || Error::refused(Code::SessionEnded, "The refresh token is used up, expired or none: sign in again.");
    let presented = OpaqueToken::presented(OpaqueToken::REFRESH, &refresh_token.0).ok_or_else(refused)?;
    let (at, asked) = (app.clock.now(), presented.clone());
    if !app.db.read(move |conn| store::is_known(conn, &asked)).await? {
        return Err(refused());
    }
    match app.db.write(move |conn: &mut Conn| store::refresh(conn, &presented, at)).await? {
        store::Refreshed::Next { person, session, token } => tokens(&app, person, session, &token, at),
        store::Refreshed::Replayed(session) => {
            tracing::warn!(%session, "a refresh token was used twice: the session has ended");
            Err(refused())
        }
        store::Refreshed::Refused => Err(refused()),
    }
}

/// Signs out: the session of the access token ends, and with it its tokens.
#[utoipa::path(tag = "Authentication", operation_id = "logout", request_body = Option<Empty>,
    responses((status = 204, description = "The session has ended")))]
#[post("/v1/auth/logout")]
async fn logout(who: Guard<OwnAccess>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let Empty {} = body::parse(body.json_or_nothing().await?)?;
    let own = who.session.ok_or_else(|| Error::Internal("signed in without a session".into()))?;
    who.write(move |conn, who, context| store::end(conn, who.id, own, context.at)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A session of one's own.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Whether this very request came by it.
    pub current: bool,
    /// How it began.
    pub authn: Authn,
    /// The identity provider that was asked, where one was.
    #[schema(max_length = 200, example = "hospital")]
    pub issuer: Option<String>,
    /// What the client said it is.
    #[schema(max_length = 200, example = "curl/8.5.0")]
    pub client: Option<String>,
    /// Where it began.
    #[schema(max_length = 45, example = "192.0.2.7")]
    pub address: Option<String>,
    /// When it began.
    pub created_at: Time,
    /// When it began or was last refreshed.
    pub last_used_at: Time,
    /// When it ends by itself, if it is not refreshed.
    pub expires_at: Time,
}

/// Own live sessions, latest use first.
#[utoipa::path(tag = "Authentication", operation_id = "list_sessions",
    responses((status = 200, description = "The sessions", body = DataOf<SessionView>)))]
#[get("/v1/auth/sessions")]
async fn list(who: Guard<OwnAccess>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let sessions = who.read(|conn, who| store::list(conn, who.id, who.at)).await?;
    let view = |session: Session| SessionView {
        id: session.id,
        current: who.session == Some(session.id),
        authn: session.authn,
        issuer: session.issuer,
        client: session.client,
        address: session.address,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    };
    Ok(http::data(sessions.into_iter().map(view).collect()))
}

/// Ends a session of one's own.
///
/// The next request with its tokens is refused, on every node.
#[utoipa::path(tag = "Authentication", operation_id = "end_session", params(UuidPath),
    responses((status = 204, description = "It has ended")))]
#[delete("/v1/auth/sessions/{id}")]
async fn end(who: Guard<OwnAccess>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let id = SessionId::of(http::uuid(&request)?);
    if who.write(move |conn, who, context| store::end(conn, who.id, id, context.at)).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    Err(Error::not_found())
}
