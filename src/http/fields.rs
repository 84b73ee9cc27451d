//! `fields`: an answer with only the members it names.
use super::params::Params;
use crate::{Error, Result, fault::Faults};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::{
    PartialSchema,
    openapi::{RefOr, schema::Schema},
};

/// The most characters `fields` may have: room for every member of any record.
const LONGEST: usize = 2000;

/// The members that are asked for; all of them where the parameter is absent.
#[derive(Debug, Clone)]
pub struct Fields(Option<Vec<String>>);

/// What is shown of a record.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Shown<'a, V> {
    /// All of it.
    Whole(&'a V),
    /// Some members.
    Part(Value),
}

impl Fields {
    /// Reads the parameter.
    pub fn read(params: &mut Params) -> Self {
        Self(params.text("fields", LONGEST).map(|text| text.split(',').map(str::to_owned).collect()))
    }

    /// Whether each is a member of `V`, named once. This is known from the type: an empty list knows it too.
    ///
    /// # Errors
    /// 422.
    pub fn check<V: PartialSchema>(&self) -> Result<()> {
        // The schema is made anew each time it is asked for, which costs more than the answer.
        let Some(fields) = &self.0 else { return Ok(()) };
        let RefOr::T(Schema::Object(record)) = V::schema() else {
            return Err(Error::Internal("a record is an object".into()));
        };
        let mut faults = Faults::default();
        let mut met = BTreeSet::new();
        for field in fields {
            let shown: String = field.chars().take(60).collect();
            if !record.properties.contains_key(field) {
                faults.push_parameter("fields", "unknown_value", format!("`{shown}` is no member of the record"));
            } else if !met.insert(field) {
                faults.push_parameter("fields", "repeated", format!("`{shown}` stands twice"));
            }
        }
        Ok(faults.into_result()?)
    }

    /// A record with only those members.
    ///
    /// # Errors
    /// For what JSON cannot hold.
    pub fn of<'a, V: Serialize>(&self, record: &'a V) -> Result<Shown<'a, V>> {
        let Some(fields) = &self.0 else { return Ok(Shown::Whole(record)) };
        let mut record = serde_json::to_value(record).map_err(|e| Error::Internal(e.to_string()))?;
        if let Some(members) = record.as_object_mut() {
            members.retain(|name, _| fields.contains(name));
        }
        Ok(Shown::Part(record))
    }
}
