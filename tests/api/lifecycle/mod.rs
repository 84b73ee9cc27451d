//! The lifecycle engine against the domain document: a table typed from it by hand, and properties of documents
//! nobody wrote.
mod gates;
mod generated;
mod scene;
mod table;
