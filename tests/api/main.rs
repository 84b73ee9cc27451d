//! The service over HTTP, on both engines: every test is a story that runs once on each. Beside them: the lifecycle
//! engine against the domain document, the rules of the house, and the documents.
mod architecture;
mod docs;
mod lifecycle;
mod support;
mod walk;
