//! Benchside tracks translational research from the laboratory bench to the bedside and back again.
pub mod app;
pub mod auth;
pub mod cli;
pub mod db;
pub mod discovery;
pub mod error;
pub mod fault;
pub mod finding;
pub mod history;
pub mod http;
pub mod id;
pub mod identifier;
pub mod insight;
pub mod interop;
pub mod ledger;
pub mod lifecycle;
pub mod organization;
pub mod pairing;
pub mod person;
pub mod pipeline;
pub mod signature;
pub mod transfer;
pub mod transition;
pub mod trial;
pub mod value;
pub mod vocabulary;

pub use error::{Error, Result};
