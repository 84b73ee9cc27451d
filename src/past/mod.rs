//! Records as they were: the log as far as it was signed by a moment, read back from the payloads of its events.
//!
//! What somebody may see is decided by who they are and what the record is now; partners and drafts besides by the version
//! itself, as in its history. Names of neighbours are today's. Pure; the queries are in [`store`].
pub mod store;

use crate::{db::columns::Time, ledger::Stored};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The log as far as it was signed by a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// The moment that was asked about.
    pub moment: Time,
    /// The generation of the last checkpoint signed at or before it.
    pub generation: i64,
    /// How many leaves that checkpoint covers; 0 before the first.
    pub size: u64,
}

/// A record in the version it had.
#[derive(Debug, Clone, PartialEq)]
pub enum Version {
    /// Its content.
    Was(Map<String, Value>),
    /// Its content was erased since.
    Erased(i64),
}

/// A record whose versions can be read back.
pub trait Recorded: Stored + DeserializeOwned {}
impl<R: Stored + DeserializeOwned> Recorded for R {}

/// An answer that can say as of when it is, and leaves out what is only known of today.
pub trait ShownThen {
    /// It is what was.
    fn was(&mut self, as_of: &AsOf);
}

/// What a list as of a past moment may be narrowed by, asked of the records as they were.
pub trait Narrows<R>: Clone {
    /// As much of it as never changes of a record, and so narrows the records of today too.
    fn lasting(&self) -> Self;
    /// Whether a record, as it was, is asked for.
    fn admits(&self, record: &R) -> bool;
}

/// Whether nothing is asked for, or this is among it.
pub fn among<T: PartialEq>(asked: &[T], value: &T) -> bool {
    asked.is_empty() || asked.contains(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        discovery::Discovery, finding::Finding, insight::Insight, organization::Organization, pairing::Pairing,
        person::Person, transfer::Transfer, trial::Trial,
    };
    use serde_json::json;

    fn reads<R: Recorded>(golden: &Map<String, Value>) {
        let mut written = golden[R::KIND.as_str()].as_object().unwrap().clone();
        let was: R =
            serde_json::from_value(Value::Object(written.clone())).unwrap_or_else(|e| panic!("{}: {e}", R::KIND));
        let again = json!(was);
        written.remove("code"); // made from the number, which payloads leave out
        for (field, value) in written {
            let canonical = |value: &Value| crate::ledger::event::canonical(value).unwrap();
            assert_eq!(canonical(&again[&field]), canonical(&value), "{} of a {}", field, R::KIND);
        }
        assert_eq!(was.version(), golden[R::KIND.as_str()]["version"].as_i64().unwrap());
    }

    /// Payloads stand in the log for good, and so must their reader: this is how they were first written, every field set.
    /// Never change what stands there; a later field needs a default.
    #[test]
    fn what_was_written_first_is_still_read() {
        let golden: Map<String, Value> = serde_json::from_str(include_str!("golden.json")).unwrap();
        reads::<Discovery>(&golden);
        reads::<Finding>(&golden);
        reads::<Insight>(&golden);
        reads::<Organization>(&golden);
        reads::<Pairing>(&golden);
        reads::<Person>(&golden);
        reads::<Transfer>(&golden);
        reads::<Trial>(&golden);
        assert_eq!(golden.len(), 8);
    }
}
