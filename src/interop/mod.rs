//! The formats of the outside world, read into the types of the domain.
//!
//! Reading is pure ([`ctgov`]); what to do with a record that was read is the use case in [`import`].
pub mod ctgov;
pub mod import;
pub mod store;
