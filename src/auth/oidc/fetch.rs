//! Requests to providers: over TLS with the roots of the machine, bounded in time and size, following no redirect. They
//! block, so they run on threads for that.
use oauth2::{HttpRequest, HttpResponse, http::Request, http::header};
use rustls::crypto::aws_lc_rs;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use ureq::{
    Agent,
    config::ConfigBuilder,
    tls::{RootCerts, TlsConfig},
    typestate::AgentScope,
};

/// A request that is not answered in full within this time has failed.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
pub const LARGEST_ANSWER: u64 = 512 * 1024;

/// Why a provider gave no answer to use. For the log: a caller is never told.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, an unfinished one, or one that is too large.
    #[error("no answer: {0}")]
    Transport(Box<ureq::Error>),
    /// An answer that is not 200.
    #[error("status {0}")]
    Status(u16),
    /// An answer that cannot be read.
    #[error("an answer that cannot be read: {0}")]
    Malformed(String),
}
impl From<ureq::Error> for FetchError {
    fn from(e: ureq::Error) -> Self {
        Self::Transport(Box::new(e))
    }
}

/// A document, and for how many seconds it may be kept, if that was said.
#[derive(Debug)]
pub struct Fetched<T> {
    /// What it says.
    pub document: T,
    /// `max-age` of its `Cache-Control`; 0 where it says not to keep it.
    pub max_age: Option<i64>,
}

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher(Agent);

impl Default for Fetcher {
    fn default() -> Self {
        Self(guarded(PATIENCE).build().into())
    }
}

/// How requests to others are sent: over TLS with the roots of the machine, within this time, following no redirect.
pub fn guarded(patience: Duration) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(patience))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("benchside/", env!("CARGO_PKG_VERSION")))
}

impl Fetcher {
    /// Sends a request and reads its answer: what was asked for, or what is wrong with the asking.
    ///
    /// # Errors
    /// When there is no whole answer in time and within [`LARGEST_ANSWER`], or one that says the provider has failed.
    pub fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let (parts, body) = self.0.run(request)?.into_parts();
        if parts.status.is_server_error() {
            return Err(FetchError::Status(parts.status.as_u16()));
        }
        let bytes = body.into_with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(HttpResponse::from_parts(parts, bytes))
    }

    /// Fetches a JSON document; `token` is sent as a Bearer token.
    ///
    /// # Errors
    /// As [`Fetcher::send`], and for an answer that is not 200 or not such a document.
    pub fn get<T: DeserializeOwned>(&self, url: &str, token: Option<&str>) -> Result<Fetched<T>, FetchError> {
        let mut request = Request::get(url).header(header::ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Vec::new()).map_err(|e| FetchError::Malformed(e.to_string()))?;
        let answer = self.send(request)?;
        if answer.status() != 200 {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let control = answer.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let max_age = control.and_then(max_age);
        let document = serde_json::from_slice(answer.body()).map_err(|e| FetchError::Malformed(e.to_string()))?;
        Ok(Fetched { document, max_age })
    }
}

/// How long an answer may be kept (RFC 9111, 5.2.2).
fn max_age(control: &str) -> Option<i64> {
    let directives: Vec<_> = control.split(',').map(|d| d.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|d| d == "no-store" || d == "no-cache") {
        return Some(0);
    }
    directives.iter().find_map(|d| d.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_how_long_they_may_be_kept() {
        for (control, expected) in [
            ("max-age=600", Some(600)),
            ("public, Max-Age=\"60\", must-revalidate", Some(60)),
            ("no-store, max-age=600", Some(0)),
            ("no-cache", Some(0)),
            ("public", None),
            ("max-age=soon", None),
        ] {
            assert_eq!(max_age(control), expected, "{control}");
        }
    }
}
