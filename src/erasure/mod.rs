//! Lawful erasure: salt and payload of events are destroyed, and the log stays whole and provable. What was erased shows as a
//! gap, with an event of its own that says which versions and why. Only an operator can erase, from the command line.
//!
//! Versions that were signed are kept (21 CFR 11.10(e)), and so is the printed name under a signature.
pub mod change;
pub mod store;
