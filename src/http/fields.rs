//! `fields`: an answer with only the members it names.
use super::params::Params;
use crate::{Error, Result, fault::Faults};
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
        let RefOr::T(Schema::Object(record)) = V::schema() else {
            return Err(Error::Internal("a record is an object".into()));
        };
        let mut faults = Faults::default();
        let mut met = BTreeSet::new();
        for field in self.0.iter().flatten() {
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
    pub fn trim(&self, mut record: Value) -> Value {
        if let (Some(fields), Some(members)) = (&self.0, record.as_object_mut()) {
            members.retain(|name, _| fields.contains(name));
        }
        record
    }
}
