//! The route by which somebody who was invited sets their password.
use super::{change, store};
use crate::{
    Error, Result,
    app::App,
    auth::{
        extract::address_of,
        http::{NewPassword, password_error, slowed_down},
        session::OpaqueToken,
    },
    error::Code,
    fault::Faults,
    http::{
        self,
        body::{self, Body},
        problem::RequestId,
    },
    ledger::Context,
    vocabulary::Authn,
};
use actix_web::{HttpRequest, HttpResponse, post, web};
use deserr::Deserr;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(accept_invitation);
}

/// The invitation.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters")]
struct InvitationPath {
    /// As it was handed out.
    #[param(min_length = 1, max_length = 47, example = "bsi_0Wx4k5o2mS8d3V9fQ7aZ1cL6eR0tY2uI4pO8hJ5gK3b")]
    token: String,
}

/// The password of somebody who was invited.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "password": "a long passphrase" }))]
pub struct Accepting {
    /// 12 to 1 024 characters.
    pub password: NewPassword,
}

/// Sets the password of whoever was invited. Sessions they have end; they sign in with the new password.
#[utoipa::path(tag = "Authentication", operation_id = "accept_invitation", params(InvitationPath),
    request_body = Accepting, security(()), responses((status = 204, description = "The password is set")))]
#[post("/v1/auth/invitations/{token}")]
async fn accept_invitation(app: web::Data<App>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let Accepting { password } = body::parse(body.json().await?)?;
    let at = app.clock.now();
    let text = request.match_info().get("token").unwrap_or_default().to_owned();
    // Each invitation is an account of its own: what runs out is the address.
    let account = format!("invitation:{text}");
    let guess = async {
        let Some(presented) = OpaqueToken::presented(OpaqueToken::INVITATION, &text) else { return Ok(None) };
        let asked = presented.clone();
        if app.db.read(move |conn| store::find(conn, &asked, at)).await?.is_none() {
            return Ok(None);
        }
        let hash = app.passwords.hash(&password.0).await.map_err(|e| password_error(&e))?;
        let log = app.db.log().into();
        let context = Context { log, person: None, authn: Authn::Token, at, request: RequestId::of(&request) };
        let accepted = app.db.write(move |conn| change::accept(conn, &context, &presented, &hash)).await?;
        Ok(accepted.then_some(()))
    };
    slowed_down(&app, &account, address_of(&request), at, guess).await?.ok_or_else(gone)?;
    Ok(HttpResponse::NoContent().finish())
}

/// One answer for every invitation that is not good.
fn gone() -> Error {
    Error::refused(Code::NotFound, "The invitation is used, expired or none: ask an administrator for another.")
}
