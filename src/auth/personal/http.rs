//! Routes of personal access tokens.
use super::{PersonalToken, change, store};
use crate::{
    Result,
    auth::{extract::Guard, policy::OwnAccess, scope::Grant, session::OpaqueToken},
    db::columns::Time,
    http::{
        self,
        body::{self, Body},
        openapi::{DataOf, UuidPath},
    },
    id::TokenId,
};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use change::NewToken;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(create).service(revoke);
}

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// What it is for.
    #[schema(max_length = 100, example = "Nightly export")]
    pub name: String,
    /// What it may be used for.
    #[schema(max_items = 100, example = json!(["read", "trials:write"]))]
    pub scopes: Vec<Grant>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was last used, to the minute; null where it never was.
    pub last_used_at: Option<Time>,
}

impl From<PersonalToken> for TokenView {
    fn from(token: PersonalToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            scopes: token.scopes.0,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A new token, with its secret: shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewTokenView {
    /// The token.
    #[serde(flatten)]
    pub token: TokenView,
    /// What to send as `Authorization: Bearer …`.
    #[serde(rename = "token")]
    #[schema(min_length = 47, max_length = 47, example = "bsk_0Wx4k5o2mS8d3V9fQ7aZ1cL6eR0tY2uI4pO8hJ5gK3b")]
    pub secret: String,
}

impl NewTokenView {
    fn of((token, secret): (PersonalToken, OpaqueToken)) -> Self {
        Self { token: token.into(), secret: secret.expose().to_owned() }
    }
}

/// Own live tokens, newest first.
#[utoipa::path(tag = "Authentication", operation_id = "list_tokens",
    responses((status = 200, description = "The tokens", body = DataOf<TokenView>)))]
#[get("/v1/auth/tokens")]
async fn list(who: Guard<OwnAccess>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let tokens = who.read(|conn, who| store::list(conn, who.id, who.at)).await?;
    Ok(http::data(tokens.into_iter().map(TokenView::from).collect()))
}

/// Makes a token for scripts. It can read and change what its scopes and its owner's roles allow; it cannot sign, and
/// cannot change how anybody gets in.
#[utoipa::path(tag = "Authentication", operation_id = "create_token", request_body = NewToken,
    responses((status = 201, description = "The token, with its secret", body = NewTokenView)))]
#[post("/v1/auth/tokens")]
async fn create(who: Guard<OwnAccess>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let new: NewToken = body::parse(body.json().await?)?;
    let made = who.write(move |conn, who, context| change::make(conn, context, who.id, new.clone())).await?;
    Ok(HttpResponse::Created().json(NewTokenView::of(made)))
}

/// Revokes a token of one's own.
///
/// The next request with it is refused, on every node.
#[utoipa::path(tag = "Authentication", operation_id = "revoke_token", params(UuidPath),
    responses((status = 204, description = "It is revoked")))]
#[delete("/v1/auth/tokens/{id}")]
async fn revoke(who: Guard<OwnAccess>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let id = TokenId::of(http::uuid(&request)?);
    who.write(move |conn, who, context| change::revoke(conn, context, who.id, id)).await?;
    Ok(HttpResponse::NoContent().finish())
}
