//! The value objects that several kinds of record hold, read from requests with every fault at once.
//!
//! Two doors: `Deserr` reads what a person sends and checks every rule; `serde` reads back what was stored after that.
//! What belongs to one kind of record only lives with it. Pure: no HTTP, no storage.
mod condition;
mod effect;
mod members;
mod reference;
mod text;
mod trial;

pub use condition::{Condition, term_of, terms_of};
pub use effect::{Effect, PValue};
pub use reference::Reference;
pub use text::{fold, search_text};
pub use trial::{Enrollment, Intervention, Sponsor, TrialDate};

#[cfg(test)]
pub(crate) mod testing {
    use crate::fault::{Faults, read};
    use deserr::Deserr;

    /// The pointers and codes of the faults of `body`, sorted.
    pub(crate) fn faults_of<T: Deserr<Faults> + std::fmt::Debug>(
        body: serde_json::Value,
    ) -> Vec<(String, &'static str)> {
        let Faults(faults) = read::<T>(body).unwrap_err();
        let mut found: Vec<_> = faults.into_iter().map(|f| (f.pointer.unwrap_or_default(), f.code)).collect();
        found.sort();
        found
    }

    /// The same, as a table in a test is written.
    pub(crate) fn table(rows: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        rows.iter().map(|(pointer, code)| ((*pointer).to_owned(), *code)).collect()
    }
}
