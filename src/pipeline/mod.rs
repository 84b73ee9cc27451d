//! What administrators ask of the whole: pure arithmetic apart from its queries.
pub mod http;
