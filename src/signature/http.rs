//! The route that issues challenges to sign.
use super::{Subject, store::issue};
use crate::{
    Error, Result, app,
    auth::{
        extract::Guard,
        oidc::{self, provider::Providers},
        policy::{Principal, Sign},
    },
    db::{Conn, columns::Time},
    error::Code,
    fault::{self, Bounded, Faults},
    http::{answer::Answer, body::Body},
    id::{ChallengeId, Key},
    lifecycle::builtin::builtin,
    transition::Order,
    vocabulary::{Authn, Meaning, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, post};
use deserr::Deserr;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(challenge);
}

/// The record to sign for.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct SignedRecord {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: crate::id::AnyId,
}

/// What is to be signed.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "record": { "kind": "discovery", "id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55" }, "version": 3,
    "meaning": "handoff", "transition": { "to": "clinic_ready", "evidence": [{ "kind": "irb", "value": "IRB-2026-14" }] }
}))]
pub struct NewChallenge {
    /// Which record.
    pub record: SignedRecord,
    /// Its present version.
    pub version: Bounded<1, 9_007_199_254_740_991>,
    /// What the signature will say.
    pub meaning: Meaning,
    /// The body of the move to come, without `signature`.
    #[schema(value_type = Order)]
    pub transition: Value,
}

/// How a signer is authenticated anew.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The answer brings the password.
    Password,
    /// The signer signs in again at their identity provider, and the answer brings nothing.
    Oidc,
}

/// How the signer proves that it is them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Authentication {
    /// With what.
    pub method: Method,
    /// Where a browser goes for it; null for a password.
    #[schema(
        max_length = 200,
        example = "/v1/auth/oidc/hospital/start?challenge=01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55"
    )]
    pub start: Option<String>,
}

/// A challenge to sign: single use, five minutes, for exactly this.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChallengeView {
    /// Its id, for the answer.
    pub id: ChallengeId,
    /// What the signature will say, in a sentence.
    #[schema(max_length = 1000)]
    pub statement: String,
    /// SHA-256 of all that is signed, in hex.
    #[schema(max_length = 64, example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub digest: String,
    /// Until when it may be answered.
    pub expires_at: Time,
    /// How the signer proves that it is them.
    pub authentication: Authentication,
}

/// Issues a challenge to sign a move, whether or not its other gates are met yet.
#[utoipa::path(tag = "Signatures", operation_id = "create_signature_challenge", request_body = NewChallenge,
    responses((status = 201, description = "The challenge", body = ChallengeView)))]
#[post("/v1/signatures/challenges")]
async fn challenge(who: Guard<Sign>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let providers = who.app().providers.clone();
    who.post(&request, body, move |conn, who, context, body| {
        let new = parse(body.clone())?;
        let record = app::seen(conn, who, new.record.kind, Key::Id(new.record.id.0))?;
        if record.version != new.version.0 {
            return Err(Error::Stale { current: record.version });
        }
        let subject = Subject {
            challenge: ChallengeId::fresh(),
            issued_at: context.at,
            kind: new.record.kind,
            record: record.id,
            version: record.version,
            meaning: new.meaning,
            transition: &new.transition,
        };
        let issued = issue(conn, who, &subject, &record.code)?;
        let view = ChallengeView {
            id: issued.id,
            statement: issued.statement,
            digest: hex::encode(issued.digest),
            expires_at: issued.expires_at,
            authentication: authentication(conn, who, &providers, issued.id)?,
        };
        Ok(Answer { about: vec![(new.record.kind, record.id)], ..Answer::made(&view)? })
    })
    .await
}

/// Whoever came by an identity provider goes there again; so does whoever has no password.
fn authentication(
    conn: &mut Conn,
    who: &Principal,
    providers: &Providers,
    issued: ChallengeId,
) -> Result<Authentication> {
    if who.session.is_none() {
        return Err(Error::not_permitted("Only somebody who signed in may sign: a token by itself may not."));
    }
    if who.authn != Authn::Oidc && crate::person::store::password_hash(conn, who.id)?.is_some() {
        return Ok(Authentication { method: Method::Password, start: None });
    }
    let of_session = oidc::store::issuer_of_session(conn, who)?.and_then(|name| providers.named(&name));
    let known = oidc::store::issuers_of(conn, who.id)?;
    let provider = of_session.or_else(|| known.iter().find_map(|url| providers.of_issuer(url)));
    let Some(provider) = provider else {
        return Err(Error::refused(
            Code::SignatureInvalid,
            "You have neither a password nor an identity provider here.",
        ));
    };
    let start = format!("/v1/auth/oidc/{}/start?challenge={issued}", provider.issuer.name);
    Ok(Authentication { method: Method::Oidc, start: Some(start) })
}

/// The transition must be a body that could be sent; its faults are found now rather than when it is signed.
fn parse(body: Value) -> Result<NewChallenge> {
    let mut faults = Faults::default();
    if let Some(transition) = body.get("transition") {
        if transition.get("signature").is_some() {
            faults.push("/transition/signature", "unknown_field", "is not part of what is signed");
        }
        if let Err(found) = fault::read::<Order>(transition.clone()) {
            faults.0.extend(found.under("/transition").0);
        }
    }
    let kind = body.pointer("/record/kind").and_then(Value::as_str).and_then(|kind| kind.parse().ok());
    if kind.is_some_and(|kind: RecordKind| builtin(kind).is_none()) {
        faults.push("/record/kind", "not_applicable", "is a kind of record that does not move");
    }
    match fault::read::<NewChallenge>(body) {
        Ok(new) if faults.0.is_empty() => Ok(new),
        Ok(_) => Err(faults.into()),
        Err(found) => {
            faults.0.extend(found.0);
            Err(faults.into())
        }
    }
}
