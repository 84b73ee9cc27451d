//! The route of history across records: a page, or all of it as CSV or NDJSON.
use super::{Asked, Part, csv_head, csv_rows, ndjson, store};
use crate::{
    Error, Result,
    auth::{extract::Guard, policy::Read},
    db::columns::Time,
    history::Entry,
    http::{
        accept,
        openapi::ListOf,
        page::{After, Page},
        params::Params,
    },
    vocabulary::{Action, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, get, http::header, web::Bytes};
use futures_util::stream;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the route.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list_history);
}

/// Events of one piece of a download.
const PIECE: usize = 1000;

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

/// Which events, and which page of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct AcrossQuery {
    /// Of records of this kind; may be repeated for any of several.
    #[param(required = false, example = json!(["discovery"]))]
    kind: Vec<RecordKind>,
    /// Of this action; may be repeated for any of several.
    #[param(required = false, example = json!(["moved"]))]
    action: Vec<Action>,
    /// By this person, `me` for the caller; may be repeated for any of several.
    #[param(max_length = 36, required = false, example = "me")]
    person_id: Vec<String>,
    /// Of records of this organization (their steward now; insights routed to it, pairings with it, it itself); may be repeated
    /// for any of several.
    #[param(required = false)]
    organization_id: Vec<uuid::Uuid>,
    /// Recorded at this moment or later.
    #[param(required = false)]
    from: Time,
    /// Recorded at this moment or earlier.
    #[param(required = false)]
    to: Time,
    /// Rows on a page; not for a download, which is whole from `cursor` on.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: i64,
    /// `next_cursor` of the page before.
    #[param(max_length = 2000, required = false)]
    cursor: String,
    /// Only these members of each event, separated by commas.
    #[param(max_length = 1000, required = false, example = "event_id,record,action")]
    fields: String,
}

/// RFC 4180, with a head: a row for each event, its changes as JSON. Text that a spreadsheet would take for a formula has an
/// apostrophe in front.
#[derive(ToSchema)]
#[schema(max_length = 1000000000)]
#[expect(dead_code, reason = "describes an answer")]
struct HistoryCsv(String);

/// One event a line.
#[derive(ToSchema)]
#[schema(max_length = 1000000000)]
#[expect(dead_code, reason = "describes an answer")]
struct HistoryLines(String);

/// Who changed what, across records: newest first, as far as the caller may see it. A page may hold fewer rows than its limit
/// and still have a next one. With `Accept: text/csv` or `application/x-ndjson` all of it at once.
#[utoipa::path(tag = "Ledger", operation_id = "list_history", params(AcrossQuery),
    responses((status = 200, description = "The events", content(
        (ListOf<Entry> = "application/json"),
        (HistoryCsv = "text/csv", example = "leaf_index,event_id,recorded_at\r\n"),
        (HistoryLines = "application/x-ndjson", example = "{}\n"),
    ))))]
#[get("/v1/history")]
async fn list_history(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const KNOWN: &[&str] =
        &["kind", "action", "person_id", "organization_id", "from", "to", "limit", "cursor", "fields"];
    let mut params = Params::read(&request, KNOWN)?;
    let page = Page::read(&request, &mut params, &["-recorded_at"]);
    let asked = Asked {
        kinds: params.any("kind"),
        actions: params.any("action"),
        people: params.people("person_id", who.id),
        organizations: params.ids("organization_id"),
        from: params.time("from"),
        to: params.time("to"),
    };
    if asked.from.zip(asked.to).is_some_and(|(from, to)| from > to) {
        params.faults.push_parameter("from", "out_of_range", "must not be after `to`");
    }
    let form = [CSV, NDJSON].into_iter().find(|form| accept::names(&request, form));
    for name in ["limit", "fields"] {
        if form.is_some() && params.has(name) {
            params.faults.push_parameter(name, "not_applicable", "is not asked of a download, which is whole");
        }
    }
    params.finish()?;
    let before: Option<i64> = page.after.as_ref().map(After::value_as).transpose()?;
    if let Some(form) = form {
        return download(Download { who, request, asked, form, next: Some(before) }).await;
    }
    let wanted = page.clone();
    let Part { entries, next } = who
        .read(move |conn, who| {
            let limit = usize::try_from(wanted.limit).unwrap_or(1);
            store::part(conn, who, &asked, before, limit)
        })
        .await?;
    let next = next.map(|number| After { value: number.to_string(), id: uuid::Uuid::nil() });
    page.answer_part(&request, &entries, next)
}

/// A download under way.
struct Download {
    who: Guard<Read>,
    request: HttpRequest,
    asked: Asked,
    form: &'static str,
    /// Before which event it goes on; none once it is whole.
    next: Option<Option<i64>>,
}

impl Download {
    /// The next piece; who may not read any more gets none.
    async fn piece(&mut self) -> Result<Vec<u8>> {
        let Some(before) = self.next.take() else { return Ok(Vec::new()) };
        let who = self.who.again(&self.request).await?;
        let asked = self.asked.clone();
        let part = self.who.app().db.read(move |conn| store::part(conn, &who, &asked, before, PIECE));
        let Part { entries, next } = part.await?;
        self.next = next.map(Some);
        if self.form == CSV { csv_rows(&entries) } else { ndjson(&entries) }
    }
}

async fn download(mut download: Download) -> Result<HttpResponse> {
    let form = download.form;
    // What goes wrong at once is still answered as a problem; later the connection is cut, so that nobody takes a part for all.
    let mut first = if form == CSV { csv_head()? } else { Vec::new() };
    first.extend(download.piece().await?);
    let pieces = stream::unfold((Some(first), download), |(first, mut download)| async move {
        let piece = match first {
            Some(first) => Ok(first),
            None if download.next.is_none() => return None,
            None => download.piece().await,
        };
        let piece = piece.map(Bytes::from).map_err(|e: Error| std::io::Error::other(e.to_string()));
        if piece.is_err() {
            download.next = None;
        }
        Some((piece, (None, download)))
    });
    let name =
        if form == CSV { "attachment; filename=\"history.csv\"" } else { "attachment; filename=\"history.ndjson\"" };
    let content_type = if form == CSV { "text/csv; charset=utf-8; header=present" } else { form };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CONTENT_DISPOSITION, name))
        .streaming(pieces))
}
