//! Conditions: what a discovery, a trial, a person or an organization is about.
use super::fold;
use crate::{
    fault::{Faults, Title},
    identifier::MeshId,
};
use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A condition, by name and, where there is one, by its MeSH descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690", "derived": false }))]
pub struct Condition {
    /// What it is called, 1 to 300 characters.
    #[deserr(from(Title) = String::from)]
    #[schema(min_length = 1, max_length = 300)]
    pub name: String,
    /// Its MeSH descriptor; null for nearly half of registered conditions, which are no MeSH term.
    #[serde(default)]
    #[deserr(default)]
    pub mesh: Option<MeshId>,
    /// Whether a registry derived it from the others. Always answered; taken from requests so that a record read can be
    /// sent back as it is.
    #[serde(default)]
    #[deserr(default)]
    #[schema(required = false, default = false)]
    pub derived: bool,
}

/// The terms a record's conditions are found by: `|d690|amyotrophic lateral sclerosis|`, each descriptor by its number and
/// each name folded; nothing when there are no conditions. A record has a condition when this contains
/// [`term_of`] it.
pub fn terms_of(conditions: &[Condition]) -> String {
    let mut terms: Vec<String> = Vec::new();
    for condition in conditions {
        let mesh = condition.mesh.as_ref().map(mesh_term);
        for term in mesh.into_iter().chain(Some(name_term(&condition.name))) {
            if !term.is_empty() && !terms.contains(&term) {
                terms.push(term);
            }
        }
    }
    if terms.is_empty() { String::new() } else { format!("|{}|", terms.join("|")) }
}

/// What to look for in [`terms_of`]: a MeSH descriptor id in either spelling and letter case, or a whole name. A store that
/// uses `LIKE` has to escape it. A blank query is found nowhere.
pub fn term_of(query: &str) -> String {
    let term = match query.trim().to_ascii_uppercase().parse::<MeshId>() {
        Ok(mesh) => mesh_term(&mesh),
        Err(_) => name_term(query),
    };
    format!("|{term}|")
}

fn mesh_term(mesh: &MeshId) -> String {
    format!("d{}", mesh.number())
}

/// The bar keeps terms apart, so a name cannot have one.
fn name_term(name: &str) -> String {
    fold(&name.replace('|', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fault::read,
        value::testing::{faults_of, table},
    };
    use serde_json::{Value, json};

    fn condition(body: Value) -> Condition {
        read(body).unwrap()
    }

    #[test]
    fn a_condition_read_can_be_sent_back() {
        let als = condition(json!({ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }));
        let answered = serde_json::to_value(&als).unwrap();
        assert_eq!(answered, json!({ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690", "derived": false }));
        assert_eq!(condition(answered.clone()), als);
        assert_eq!(serde_json::from_value::<Condition>(answered).unwrap(), als);
        assert_eq!(condition(json!({ "name": "Ageing", "mesh": null, "derived": true })).mesh, None);
    }

    #[test]
    fn all_its_faults_at_once() {
        assert_eq!(
            faults_of::<Condition>(json!({ "name": " ", "mesh": "690", "derived": 1, "code": "G12.2" })),
            table(&[
                ("/code", "unknown_field"),
                ("/derived", "wrong_type"),
                ("/mesh", "invalid_format"),
                ("/name", "too_short"),
            ])
        );
        assert_eq!(faults_of::<Condition>(json!({})), table(&[("/name", "required")]));
        assert_eq!(faults_of::<Condition>(json!({ "name": "x".repeat(301) })), table(&[("/name", "too_long")]));
    }

    #[test]
    fn conditions_are_found_by_descriptor_and_by_name() {
        let terms = terms_of(&[
            condition(json!({ "name": "Amyotrophic  Lateral Sclerosis", "mesh": "D000690" })),
            condition(json!({ "name": "ALS", "mesh": "D000000690" })),
            condition(json!({ "name": "a|b" })),
        ]);
        assert_eq!(terms, "|d690|amyotrophic lateral sclerosis|als|a b|");
        for query in ["D000690", "d000000690", " D000690 ", "amyotrophic lateral SCLEROSIS", "als", "A|B"] {
            assert!(terms.contains(&term_of(query)), "{query}");
        }
        for query in ["", " ", "|", "sclerosis", "D000069", "D006900", "l"] {
            assert!(!terms.contains(&term_of(query)), "{query}");
        }
    }

    #[test]
    fn no_conditions_no_terms() {
        assert_eq!(terms_of(&[]), "");
        assert!(!terms_of(&[]).contains(&term_of("")));
    }
}
