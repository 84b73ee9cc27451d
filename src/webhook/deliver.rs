//! Delivers: looks on in the log for each webhook, and sends what waits, at least once, in order for each record.
//!
//! Every node may; a webhook is taken for a while by one of them, and what it notes holds only as long as it still has it. No
//! lock and no transaction is held while a receiver is waited for. A node that ends between sending and noting leaves the
//! delivery waiting, so that it is sent again.
use super::{
    change::reader,
    delivery::{
        self, Delivery,
        store::{self, Claim},
    },
    reach::Reach,
    secret,
    send::{Letter, Outcome, Sender},
};
use crate::{
    Error, Result,
    app::App,
    db::{Conn, columns::Time},
    id::{AnyId, WebhookId},
    ledger::{
        feed::{self, CloudEvent},
        log,
        pulse::Published,
    },
    vocabulary::{DeliveryState, WebhookState},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{
    StreamExt,
    future::{Either, pending, select},
    stream::{self, FuturesUnordered},
};
use ipnet::IpNet;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, core::Collector};
use serde::Serialize;
use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

/// Receivers that are waited for at once.
const THREADS: usize = 32;
/// Of one webhook.
const AT_ONCE: usize = 4;
/// Deliveries that are taken up at once.
const BATCH: usize = 64;
/// How long it rests at least before it looks again.
const REST: Duration = Duration::from_millis(200);
/// How long at most: then something may be due again.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How often what waits is counted.
const COUNTED_EVERY: Duration = Duration::from_secs(15);

type Job = Box<dyn FnOnce() + Send>;

/// Sends to webhooks, on threads of its own.
pub struct Postman {
    me: AnyId,
    sender: Sender,
    jobs: async_channel::Sender<Job>,
    work: async_channel::Receiver<Job>,
    begun: Once,
    tries: IntCounterVec,
    waiting: IntGaugeVec,
}

impl Postman {
    /// One that reaches what everybody reaches, and these networks.
    ///
    /// # Errors
    /// When a figure cannot be made, which is a fault of this function.
    pub fn new(inside: Vec<IpNet>) -> prometheus::Result<Self> {
        let tries = Opts::new("benchside_webhook_tries_total", "Tries to deliver to webhooks, by what came of them");
        let waiting = Opts::new("benchside_webhook_deliveries", "Deliveries to webhooks that wait or were given up");
        let (jobs, work) = async_channel::bounded(THREADS);
        Ok(Self {
            me: AnyId::fresh(),
            sender: Sender::new(Reach::with(inside)),
            jobs,
            work,
            begun: Once::new(),
            tries: IntCounterVec::new(tries, &["outcome"])?,
            waiting: IntGaugeVec::new(waiting, &["state"])?,
        })
    }

    /// How far it reaches.
    pub const fn reach(&self) -> &Reach {
        self.sender.reach()
    }

    /// Its figures.
    pub fn figures(&self) -> Vec<Box<dyn Collector>> {
        vec![Box::new(self.tries.clone()), Box::new(self.waiting.clone())]
    }

    /// Sends a letter, once a thread is free.
    async fn send(&self, letter: Letter) -> Result<Outcome> {
        self.begun.call_once(|| self.begin());
        let (answer, answered) = oneshot::channel();
        let sender = self.sender.clone();
        let job: Job = Box::new(move || {
            let _ = answer.send(sender.send(&letter));
        });
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Panicked)
    }

    /// The threads end with the postman; a stop does not wait for receivers.
    fn begin(&self) {
        for _ in 0..THREADS {
            let work = self.work.clone();
            let run = move || {
                while let Ok(job) = work.recv_blocking() {
                    // What panics fails alone: whoever waits for it is told, and the thread goes on.
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("a delivery panicked");
                    }
                }
            };
            if let Err(error) = std::thread::Builder::new().name("webhook".into()).spawn(run) {
                tracing::error!(%error, "no thread for webhooks");
            }
        }
    }
}

/// An event as it is sent: with the checkpoint that proves it, base64 of the signed note (CloudEvents forbids its line ends
/// in strings).
#[derive(Serialize)]
struct Sent<'a> {
    #[serde(flatten)]
    event: &'a CloudEvent,
    checkpoint: String,
}

/// Delivers until it is dropped or the service is to stop; then it ends with what is on its way.
pub async fn keep(app: &App) {
    let (mut running, mut busy) = (FuturesUnordered::new(), HashSet::new());
    let mut news = app.pulse.listen();
    let counted = pin!(count_now_and_then(app));
    let delivered = pin!(async {
        while !app.stopping.load(Ordering::Relaxed) {
            match with_work(app).await {
                Ok(found) => {
                    for id in found.into_iter().filter(|id| busy.insert(*id)).collect::<Vec<_>>() {
                        running.push(async move { (id, serve(app, id).await) });
                    }
                }
                Err(Error::Closed) => return,
                Err(error) => tell(&error),
            }
            let rest = async {
                sleep(REST).await;
                let _ = timeout(LONGEST_REST, news.changed()).await;
            };
            let mut rest = pin!(rest);
            loop {
                let finished = async {
                    match running.next().await {
                        Some(one) => one,
                        None => pending().await,
                    }
                };
                match select(rest.as_mut(), pin!(finished)).await {
                    Either::Left(_) => break,
                    Either::Right(((id, served), _)) => {
                        busy.remove(&id);
                        served.err().iter().for_each(tell);
                    }
                }
            }
        }
        // What is on its way is noted if there is time for it: it need not be sent again, and another node can go on.
        while let Some((_, served)) = running.next().await {
            served.err().iter().for_each(tell);
        }
    });
    select(counted, delivered).await;
}

fn tell(error: &Error) {
    if !matches!(error, Error::Overloaded | Error::Closed) {
        tracing::warn!(%error, "webhooks wait");
    }
}

async fn count_now_and_then(app: &App) {
    loop {
        let states = [DeliveryState::Pending, DeliveryState::Parked];
        let counted =
            app.db.read(move |conn| states.into_iter().map(|s| store::count(conn, s)).collect::<Result<Vec<_>>>());
        if let Ok(counts) = counted.await {
            for (state, count) in states.iter().zip(counts) {
                app.postman.waiting.with_label_values(&[state.as_str()]).set(count);
            }
        }
        sleep(COUNTED_EVERY).await;
    }
}

/// Delivers everything that can be delivered now; answers the number of tries.
///
/// # Errors
/// What the store says.
pub async fn round(app: &App) -> Result<usize> {
    let mut tries = 0;
    for id in with_work(app).await? {
        tries += serve(app, id).await?;
    }
    Ok(tries)
}

/// The webhooks that have something to look at or to send.
async fn with_work(app: &App) -> Result<Vec<WebhookId>> {
    let Ok(shown) = app.pulse.latest() else { return Ok(Vec::new()) };
    let at = app.clock.now();
    let found = app.db.read(move |conn| {
        let webhooks = super::store::enabled(conn)?;
        if webhooks.is_empty() {
            return Ok(Vec::new());
        }
        let places = store::places(conn, &webhooks.iter().map(|w| w.id).collect::<Vec<_>>())?;
        let due = store::with_due(conn, at)?;
        let mut found = Vec::new();
        for webhook in webhooks {
            let Some(place) = places.get(&webhook.id) else { continue };
            if due.contains(&webhook.id) || store::is_behind(conn, &webhook, *place, &shown)? {
                found.push(webhook.id);
            }
        }
        Ok(found)
    });
    found.await
}

/// One webhook, until nothing of it can be delivered now.
async fn serve(app: &App, id: WebhookId) -> Result<usize> {
    let mut tries = 0;
    loop {
        let (shown, at, me) = (app.pulse.latest()?, app.clock.now(), app.postman.me);
        let taken = app.db.write(move |conn| take_up(conn, id, me, &shown, at));
        let Some((claim, due, more)) = taken.await? else { return Ok(tries) };
        if due.is_empty() && more {
            continue;
        }
        let stop = AtomicBool::new(false);
        let sent: Vec<Result<bool>> =
            stream::iter(due).map(|one| deliver(app, claim, one, &stop)).buffer_unordered(AT_ONCE).collect().await;
        for one in sent {
            tries += usize::from(one?);
        }
        if stop.load(Ordering::Relaxed) || app.stopping.load(Ordering::Relaxed) {
            app.db.write(move |conn| store::release(conn, claim)).await?;
            return Ok(tries);
        }
    }
}

/// Takes the webhook, looks on in the log and says what is due; none where there is nothing to do, or another node has it.
fn take_up(
    conn: &mut Conn,
    id: WebhookId,
    me: AnyId,
    shown: &Published,
    at: Time,
) -> Result<Option<(Claim, Vec<Delivery>, bool)>> {
    let Some(claim) = store::claim(conn, id, me)? else { return Ok(None) };
    let webhook = super::store::load(conn, id)?;
    let owner = match webhook.state {
        WebhookState::Enabled => reader(conn, webhook.owner_id, at)?,
        WebhookState::Disabled | WebhookState::Ended => None,
    };
    let (mut due, mut more) = (Vec::new(), false);
    if let Some(owner) = owner {
        more = store::look_on(conn, &webhook, &owner, shown, at)?;
        due = delivery::due(store::waiting(conn, id)?, at);
        due.truncate(BATCH);
    }
    if due.is_empty() && !more {
        store::release(conn, claim)?;
        return Ok(None);
    }
    Ok(Some((claim, due, more)))
}

/// What is to be done with a delivery now.
enum Next {
    Send(Letter),
    /// Its owner may not see it any more.
    LeaveOut,
    /// The webhook or its owner is not at work, or this node has not seen the event's place yet.
    Wait,
}

/// Tries one delivery and notes what came of it; answers whether it was tried. After one that got no answer no other is
/// begun: the receiver is given a rest.
async fn deliver(app: &App, claim: Claim, one: Delivery, stop: &AtomicBool) -> Result<bool> {
    if stop.load(Ordering::Relaxed) || app.stopping.load(Ordering::Relaxed) {
        return Ok(false);
    }
    let (shown, at, enqueued) = (app.pulse.latest()?, app.clock.now(), one.enqueued);
    let next = app.db.read(move |conn| next(conn, claim.webhook, enqueued, &shown, at)).await?;
    let (noted, word) = match next {
        Next::Wait => {
            stop.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        Next::LeaveOut => (one.left_out(at), "skipped"),
        Next::Send(letter) => {
            let outcome = app.postman.send(letter).await?;
            if outcome.status.is_none() {
                stop.store(true, Ordering::Relaxed);
            }
            after(one, outcome, app.clock.now())
        }
    };
    app.postman.tries.with_label_values(&[word]).inc();
    let held = app.db.write(move |conn| {
        let held = store::renew(conn, claim)?;
        if held {
            store::note(conn, &noted)?;
        }
        Ok(held)
    });
    if !held.await? {
        stop.store(true, Ordering::Relaxed);
    }
    Ok(true)
}

fn after(one: Delivery, outcome: Outcome, at: Time) -> (Delivery, &'static str) {
    match (outcome.error, outcome.status) {
        (None, Some(status)) => (one.taken(status, at), "delivered"),
        (error, status) => {
            let error = error.unwrap_or(delivery::DeliveryError::BadAnswer);
            let failed = one.failed(status, error, at, fastrand::f64());
            let word = if failed.state == DeliveryState::Parked { "parked" } else { "failed" };
            (failed, word)
        }
    }
}

fn next(conn: &mut Conn, id: WebhookId, enqueued: i64, shown: &Published, at: Time) -> Result<Next> {
    let webhook = super::store::load(conn, id)?;
    if webhook.state != WebhookState::Enabled {
        return Ok(Next::Wait);
    }
    let Some(owner) = reader(conn, webhook.owner_id, at)? else { return Ok(Next::Wait) };
    let position = log::positions(conn, shown.generation, &[enqueued])?.remove(&enqueued);
    if position.and_then(|p| u64::try_from(p).ok()).is_none_or(|index| index >= shown.size) {
        return Ok(Next::Wait);
    }
    let Some(event) = feed::told(conn, &owner, shown, &[enqueued])?.pop() else { return Ok(Next::LeaveOut) };
    let sent = Sent { event: &event, checkpoint: STANDARD.encode(&shown.note) };
    let body = serde_json::to_vec(&sent).map_err(|e| Error::Internal(e.to_string()))?;
    let (id, timestamp) = (event.id.to_string(), at.utc().timestamp());
    let secrets = super::store::secrets(conn, webhook.id, at)?;
    let signature = secret::signatures(&secrets, &id, timestamp, &body);
    Ok(Next::Send(Letter { url: webhook.url, id, timestamp, signature, body }))
}
