//! The permission in a handler's signature: `who: Guard<LogDiscovery>`.
//!
//! The token is verified and the person read again at each request, so a role that was taken away bites on the next
//! one. 401 comes before every other check, 406 next; where a path names a record, 404 comes before 403.
use super::{
    bucket::subscriber,
    oidc, personal,
    policy::{Permission, Principal},
    scope::Access,
    session::{self, OpaqueToken},
    token::Claims,
};
use crate::{
    Error, Result,
    app::App,
    db::columns::Time,
    error::Code,
    http::{self, answer::Answer, body::Body, problem::RequestId},
    id::{Key, PersonId, RecallId, SessionId},
    idempotency::{Repeatable, once},
    ledger::Context,
    vocabulary::RecordKind,
};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, dev,
    http::{Method, header},
    web,
};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use std::{marker::PhantomData, net::IpAddr, ops::Deref};

/// A signed-in person who has permission `P`.
pub struct Guard<P> {
    principal: Principal,
    request: uuid::Uuid,
    app: web::Data<App>,
    permission: PhantomData<P>,
}

impl<P> Deref for Guard<P> {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P> Guard<P> {
    /// The person, for a closure that outlives the handler's borrow.
    pub fn principal(&self) -> Principal {
        self.principal.clone()
    }
    /// What every event of this request shares.
    pub fn context(&self) -> Context {
        Context {
            log: self.app.db.log().into(),
            person: Some(self.principal.id),
            authn: self.principal.authn,
            at: self.principal.at,
            request: self.request,
        }
    }
    /// Runs a closure in a transaction, with the person who asks and the context of its events.
    ///
    /// # Errors
    /// What the closure says, or the store.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        F: Fn(&mut crate::db::Conn, &Principal, &Context) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (who, context) = (self.principal(), self.context());
        self.app.db.write(move |conn| f(conn, &who, &context)).await
    }
    /// Runs a closure that reads, with the person who asks.
    ///
    /// # Errors
    /// What the closure says, or the store.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        F: Fn(&mut crate::db::Conn, &Principal) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let who = self.principal();
        self.app.db.read(move |conn| f(conn, &who)).await
    }
    /// Answers a POST: reads its JSON body and does the work in a transaction; once only, where the caller names the
    /// request with an `Idempotency-Key`.
    ///
    /// # Errors
    /// 400, 413, 415, what the closure says, or the store.
    pub async fn post<F>(&self, request: &HttpRequest, body: Body, work: F) -> Result<HttpResponse>
    where
        F: Fn(&mut crate::db::Conn, &Principal, &Context, &Value) -> Result<Answer> + Send + 'static,
    {
        http::params::none(request)?;
        let body = body.json().await?;
        self.repeatable(request, &body.clone(), move |conn, who, context| work(conn, who, context, &body)).await
    }
    /// As [`Guard::post`], for a body that has been read.
    ///
    /// # Errors
    /// As [`Guard::post`].
    pub async fn repeatable<F>(&self, request: &HttpRequest, body: &Value, work: F) -> Result<HttpResponse>
    where
        F: Fn(&mut crate::db::Conn, &Principal, &Context) -> Result<Answer> + Send + 'static,
    {
        let repeatable = match header_text(request, IDEMPOTENCY_KEY)? {
            Some(key) => Some(Repeatable::new(key, format!("{} {}", request.method(), routed(request)), body)?),
            None => None,
        };
        let answer = self.write(move |conn, who, context| match &repeatable {
            Some(named) => once(conn, who, context, named, |conn| work(conn, who, context)),
            None => work(conn, who, context),
        });
        Ok(answer.await?.respond())
    }
    /// The same person asked for again, later in a request that lasts: a role that was taken away, or a session that was
    /// ended, bites here too.
    ///
    /// # Errors
    /// As the guard itself.
    pub async fn again(&self, request: &HttpRequest) -> Result<Principal>
    where
        P: Permission,
    {
        let principal = authenticate(request, &self.app).await?;
        refuse_out_of_scope(request, &principal)?;
        if principal.may_ask::<P>() { Ok(principal) } else { Err(P::ROW.refused()) }
    }
    /// The service.
    pub fn app(&self) -> &App {
        &self.app
    }
}

impl<P: Permission> FromRequest for Guard<P> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let app = request
                .app_data::<web::Data<App>>()
                .cloned()
                .ok_or_else(|| Error::Internal("no App is mounted".into()))?;
            let principal = authenticate(&request, &app).await?;
            http::accept::check(&request)?;
            refuse_out_of_scope(&request, &principal)?;
            if !principal.may_ask::<P>() {
                return Err(forbidden::<P>(&request, &app, principal).await);
            }
            Ok(Self { principal, request: RequestId::of(&request), app, permission: PhantomData })
        })
    }
}

/// One answer for every bad token: nothing tells which check failed.
fn unauthenticated() -> Error {
    Error::refused(Code::Unauthenticated, "Sign in, and send the access token as a Bearer token.")
}

/// The one Bearer token of a request.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else { return None };
    let token = value.to_str().ok().and_then(|v| v.split_once(' ')).filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| token.trim_start_matches(' '))
}

async fn authenticate(request: &HttpRequest, app: &web::Data<App>) -> Result<Principal> {
    let (token, at) = (bearer(request).ok_or_else(unauthenticated)?, app.clock.now());
    let personal = OpaqueToken::presented(OpaqueToken::PERSONAL, token);
    if personal.is_none()
        && let Some(claims) = claims_of(app, token, at).await
    {
        let (person, session) = (PersonId::of(claims.sub), SessionId::of(claims.sid));
        let found = app.db.read(move |conn| session::store::principal(conn, person, session, at)).await?;
        return found.ok_or_else(unauthenticated);
    }
    let found = match personal {
        Some(personal) => by_personal_token(app, personal, at).await?,
        None => of_provider(request, app, token).await?,
    };
    if let Some(limit) = &app.rate_limit {
        limit.note(token, found.as_ref().map(|who| who.id));
    }
    found.ok_or_else(unauthenticated)
}

/// The person of an access token that an outside issuer made for this service.
async fn of_provider(request: &HttpRequest, app: &App, token: &str) -> Result<Option<Principal>> {
    let issuer = oidc::jwt::alleged_issuer(token).and_then(|url| app.providers.of_issuer(&url));
    match issuer {
        Some(provider) => oidc::entry::bearer(app, &provider, token, RequestId::of(request)).await,
        None => Ok(None),
    }
}

/// Another node may sign with a key that this one has not seen yet.
async fn claims_of(app: &App, token: &str, at: Time) -> Option<Claims> {
    let known = app.tokens.verify(token, at.utc());
    if known.is_some() || !app.tokens.names_unknown_key(token) {
        return known;
    }
    app.keys.look_for_unknown(&app.tokens, at).await;
    app.tokens.verify(token, at.utc())
}

async fn by_personal_token(app: &web::Data<App>, token: OpaqueToken, at: Time) -> Result<Option<Principal>> {
    let found = app.db.read(move |conn| personal::store::principal(conn, &token, at)).await?;
    let Some((principal, presented)) = found else { return Ok(None) };
    if personal::is_due(presented.last_used_at, at)
        && let Some(place) = app.uses.place()
    {
        let app = app.clone();
        // Not awaited: the answer does not wait for a note of when it was asked for.
        actix_web::rt::spawn(async move {
            let _held = place;
            if let Err(e) = app.db.write(move |conn| personal::store::note_use(conn, presented.id, at)).await {
                tracing::error!(error = %e, "the use of a personal token was not noted");
            }
        });
    }
    Ok(Some(principal))
}

/// The kind of record that a path is about, where it is about one.
fn kind_of_path(path: &str) -> Option<RecordKind> {
    let mut segments = path.split('/').skip(2);
    let plural = segments.next()?;
    // `/v1/trials/{id}/findings` is about findings.
    let plural =
        if segments.nth(1) == Some(RecordKind::Finding.plural()) { RecordKind::Finding.plural() } else { plural };
    RecordKind::ALL.iter().copied().find(|kind| kind.plural() == plural)
}

/// Whether it needs somebody who signed in: how people get in, and signatures. A revision of a person may be of what they
/// know alone, so that is asked where its body is read.
fn is_by_session_only(method: &Method, path: &str) -> bool {
    let of_people = kind_of_path(path) == Some(RecordKind::Person) && !method.is_safe() && *method != Method::PATCH;
    of_people || ["/v1/auth/", "/v1/signatures/"].iter().any(|part| path.starts_with(part))
}

/// The path as it was routed: in the path as sent any letter may stand percent-encoded.
fn routed(request: &HttpRequest) -> &str {
    request.match_info().as_str()
}

/// 403 where the token was not made for this.
fn refuse_out_of_scope(request: &HttpRequest, who: &Principal) -> Result<()> {
    let path = routed(request);
    if is_by_session_only(request.method(), path) {
        who.must_have_signed_in()?;
    }
    let access = if request.method().is_safe() { Access::Read } else { Access::Write };
    // Many moves may be of several kinds, and recalls are of records of several: each is asked about on its own. So are
    // notifications where they are read; how far they were is of no kind.
    let of_several = ["/v1/transitions", "/v1/recalls", "/v1/me/work"].contains(&path)
        || path.starts_with("/v1/recalls/")
        || (path == "/v1/me/notifications" && access == Access::Read);
    if of_several && who.scope.allows_some(access) {
        return Ok(());
    }
    who.scope.must_allow(kind_of_path(path), access)
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The value of a header that may stand once.
fn header_text<'a>(request: &'a HttpRequest, name: &str) -> Result<Option<&'a str>> {
    let mut values = request.headers().get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.to_str().is_ok() => Ok(value.to_str().ok()),
        _ => Err(Error::refused(Code::Malformed, format!("`{name}` may stand once, in ASCII."))),
    }
}

/// Whether the request comes from a signed-in person: what is at no route is told to nobody else.
///
/// # Errors
/// 401.
pub async fn signed_in(request: &HttpRequest) -> Result<()> {
    let app = request.app_data::<web::Data<App>>().cloned();
    let app = app.ok_or_else(|| Error::Internal("no App is mounted".into()))?;
    authenticate(request, &app).await.map(drop)
}

/// 404 where the path names a record this person cannot see, else 403.
async fn forbidden<P: Permission>(request: &HttpRequest, app: &App, who: Principal) -> Error {
    let refusal = P::ROW.refused();
    let Some(segment) = request.match_info().get("id") else { return refusal };
    let plural = routed(request).split('/').nth(2).unwrap_or_default();
    if plural == "recalls" {
        let Ok(id) = uuid::Uuid::parse_str(segment).map(RecallId::of) else { return Error::not_found() };
        let found = app.db.read(move |conn| crate::recall::store::find(conn, &who, id)).await;
        return found.err().unwrap_or(refusal);
    }
    let kind = RecordKind::ALL.iter().copied().find(|kind| kind.plural() == plural);
    let Some((kind, key)) = kind.and_then(|kind| Some((kind, Key::parse(kind, segment)?))) else {
        return Error::not_found();
    };
    match app.db.read(move |conn| crate::app::seen(conn, &who, kind, key)).await {
        Ok(_) => refusal,
        Err(e) => e,
    }
}

/// Whose budget a request is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Somebody whose token is good.
    Person(PersonId),
    /// Anybody else: the part of the address that stands for one subscriber.
    Address(IpAddr),
}

/// Who asks, as far as can be told without the database: a bad token counts against the address it comes from, and so does
/// a token that is not signed by us when it first comes.
pub fn caller_key(request: &HttpRequest, app: &App) -> Caller {
    let whose = |token: &str| match app.tokens.verify(token, app.clock.now().utc()) {
        Some(claims) => Some(PersonId::of(claims.sub)),
        None => app.rate_limit.as_ref()?.holder(token),
    };
    match bearer(request).and_then(whose) {
        Some(person) => Caller::Person(person),
        None => Caller::Address(subscriber(app.edge.address_of(request))),
    }
}

/// Where a request comes from, for throttling.
pub fn address_of(request: &HttpRequest) -> IpAddr {
    let edge = request.app_data::<web::Data<App>>().map(|app| app.edge.address_of(request));
    edge.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}
