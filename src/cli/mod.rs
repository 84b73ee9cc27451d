//! The commands of `benchside`, one file each.
pub mod import;
