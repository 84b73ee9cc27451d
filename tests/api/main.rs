//! The service over HTTP, on both engines: every test is a story that runs once on each.
#![expect(clippy::unwrap_used, reason = "a test may")]
mod concurrency;
mod demo;
mod store;
mod support;
mod walk;
