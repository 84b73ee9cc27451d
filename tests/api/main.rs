//! The service over HTTP, on both engines: every test is a story that runs once on each.
mod faults;
mod openapi;
mod support;
mod visibility;
mod walk;
