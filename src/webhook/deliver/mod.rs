//! Delivers: looks on in the log for each webhook, and sends what waits, at least once, in order for each record.
//!
//! Every node may; a webhook is taken for a while by one of them, and what it notes holds only as long as it still has it. No
//! lock and no transaction is held while a receiver is waited for. A node that ends between sending and noting leaves the
//! delivery waiting, so that it is sent again. A receiver that does not answer is given a rest: it holds up no other.
mod letter;
mod rest;

use super::{
    change::reader,
    delivery::{
        self, Delivery, DeliveryError,
        store::{self, Claim},
    },
    reach::Reach,
    send::{Letter, Outcome, Sender},
};
use crate::{
    Error, Result,
    app::App,
    db::{Conn, columns::Time},
    id::{AnyId, WebhookId},
    ledger::pulse::Published,
    vocabulary::{DeliveryState, WebhookState},
};
use futures_util::{
    StreamExt,
    future::{Either, pending, select},
    stream::{self, FuturesUnordered},
};
use ipnet::IpNet;
use letter::Next;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, core::Collector};
use rest::Rests;
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
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

/// Receivers that are waited for at once.
const THREADS: usize = 32;
/// Of one webhook that answers.
const AT_ONCE: usize = 4;
/// Deliveries that are taken up at once.
const BATCH: usize = 64;
/// How long it rests at least before it looks again.
const REST: Duration = Duration::from_millis(200);
/// How long at most: then something may be due again.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// After which pauses what was sent is tried to be noted again: what is not noted is sent again.
const NOTED_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];
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
    /// One for each thread.
    free: Semaphore,
    rests: Rests,
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
            free: Semaphore::new(THREADS),
            rests: Rests::default(),
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

    /// Sends a letter; the caller has seen to it that a thread is free.
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

/// Delivers until it is dropped or the service is to stop; then it ends with what is on its way.
pub async fn keep(app: &App) {
    let (mut running, mut busy) = (FuturesUnordered::new(), HashSet::new());
    let mut news = app.pulse.listen();
    let counted = pin!(count_now_and_then(app));
    let delivered = pin!(async {
        while !app.stopping.load(Ordering::Relaxed) {
            match with_work(app).await {
                Ok(found) => {
                    let (rests, at) = (&app.postman.rests, app.clock.now());
                    let free = found.into_iter().filter(|id| !rests.hold(*id, at) && busy.insert(*id));
                    for id in free.collect::<Vec<_>>() {
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
                        if let Err(error) = served {
                            // What cannot be noted, or not even be looked at, is not tried again at once.
                            app.postman.rests.begin(id, app.clock.now());
                            tell(&error);
                        }
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

/// Delivers everything that can be delivered now, also of webhooks that rest; answers the number of tries.
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
        let (due, behind) = (store::with_due(conn, at)?, store::behind(conn, &webhooks, &shown)?);
        let ids = webhooks.iter().map(|webhook| webhook.id);
        Ok(ids.filter(|id| due.contains(id) || behind.contains(id)).collect::<Vec<_>>())
    });
    found.await
}

/// What came of the tries that are made together.
#[derive(Default)]
struct Together {
    /// There is only one: the receiver has not just answered.
    alone: bool,
    /// No other is begun.
    stop: AtomicBool,
    /// One was answered, however.
    answered: AtomicBool,
    /// One was not answered at all.
    silent: AtomicBool,
}

impl Together {
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
    fn is_over(&self, app: &App) -> bool {
        self.stop.load(Ordering::Relaxed) || app.stopping.load(Ordering::Relaxed)
    }
    fn hear(&self, outcome: Outcome) {
        if outcome.status.is_some() {
            self.answered.store(true, Ordering::Relaxed);
        } else {
            self.silent.store(true, Ordering::Relaxed);
            self.stop();
        }
    }
}

/// One webhook, until nothing of it can be delivered now. It begins with one delivery: only to a receiver that has just
/// answered several are sent at once, so that a silent one has a single thread wait for it.
async fn serve(app: &App, id: WebhookId) -> Result<usize> {
    let (mut tries, mut most) = (0, 1);
    loop {
        let (shown, at, me) = (app.pulse.latest()?, app.clock.now(), app.postman.me);
        let taken = app.db.write(move |conn| take_up(conn, id, me, &shown, at));
        let Some((claim, mut due, more)) = taken.await? else { return Ok(tries) };
        if due.is_empty() && more && !app.stopping.load(Ordering::Relaxed) {
            continue;
        }
        due.truncate(most);
        let together = Together { alone: most == 1, ..Together::default() };
        let sent: Vec<Result<bool>> =
            stream::iter(due).map(|one| deliver(app, claim, one, &together)).buffer_unordered(AT_ONCE).collect().await;
        for one in sent {
            tries += usize::from(one?);
        }
        if together.silent.load(Ordering::Relaxed) {
            app.postman.rests.begin(id, app.clock.now());
        } else if together.answered.load(Ordering::Relaxed) {
            app.postman.rests.end(id);
            most = BATCH;
        }
        if together.is_over(app) {
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

/// Tries one delivery and notes what came of it; answers whether it was tried. After one that got no answer, or that could
/// not be noted, no other is begun.
async fn deliver(app: &App, claim: Claim, one: Delivery, together: &Together) -> Result<bool> {
    let noted = match tried(app, claim, one, together).await {
        Ok(None) => return Ok(false),
        Ok(Some(tried)) => note(app, claim, &tried, together.alone).await,
        Err(error) => Err(error),
    };
    if !matches!(noted, Ok(true)) {
        together.stop();
    }
    noted.map(|_| true)
}

/// Tries one delivery once a thread is free for it: a letter that waited would be old, and so would be what was asked before
/// it was written.
async fn tried(app: &App, claim: Claim, one: Delivery, together: &Together) -> Result<Option<Delivery>> {
    let _free = app.postman.free.acquire().await.map_err(|_| Error::Closed)?;
    if together.is_over(app) {
        return Ok(None);
    }
    let (tried, word) = match next(app, claim, one.enqueued).await? {
        Next::Wait => {
            together.stop();
            return Ok(None);
        }
        Next::LeaveOut => (one.left_out(app.clock.now()), "skipped"),
        Next::Fail => after(one, Outcome::none(DeliveryError::Internal), app.clock.now()),
        Next::Send(letter) => match app.postman.send(letter).await {
            Ok(outcome) => {
                together.hear(outcome);
                after(one, outcome, app.clock.now())
            }
            Err(Error::Panicked) => after(one, Outcome::none(DeliveryError::Internal), app.clock.now()),
            Err(error) => return Err(error),
        },
    };
    app.postman.tries.with_label_values(&[word]).inc();
    Ok(Some(tried))
}

/// What is to be done with a delivery now. Nothing is sent unless this node has the webhook for longer than that takes.
async fn next(app: &App, claim: Claim, enqueued: i64) -> Result<Next> {
    let held = app.db.read(move |conn| store::holds(conn, claim)).await?
        || app.db.write(move |conn| store::renew(conn, claim)).await?;
    if !held {
        return Ok(Next::Wait);
    }
    let (shown, at) = (app.pulse.latest()?, app.clock.now());
    match app.db.read(move |conn| letter::next(conn, claim.webhook, enqueued, &shown, at)).await {
        Err(error @ (Error::Internal(_) | Error::Panicked)) => {
            tell(&error);
            Ok(Next::Fail)
        }
        next => next,
    }
}

/// Notes what came of a try, if need be again; false where another node has the webhook meanwhile.
async fn note(app: &App, claim: Claim, tried: &Delivery, alone: bool) -> Result<bool> {
    let mut pauses = NOTED_AGAIN_AFTER.iter();
    loop {
        let tried = tried.clone();
        let noted = app.db.write(move |conn| {
            let held = store::renew(conn, claim)?;
            if held {
                store::note(conn, &tried, alone)?;
            }
            Ok(held)
        });
        match (noted.await, pauses.next()) {
            (Err(error), Some(pause)) if !matches!(error, Error::Closed) => sleep(*pause).await,
            (noted, _) => return noted,
        }
    }
}

fn after(one: Delivery, outcome: Outcome, at: Time) -> (Delivery, &'static str) {
    match (outcome.error, outcome.status) {
        (None, Some(status)) => (one.taken(status, at), "delivered"),
        (error, status) => {
            let failed = one.failed(status, error.unwrap_or(DeliveryError::BadAnswer), at, fastrand::f64());
            let word = if failed.state == DeliveryState::Parked { "parked" } else { "failed" };
            (failed, word)
        }
    }
}
