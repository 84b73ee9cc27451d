//! The service over HTTP, on both engines: every test is a story that runs once on each. Beside them: the lifecycle
//! engine against the domain document, the rules of the house, and the documents.
#![expect(clippy::unwrap_used, reason = "a test may")]
mod accept;
mod architecture;
mod browser;
mod bulk;
mod concurrency;
mod demo;
mod docs;
mod erasure;
mod faults;
mod found;
mod history;
mod hostile;
mod housekeeping;
mod idempotency;
mod invitations;
mod ledger;
mod lifecycle;
mod matrix;
mod notifications;
mod oidc;
mod openapi;
mod past;
mod plans;
mod pressure;
mod recall;
mod rotation;
mod sessions;
mod store;
mod support;
mod tokens;
mod visibility;
mod walk;
mod webhook;
mod work;
