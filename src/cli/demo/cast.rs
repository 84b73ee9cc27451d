//! The hospital and its people.
use super::{stage::Stage, text::NAMES};
use crate::{
    Result,
    id::{OrganizationId, PersonId},
    vocabulary::Role,
};
use serde_json::json;

/// An organization with the people who work in it.
#[derive(Debug, Clone)]
pub(super) struct House {
    pub id: OrganizationId,
    pub people: Vec<PersonId>,
    /// Which field of work.
    pub field: usize,
}

/// Everyone.
pub(super) struct Cast {
    pub labs: Vec<House>,
    pub clinics: Vec<House>,
    pub sponsors: Vec<House>,
}

const CENTRES: &[&str] = &["Vaccine and Immunotherapy Centre", "Psychiatry Trials Network", "Neurology Institute"];
const LABS: &[&[&str]] = &[
    &["Viral Immunity Lab", "Tumour Antigen Lab"],
    &["Mood Circuits Lab", "Digital Phenotyping Lab"],
    &["Motor Neuron Lab", "Epilepsy Genetics Lab"],
];
const CLINICS: &[&str] = &["Immunotherapy Day Clinic", "Mood and Addiction Clinic", "Movement and ALS Clinic"];
const SPONSORS: &[&str] = &["Northwind Therapeutics", "Halcyon Bio"];

/// Founds the hospital and hires everyone, the first of each role with the printed sign-in.
pub(super) async fn assemble(stage: &mut Stage) -> Result<Cast> {
    stage.person("Alex Morgan", "administrator@demo.test", Role::Administrator, &[]).await?;
    stage.person("Robin Vale", "auditor@demo.test", Role::Auditor, &[]).await?;
    let hospital = stage.organization("St. Brigid University Hospital", "institution", None, json!([])).await?;
    let mut names = NAMES.iter();
    let (mut labs, mut clinics, mut sponsors) = (Vec::new(), Vec::new(), Vec::new());
    for (field, centre) in CENTRES.iter().enumerate() {
        let centre = stage.organization(centre, "centre", Some(hospital), stage.focus(field)).await?;
        for name in LABS[field] {
            let id = stage.organization(name, "lab", Some(centre), stage.focus(field)).await?;
            labs.push(House { id, people: stage.hire(&mut names, Role::Scientist, id, 2).await?, field });
        }
        let id = stage.organization(CLINICS[field], "clinic", Some(centre), stage.focus(field)).await?;
        clinics.push(House { id, people: stage.hire(&mut names, Role::Clinician, id, 2).await?, field });
    }
    for (field, name) in SPONSORS.iter().enumerate() {
        let id = stage.organization(name, "sponsor", None, stage.focus(field)).await?;
        sponsors.push(House { id, people: stage.hire(&mut names, Role::Partner, id, 1).await?, field });
    }
    Ok(Cast { labs, clinics, sponsors })
}
