//! Signing in, changing one's password, and who am I.
use super::{
    extract::{Guard, address_of},
    invitation, oidc,
    password::{LONGEST_PASSWORD, PasswordError, SHORTEST_PASSWORD, Secret, check_policy},
    personal,
    policy::{OwnAccess, permissions_of},
    session::{
        self,
        http::{Tokens, beginning, tokens},
    },
    throttle::Throttled,
};
use crate::{
    Error, Result,
    app::App,
    db::columns::Time,
    error::Code,
    fault::{Faults, Text, pointer},
    http::{
        self,
        body::{self, Body},
    },
    id::PersonId,
    identifier::Orcid,
    organization::store::OrganizationName,
    person::{
        self, Expertise,
        store::{self as people, Credential},
    },
    vocabulary::{Authn, OrganizationKind, Role},
};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use serde::Serialize;
use std::net::IpAddr;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(login)
        .service(me)
        .service(change_password)
        .configure(session::http::routes)
        .configure(personal::http::routes)
        .configure(invitation::http::routes)
        .configure(oidc::http::routes);
}

/// Who signs in.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "email": "scientist@demo.test", "password": "a long passphrase" }))]
pub struct Login {
    /// The e-mail address.
    pub email: Text<1, 254>,
    /// The password.
    pub password: Secret,
}

/// Trades e-mail and password for an access token and a refresh token: a session begins.
#[utoipa::path(tag = "Authentication", operation_id = "login", request_body = Login, security(()),
    responses((status = 200, description = "The tokens of a new session", body = Tokens)))]
#[post("/v1/auth/login")]
async fn login(app: web::Data<App>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::accept::check(&request)?;
    http::params::none(&request)?;
    let login: Login = body::parse(body.json().await?)?;
    let (now, address) = (app.clock.now(), address_of(&request));
    let folded = login.email.0.trim().to_lowercase();
    // What anybody may write into a request is kept apart from the accounts of people who signed in.
    let account = format!("login:{folded}");
    let guess = async {
        let known = app.db.read(move |conn| people::credential(conn, &folded)).await?;
        let right = is_password(&app, &login.password, known.as_ref().map(|c| &*c.password_hash)).await?;
        let good = known.as_ref().is_some_and(|c| right && !c.disabled);
        if let Some(credential) = known.as_ref().filter(|_| !good) {
            // Not awaited: an unknown address has nothing to write, and the two must take the same time.
            let (app, person) = (app.clone(), credential.person_id);
            actix_web::rt::spawn(async move {
                if let Err(e) = note_failure(&app, person, address).await {
                    tracing::error!(error = %e, "a failed sign-in was not noted");
                }
            });
        }
        Ok(known.filter(|_| good))
    };
    let found = slowed_down(&app, &account, address, now, guess).await?;
    let Credential { person_id, password_hash: seen, .. } = found.ok_or_else(no_match)?;
    let today = hash_of_today(&app, &login.password, &seen).await;
    let session = beginning(person_id, Authn::Password, None, &request, address, now);
    let (person, id) = (session.person_id, session.id);
    let refresh = app
        .db
        .write(move |conn| {
            // Whoever changed the password meanwhile has ended every session that began with the old one.
            if !people::keep_password_hash(conn, person, &seen, &today)? {
                return Err(no_match());
            }
            people::note_sign_in(conn, person, now, &address.to_string(), true)?;
            session::store::open(conn, &session)
        })
        .await?;
    tokens(&app, person, id, &refresh, now)
}

fn no_match() -> Error {
    Error::refused(Code::InvalidCredentials, "E-mail and password do not match.")
}

/// The stored hash, or one at today's cost where it was made at another. That can wait: under load it stays as it is.
async fn hash_of_today(app: &App, password: &Secret, stored: &str) -> String {
    if !app.passwords.needs_rehash(stored) {
        return stored.to_owned();
    }
    match app.passwords.hash(password).await {
        Ok(hash) => hash,
        Err(error) => {
            tracing::warn!(%error, "an old password hash was not renewed");
            stored.to_owned()
        }
    }
}

/// A password to be set: it must fit the policy.
#[derive(Debug, Clone)]
pub struct NewPassword(pub Secret);

impl Deserr<Faults> for NewPassword {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let secret = Secret::deserialize_from_value(value, location)?;
        match check_policy(&secret) {
            Ok(()) => Ok(Self(secret)),
            Err((code, message)) => Err(Faults::at(pointer(location), code, message)),
        }
    }
}
impl PartialSchema for NewPassword {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .min_length(Some(SHORTEST_PASSWORD))
            .max_length(Some(LONGEST_PASSWORD))
            .write_only(true)
            .into()
    }
}
impl ToSchema for NewPassword {}

/// A change of password.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "current_password": "a long passphrase", "new_password": "another long passphrase" }))]
pub struct PasswordChange {
    /// The password until now.
    pub current_password: Secret,
    /// 12 to 1 024 characters.
    pub new_password: NewPassword,
}

/// Changes one's password, and ends one's other sessions.
#[utoipa::path(tag = "Authentication", operation_id = "change_password", request_body = PasswordChange,
    responses((status = 204, description = "It is changed")))]
#[post("/v1/auth/password")]
async fn change_password(who: Guard<OwnAccess>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let PasswordChange { current_password, new_password } = body::parse(body.json().await?)?;
    let seen = own_password(&who, "password", address_of(&request), &current_password).await?;
    let wrong = || Error::fault("/current_password", "wrong_password", "is not your password");
    let seen = seen.ok_or_else(wrong)?;
    let hash = who.app().passwords.hash(&new_password.0).await.map_err(|e| password_error(&e))?;
    who.write(move |conn, who, context| person::change::change_password(conn, context, who, &seen, &hash)).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn note_failure(app: &App, person: PersonId, address: IpAddr) -> Result<()> {
    let at = app.clock.now();
    app.db.write(move |conn| people::note_sign_in(conn, person, at, &address.to_string(), false)).await
}

/// Lets somebody guess at a secret of an account, slowed down. A guess answers what it opened, or nothing where it was
/// wrong; one that ended in an error was none, and is not counted.
///
/// # Errors
/// 429 for one that came too soon, and what the guess says.
pub async fn slowed_down<T>(
    app: &App,
    account: &str,
    address: IpAddr,
    at: Time,
    guess: impl Future<Output = Result<Option<T>>>,
) -> Result<Option<T>> {
    let attempt = app.throttle.attempt(account, address, at.utc()).map_err(|t| throttled(&t))?;
    let opened = guess.await;
    match &opened {
        Ok(Some(_)) => attempt.succeeded(),
        Ok(None) => attempt.failed(),
        Err(_) => attempt.withdrawn(),
    }
    opened
}

/// The hash of somebody's own password, if this is it; slowed down by itself for each purpose.
///
/// # Errors
/// 429, 503, and what the database says.
pub async fn own_password<P>(
    who: &Guard<P>,
    purpose: &str,
    address: IpAddr,
    password: &Secret,
) -> Result<Option<String>> {
    let guess = async {
        let stored = who.read(|conn, who| people::password_hash(conn, who.id)).await?;
        let right = is_password(who.app(), password, stored.as_deref()).await?;
        Ok(stored.filter(|_| right))
    };
    slowed_down(who.app(), &format!("{purpose}:{}", who.id), address, who.at, guess).await
}

async fn is_password(app: &App, password: &Secret, hash: Option<&str>) -> Result<bool> {
    app.passwords.verify(password, hash).await.map_err(|e| password_error(&e))
}

/// What a try that came too soon means to a caller.
fn throttled(throttled: &Throttled) -> Error {
    let seconds = throttled.retry_after;
    Error::refused(Code::TooManyRequests, format!("Try again in {seconds} seconds.")).with("retry_after", seconds)
}

/// What a failed hashing means to a caller.
pub fn password_error(e: &PasswordError) -> Error {
    match e {
        PasswordError::Overloaded => Error::Overloaded,
        other => Error::Internal(other.to_string()),
    }
}

/// An organization one belongs to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MyOrganization {
    /// Which.
    #[serde(flatten)]
    pub organization: OrganizationName,
    /// What it is.
    pub kind: OrganizationKind,
}

/// The caller.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Me {
    /// Their id.
    pub id: PersonId,
    /// Their code.
    #[schema(max_length = 30, example = "U-8")]
    pub code: String,
    /// Their name.
    #[schema(max_length = 300, example = "Ada Okafor")]
    pub name: String,
    /// Their e-mail address.
    #[schema(max_length = 254, example = "scientist@demo.test")]
    pub email: String,
    /// Their ORCID iD.
    pub orcid: Option<Orcid>,
    /// Their roles.
    #[schema(max_items = 5)]
    pub roles: Vec<Role>,
    /// The organizations they belong to.
    #[schema(max_items = 100)]
    pub organizations: Vec<MyOrganization>,
    /// What they know.
    pub expertise: Expertise,
    /// Whether they take new work.
    pub accepting_work: bool,
    /// The names of what they may ask for.
    #[schema(max_items = 50, max_length = 60, example = json!(["read", "log_discovery"]))]
    pub permissions: Vec<&'static str>,
}

/// Who am I, where do I belong, what may I do.
#[utoipa::path(tag = "Authentication", operation_id = "get_me",
    responses((status = 200, description = "The caller", body = Me)))]
#[get("/v1/me")]
async fn me(who: Guard<OwnAccess>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let me = who
        .read(|conn, who| {
            let person = people::load(conn, who.id)?;
            let known = crate::organization::store::names(conn, person.organizations.iter().copied())?;
            let membership =
                |id| known.get(id).map(|(o, kind)| MyOrganization { organization: o.clone(), kind: *kind });
            Ok(Me {
                id: person.id,
                code: crate::vocabulary::RecordKind::Person.code(person.number),
                organizations: person.organizations.iter().filter_map(membership).collect(),
                name: person.name,
                email: person.email,
                orcid: person.orcid,
                permissions: permissions_of(&who.roles),
                roles: person.roles.0,
                expertise: person.expertise.0,
                accepting_work: person.accepting_work,
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(me))
}
