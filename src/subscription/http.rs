//! Routes of subscriptions.
use super::{
    Subscription,
    change::{self, NewSubscription},
    store,
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{Follow, Read},
    },
    db::columns::Time,
    history::RecordRef,
    http::{
        self,
        answer::Answer,
        body::{self, Body},
        openapi::{DataOf, UuidPath},
    },
    id::{OrganizationId, SubscriptionId},
};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(create).service(end);
}

/// A condition that is followed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FollowedCondition {
    /// Its MeSH descriptor, where it was named by that.
    #[schema(max_length = 10, example = "D000690")]
    pub mesh: Option<String>,
    /// Its name, where it was named by that.
    #[schema(max_length = 300, example = "Amyotrophic Lateral Sclerosis")]
    pub name: Option<String>,
}

/// A subscription: one of `record`, `lab_id` and `condition` is there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// Its id.
    pub id: SubscriptionId,
    /// The record.
    pub record: Option<RecordRef>,
    /// The lab.
    pub lab_id: Option<OrganizationId>,
    /// The condition.
    pub condition: Option<FollowedCondition>,
    /// Since when.
    pub created_at: Time,
}

impl From<Subscription> for SubscriptionView {
    fn from(s: Subscription) -> Self {
        let is_condition = s.pattern.is_some();
        Self {
            id: s.id,
            record: s.record_kind.zip(s.record_id).map(|(kind, id)| RecordRef { kind, id: id.0 }),
            lab_id: s.lab_id,
            condition: is_condition.then_some(FollowedCondition { mesh: s.mesh, name: s.name }),
            created_at: s.created_at,
        }
    }
}

/// What one follows besides what one owns, the latest first.
#[utoipa::path(tag = "Notifications", operation_id = "list_subscriptions",
    responses((status = 200, description = "The subscriptions", body = DataOf<SubscriptionView>)))]
#[get("/v1/me/subscriptions")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let found = who.read(|conn, who| store::of(conn, who.id)).await?;
    Ok(http::data(found.into_iter().map(SubscriptionView::from).collect()))
}

/// Follows a record, a lab or a condition, from the next event on. A person has at most 500 subscriptions.
///
/// What one follows already is answered as it is, with 200.
#[utoipa::path(tag = "Notifications", operation_id = "create_subscription", request_body = NewSubscription,
    responses(
        (status = 200, description = "It was followed already", body = SubscriptionView),
        (status = 201, description = "The subscription", body = SubscriptionView),
    ))]
#[post("/v1/me/subscriptions")]
async fn create(who: Guard<Follow>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, |conn, who, context, body| {
        let new: NewSubscription = body::parse(body.clone())?;
        let (subscription, is_new) = change::follow(conn, who, context.at, new)?;
        let about = subscription.record_kind.zip(subscription.record_id).map(|(kind, id)| (kind, id.0));
        let view = SubscriptionView::from(subscription);
        let answer = if is_new { Answer::made(&view)? } else { Answer::ok(&view)? };
        Ok(Answer { about: about.into_iter().collect(), ..answer })
    })
    .await
}

/// Follows something no more.
///
/// What had happened until then is not told as a notification any more, unless it is of something else one follows or owns.
#[utoipa::path(tag = "Notifications", operation_id = "delete_subscription", params(UuidPath),
    responses((status = 204, description = "It is followed no more")))]
#[delete("/v1/me/subscriptions/{id}")]
async fn end(who: Guard<Follow>, request: HttpRequest) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let id = SubscriptionId::of(http::uuid(&request)?);
    who.write(move |conn, who, _| change::end(conn, who, id)).await?;
    Ok(HttpResponse::NoContent().finish())
}
