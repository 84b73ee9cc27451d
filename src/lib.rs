//! Benchside tracks translational research from the laboratory bench to the bedside and back again.
pub mod fault;
pub mod identifier;
pub mod interop;
pub mod value;
pub mod vocabulary;
