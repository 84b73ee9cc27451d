//! Sends a delivery: over a connection to an address that was checked, following no redirect, through no proxy, within ten
//! seconds, reading nothing of what is answered but its status. It blocks, so it runs on threads of its own.
use super::{delivery::DeliveryError, reach::Reach};
use crate::auth::oidc::fetch;
use std::{io::ErrorKind, time::Duration};
use ureq::{
    Agent, Error,
    config::Config,
    http::{Request, Uri},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// How long a receiver may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Where to.
    pub url: String,
    /// `webhook-id`: the event.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// The event, as CloudEvents 1.0 has it in JSON.
    pub body: Vec<u8>,
}

/// What came of it: the status of the answer, and why it is no good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// Why it came to nothing.
    pub error: Option<DeliveryError>,
}

impl Outcome {
    /// No answer.
    pub const fn none(error: DeliveryError) -> Self {
        Self { status: None, error: Some(error) }
    }
    const fn answered(status: u16) -> Self {
        let error = match status {
            200..=299 => None,
            300..=399 => Some(DeliveryError::Redirect),
            _ => Some(DeliveryError::Status),
        };
        Self { status: Some(status), error }
    }
}

/// Looks a name up, and refuses it unless each of its addresses may be reached. What it answers is what is connected to:
/// nobody looks the name up a second time.
#[derive(Debug)]
struct Checked(Reach);

/// Why an address was not connected to.
#[derive(Debug, thiserror::Error)]
#[error("an address that is not reached from here")]
struct Refused;

impl Resolver for Checked {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout).map_err(|e| match e {
            Error::Io(_) => Error::HostNotFound,
            e => e,
        })?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if found.iter().all(|address| self.0.allows(address.ip(), scheme)) {
            Ok(found)
        } else {
            Err(Error::Other(Box::new(Refused)))
        }
    }
}

/// Sends letters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    agent: Agent,
    reach: Reach,
}

impl Sender {
    /// One that reaches so far.
    pub fn new(reach: Reach) -> Self {
        let config =
            fetch::guarded(PATIENCE).proxy(None).max_idle_connections(0).max_idle_connections_per_host(0).build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Checked(reach.clone()));
        Self { agent, reach }
    }

    /// How far it reaches.
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Sends a letter and waits for the head of the answer.
    pub fn send(&self, letter: &Letter) -> Outcome {
        // What was checked is what is asked for: nobody reads the text a second time.
        let Ok(url) = self.reach.target(&letter.url) else { return Outcome::none(DeliveryError::RefusedAddress) };
        let request = Request::post(url.as_str())
            .header("content-type", "application/cloudevents+json; charset=UTF-8")
            .header("accept-encoding", "identity")
            .header("webhook-id", &letter.id)
            .header("webhook-timestamp", letter.timestamp)
            .header("webhook-signature", &letter.signature)
            .body(&letter.body[..]);
        match request.map_err(Error::from).and_then(|request| self.agent.run(request)) {
            Ok(answer) => Outcome::answered(answer.status().as_u16()),
            Err(error) => Outcome::none(reason(&error)),
        }
    }
}

/// A word of ours: what others say of themselves is not repeated.
fn reason(error: &Error) -> DeliveryError {
    match error {
        Error::Other(inner) if inner.is::<Refused>() => DeliveryError::RefusedAddress,
        Error::HostNotFound => DeliveryError::NotResolved,
        Error::Timeout(_) => DeliveryError::Timeout,
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) => DeliveryError::Tls,
        Error::ConnectionFailed => DeliveryError::NotConnected,
        Error::Io(e) => match e.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => DeliveryError::Timeout,
            // How rustls tells of a bad certificate.
            ErrorKind::InvalidData => DeliveryError::Tls,
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                DeliveryError::NotConnected
            }
            _ => DeliveryError::BadAnswer,
        },
        _ => DeliveryError::BadAnswer,
    }
}
