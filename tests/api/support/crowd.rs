//! Many at once.
use super::Reply;
use std::{collections::BTreeMap, sync::Barrier};

/// Runs each of these at the same moment, in its own thread.
pub fn at_once<T: Send>(jobs: Vec<Box<dyn FnOnce() -> T + Send + '_>>) -> Vec<T> {
    let start = Barrier::new(jobs.len());
    std::thread::scope(|scope| {
        let start = &start;
        let threads: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                scope.spawn(move || {
                    start.wait();
                    job()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The same request, sent by this many at the same moment.
pub fn sent_by<'a>(many: usize, request: impl Fn(usize) -> Reply + Send + Sync + 'a) -> Vec<Reply> {
    let request = &request;
    at_once((0..many).map(|n| Box::new(move || request(n)) as Box<dyn FnOnce() -> Reply + Send>).collect())
}

/// How many answers there were of each status and code.
pub fn tally(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        let code = reply.body["code"].as_str().filter(|_| reply.status >= 400).unwrap_or_default();
        *tally.entry((reply.status, code.to_owned())).or_default() += 1;
    }
    tally
}
pub fn tallied<const N: usize>(expected: [(u16, &str, usize); N]) -> BTreeMap<(u16, String), usize> {
    expected.into_iter().map(|(status, code, n)| ((status, code.to_owned()), n)).collect()
}

pub fn statuses(replies: &[Reply]) -> Vec<u16> {
    let mut statuses: Vec<_> = replies.iter().map(|r| r.status).collect();
    statuses.sort_unstable();
    statuses
}
