//! The service over HTTP, on both engines: every test is a story that runs once on each.
mod concurrency;
mod store;
mod support;
mod walk;
