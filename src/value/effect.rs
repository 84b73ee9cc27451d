//! Effects: what a finding measured, as published results state it.
use super::members::Members;
use crate::{
    fault::{Bounded, Faults, Number, Title},
    vocabulary::Comparison,
};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An effect: a measure, its value and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "measure": "Difference in ALSFRS-R decline, points per month", "value": 0.32, "ci_low": 0.08, "ci_high": 0.57,
    "ci_level": 95.0, "p_value": { "op": "=", "value": 0.01 }, "n": 108
}))]
pub struct Effect {
    /// What was measured, with its unit; 1 to 300 characters.
    #[schema(min_length = 1, max_length = 300)]
    pub measure: String,
    /// The estimate.
    #[schema(minimum = -1e15, maximum = 1e15)]
    pub value: f64,
    /// The lower end of the confidence interval, at most the value.
    #[serde(default)]
    #[schema(minimum = -1e15, maximum = 1e15)]
    pub ci_low: Option<f64>,
    /// The upper end of the confidence interval, at least the value.
    #[serde(default)]
    #[schema(minimum = -1e15, maximum = 1e15)]
    pub ci_high: Option<f64>,
    /// The level of the confidence interval in percent, above 0 and below 100.
    #[serde(default)]
    #[schema(exclusive_minimum = 0, exclusive_maximum = 100)]
    pub ci_level: Option<f64>,
    /// The p-value.
    #[serde(default)]
    pub p_value: Option<PValue>,
    /// How many participants it was measured in, 0 to 100 000 000.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub n: Option<i64>,
}

/// A p-value, exact or as a bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "op": "<", "value": 0.001 }))]
pub struct PValue {
    /// Whether the value is exact or a bound.
    pub op: Comparison,
    /// From 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub value: f64,
}

impl Deserr<Faults> for PValue {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let mut members = Members::of(value, location)?;
        let op = members.required("op");
        let number = members.required("value").map(|Number(n)| n);
        if number.is_some_and(|n| !(0.0..=1.0).contains(&n)) {
            members.fault("value", "out_of_range", "must be from 0 to 1");
        }
        members.finish()?;
        op.zip(number).map(|(op, value)| Self { op, value }).ok_or_else(Faults::default)
    }
}

impl Deserr<Faults> for Effect {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let mut members = Members::of(value, location)?;
        let measure = members.required::<Title>("measure");
        let estimate = members.required("value").map(|Number(n)| n);
        let ci_low = members.optional("ci_low").map(|Number(n)| n);
        let ci_high = members.optional("ci_high").map(|Number(n)| n);
        let ci_level = members.optional("ci_level").map(|Number(n)| n);
        let p_value = members.optional("p_value");
        let n = members.optional("n").map(|Bounded::<0, 100_000_000>(n)| n);

        let above = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| a > b);
        if above(ci_low, estimate) {
            members.fault("ci_low", "out_of_range", "must be at most the value");
        }
        if above(estimate, ci_high) {
            members.fault("ci_high", "out_of_range", "must be at least the value");
        }
        if estimate.is_none() && above(ci_low, ci_high) {
            members.fault("ci_low", "out_of_range", "must be at most ci_high");
        }
        if ci_level.is_some_and(|level| level <= 0.0 || level >= 100.0) {
            members.fault("ci_level", "out_of_range", "must be a percentage above 0 and below 100");
        }
        members.finish()?;
        match (measure, estimate) {
            (Some(Title { 0: measure }), Some(value)) => {
                Ok(Self { measure, value, ci_low, ci_high, ci_level, p_value, n })
            }
            // A missing member is a fault, and `finish` has ended with it.
            _ => Err(Faults::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fault::read,
        value::testing::{faults_of, table},
    };
    use serde_json::json;

    #[test]
    fn an_effect_read_can_be_sent_back() {
        let body = json!({
            "measure": "Hazard ratio", "value": 0.7, "ci_low": 0.5, "ci_high": 0.9, "ci_level": 95.0,
            "p_value": { "op": "<", "value": 0.001 }, "n": 108
        });
        let effect: Effect = read(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&effect).unwrap(), body);
        assert_eq!(serde_json::from_value::<Effect>(body).unwrap(), effect);

        let bare: Effect = read(json!({ "measure": "Responders", "value": 12 })).unwrap();
        let answered = serde_json::to_value(&bare).unwrap();
        assert_eq!(answered["ci_low"], json!(null));
        assert_eq!(read::<Effect>(answered), Ok(bare));
    }

    #[test]
    fn an_interval_holds_its_value() {
        let effect = |low, value, high| json!({ "measure": "m", "value": value, "ci_low": low, "ci_high": high });
        assert!(read::<Effect>(effect(json!(1), json!(1), json!(1))).is_ok());
        assert!(read::<Effect>(effect(json!(null), json!(-1.5), json!(0))).is_ok());
        assert_eq!(faults_of::<Effect>(effect(json!(2), json!(1), json!(3))), table(&[("/ci_low", "out_of_range")]));
        assert_eq!(faults_of::<Effect>(effect(json!(0), json!(1), json!(0.5))), table(&[("/ci_high", "out_of_range")]));
        assert_eq!(
            faults_of::<Effect>(effect(json!(3), json!("1"), json!(2))),
            table(&[("/ci_low", "out_of_range"), ("/value", "wrong_type")])
        );
    }

    #[test]
    fn bounds_are_kept() {
        let with = |name: &str, value| json!({ "measure": "m", "value": 1, name: value });
        for (name, value, code) in [
            ("ci_level", json!(0), "out_of_range"),
            ("ci_level", json!(100), "out_of_range"),
            ("n", json!(-1), "out_of_range"),
            ("n", json!(1.5), "wrong_type"),
            ("value", json!(1e300), "out_of_range"),
        ] {
            assert_eq!(faults_of::<Effect>(with(name, value)), table(&[(&format!("/{name}"), code)]));
        }
        for value in [json!(0.1), json!(99.9)] {
            assert!(read::<Effect>(with("ci_level", value)).is_ok());
        }
        for (p, code) in [(json!(1.01), "out_of_range"), (json!(-0.1), "out_of_range"), (json!("0.05"), "wrong_type")] {
            assert_eq!(
                faults_of::<Effect>(with("p_value", json!({ "op": "=", "value": p }))),
                table(&[("/p_value/value", code)])
            );
        }
        assert!(read::<Effect>(with("p_value", json!({ "op": ">", "value": 1 }))).is_ok());
    }

    #[test]
    fn all_its_faults_at_once() {
        let body = json!({
            "measure": "", "value": 1, "ci_low": 2, "ci_high": 0, "ci_level": 195, "sd": 1,
            "p_value": { "op": "≤", "value": 5, "q": 1 }, "n": "many"
        });
        assert_eq!(
            faults_of::<Effect>(body),
            table(&[
                ("/ci_high", "out_of_range"),
                ("/ci_level", "out_of_range"),
                ("/ci_low", "out_of_range"),
                ("/measure", "too_short"),
                ("/n", "wrong_type"),
                ("/p_value/op", "unknown_value"),
                ("/p_value/q", "unknown_field"),
                ("/p_value/value", "out_of_range"),
                ("/sd", "unknown_field"),
            ])
        );
        assert_eq!(faults_of::<Effect>(json!({})), table(&[("/measure", "required"), ("/value", "required")]));
    }
}
