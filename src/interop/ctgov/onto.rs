//! What becomes of a trial's own values where a record is silent about a part of them.
//!
//! A search page may give a condition without its derived terms, a date without its type, a sponsor without its class. Silence
//! is not news: what the trial has already is kept as long as the part that *is* given has not changed.
use crate::{
    fault::{Fault, LIST_LIMIT},
    identifier::MeshId,
    value::{Condition, Enrollment, Intervention, Sponsor, TrialDate, fold},
};

/// A MeSH term the registry derived from a study's conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshTerm {
    /// The descriptor id, as the registry writes it.
    pub id: MeshId,
    /// Its heading.
    pub name: String,
}

/// What a record says of the study's conditions, `None` where it does not. The ancestors of terms are not conditions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// The condition names that were registered.
    pub names: Option<Vec<String>>,
    /// The terms derived from them.
    pub terms: Option<Vec<MeshTerm>>,
}

impl Conditions {
    /// The conditions of a trial that has `current` ones: each registered name, with its MeSH id where a derived term equals
    /// it, then the remaining derived terms. `None` when the record says nothing of either. `Err` when there are more than
    /// [`LIST_LIMIT`].
    pub fn onto(&self, current: &[Condition]) -> Result<Option<Vec<Condition>>, Fault> {
        let (names, terms) = match (&self.names, &self.terms) {
            (None, None) => return Ok(None),
            (names, terms) => {
                (names.clone().unwrap_or_else(|| names_of(current)), terms.clone().unwrap_or_else(|| terms_of(current)))
            }
        };
        let folded: Vec<String> = names.iter().map(|name| fold(name)).collect();
        let registered = names.iter().zip(&folded).map(|(name, folded)| Condition {
            name: name.clone(),
            mesh: terms.iter().find(|term| fold(&term.name) == *folded).map(|term| term.id.clone()),
            derived: false,
        });
        // Without derived terms in the record, those that a name matched earlier are no conditions of their own.
        let own_terms = if self.terms.is_some() { terms.clone() } else { derived_terms_of(current) };
        let derived = own_terms.into_iter().filter(|term| !folded.contains(&fold(&term.name))).map(|term| Condition {
            name: term.name,
            mesh: Some(term.id),
            derived: true,
        });
        let conditions: Vec<Condition> = registered.chain(derived).collect();
        if conditions.len() > LIST_LIMIT {
            return Err(Fault {
                pointer: Some(super::CONDITIONS.to_owned()),
                parameter: None,
                code: "too_many",
                message: format!(
                    "must have at most {LIST_LIMIT} members with the terms derived from them, has {}",
                    conditions.len()
                ),
            });
        }
        Ok(Some(conditions))
    }
}

fn names_of(current: &[Condition]) -> Vec<String> {
    current.iter().filter(|c| !c.derived).map(|c| c.name.clone()).collect()
}

fn terms_of(current: &[Condition]) -> Vec<MeshTerm> {
    current.iter().filter_map(term_of).collect()
}

fn derived_terms_of(current: &[Condition]) -> Vec<MeshTerm> {
    current.iter().filter(|c| c.derived).filter_map(term_of).collect()
}

fn term_of(condition: &Condition) -> Option<MeshTerm> {
    condition.mesh.clone().map(|id| MeshTerm { id, name: condition.name.clone() })
}

/// The date of a record on a trial that has `current`.
pub fn date_onto(given: &TrialDate, current: &TrialDate) -> TrialDate {
    let known = current.certainty.filter(|_| given.date == current.date);
    TrialDate { date: given.date.clone(), certainty: given.certainty.or(known) }
}

/// The enrolment of a record on a trial that has `current`.
pub fn enrollment_onto(given: Enrollment, current: Option<Enrollment>) -> Enrollment {
    let known = current.filter(|c| c.count == given.count).and_then(|c| c.certainty);
    Enrollment { count: given.count, certainty: given.certainty.or(known) }
}

/// The interventions of a record on a trial that has `current` ones.
pub fn interventions_onto(given: &[Intervention], current: &[Intervention]) -> Vec<Intervention> {
    given
        .iter()
        .map(|given| {
            let known = current.iter().find(|c| c.name == given.name).and_then(|c| c.kind);
            Intervention { name: given.name.clone(), kind: given.kind.or(known) }
        })
        .collect()
}

/// The sponsor of a record on a trial that has `current`. Which organization it is here no registry knows.
pub fn sponsor_onto(given: &Sponsor, current: Option<&Sponsor>) -> Sponsor {
    let known = current.filter(|c| c.name == given.name);
    Sponsor {
        name: given.name.clone(),
        class: given.class.or(known.and_then(|c| c.class)),
        organization_id: given.organization_id.or(known.and_then(|c| c.organization_id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::read;
    use serde_json::json;

    fn conditions(body: serde_json::Value) -> Vec<Condition> {
        read(body).unwrap()
    }

    fn full() -> Conditions {
        let term = |id: &str, name: &str| MeshTerm { id: id.parse().unwrap(), name: name.to_owned() };
        Conditions {
            names: Some(vec!["Atopic dermatitis".to_owned(), "ECZEMA".to_owned()]),
            terms: Some(vec![term("D000003876", "Dermatitis, Atopic"), term("D000004485", "Eczema")]),
        }
    }

    #[test]
    fn names_come_first_then_what_was_derived() {
        let expected = conditions(json!([
            { "name": "Atopic dermatitis" },
            { "name": "ECZEMA", "mesh": "D000004485" },
            { "name": "Dermatitis, Atopic", "mesh": "D000003876", "derived": true },
        ]));
        assert_eq!(full().onto(&[]).unwrap(), Some(expected.clone()));
        assert_eq!(full().onto(&expected).unwrap(), Some(expected));
    }

    #[test]
    fn a_record_without_terms_leaves_them_alone() {
        let current = full().onto(&[]).unwrap().unwrap();
        let page = Conditions { terms: None, ..full() };
        assert_eq!(page.onto(&current).unwrap(), Some(current.clone()));

        let renamed = Conditions { names: Some(vec!["Itch".to_owned()]), terms: None };
        let expected = conditions(json!([
            { "name": "Itch" },
            { "name": "Dermatitis, Atopic", "mesh": "D000003876", "derived": true },
        ]));
        assert_eq!(renamed.onto(&current).unwrap(), Some(expected));
    }

    #[test]
    fn a_record_without_names_leaves_them_alone() {
        let current = conditions(json!([{ "name": "Atopic dermatitis" }, { "name": "ECZEMA" }]));
        let expected = full().onto(&[]).unwrap();
        assert_eq!(Conditions { names: None, ..full() }.onto(&current).unwrap(), expected);
        assert_eq!(Conditions::default().onto(&current).unwrap(), None);
    }

    #[test]
    fn an_empty_list_is_not_silence() {
        let current = full().onto(&[]).unwrap().unwrap();
        let emptied = Conditions { names: Some(Vec::new()), terms: Some(Vec::new()) };
        assert_eq!(emptied.onto(&current).unwrap(), Some(Vec::new()));
    }

    #[test]
    fn a_type_is_kept_while_its_value_stands() {
        let date = |body| read::<TrialDate>(body).unwrap();
        let current = date(json!({ "date": "2015-03", "type": "ACTUAL" }));
        assert_eq!(date_onto(&date(json!({ "date": "2015-03" })), &current), current);
        let moved = date(json!({ "date": "2015-04" }));
        assert_eq!(date_onto(&moved, &current), moved);
        let planned = date(json!({ "date": "2015-03", "type": "ESTIMATED" }));
        assert_eq!(date_onto(&planned, &current), planned);

        let enrollment = |body| read::<Enrollment>(body).unwrap();
        let current = enrollment(json!({ "count": 40, "type": "ACTUAL" }));
        assert_eq!(enrollment_onto(enrollment(json!({ "count": 40 })), Some(current)), current);
        assert_eq!(enrollment_onto(enrollment(json!({ "count": 41 })), Some(current)).certainty, None);
        assert_eq!(enrollment_onto(current, None), current);
    }

    #[test]
    fn names_carry_what_is_known_of_them() {
        let interventions = |body| read::<Vec<Intervention>>(body).unwrap();
        let current =
            interventions(json!([{ "name": "Metformin", "type": "DRUG" }, { "name": "Diet", "type": "BEHAVIORAL" }]));
        let given = interventions(json!([{ "name": "Exercise" }, { "name": "Metformin" }]));
        let expected = interventions(json!([{ "name": "Exercise" }, { "name": "Metformin", "type": "DRUG" }]));
        assert_eq!(interventions_onto(&given, &current), expected);

        let sponsor = |body| read::<Sponsor>(body).unwrap();
        let id = "018f4e6c-5b7a-7c3d-9e2f-1a2b3c4d5e6f";
        let current = sponsor(json!({ "name": "Biogen", "class": "INDUSTRY", "organization_id": id }));
        assert_eq!(sponsor_onto(&sponsor(json!({ "name": "Biogen" })), Some(&current)), current);
        let other = sponsor(json!({ "name": "Ionis" }));
        assert_eq!(sponsor_onto(&other, Some(&current)), other);
    }
}
