//! The service over HTTP, on both engines: every test is a story that runs once on each.
mod support;
mod walk;
