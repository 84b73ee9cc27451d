//! The route that makes many moves, and the one that each kind of record has for making many.
use super::{Batch, BatchOf, Results, run};
use crate::{
    Error, Result,
    auth::{
        extract::{Guard, address_of},
        policy::{Move, Principal},
        scope::Access,
    },
    db::{Conn, hold_all_rows},
    discovery::Discovery,
    fault::{self, Bounded, Faults},
    finding::Finding,
    history::TransitionView,
    http::{
        self,
        answer::Answer,
        body::Body,
        etag::{self, IfMatch},
    },
    id::{AnyId, ChallengeId, Key},
    insight::Insight,
    ledger::Context,
    pairing::Pairing,
    transition::{Asked, Checked, Movable, Order, attempt, http as transition},
    trial::Trial,
    vocabulary::RecordKind,
};
use actix_web::{HttpRequest, HttpResponse, post};
use deserr::Deserr;
use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the route of moves.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(make_transitions);
}

/// The most signatures of one request: each is checked on its own, and that is meant to be costly.
pub const MOST_SIGNED: usize = 20;

/// A record to move.
#[derive(Debug, Clone, Copy, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct RecordToMove {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: AnyId,
}

/// One of many moves.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "record": { "kind": "discovery", "id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55" }, "version": 3,
    "transition": { "to": "preclinical" }
}))]
pub struct OneMove {
    /// The record.
    pub record: RecordToMove,
    /// The version that is meant.
    pub version: Bounded<1, 9_007_199_254_740_991>,
    /// The body of the move.
    #[schema(value_type = Order)]
    pub transition: Value,
}

/// Makes many moves: each as `POST …/transitions` would, with the version it means in place of `If-Match`. At most 20 of
/// them may be signed.
#[utoipa::path(tag = "Bulk", operation_id = "move_many", request_body = BatchOf<OneMove>,
    responses((status = 200, description = "A result for each item", body = Results<TransitionView>)))]
#[post("/v1/transitions")]
async fn make_transitions(who: Guard<Move>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let body = body.json().await?;
    let batch = Batch::read(&body)?;
    let checked = check_signatures(&who, &request, &batch).await?;
    let path = request.path().to_owned();
    let right = right(&checked);
    let made = who
        .repeatable(&request, &body, move |conn, who, context| {
            hold_in_order(conn, &batch)?;
            run(conn, &batch, &path, context.request, |conn, index, item| {
                make_one(conn, who, context, item, checked.get(&index).map(|(_, checked)| *checked))
            })
        })
        .await;
    transition::release_unused(&who, right).await;
    made
}

/// The answers of a request to challenges, by the place of their item.
type Answered = HashMap<usize, (ChallengeId, Checked)>;

fn right(answered: &Answered) -> Vec<ChallengeId> {
    answered.values().filter(|(_, checked)| checked.right).map(|(challenge, _)| *challenge).collect()
}

/// Checks each signature before the transaction, as a single move does.
async fn check_signatures(who: &Guard<Move>, request: &HttpRequest, batch: &Batch) -> Result<Answered> {
    let answer = |item: &Value| item.get("transition").and_then(transition::signature_in);
    let signed: Vec<_> = batch.items.0.iter().enumerate().filter_map(|(n, item)| Some((n, answer(item)?))).collect();
    if signed.len() > MOST_SIGNED {
        let message = format!("at most {MOST_SIGNED} of them may be signed");
        return Err(Error::fault("/items", "too_many", message));
    }
    let mut checked = Answered::new();
    for (index, answer) in signed {
        match transition::check(who, address_of(request), &answer).await {
            Ok(found) => _ = checked.insert(index, (answer.challenge_id, found)),
            Err(e) => {
                transition::release_unused(who, right(&checked)).await;
                return Err(e);
            }
        }
    }
    Ok(checked)
}

/// Holds the records that are to move in one order for all requests, so that of two none waits for the other in a circle:
/// what a finding leads to after the finding, as everywhere.
fn hold_in_order(conn: &mut Conn, batch: &Batch) -> Result<()> {
    const ORDER: [RecordKind; 5] =
        [RecordKind::Trial, RecordKind::Finding, RecordKind::Insight, RecordKind::Discovery, RecordKind::Pairing];
    let named = |item: &Value| {
        let record = item.get("record")?;
        Some((record.get("kind")?.as_str()?.to_owned(), record.get("id")?.as_str()?.parse::<uuid::Uuid>().ok()?))
    };
    let named: Vec<_> = batch.items.0.iter().filter_map(named).collect();
    for kind in ORDER {
        let ids: Vec<_> = named.iter().filter(|(named, _)| named == kind.as_str()).map(|(_, id)| *id).collect();
        if !ids.is_empty() {
            let select = format!("SELECT 1 FROM {kind} WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE");
            hold_all_rows(conn, &select, &ids)?;
        }
    }
    Ok(())
}

fn make_one(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    item: &Value,
    checked: Option<Checked>,
) -> Result<Answer> {
    let OneMove { record, version, transition } = fault::read(item.clone())?;
    who.scope.must_allow(Some(record.kind), Access::Write)?;
    let if_match = IfMatch::OneOf(vec![etag::of(version.0)]);
    let asked = Asked { key: Key::Id(record.id.0), if_match, body: transition };
    let made = match record.kind {
        RecordKind::Discovery => moved::<Discovery>,
        RecordKind::Trial => moved::<Trial>,
        RecordKind::Finding => moved::<Finding>,
        RecordKind::Insight => moved::<Insight>,
        RecordKind::Pairing => moved::<Pairing>,
        RecordKind::Organization
        | RecordKind::Person
        | RecordKind::Lifecycle
        | RecordKind::Transfer
        | RecordKind::Webhook => {
            return Err(Error::fault("/record/kind", "not_applicable", "is a kind of record that does not move"));
        }
    };
    // Faults of the move's body are told where they stand in the item.
    made(conn, who, context, &asked, checked).map_err(|e| match e {
        Error::Invalid(faults) => Error::Invalid(faults.under("/transition")),
        e => e,
    })
}

fn moved<M: Movable>(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    asked: &Asked,
    checked: Option<Checked>,
) -> Result<Answer> {
    let event = attempt::<M>(conn, who, context, asked, checked)?;
    transition::answered(conn, who, event)
}

/// The route that makes many records of a kind: `POST /v1/{kind}/batch`, each item by the same function as `POST /v1/{kind}`.
#[rustfmt::skip] // it would indent the attributes anew each time
macro_rules! batch_route {
    ($tag:literal, $operation:literal, $path:literal, $permission:ty, $new:ty, $view:ty, $one:path) => {
        /// Makes many, each as a request of its own would; `atomic` makes all of them or none.
        #[utoipa::path(tag = $tag, operation_id = $operation, request_body = $crate::bulk::BatchOf<$new>,
            responses((status = 200, description = "A result for each item", body = $crate::bulk::Results<$view>)))]
        #[post($path)]
        pub async fn create_many(
            who: $crate::auth::extract::Guard<$permission>,
            request: actix_web::HttpRequest,
            body: $crate::http::body::Body,
        ) -> $crate::Result<actix_web::HttpResponse> {
            let path = request.path().to_owned();
            who.post(&request, body, move |conn, who, context, body| {
                let batch = $crate::bulk::Batch::read(body)?;
                $crate::bulk::run(conn, &batch, &path, context.request, |conn, _, item| $one(conn, who, context, item))
            })
            .await
        }
    };
}
pub(crate) use batch_route;
