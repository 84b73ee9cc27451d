//! The parts of a trial, in the words and shapes of registries: any type or class may be unknown.
use super::members::Members;
use crate::{
    fault::{Bounded, Faults, Title},
    identifier::PartialDate,
    vocabulary::{Certainty, InterventionType, SponsorClass},
};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A date of a trial, planned or actual.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "date": "2026-03", "type": "ESTIMATED" }))]
pub struct TrialDate {
    /// The day, or only the month; null when there is none.
    #[serde(default)]
    pub date: Option<PartialDate>,
    /// Whether it happened or is planned; null where a registry does not say, and without a date.
    #[serde(default, rename = "type")]
    pub certainty: Option<Certainty>,
}

impl Deserr<Faults> for TrialDate {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let mut members = Members::of(value, location)?;
        let date = members.optional::<Option<PartialDate>>("date");
        let certainty = members.optional("type");
        members.finish()?;
        let date = date.flatten();
        if date.is_none() && certainty.is_some() {
            let message = "is required where a type is given";
            return Err(Faults::at(crate::fault::pointer(location.push_key("date")), "required", message));
        }
        Ok(Self { date, certainty })
    }
}

/// How many participants a trial has or plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "count": 48, "type": "ESTIMATED" }))]
pub struct Enrollment {
    /// From 0 to 100 000 000.
    #[deserr(from(Bounded<0, 100_000_000>) = within)]
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub count: i64,
    /// Whether they were enrolled or are planned; null where a registry does not say.
    #[serde(default, rename = "type")]
    #[deserr(default, rename = "type")]
    pub certainty: Option<Certainty>,
}

fn within(Bounded(count): Bounded<0, 100_000_000>) -> i64 {
    count
}

/// What participants of a trial are given or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "name": "Tofersen", "type": "DRUG" }))]
pub struct Intervention {
    /// What it is called, 1 to 300 characters.
    #[deserr(from(Title) = String::from)]
    #[schema(min_length = 1, max_length = 300)]
    pub name: String,
    /// What sort of intervention it is; null where a registry does not say.
    #[serde(default, rename = "type")]
    #[deserr(default, rename = "type")]
    pub kind: Option<InterventionType>,
}

/// Who answers for a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "Biogen", "class": "INDUSTRY", "organization_id": null }))]
pub struct Sponsor {
    /// What it is called, 1 to 300 characters.
    #[schema(min_length = 1, max_length = 300)]
    pub name: String,
    /// What sort of body it is; null where a registry does not say.
    #[serde(default)]
    pub class: Option<SponsorClass>,
    /// The organization it is here, if it is one.
    #[serde(default)]
    pub organization_id: Option<uuid::Uuid>,
}

impl Deserr<Faults> for Sponsor {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let mut members = Members::of(value, location)?;
        let name = members.required::<Title>("name");
        let class = members.optional("class");
        let text = members.optional::<String>("organization_id");
        let organization_id = text.as_deref().and_then(|text| uuid::Uuid::parse_str(text).ok());
        if text.is_some() && organization_id.is_none() {
            members.fault("organization_id", "invalid_format", "must be the UUID of an organization");
        }
        members.finish()?;
        name.map(|Title { 0: name }| Self { name, class, organization_id }).ok_or_else(Faults::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fault::read,
        value::testing::{faults_of, table},
    };
    use serde::de::DeserializeOwned;
    use serde_json::{Value as Json, json};
    use std::fmt::Debug;

    fn is_answered_as<T>(sent: Json, answered: Json)
    where
        T: Deserr<Faults> + Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let value: T = read(sent).unwrap();
        assert_eq!(serde_json::to_value(&value).unwrap(), answered);
        assert_eq!(serde_json::from_value::<T>(answered.clone()).unwrap(), value);
        assert_eq!(read::<T>(answered), Ok(value));
    }

    #[test]
    fn what_is_read_can_be_sent_back() {
        is_answered_as::<TrialDate>(json!({ "date": "2015-03" }), json!({ "date": "2015-03", "type": null }));
        is_answered_as::<TrialDate>(json!({}), json!({ "date": null, "type": null }));
        let planned = json!({ "date": "2015-03-01", "type": "ESTIMATED" });
        is_answered_as::<TrialDate>(planned.clone(), planned);
        is_answered_as::<Enrollment>(json!({ "count": 0 }), json!({ "count": 0, "type": null }));
        is_answered_as::<Intervention>(json!({ "name": "Exercise" }), json!({ "name": "Exercise", "type": null }));
        is_answered_as::<Sponsor>(
            json!({ "name": "Biogen" }),
            json!({ "name": "Biogen", "class": null, "organization_id": null }),
        );
        let known =
            json!({ "name": "Biogen", "class": "INDUSTRY", "organization_id": "018f4e6c-5b7a-7c3d-9e2f-1a2b3c4d5e6f" });
        is_answered_as::<Sponsor>(known.clone(), known);
    }

    #[test]
    fn a_date_is_a_real_one_and_a_type_belongs_to_a_date() {
        assert_eq!(faults_of::<TrialDate>(json!({ "type": "ACTUAL" })), table(&[("/date", "required")]));
        assert_eq!(
            faults_of::<TrialDate>(json!({ "date": "2015-02-30", "type": "GUESSED", "at": 1 })),
            table(&[("/at", "unknown_field"), ("/date", "invalid_format"), ("/type", "unknown_value")])
        );
    }

    #[test]
    fn all_their_faults_at_once() {
        assert_eq!(
            faults_of::<Enrollment>(json!({ "count": -1, "type": "MAYBE", "n": 1 })),
            table(&[("/count", "out_of_range"), ("/n", "unknown_field"), ("/type", "unknown_value")])
        );
        assert_eq!(faults_of::<Enrollment>(json!({ "count": 100_000_001 })), table(&[("/count", "out_of_range")]));
        assert_eq!(
            faults_of::<Intervention>(json!({ "name": "\n", "type": "PILL", "dose": 1 })),
            table(&[("/dose", "unknown_field"), ("/name", "too_short"), ("/type", "unknown_value")])
        );
        assert_eq!(
            faults_of::<Sponsor>(json!({ "class": "CHARITY", "organization_id": "O-3", "ror": 1 })),
            table(&[
                ("/class", "unknown_value"),
                ("/name", "required"),
                ("/organization_id", "invalid_format"),
                ("/ror", "unknown_field"),
            ])
        );
    }
}
