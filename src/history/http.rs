//! The route of a record's history.
use crate::{
    Result, app,
    auth::{extract::Guard, policy::Read},
    http::{
        self,
        page::{After, PARAMETERS, Page},
        params::Params,
    },
    vocabulary::RecordKind,
};
use actix_web::{HttpRequest, HttpResponse};

/// Who changed what, when and why, newest first.
///
/// # Errors
/// 404, 400, 422.
pub async fn history(who: Guard<Read>, request: HttpRequest, kind: RecordKind) -> Result<HttpResponse> {
    let key = http::key(&request, kind)?;
    let mut params = Params::read(&request, PARAMETERS)?;
    let page = Page::read(&request, &mut params, &["-recorded_at"]);
    params.finish()?;
    let asked = page.clone();
    let entries = who
        .read(move |conn, who| {
            let id = app::seen(conn, who, kind, key)?.id;
            super::store::history(conn, who, id, &asked)
        })
        .await?;
    page.answer(&request, entries, None, |e| After { value: e.enqueued.to_string(), id: e.event_id.0 })
}

/// The history route of one kind.
#[rustfmt::skip] // it would indent the attributes anew each time
macro_rules! history_route {
    ($tag:literal, $singular:literal, $path:literal, $kind:expr) => {
        /// Who changed what, field by field, when and why; newest first.
        #[utoipa::path(tag = $tag, operation_id = concat!("list_", $singular, "_history"),
            params($crate::http::openapi::IdPath, $crate::http::openapi::PageQuery),
            responses((status = 200, description = "A page of events",
                body = $crate::http::openapi::ListOf<$crate::history::Entry>)))]
        #[get($path)]
        pub async fn list_history(
            who: $crate::auth::extract::Guard<$crate::auth::policy::Read>,
            request: actix_web::HttpRequest,
        ) -> $crate::Result<actix_web::HttpResponse> {
            $crate::history::http::history(who, request, $kind).await
        }
    };
}
pub(crate) use history_route;
