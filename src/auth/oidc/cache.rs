//! One document of a provider, kept: fetched by one caller at a time, at most once in [`COOL_DOWN_SECONDS`], and used on
//! for a while when it cannot be fetched anew (stale-if-error, RFC 5861).
use super::fetch::{FetchError, Fetched};
use crate::db::columns::Time;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::{sync::Mutex, task};

/// The least time between two fetches of a document, whatever is asked for and however the first one ended.
pub const COOL_DOWN_SECONDS: i64 = 30;
/// How long a document counts as fresh where its answer does not say; and the bounds of what an answer may say.
const FRESH_SECONDS: i64 = 3600;
const LEAST_FRESH_SECONDS: i64 = 60;
const MOST_FRESH_SECONDS: i64 = 86_400;
/// How long after that it is still used when it cannot be fetched.
pub const STALE_SECONDS: i64 = 86_400;

struct Held<T> {
    document: Arc<T>,
    fresh_until: Time,
    usable_until: Time,
}

/// A kept document.
pub struct Cache<T> {
    what: String,
    held: RwLock<Option<Held<T>>>,
    /// When a fetch was last begun; whoever fetches holds it.
    tried: Arc<Mutex<Option<Time>>>,
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// Empty; `what` is its name in the log.
    pub fn new(what: String) -> Self {
        Self { what, held: RwLock::default(), tried: Arc::default() }
    }

    /// The document, fetched first where it is not there, not fresh, or not `enough`. `None` when there is none to use.
    ///
    /// A fetch goes on when its caller goes away, so that nobody can keep a document from coming by hanging up.
    pub async fn get<F>(self: &Arc<Self>, now: Time, enough: impl Fn(&T) -> bool, fetch: F) -> Option<Arc<T>>
    where
        F: FnOnce() -> Result<Fetched<T>, FetchError> + Send + 'static,
    {
        let good = |held: &Held<T>| now < held.usable_until && enough(&held.document);
        let fresh = |held: &Held<T>| good(held) && now < held.fresh_until;
        if let Some(document) = self.held_if(fresh) {
            return Some(document);
        }
        let mut tried = match (self.tried.clone().try_lock_owned(), self.held_if(good)) {
            (Ok(tried), _) => tried,
            (Err(_), Some(stale)) => return Some(stale),
            (Err(_), None) => self.tried.clone().lock_owned().await,
        };
        if let Some(document) = self.held_if(fresh) {
            return Some(document);
        }
        if tried.is_none_or(|at| now >= at.plus_seconds(COOL_DOWN_SECONDS)) {
            *tried = Some(now);
            let cache = self.clone();
            let fetched = task::spawn_blocking(move || {
                cache.take(fetch(), now);
                drop(tried);
            });
            if let Err(e) = fetched.await {
                tracing::error!(error = %e, what = self.what, "a fetch from a provider was abandoned");
            }
        }
        self.held_if(|held| now < held.usable_until)
    }

    fn held_if(&self, wanted: impl Fn(&Held<T>) -> bool) -> Option<Arc<T>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| wanted(held)).map(|held| held.document.clone())
    }

    fn take(&self, fetched: Result<Fetched<T>, FetchError>, now: Time) {
        match fetched {
            Ok(Fetched { document, max_age }) => {
                let fresh = max_age.unwrap_or(FRESH_SECONDS).clamp(LEAST_FRESH_SECONDS, MOST_FRESH_SECONDS);
                let fresh_until = now.plus_seconds(fresh);
                let usable_until = fresh_until.plus_seconds(STALE_SECONDS);
                let held = Held { document: Arc::new(document), fresh_until, usable_until };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
            }
            Err(e) => tracing::warn!(error = %e, what = self.what, "a provider gave no document"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Source {
        cache: Arc<Cache<u32>>,
        fetches: Arc<AtomicUsize>,
        begun: Time,
    }

    impl Source {
        fn new() -> Self {
            let begun = Time::parse("2026-03-01T00:00:00Z").unwrap();
            Self { cache: Arc::new(Cache::new("a test".into())), fetches: Arc::default(), begun }
        }
        /// Asks after so many seconds, of a source that has `answer`.
        async fn ask(&self, seconds: i64, least: u32, answer: Option<u32>) -> Option<u32> {
            let fetches = self.fetches.clone();
            let fetch = move || {
                fetches.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(20));
                let document = answer.ok_or(FetchError::Status(503))?;
                Ok(Fetched { document, max_age: Some(600) })
            };
            let got = self.cache.get(self.begun.plus_seconds(seconds), move |d| *d >= least, fetch).await;
            got.map(|document| *document)
        }
        fn fetches(&self) -> usize {
            self.fetches.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_document_is_kept_while_fresh_and_used_stale_while_the_source_fails() {
        let source = Source::new();
        assert_eq!(source.ask(0, 0, Some(1)).await, Some(1));
        assert_eq!(source.ask(599, 0, Some(2)).await, Some(1));
        assert_eq!(source.fetches(), 1);
        assert_eq!(source.ask(600, 0, None).await, Some(1), "stale, since the source fails");
        assert_eq!(source.ask(620, 0, Some(2)).await, Some(1), "the source is left alone for a while");
        assert_eq!(source.ask(630, 0, Some(2)).await, Some(2));
        assert_eq!(source.ask(630 + 600 + STALE_SECONDS, 0, None).await, None, "not for ever");
        assert_eq!(source.fetches(), 4);
    }

    #[tokio::test]
    async fn a_flood_of_wishes_costs_one_fetch_in_thirty_seconds() {
        let source = Source::new();
        source.ask(0, 0, Some(1)).await;
        for second in 0..60 {
            let asked = (0..50).map(|_| source.ask(second, 9, Some(1)));
            let got = futures_util::future::join_all(asked).await;
            assert!(got.iter().all(|document| *document == Some(1)));
        }
        assert_eq!(source.fetches(), 2, "at the beginning, and after thirty seconds");
        assert_eq!(source.ask(60, 9, Some(9)).await, Some(9), "what is wanted comes when it is there");
    }

    #[tokio::test]
    async fn a_fetch_outlives_its_caller() {
        let source = Source::new();
        let hung_up = tokio::time::timeout(std::time::Duration::from_millis(1), source.ask(0, 0, Some(1))).await;
        assert!(hung_up.is_err());
        assert_eq!(source.ask(1, 0, None).await, Some(1));
        assert_eq!(source.fetches(), 1);
    }
}
