//! The routes that every kind of record with a lifecycle has alike.
use super::{Asked, Checked, Movable, attempt, offers};
use crate::{
    Result,
    auth::{
        extract::{Guard, address_of},
        http::own_password,
        policy::{Move, Principal, Read},
    },
    db::Conn,
    fault,
    http::{
        self,
        answer::Answer,
        body::Body,
        etag::IfMatch,
        page::{After, PARAMETERS, Page},
        params::Params,
    },
    id::{ChallengeId, EventId},
    signature,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use std::net::IpAddr;

/// The moves of a record, newest first.
///
/// # Errors
/// 404, 400, 422.
pub async fn list<M: Movable + 'static>(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, M::KIND)?;
    let mut params = Params::read(&request, PARAMETERS)?;
    let page = Page::read(&request, &mut params, &["-recorded_at"]);
    params.finish()?;
    let asked = page.clone();
    let moves = who
        .read(move |conn, who| {
            let record = M::find(conn, who, key)?;
            crate::history::store::transitions(conn, who, record.id(), &asked)
        })
        .await?;
    page.answer(&request, moves, None, |m| After { value: m.enqueued.to_string(), id: m.id.0 })
}

/// Each move from here, with what stands between it and the caller.
///
/// # Errors
/// 404.
pub async fn offered<M: Movable + 'static>(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, M::KIND)?;
    let moves = who.read(move |conn, who| offers::<M>(conn, who, key)).await?;
    Ok(http::data(moves))
}

/// Makes a move.
///
/// # Errors
/// 404, 403, 428, 412, 422, 409.
pub async fn make<M: Movable + 'static>(who: Guard<Move>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, M::KIND)?;
    let asked = Asked { key, if_match: IfMatch::of(&request), body: body.json().await? };
    let answer = signature_in(&asked.body);
    let checked = match &answer {
        Some(answer) => Some(check(&who, address_of(&request), answer).await?),
        None => None,
    };
    let (sent, released) = (asked.clone(), answer.map(|a| a.challenge_id));
    let made = who
        .repeatable(&request, &asked.body, move |conn, who, context| {
            let event = attempt::<M>(conn, who, context, &sent, checked)?;
            answered(conn, who, event)
        })
        .await;
    if let (Err(_), Some(Checked { right: true }), Some(challenge)) = (&made, checked, released) {
        release_unused(&who, vec![challenge]).await;
    }
    made
}

/// What a move that was made answers.
///
/// # Errors
/// What the database says.
pub fn answered(conn: &mut Conn, who: &Principal, event: EventId) -> Result<Answer> {
    let made = crate::history::store::transition(conn, who, event)?;
    Ok(Answer::made(&made)?.at_version(made.record.version))
}

/// Takes back the counts of answers that were right and not used, or never compared. What is made by then stands, whatever
/// comes of this: at worst the challenge has one answer less.
pub async fn release_unused(who: &Guard<Move>, challenges: Vec<ChallengeId>) {
    if challenges.is_empty() {
        return;
    }
    let release = move |conn: &mut Conn, id: &ChallengeId| signature::store::release(conn, *id);
    if let Err(error) = who.write(move |conn, _, _| challenges.iter().try_for_each(|id| release(conn, id))).await {
        tracing::error!(%error, "unused answers to challenges stay counted");
    }
}

/// The signature in the body of a move, where there is a readable one.
pub fn signature_in(body: &Value) -> Option<signature::Answer> {
    fault::read::<SignatureOnly>(body.clone()).ok().map(|b| b.signature)
}

/// Only the signature of a body, whatever else is wrong with it.
struct SignatureOnly {
    signature: signature::Answer,
}
impl deserr::Deserr<fault::Faults> for SignatureOnly {
    fn deserialize_from_value<V: deserr::IntoValue>(
        value: deserr::Value<V>,
        location: deserr::ValuePointerRef<'_>,
    ) -> Result<Self, fault::Faults> {
        use deserr::Map;
        let deserr::Value::Map(mut members) = value else {
            return Err(fault::wrong_type(value, "an object", location));
        };
        let at = location.push_key("signature");
        let Some(value) = members.remove("signature") else {
            return Err(fault::Faults::at("/signature", "required", "is required"));
        };
        signature::Answer::deserialize_from_value(value.into_value(), at).map(|signature| Self { signature })
    }
}

/// Counts the answer, then checks the password off the request thread, or that the provider has authenticated the signer.
/// A token without a session never signs: nothing is counted for it, and [`attempt`] refuses.
///
/// # Errors
/// 429, 503, and what the database says.
pub async fn check(who: &Guard<Move>, address: IpAddr, answer: &signature::Answer) -> Result<Checked> {
    let id = answer.challenge_id;
    if who.session.is_none() || !who.write(move |conn, who, _| signature::store::reserve(conn, id, who)).await? {
        return Ok(Checked { right: false });
    }
    let right = is_right(who, address, answer).await;
    if right.is_err() {
        release_unused(who, vec![id]).await;
    }
    Ok(Checked { right: right? })
}

/// Guesses at a signature are slowed down as those at a sign-in are: challenges cost nothing.
async fn is_right(who: &Guard<Move>, address: IpAddr, answer: &signature::Answer) -> Result<bool> {
    let id = answer.challenge_id;
    match &answer.password {
        Some(password) => Ok(own_password(who, "signature", address, password).await?.is_some()),
        None => {
            let own = who.read(move |conn, who| signature::store::find(conn, id, who.id)).await?;
            Ok(own.is_some_and(|challenge| challenge.authenticated_at.is_some()))
        }
    }
}

/// The routes of a kind that moves: its moves, those open to the caller, making one, and its history.
#[rustfmt::skip] // it would indent the attributes anew each time
macro_rules! movable_routes {
    ($record:ty, $tag:literal, $singular:literal, $transitions:literal, $available:literal, $history:literal) => {
        /// Past moves, newest first.
        #[utoipa::path(tag = $tag, operation_id = concat!("list_", $singular, "_transitions"),
            params($crate::http::openapi::IdPath, $crate::http::openapi::PageQuery),
            responses((status = 200, description = "A page of moves",
                body = $crate::http::openapi::ListOf<$crate::history::TransitionView>)))]
        #[get($transitions)]
        pub async fn list_transitions(
            who: $crate::auth::extract::Guard<$crate::auth::policy::Read>,
            request: actix_web::HttpRequest,
        ) -> $crate::Result<actix_web::HttpResponse> {
            $crate::transition::http::list::<$record>(who, request).await
        }

        /// Each move from the present state, whether the caller may make it, what is unmet and what the body must bring.
        #[utoipa::path(tag = $tag, operation_id = concat!("list_available_", $singular, "_transitions"),
            params($crate::http::openapi::IdPath),
            responses((status = 200, description = "The moves from here",
                body = $crate::http::openapi::DataOf<$crate::lifecycle::Available>)))]
        #[get($available)]
        pub async fn available_transitions(
            who: $crate::auth::extract::Guard<$crate::auth::policy::Read>,
            request: actix_web::HttpRequest,
        ) -> $crate::Result<actix_web::HttpResponse> {
            $crate::transition::http::offered::<$record>(who, request).await
        }

        /// Makes a move, or says every gate in its way.
        #[utoipa::path(tag = $tag, operation_id = concat!("move_", $singular),
            params($crate::http::openapi::IdPath, $crate::http::openapi::IfMatchHeader),
            request_body = $crate::transition::Order,
            responses((status = 201, description = "The move, with the record's new version",
                body = $crate::history::TransitionView)))]
        #[post($transitions)]
        pub async fn make_transition(
            who: $crate::auth::extract::Guard<$crate::auth::policy::Move>,
            request: actix_web::HttpRequest,
            body: $crate::http::body::Body,
        ) -> $crate::Result<actix_web::HttpResponse> {
            $crate::transition::http::make::<$record>(who, request, body).await
        }

        $crate::history::http::history_route!($tag, $singular, $history, $crate::ledger::kind_of::<$record>());
    };
}
pub(crate) use movable_routes;
