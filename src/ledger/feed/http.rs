//! The route of the feed: a page of it, or a stream that goes on (WHATWG server-sent events).
use super::{Batch, CloudEvent, Position, read};
use crate::{
    Error, Result,
    auth::{
        extract::Guard,
        policy::{Principal, Read},
    },
    http::{accept, params::Params},
    ledger::{
        log::{Stored, Wanted},
        pulse::Published,
    },
    vocabulary::{Action, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, get, http::header, web::Bytes};
use futures_util::stream;
use serde::Serialize;
use std::{convert::Infallible, fmt::Write, sync::atomic::Ordering, time::Duration};
use tokio::{sync::watch, time::timeout};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the route.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list_events);
}

/// A comment, which readers pass over.
const STILL_HERE: &str = ":\n\n";
/// How often a stream shows that it is still there, and asks whether its reader still may read.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After how long a stream asks again when the database has no time for it.
const AGAIN: Duration = Duration::from_secs(1);
/// The most events that a stream sends at once: what a reader who is slow makes the service hold.
const AT_ONCE: usize = 500;

/// Which events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct FeedQuery {
    /// The `sequence` of the last event that was taken; from the beginning without it.
    #[param(max_length = 40, required = false, example = "1-41")]
    after: String,
    /// Rows on a page.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: i64,
    /// Of records of this kind; may be repeated for any of several.
    #[param(required = false, example = json!(["discovery"]))]
    kind: Vec<RecordKind>,
    /// Of this action; may be repeated for any of several.
    #[param(required = false, example = json!(["moved"]))]
    action: Vec<Action>,
}

/// Where a stream that was cut off goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes parameters")]
struct FeedHeader {
    /// As `after`, which it goes before: browsers send it by themselves.
    #[param(rename = "Last-Event-ID", max_length = 40, required = false, example = "1-41")]
    last_event_id: String,
}

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
struct FeedPage {
    /// The events, oldest first.
    #[schema(max_items = 200)]
    data: Vec<CloudEvent>,
    /// What to ask for next, as `after`; null at the end of the log and before its first event.
    #[schema(max_length = 40, example = "1-41")]
    next_cursor: Option<String>,
    /// Up to where this page has come, whether its last events were shown or not; null before the first event. At the end of
    /// the log: what to ask for later.
    #[schema(max_length = 40, example = "1-41")]
    position: Option<String>,
}

/// A server-sent event: `id` its sequence, `event` its type, `data` the CloudEvent on one line.
#[derive(ToSchema)]
#[schema(max_length = 1000000)]
#[expect(dead_code, reason = "describes an answer")]
struct EventStream(String);

/// What happened, in the order of the log: a page, or with `Accept: text/event-stream` a stream that goes on. A stream whose
/// reader may not read any more ends.
#[utoipa::path(tag = "Ledger", operation_id = "list_events", params(FeedQuery, FeedHeader),
    responses((status = 200, description = "The events", content(
        (FeedPage = "application/json"),
        (EventStream = "text/event-stream", example = "id: 1-41\nevent: benchside.discovery.moved\ndata: {}\n\n"),
    ))))]
#[get("/v1/events")]
async fn list_events(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["after", "limit", "kind", "action"])?;
    let streams = accept::names(&request, "text/event-stream");
    let wanted = Wanted { kinds: params.any("kind"), actions: params.any("action") };
    let limit = params.integer("limit", 1, 200).unwrap_or(50);
    let published = who.app().pulse.latest()?;
    let from = start(&who, &request, &mut params, &published).await?;
    params.finish()?;
    if streams {
        return Ok(stream(Listener::new(who, request, published.generation, from, wanted)));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let page = who
        .read(move |conn, who| {
            let Batch { events, until } = read(conn, who, &published, from, &wanted, limit)?;
            let position =
                until.checked_sub(1).map(|index| Position { generation: published.generation, index }.to_string());
            let next_cursor = position.clone().filter(|_| until < published.size);
            Ok(FeedPage { data: events, next_cursor, position })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// From where: behind the last event that the reader took.
async fn start(who: &Guard<Read>, request: &HttpRequest, params: &mut Params, log: &Stored) -> Result<u64> {
    const HEADER: &str = "last-event-id";
    let after = params.text("after", 40);
    let resumed = request.headers().get(HEADER).map(|value| value.to_str().unwrap_or_default().to_owned());
    let name = if resumed.is_some() { "Last-Event-ID" } else { "after" };
    let Some(text) = resumed.or(after) else { return Ok(0) };
    let Ok(position) = text.parse::<Position>() else {
        params.faults.push_parameter(name, "invalid_format", "must be the `sequence` of an event, such as 1-41");
        return Ok(0);
    };
    position.refuse_former(log)?;
    // Another node may have shown more than this one has looked at yet.
    let newest = if position.is_in(log) { None } else { who.app().db.read(crate::ledger::log::latest).await? };
    let newest = newest.as_ref().unwrap_or(log);
    if position.is_in(newest) && newest.generation != log.generation {
        return Err(Error::LogHalted("this node does not show the generation that was read yet".into()));
    }
    if !position.is_in(newest) {
        params.faults.push_parameter(name, "out_of_range", "must be the `sequence` of an event that was");
    }
    Ok(position.index.saturating_add(1))
}

/// A stream under way.
struct Listener {
    who: Guard<Read>,
    request: HttpRequest,
    news: watch::Receiver<Option<Published>>,
    generation: i64,
    from: u64,
    wanted: Wanted,
    begun: bool,
}

impl Listener {
    fn new(who: Guard<Read>, request: HttpRequest, generation: i64, from: u64, wanted: Wanted) -> Self {
        let news = who.app().pulse.listen();
        Self { who, request, news, generation, from, wanted, begun: false }
    }

    /// What to send next; none when the stream ends. Nothing is read from the log before it can be sent.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(STILL_HERE.into());
        }
        loop {
            match self.news_or_heartbeat().await {
                Ok(text) => return text,
                Err(Error::Overloaded) => tokio::time::sleep(AGAIN).await,
                Err(_) => return None,
            }
        }
    }

    /// The next events, or once nothing has come for a while, that the stream is still there.
    async fn news_or_heartbeat(&mut self) -> Result<Option<String>> {
        loop {
            if self.who.app().stopping.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let Some(shown) = self.news.borrow_and_update().clone() else { return Ok(None) };
            if shown.generation != self.generation {
                return Ok(None);
            }
            if shown.size > self.from {
                return self.batch().await;
            }
            match timeout(HEARTBEAT, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(None),
                Err(_) => {
                    let _turn = self.who.app().pulse.turn().await;
                    self.reader().await?;
                    return Ok(Some(STILL_HERE.into()));
                }
            }
        }
    }

    /// Who reads, as they are now. A provider that is slow to answer for them must not hold up all other streams.
    async fn reader(&self) -> Result<Principal> {
        timeout(AGAIN, self.who.again(&self.request)).await.unwrap_or(Err(Error::Overloaded))
    }

    async fn batch(&mut self) -> Result<Option<String>> {
        let _turn = self.who.app().pulse.turn().await;
        let who = self.reader().await?;
        // While others had their turn, more has come.
        let Some(shown) = self.news.borrow_and_update().clone().filter(|shown| shown.generation == self.generation)
        else {
            return Ok(None);
        };
        let (generation, from, wanted) = (self.generation, self.from, self.wanted.clone());
        let batch = self.who.app().db.read(move |conn| read(conn, &who, &shown, from, &wanted, AT_ONCE)).await?;
        self.from = batch.until;
        let mut text = String::new();
        for event in &batch.events {
            let data = serde_json::to_value(event).map_err(|e| Error::Internal(e.to_string()))?;
            let name = data["type"].as_str().unwrap_or_default();
            let _ = write!(text, "id: {}\nevent: {name}\ndata: {data}\n\n", event.sequence);
        }
        // An id without data is no event; it lets the reader go on behind what they may not see.
        if let Some(index) = batch.until.checked_sub(1) {
            let _ = write!(text, "id: {}\n\n", Position { generation, index });
        }
        Ok(Some(text))
    }
}

fn stream(listener: Listener) -> HttpResponse {
    let events = stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), listener))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        // What is held back to be compressed is late.
        .insert_header(header::ContentEncoding::Identity)
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events)
}
