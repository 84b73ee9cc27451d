//! Routes of single sign-on: to the provider and back.
use super::{
    Claims, entry,
    provider::{Failure, Provider},
    store::{self, LOGIN_SECONDS, Login},
};
use crate::{
    Error, Result,
    app::App,
    auth::{
        extract::address_of,
        session::http::{Tokens, beginning, tokens},
    },
    error::Code,
    fault::{Faults, check_text},
    http::{accept, params::Params, problem::RequestId},
    id::{ChallengeId, PersonId},
    signature,
    vocabulary::Authn,
};
use actix_web::{HttpRequest, HttpResponse, get, http::header, web};
use oauth2::{CsrfToken, url::form_urlencoded};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(start_oidc_login).service(finish_oidc_login);
}

/// The issuer in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters")]
struct IssuerPath {
    /// The name of a configured issuer.
    #[param(max_length = 40, pattern = "^[a-z0-9-]+$", example = "hospital")]
    issuer: String,
}

/// What a sign-in is for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct StartQuery {
    /// A signature challenge: its signer is to be authenticated anew.
    #[param(required = false)]
    challenge: Uuid,
}

/// What the provider hands back; whatever else it sends is ignored (RFC 6749, 4.1.2).
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct CallbackQuery {
    /// What the sign-in was begun with.
    #[param(max_length = 200, example = "kEzqYtXm0nqFQh5bS2kV9w")]
    state: String,
    /// The authorization code; one of `code` and `error` is there.
    #[param(max_length = 4096, required = false, example = "SplxlOBeZQQYbYS6WxSbIA")]
    code: String,
    /// Why there is none.
    #[param(max_length = 200, required = false, example = "access_denied")]
    error: String,
    /// The issuer that answers (RFC 9207).
    #[param(max_length = 500, required = false, example = "https://login.example.org")]
    iss: String,
}

fn refused(failure: Failure) -> Error {
    let detail =
        "The identity provider's word did not let you in. Begin again; an administrator finds more in the log.";
    Error::refused(Code::SignInFailed, detail).with("reason", failure.reason())
}

fn provider(app: &App, request: &HttpRequest) -> Result<Arc<Provider>> {
    let name = request.match_info().get("issuer").unwrap_or_default();
    app.providers.named(name).ok_or_else(|| Error::refused(Code::NotFound, "There is no such issuer."))
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// The name of the cookie: under https one that no other site of the domain can set.
fn cookie_name(provider: &Provider) -> &'static str {
    if provider.is_secure() { "__Host-benchside-sign-in" } else { "benchside-sign-in" }
}

fn cookie(provider: &Provider, value: &str, seconds: i64) -> String {
    let secure = if provider.is_secure() { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}", cookie_name(provider))
}

fn cookie_of(request: &HttpRequest, provider: &Provider) -> Option<String> {
    let headers = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(provider)).map(|(_, value)| value.to_owned())
}

/// Sends a browser to sign in at an identity provider. With `challenge` the provider is to authenticate the signer anew.
#[utoipa::path(tag = "Authentication", operation_id = "start_oidc_login", security(()), params(IssuerPath, StartQuery),
    responses((status = 302, description = "To the provider; a cookie binds the sign-in to the browser")))]
#[get("/v1/auth/oidc/{issuer}/start")]
async fn start_oidc_login(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    let provider = provider(&app, &request)?;
    let mut params = Params::read(&request, &["challenge"])?;
    let challenge = params.ids("challenge").into_iter().next();
    params.finish()?;
    let at = app.clock.now();
    if let Some(id) = challenge {
        let open = app.db.read(move |conn| signature::store::is_open(conn, id, at)).await?;
        if !open {
            return Err(Error::refused(Code::NotFound, "There is no such challenge, or it is over."));
        }
    }
    let begun = provider.begin(challenge.is_some(), at).await.map_err(|_| Error::Overloaded)?;
    let browser = CsrfToken::new_random_len(32).into_secret();
    let login = Login {
        state_hash: hash(&begun.state),
        browser_hash: hash(&browser),
        issuer: provider.issuer.name.clone(),
        nonce: begun.nonce,
        verifier: begun.verifier,
        challenge_id: challenge,
        created_at: at,
        expires_at: at.plus_seconds(LOGIN_SECONDS),
    };
    app.db.write(move |conn| store::begin(conn, &login)).await?;
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, begun.url.to_string()))
        .insert_header((header::SET_COOKIE, cookie(&provider, &browser, LOGIN_SECONDS)))
        .finish())
}

/// What came back in the query.
struct Returned {
    state: String,
    code: Option<String>,
    issuer: Option<String>,
}

impl Returned {
    fn read(query: &str) -> Result<Self> {
        let mut faults = Faults::default();
        let mut one = |name: &str, max: usize| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(n, _)| n == name).map(|(_, v)| v);
            let value = values.next()?.into_owned();
            if values.next().is_some() {
                faults.push_parameter(name, "repeated", "may stand only once");
            }
            if let Err((code, message)) = check_text(&value, 1, max) {
                faults.push_parameter(name, code, message);
            }
            Some(value)
        };
        let (state, code, error, issuer) = (one("state", 200), one("code", 4096), one("error", 200), one("iss", 500));
        if let Some(error) = &error {
            tracing::warn!(error, "a provider refused a sign-in");
        }
        if state.is_none() {
            faults.push_parameter("state", "required", "is required");
        }
        if code.is_some() == error.is_some() {
            faults.push_parameter("code", "required", "exactly one of `code` and `error` is required");
        }
        faults.into_result()?;
        Ok(Self { state: state.unwrap_or_default(), code, issuer })
    }
}

/// Takes a browser back from an identity provider: a session begins. A sign-in that was for a signature challenge marks its
/// signer as authenticated instead.
#[utoipa::path(tag = "Authentication", operation_id = "finish_oidc_login", security(()),
    params(IssuerPath, CallbackQuery),
    responses(
        (status = 200, description = "The tokens of a new session", body = Tokens),
        (status = 204, description = "The signer of the challenge was authenticated anew")))]
#[get("/v1/auth/oidc/{issuer}/callback")]
async fn finish_oidc_login(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    accept::check(&request)?;
    let provider = provider(&app, &request)?;
    let returned = Returned::read(request.query_string())?;
    let at = app.clock.now();
    let browser = cookie_of(&request, &provider).ok_or_else(|| refused(Failure::UnknownLogin))?;
    let _room = provider.room().ok_or(Error::Overloaded)?;
    let (state, browser, name) = (hash(&returned.state), hash(&browser), provider.issuer.name.clone());
    let login = app.db.write(move |conn| store::take(conn, &state, &browser, &name, at)).await?;
    let login = login.ok_or_else(|| refused(Failure::UnknownLogin))?;
    if returned.issuer.is_some_and(|issuer| issuer != provider.issuer.url) {
        return Err(refused(Failure::Untrusted));
    }
    let code = returned.code.ok_or_else(|| refused(Failure::Refused))?;
    let claims = provider.finish(code, login.verifier, &login.nonce, at).await.map_err(refused)?;
    let mut response = match login.challenge_id {
        Some(challenge) => authenticated(&app, &provider, claims, challenge).await?,
        None => signed_in(&app, &provider, claims, &request).await?,
    };
    if let Ok(forgotten) = header::HeaderValue::from_str(&cookie(&provider, "", 0)) {
        response.headers_mut().insert(header::SET_COOKIE, forgotten);
    }
    Ok(response)
}

async fn signed_in(app: &App, provider: &Arc<Provider>, claims: Claims, request: &HttpRequest) -> Result<HttpResponse> {
    let at = app.clock.now();
    let nobody = PersonId::of(Uuid::nil());
    let blank = beginning(nobody, Authn::Oidc, Some(provider.issuer.name.clone()), request, address_of(request), at);
    let entered = entry::sign_in(app, provider, claims, RequestId::of(request), blank).await?;
    let (session, refresh) = entered.map_err(refused)?;
    tokens(app, session.person_id, session.id, &refresh, at)
}

async fn authenticated(
    app: &App,
    provider: &Arc<Provider>,
    claims: Claims,
    challenge: ChallengeId,
) -> Result<HttpResponse> {
    let noted = entry::authenticate_anew(app, provider, claims, challenge).await?;
    noted.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}
