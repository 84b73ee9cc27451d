//! The service over HTTP, on both engines: every test is a story that runs once on each.
mod store;
mod support;
mod walk;
