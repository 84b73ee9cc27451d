//! Who asks, and what they may.
pub mod extract;
pub mod policy;
