//! The route of one's work.
use super::{Reason, WorkItem, store};
use crate::{
    Result,
    auth::{extract::Guard, policy::Read},
    http::{
        openapi::{ListOf, PageQuery},
        page::{After, PARAMETERS, Page},
        params::Params,
    },
};
use actix_web::{HttpRequest, HttpResponse, get};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the route.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list_work);
}

/// What the list may be narrowed by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct WorkQuery {
    /// Why it waits; may be repeated for any of several.
    #[param(required = false, example = json!(["recall"]))]
    reason: Vec<Reason>,
}

/// What waits for the caller: what is due first, then what waits longest.
///
/// Insights put to their labs or to them, and their own that were declined; pairings that wait for their answer; transfers
/// offered to them; recalls of what they own; the moves that lead on, of what they own or lead; of their trials, reporting
/// duties and discoveries that were discontinued. Of each the first 500 are looked at. Nothing is stored: what is done is gone.
#[utoipa::path(tag = "Work", operation_id = "list_work", params(PageQuery, WorkQuery),
    responses((status = 200, description = "A page of work", body = ListOf<WorkItem>)))]
#[get("/v1/me/work")]
async fn list_work(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &[PARAMETERS, &["reason"]].concat())?;
    let page = Page::read(&request, &mut params, &["due_at"]);
    let reasons: Vec<Reason> = params.any("reason");
    params.finish()?;
    let mut items = who.read(move |conn, who| store::waiting(conn, who, &reasons)).await?;
    let total = page.count.then_some(i64::try_from(items.len()).unwrap_or(i64::MAX));
    if page.descending {
        items.reverse();
    }
    if let Some(after) = &page.after {
        let is_past = |item: &WorkItem| match page.descending {
            true => item.rank() < after.value,
            false => item.rank() > after.value,
        };
        items.retain(is_past);
    }
    items.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX).saturating_add(1));
    page.answer(&request, items, total, |item| After { value: item.rank(), id: Uuid::nil() })
}
