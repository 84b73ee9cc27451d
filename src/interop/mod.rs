//! The formats of the outside world, read into the types of the domain.
//!
//! Pure: what to do with a record that was read is decided by the slice that owns it.
pub mod ctgov;
