//! The way in: from what a provider says, to a person of ours in one transaction.
use super::{
    Claims,
    change::{identified, keep_up},
    provider::{Failure, Provider},
    store::{self, Bearer},
};
use crate::{
    Result,
    app::App,
    auth::{
        policy::Principal,
        session::{self, OpaqueToken, Session},
    },
    db::Conn,
    error::Code,
    id::ChallengeId,
    ledger::Context,
    person::store as people,
    signature,
    vocabulary::Authn,
};
use std::sync::Arc;
use uuid::Uuid;

/// What the events of somebody's arrival share: nobody acts but the issuer's word.
fn context(app: &App, request: Uuid) -> Context {
    Context { log: app.db.log().into(), person: None, authn: Authn::Oidc, at: app.clock.now(), request }
}

/// Runs a closure in a transaction, and once more where somebody came in under the same name at the same moment: then they
/// are known, and what they were given is there.
async fn arriving<T, F>(app: &App, arrive: F) -> Result<T>
where
    F: Fn(&mut Conn) -> Result<T> + Clone + Send + 'static,
    T: Send + 'static,
{
    match app.db.write(arrive.clone()).await {
        Err(e) if e.is_unique_violation() || e.code() == Code::Conflict => app.db.write(arrive).await,
        done => done,
    }
}

/// Begins a session for the person whom the claims are about: `blank`, which is nobody's yet.
///
/// # Errors
/// What the database says.
pub async fn sign_in(
    app: &App,
    provider: &Arc<Provider>,
    claims: Claims,
    request: Uuid,
    blank: Session,
) -> Result<Result<(Session, OpaqueToken), Failure>> {
    let (context, provider) = (context(app, request), provider.clone());
    let arrive = move |conn: &mut Conn| {
        let Some(person) = identified(conn, &context, &provider.issuer, &claims)? else {
            return Ok(Err(Failure::NotAdmitted));
        };
        let session = Session { person_id: person.id, ..blank.clone() };
        keep_up(conn, &context, &provider.issuer, &claims, person)?;
        let address = session.address.as_deref().unwrap_or_default();
        people::note_sign_in(conn, session.person_id, context.at, address, true)?;
        let refresh = session::store::open(conn, &session)?;
        Ok(Ok((session, refresh)))
    };
    arriving(app, arrive).await
}

/// Notes that the signer of a challenge was authenticated anew for it. Nobody is linked or entered on this way.
///
/// # Errors
/// What the database says.
pub async fn authenticate_anew(
    app: &App,
    provider: &Arc<Provider>,
    claims: Claims,
    challenge: ChallengeId,
) -> Result<Result<(), Failure>> {
    let (provider, at) = (provider.clone(), app.clock.now());
    let note = move |conn: &mut Conn| {
        let Some(subject) = claims.subject() else { return Ok(Err(Failure::NotAdmitted)) };
        let Bearer::Known(Some(person)) = store::bearer(conn, &provider.issuer.url, subject, at)? else {
            return Ok(Err(Failure::NotAdmitted));
        };
        let Some(when) = claims.number("auth_time") else { return Ok(Err(Failure::NotFresh)) };
        let noted = signature::store::authenticated(conn, challenge, &person, when)?;
        Ok(if noted { Ok(()) } else { Err(Failure::NotFresh) })
    };
    app.db.write(note).await
}

/// The person whom an access token of this provider is about; `None` for a bad token and for people who may not come in
/// alike. They have no session, so they cannot sign.
///
/// # Errors
/// What the database says.
pub async fn bearer(app: &App, provider: &Arc<Provider>, token: &str, request: Uuid) -> Result<Option<Principal>> {
    let context = context(app, request);
    let Some(claims) = provider.access(token, context.at).await else { return Ok(None) };
    let Some(subject) = claims.subject().map(str::to_owned) else { return Ok(None) };
    let (issuer, at) = (provider.issuer.url.clone(), context.at);
    let known = app.db.read(move |conn| store::bearer(conn, &issuer, &subject, at)).await?;
    if let Bearer::Known(principal) = known {
        return Ok(principal);
    }
    let provider = provider.clone();
    let arrive = move |conn: &mut Conn| match identified(conn, &context, &provider.issuer, &claims)? {
        Some(person) => people::principal(conn, person.id, Authn::Oidc, context.at),
        None => Ok(None),
    };
    arriving(app, arrive).await
}
