//! Benchside tracks translational research from the laboratory bench to the bedside and back again.
pub mod fault;
pub mod lifecycle;
pub mod vocabulary;
