//! The permission in a handler's signature: `who: Guard<LogDiscovery>`.
//!
//! The token is verified and the person read again at each request, so a role that was taken away bites on the next
//! one. 401 comes before every other check; where a path names a record, 404 comes before 403.
use super::policy::{Permission, Principal};
use crate::{
    Error, Result,
    app::App,
    error::Code,
    http::problem::RequestId,
    id::{Key, PersonId},
    ledger::Context,
    vocabulary::{Authn, RecordKind},
};
use actix_web::{FromRequest, HttpRequest, dev, http::header, web};
use futures_util::future::LocalBoxFuture;
use std::{marker::PhantomData, ops::Deref};

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
            if !P::ROLES.iter().any(|role| principal.is(*role)) {
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

async fn authenticate(request: &HttpRequest, app: &App) -> Result<Principal> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else { return Err(unauthenticated()) };
    let token = value.to_str().ok().and_then(|v| v.split_once(' ')).filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(unauthenticated)?;
    let at = app.clock.now();
    let claims = app.tokens.verify(token.trim(), at.utc()).ok_or_else(unauthenticated)?;
    let id = PersonId::of(claims.sub);
    let found = app.db.read(move |conn| crate::person::store::principal(conn, id, Authn::Password, at)).await?;
    found.ok_or_else(unauthenticated)
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
    let refusal = Error::refused(Code::NotPermitted, format!("This needs the permission `{}`.", P::NAME)).with(
        "unmet",
        [serde_json::json!({ "gate": "role", "message": format!("one of the roles {}", names(P::ROLES)) })],
    );
    let Some(segment) = request.match_info().get("id") else { return refusal };
    let plural = request.path().split('/').nth(2).unwrap_or_default();
    let kind = RecordKind::ALL.iter().copied().find(|kind| kind.plural() == plural);
    let Some((kind, key)) = kind.and_then(|kind| Some((kind, Key::parse(kind, segment)?))) else {
        return Error::not_found();
    };
    match app.db.read(move |conn| crate::app::seen(conn, &who, kind, key)).await {
        Ok(_) => refusal,
        Err(e) => e,
    }
}

fn names(roles: &[crate::vocabulary::Role]) -> String {
    roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ")
}

/// Where a request comes from, for throttling: the peer, since nothing a client says of itself is believed.
pub fn address_of(request: &HttpRequest) -> std::net::IpAddr {
    request.peer_addr().map_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}
