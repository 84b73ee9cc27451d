//! The routes of notifications.
use super::{
    Notification,
    change::{self, Batch, Mark, Marked},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{Follow, Read},
    },
    http::{
        self,
        body::{self, Body},
        page,
        params::Params,
    },
    ledger::feed::Position,
};
use actix_web::{HttpRequest, HttpResponse, get, patch};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(mark);
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct NoticeQuery {
    /// Rows on a page.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: i64,
    /// `next_cursor` of the page before.
    #[param(max_length = 40, required = false, example = "1-41")]
    cursor: String,
}

/// A page of notifications.
#[derive(Debug, Serialize, ToSchema)]
struct NoticePage {
    /// What happened, newest first.
    #[schema(max_items = 200)]
    data: Vec<Notification>,
    /// What to ask for next, as `cursor`; null at the beginning of the log. A page may hold less than `limit` and have it.
    #[schema(max_length = 40, example = "1-41")]
    next_cursor: Option<String>,
    /// How many are unread among the newest 200 that are looked at: 200 stands for that many or more.
    #[schema(minimum = 0, maximum = 200, example = 3)]
    unread: usize,
}

/// What happened to what one owns and follows, newest first: each event once, whatever number of reasons there is to tell it.
///
/// Acts of one's own are left out, and so is what one may not see, or see any more.
#[utoipa::path(tag = "Notifications", operation_id = "list_notifications", params(NoticeQuery),
    responses((status = 200, description = "A page of notifications", body = NoticePage)))]
#[get("/v1/me/notifications")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["limit", "cursor"])?;
    let limit = params.integer("limit", 1, 200).unwrap_or(50);
    let before = before(&mut params);
    params.finish()?;
    let log = who.app().pulse.latest()?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let page = who
        .read(move |conn, who| {
            let Batch { notifications, until, unread } = change::read(conn, who, &log, before, limit)?;
            Ok(NoticePage { data: notifications, next_cursor: until.map(|position| position.to_string()), unread })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Before where; none at the end of the log.
fn before(params: &mut Params) -> Option<Position> {
    let read = params.text("cursor", 40)?.parse();
    if read.is_err() {
        page::push_invalid_cursor(&mut params.faults);
    }
    read.ok()
}

/// Says how far one has read: up to this event, and no further.
#[utoipa::path(tag = "Notifications", operation_id = "mark_notifications",
    request_body(content = Mark, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "How far one has read", body = Marked)))]
#[patch("/v1/me/notifications")]
async fn mark(who: Guard<Follow>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let mark: Mark = body::parse(body.merge_patch().await?)?;
    let log = who.app().pulse.latest()?;
    let marked = who.write(move |conn, who, _| change::mark(conn, who, &log, &mark)).await?;
    Ok(HttpResponse::Ok().json(marked))
}
