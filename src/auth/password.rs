//! Passwords: Argon2id (RFC 9106) in PHC strings, worked off the request threads a few at a time.
//!
//! Hashing is meant to be costly, so it is also the cheapest way to exhaust the service: at most so many run at once, at most
//! so many wait, none of them for long, and whoever comes on top of that is told so at once. An unknown person costs the same as a known one.
mod secret;

pub use secret::{LONGEST_PASSWORD, SHORTEST_PASSWORD, Secret, check_policy};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, Salt},
    },
};
use async_channel::{Receiver, Sender};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

/// How many may wait for each one that is being worked on; at some 30 ms each, the last of them waits a second.
pub const WAITING_PER_WORKER: usize = 32;
/// How long one may wait, on a machine that is slower than that or has other work too.
const PATIENCE: Duration = Duration::from_millis(900);

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting already; a moment later there is room again.
    #[error("too many passwords are waiting to be checked")]
    Overloaded,
    /// Parameters outside what Argon2 allows.
    #[error("these Argon2 parameters are not possible: {0}")]
    Cost(argon2::Error),
    /// The hash could not be computed: no memory or no randomness.
    #[error("a password could not be hashed: {0}")]
    Hash(password_hash::Error),
    /// The system gives no thread to work on.
    #[error("there is no thread for password work: {0}")]
    NoThread(io::Error),
    /// The work was abandoned: it panicked.
    #[error("password work was abandoned")]
    Abandoned,
}

/// What one hash costs. The version is always 0x13, the output always 32 bytes.
#[derive(Debug, Clone)]
pub struct Cost(Params);

impl Cost {
    /// 19 456 KiB (19 MiB), two passes, one lane: the least OWASP recommends for Argon2id.
    pub const STANDARD: Self = Self(Params::DEFAULT);

    /// Other parameters: `memory` in KiB (at least 8 for each lane), `passes` and `lanes` at least one.
    ///
    /// # Errors
    /// [`PasswordError::Cost`] when Argon2 does not allow them.
    pub fn new(memory: u32, passes: u32, lanes: u32) -> Result<Self, PasswordError> {
        Params::new(memory, passes, lanes, None).map(Self).map_err(PasswordError::Cost)
    }
}

/// Hashes and compares passwords. Cheap to share behind an `Arc`; one for the whole process, since its bounds are its own.
#[derive(Debug)]
pub struct Passwords {
    argon2: Argon2<'static>,
    decoy: Arc<str>,
    /// Everyone inside, working or waiting.
    room: Arc<Semaphore>,
    /// Those working.
    workers: Arc<Semaphore>,
    /// How many may work at once.
    most: usize,
    /// How many threads were begun.
    threads: AtomicUsize,
    /// What they take their work from.
    work: (Sender<Job>, Receiver<Job>),
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// What Argon2 works in. A thread asks for it once: an allocator may not find again what was given back, so much at once and
/// aligned, and ask the system for more.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    fn blocks(&mut self, count: usize) -> Result<&mut [Block], argon2::Error> {
        self.0.try_reserve_exact(count.saturating_sub(self.0.len())).map_err(|_| argon2::Error::OutOfMemory)?;
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        self.0.get_mut(..count).ok_or(argon2::Error::OutOfMemory)
    }
}

impl Passwords {
    /// At the [standard cost](Cost::STANDARD), `concurrency` at a time (at least one), each in 19 MiB of its own,
    /// with [`WAITING_PER_WORKER`] waiting for each.
    pub fn new(concurrency: usize) -> Self {
        Self::with_cost(concurrency, Cost::STANDARD)
    }

    /// As [`Passwords::new`], at another cost.
    pub fn with_cost(concurrency: usize, Cost(params): Cost) -> Self {
        let workers = concurrency.clamp(1, 1024);
        Self {
            decoy: decoy(&params),
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            room: Arc::new(Semaphore::new(workers * (1 + WAITING_PER_WORKER))),
            workers: Arc::new(Semaphore::new(workers)),
            most: workers,
            threads: AtomicUsize::new(0),
            work: async_channel::unbounded(),
        }
    }

    /// A PHC string with a random salt of 16 bytes. Does not apply [`check_policy`].
    ///
    /// # Errors
    /// [`PasswordError::Overloaded`] when too many wait; otherwise the system lacks memory, randomness or threads.
    pub async fn hash(&self, password: &Secret) -> Result<String, PasswordError> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let hashed = self.work(move |memory| hash(&argon2, &password, memory)).await?;
        hashed.map(|hash| hash.to_string()).map_err(PasswordError::Hash)
    }

    /// Whether `password` belongs to `stored`, a PHC string; `None`, for a person who is unknown or has no password, takes
    /// the same time and is always false. So is a string that cannot be read, which is also logged.
    ///
    /// A hash made at another cost is compared at *its* cost; see [`Passwords::needs_rehash`].
    ///
    /// # Errors
    /// [`PasswordError::Overloaded`] when too many wait; [`PasswordError::NoThread`] when the system lacks threads.
    pub async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<bool, PasswordError> {
        let (password, decoy) = (password.clone(), self.decoy.clone());
        let stored = stored.map(str::to_owned);
        self.work(move |memory| verify(&password, stored.as_deref(), &decoy, memory)).await
    }

    /// As [`Passwords::hash`], on this very thread and without waiting: for the command line.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] when the system lacks memory or randomness.
    pub fn hash_blocking(&self, password: &Secret) -> Result<String, PasswordError> {
        let hashed = hash(&self.argon2, password, &mut Memory::default());
        hashed.map(|hash| hash.to_string()).map_err(PasswordError::Hash)
    }

    /// Whether `stored` was made at another cost, version or variant than today's, so that the next good sign-in, which
    /// knows the password, should replace it.
    pub fn needs_rehash(&self, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else { return true };
        let today = self.argon2.params();
        let same_cost = Params::try_from(&hash).is_ok_and(|made| {
            (made.m_cost(), made.t_cost(), made.p_cost()) == (today.m_cost(), today.t_cost(), today.p_cost())
                && made.output_len() == Some(Params::DEFAULT_OUTPUT_LEN)
        });
        !(same_cost && hash.algorithm == ARGON2ID_IDENT && hash.version == Some(Version::V0x13.into()))
    }

    /// The permits go along with the work: a caller who hangs up stops waiting, but what runs on still counts.
    /// It is done on as many threads as may work at once, always the same, each with memory of its own.
    async fn work<T, F>(&self, job: F) -> Result<T, PasswordError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Memory) -> T + Send + 'static,
    {
        let place = self.room.clone().try_acquire_owned().map_err(|_| PasswordError::Overloaded)?;
        let worker = timeout(PATIENCE, self.workers.clone().acquire_owned()).await;
        let worker = worker.ok().and_then(Result::ok).ok_or(PasswordError::Overloaded)?;
        let held = (place, worker);
        let (answer, answered) = oneshot::channel();
        let work = move |memory: &mut Memory| {
            let done = job(memory);
            drop(held);
            let _ = answer.send(done); // the caller may have gone
        };
        self.begin_thread()?;
        self.work.0.send(Box::new(work)).await.map_err(|_| PasswordError::Abandoned)?;
        answered.await.map_err(|_| PasswordError::Abandoned)
    }

    /// One more, unless there are as many as may work. They end with this.
    fn begin_thread(&self) -> Result<(), PasswordError> {
        let one_more = |threads| (threads < self.most).then_some(threads + 1);
        if self.threads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Ok(());
        }
        let work = self.work.1.clone();
        let until_the_end = move || {
            let mut memory = Memory::default();
            while let Ok(job) = work.recv_blocking() {
                // What it was to answer is told to be abandoned; the thread goes on.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
            }
        };
        let begun = thread::Builder::new().name("password".into()).spawn(until_the_end);
        begun.map(drop).map_err(|e| {
            self.threads.fetch_sub(1, Ordering::Relaxed);
            PasswordError::NoThread(e)
        })
    }
}

/// A well-formed hash that costs what a real one does. Whatever comparing with it says is not believed, so it need be
/// neither random nor the hash of anything.
fn decoy(params: &Params) -> Arc<str> {
    let (salt, output) = (STANDARD_NO_PAD.encode([0; 16]), STANDARD_NO_PAD.encode([0; Params::DEFAULT_OUTPUT_LEN]));
    let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
    format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${output}").into()
}

fn hash(argon2: &Argon2<'_>, password: &Secret, memory: &mut Memory) -> password_hash::Result<PasswordHash> {
    let salt = Salt::new(&password_hash::try_generate_salt()?)?;
    Ok(PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        hash: Some(output(argon2, password, &salt, memory)?),
        salt: Some(salt),
    })
}

fn verify(password: &Secret, stored: Option<&str>, decoy: &str, memory: &mut Memory) -> bool {
    match stored.map(|text| compare(password, text, memory)) {
        Some(Ok(matches)) => return matches,
        Some(Err(error)) => tracing::error!(%error, "a stored password hash cannot be used"),
        None => {}
    }
    // For its cost alone: nobody may tell from the time that there was nothing to compare with.
    let _ = compare(password, decoy, memory);
    false
}

/// As the hash says that it was made. Outputs are compared in constant time.
fn compare(password: &Secret, stored: &str, memory: &mut Memory) -> password_hash::Result<bool> {
    let hash = PasswordHash::new(stored)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(password_hash::Error::EncodingInvalid);
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash)?);
    Ok(output(&argon2, password, salt, memory)? == *expected)
}

fn output(argon2: &Argon2<'_>, password: &Secret, salt: &[u8], memory: &mut Memory) -> password_hash::Result<Output> {
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let mut buffer = [0; Output::MAX_LENGTH];
    let out = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    let blocks = memory.blocks(argon2.params().block_count())?;
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, blocks)?;
    Output::new(out).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::with_cost(2, Cost::new(8, 1, 1).unwrap())
    }
    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_belongs_to_its_hash_and_to_no_other() {
        let passwords = cheap();
        let password = secret("correct horse battery");
        let hash = passwords.hash(&password).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert_ne!(hash, passwords.hash_blocking(&password).unwrap(), "salted");
        assert!(passwords.verify(&password, Some(&hash)).await.unwrap());
        for wrong in ["correct horse batter", "correct horse battery ", "", "Correct horse battery"] {
            assert!(!passwords.verify(&secret(wrong), Some(&hash)).await.unwrap());
        }
        assert!(!passwords.verify(&password, None).await.unwrap());
    }

    #[test]
    fn what_the_memory_held_before_makes_no_difference() {
        let mut used = Memory::default();
        let (password, larger) = (secret("correct horse battery"), Cost::new(64, 2, 2).unwrap());
        for Cost(params) in [Cost::new(8, 1, 1).unwrap(), larger, Cost::new(16, 3, 1).unwrap()] {
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let outputs = [&mut used, &mut Memory::default()].map(|m| output(&argon2, &password, &[7; 16], m).unwrap());
            assert_eq!(outputs[0], outputs[1]);
        }
        assert_eq!(used.0.len(), 64, "in blocks of 1 KiB, the most that was needed");
    }

    /// RFC 9106 has no vector without secret and associated data: this one is of the reference implementation's `test.c`.
    #[test]
    fn a_hash_of_the_reference_implementation_is_known() {
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let compared = |text: &str| compare(&secret(text), stored, &mut Memory::default());
        assert_eq!((compared("password"), compared("passwore")), (Ok(true), Ok(false)));
    }

    #[tokio::test]
    async fn work_that_panics_is_abandoned_and_the_thread_goes_on() {
        let passwords = Passwords::with_cost(1, Cost::new(8, 1, 1).unwrap());
        let abandoned = passwords.work(|_| -> () { panic!("on purpose") }).await;
        assert!(matches!(abandoned, Err(PasswordError::Abandoned)));
        let hash = passwords.hash(&secret("correct horse battery")).await.unwrap();
        assert!(passwords.verify(&secret("correct horse battery"), Some(&hash)).await.unwrap());
        assert_eq!(passwords.threads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn damaged_hashes_match_nothing() {
        let passwords = cheap();
        let good = passwords.hash_blocking(&secret("correct horse battery")).unwrap();
        let (without_output, _) = good.rsplit_once('$').unwrap();
        for damaged in ["", "hello", &good[1..], &good[..good.len() - 2], without_output, "$argon2id$v=19$m=8,t=1,p=1"]
        {
            assert!(!passwords.verify(&secret("correct horse battery"), Some(damaged)).await.unwrap(), "{damaged}");
        }
        for damaged in ["", "hello", without_output] {
            assert!(compare(&secret("x"), damaged, &mut Memory::default()).is_err() && passwords.needs_rehash(damaged));
        }
    }

    #[test]
    fn the_decoy_costs_what_a_real_hash_costs() {
        for passwords in [Passwords::new(1), cheap()] {
            assert!(!passwords.needs_rehash(&passwords.decoy));
            let compared = compare(&secret("x"), &passwords.decoy, &mut Memory::default());
            assert_eq!(compared, Ok(false), "hashed in full, then found different");
        }
    }

    #[test]
    fn the_standard_cost_is_the_documented_one() {
        let hash = Passwords::new(1).hash_blocking(&secret("correct horse battery")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(matches!(Cost::new(7, 1, 1), Err(PasswordError::Cost(_))));
        assert!(matches!(Cost::new(8, 0, 1), Err(PasswordError::Cost(_))));
    }

    #[test]
    fn hashes_of_another_kind_want_replacing() {
        let passwords = cheap();
        let today = passwords.hash_blocking(&secret("correct horse battery")).unwrap();
        assert!(!passwords.needs_rehash(&today));
        assert!(Passwords::new(1).needs_rehash(&today));
        for older in [("argon2id", "argon2i"), ("v=19", "v=16"), ("m=8", "m=16"), ("t=1", "t=2")] {
            assert!(passwords.needs_rehash(&today.replacen(older.0, older.1, 1)), "{older:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn so_many_work_so_many_wait_and_the_next_is_told() {
        let passwords = Arc::new(cheap());
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let room = 2 * (1 + WAITING_PER_WORKER);
        let jobs: Vec<_> = (0..room)
            .map(|_| {
                let (passwords, gate) = (passwords.clone(), gate.clone());
                tokio::spawn(async move { passwords.work(move |_| gate.lock().unwrap().recv().unwrap()).await })
            })
            .collect();
        while passwords.room.available_permits() > 0 || passwords.workers.available_permits() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let refused = passwords.verify(&secret("x"), None).await;
        assert!(matches!(refused, Err(PasswordError::Overloaded)));
        for _ in 0..room {
            release.send(()).unwrap();
        }
        for job in jobs {
            job.await.unwrap().unwrap();
        }
        assert!(!passwords.verify(&secret("x"), None).await.unwrap());
        assert_eq!((passwords.room.available_permits(), passwords.workers.available_permits()), (room, 2));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_whose_caller_hung_up_still_counts() {
        let passwords = Arc::new(cheap());
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let caller = tokio::spawn({
            let passwords = passwords.clone();
            async move { passwords.work(move |_| gate.recv()).await }
        });
        while passwords.workers.available_permits() == 2 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(passwords.workers.available_permits(), 1);
        release.send(()).unwrap();
        while passwords.workers.available_permits() < 2 {
            tokio::task::yield_now().await;
        }
    }
}
