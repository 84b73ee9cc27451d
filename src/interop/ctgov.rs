//! ClinicalTrials.gov study records, in the JSON of its API v2.
//!
//! Only what Benchside maps is read; the rest of a record is left out, and so is any judgement: phases that do not go with a
//! study type are a fault, a status that skips a step is not. What does not fit is reported with its place in the source,
//! never cut and never guessed. A field a record does not have is `None`, which leaves the trial's own alone: search pages hold
//! a few fields of each study, and say nothing about the others. Pure.
mod onto;

pub use onto::{Conditions, MeshTerm, date_onto, enrollment_onto, interventions_onto, sponsor_onto};

use crate::{
    fault::{self, Bounded, Fault, Faults, List, Text, Title},
    identifier::{NctId, PartialDate},
    value::{Enrollment, Intervention, Sponsor, TrialDate},
    vocabulary::{Certainty, InterventionType, Phase, SponsorClass, StudyType, TrialStatus},
};
use deserr::Deserr;
use serde_json::Value;

const CONDITIONS: &str = "/protocolSection/conditionsModule/conditions";
const MESH_TERMS: &str = "/derivedSection/conditionBrowseModule/meshes";
const PHASES: &str = "/protocolSection/designModule/phases";

/// One registered study: each mapped field as the record has it, `None` where it has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// The registry's number.
    pub nct_id: NctId,
    /// The sponsor's own number, at most 30 characters.
    pub org_study_id: Option<String>,
    /// At most 14 characters.
    pub acronym: Option<String>,
    /// At most 300 characters.
    pub brief_title: Option<String>,
    /// At most 600 characters.
    pub official_title: Option<String>,
    /// What sort of study it is.
    pub study_type: Option<StudyType>,
    /// Two for a combined phase; empty, not absent, for a study type that has none.
    pub phases: Option<Vec<Phase>>,
    /// The overall status.
    pub overall_status: Option<TrialStatus>,
    /// The status before it became `UNKNOWN`.
    pub last_known_status: Option<TrialStatus>,
    /// At most 250 characters.
    pub why_stopped: Option<String>,
    /// The registered condition names and the terms derived from them.
    pub conditions: Conditions,
    /// At most 100, in the record's order.
    pub interventions: Option<Vec<Intervention>>,
    /// How many participants.
    pub enrollment: Option<Enrollment>,
    /// When it starts.
    pub start_date: Option<TrialDate>,
    /// When the last data for the primary outcome are collected.
    pub primary_completion_date: Option<TrialDate>,
    /// When the last participant is seen.
    pub completion_date: Option<TrialDate>,
    /// The lead sponsor; `organization_id` is never set.
    pub sponsor: Option<Sponsor>,
    /// Whether it studies a drug or a device regulated by the FDA.
    pub fda_regulated: Option<bool>,
    /// When the record was last verified.
    pub verified_on: Option<PartialDate>,
}

/// The study records of a document: a single study, an array of studies, or a search page with `studies`. `Err` says, for
/// people, why it is none of these.
pub fn studies(document: Value) -> Result<Vec<Value>, String> {
    match document {
        Value::Array(studies) => Ok(studies),
        Value::Object(mut members) if members.contains_key("studies") => match members.remove("studies") {
            Some(Value::Array(studies)) => Ok(studies),
            _ => Err("`studies` is not an array".to_owned()),
        },
        Value::Object(members) if members.contains_key("protocolSection") => Ok(vec![Value::Object(members)]),
        _ => Err("is not a ClinicalTrials.gov study (with `protocolSection`), an array of them, or a search page \
                  (with `studies`)"
            .to_owned()),
    }
}

/// Reads one study record. `Err` has every fault, its pointer into the record.
pub fn study(value: &Value) -> Result<Study, Vec<Fault>> {
    let mut source = Source { root: value, faults: Faults::default() };
    let id = "/protocolSection/identificationModule";
    let status = "/protocolSection/statusModule";
    let design = "/protocolSection/designModule";

    let nct_id = source.required::<NctId>(&format!("{id}/nctId"));
    let org_study_id = source.text::<30>(&format!("{id}/orgStudyIdInfo/id"));
    let acronym = source.text::<14>(&format!("{id}/acronym"));
    let brief_title = source.text::<300>(&format!("{id}/briefTitle"));
    let official_title = source.text::<600>(&format!("{id}/officialTitle"));
    let overall_status = source.read(&format!("{status}/overallStatus"));
    let last_known_status = source.read(&format!("{status}/lastKnownStatus"));
    let why_stopped = source.text::<250>(&format!("{status}/whyStopped"));
    let verified_on = source.read(&format!("{status}/statusVerifiedDate"));
    let start_date = source.date(&format!("{status}/startDateStruct"));
    let primary_completion_date = source.date(&format!("{status}/primaryCompletionDateStruct"));
    let completion_date = source.date(&format!("{status}/completionDateStruct"));
    let study_type = source.read(&format!("{design}/studyType"));
    let phases = source.phases(study_type);
    let enrollment = source.enrollment(&format!("{design}/enrollmentInfo"));
    let conditions = source.conditions();
    let interventions = source.interventions("/protocolSection/armsInterventionsModule/interventions");
    let sponsor = source.sponsor("/protocolSection/sponsorCollaboratorsModule/leadSponsor");
    let fda_regulated = source.fda_regulated("/protocolSection/oversightModule");

    source.faults.into_result().map_err(|Faults(faults)| faults)?;
    let Some(nct_id) = nct_id else {
        return Err(Vec::new());
    };
    Ok(Study {
        nct_id,
        org_study_id,
        acronym,
        brief_title,
        official_title,
        study_type,
        phases,
        overall_status,
        last_known_status,
        why_stopped,
        conditions,
        interventions,
        enrollment,
        start_date,
        primary_completion_date,
        completion_date,
        sponsor,
        fda_regulated,
        verified_on,
    })
}

/// A record that is being read, and what is wrong with it so far.
struct Source<'a> {
    root: &'a Value,
    faults: Faults,
}

#[derive(Deserr)]
#[deserr(error = Faults)]
struct RegistryIntervention {
    name: Title,
    #[deserr(default, rename = "type")]
    kind: Option<InterventionType>,
}

#[derive(Deserr)]
#[deserr(error = Faults)]
struct RegistryTerm {
    id: crate::identifier::MeshId,
    term: Title,
}

impl<'a> Source<'a> {
    /// The value at a pointer of plain names; null is as good as absent. A step on the way that is no object is a fault:
    /// what is below it would be lost unseen.
    fn find(&mut self, pointer: &str) -> Option<&'a Value> {
        let mut value = self.root;
        let mut above = 0;
        for name in pointer.split('/').skip(1) {
            match value {
                Value::Object(members) => value = members.get(name)?,
                Value::Null => return None,
                _ => {
                    let at = &pointer[..above];
                    if !self.faults.0.iter().any(|f| f.pointer.as_deref() == Some(at)) {
                        self.faults.push(at, "wrong_type", "must be an object");
                    }
                    return None;
                }
            }
            above += 1 + name.len();
        }
        (!value.is_null()).then_some(value)
    }

    fn read<T: Deserr<Faults>>(&mut self, pointer: &str) -> Option<T> {
        let value = self.find(pointer)?.clone();
        fault::read(value).map_err(|faults| self.faults.0.extend(faults.under(pointer).0)).ok()
    }

    /// A value that must be there once what holds it is.
    fn required<T: Deserr<Faults>>(&mut self, pointer: &str) -> Option<T> {
        let before = self.faults.0.len();
        let read = self.read(pointer);
        if read.is_none() && self.faults.0.len() == before {
            self.faults.push(pointer, "required", "is required");
        }
        read
    }

    fn text<const MAX: usize>(&mut self, pointer: &str) -> Option<String> {
        self.read::<Text<1, MAX>>(pointer).map(String::from)
    }

    fn date(&mut self, pointer: &str) -> Option<TrialDate> {
        self.find(pointer)?;
        let date = self.required(&format!("{pointer}/date"));
        let certainty = self.read(&format!("{pointer}/type"));
        date.map(|date| TrialDate { date: Some(date), certainty })
    }

    fn enrollment(&mut self, pointer: &str) -> Option<Enrollment> {
        self.find(pointer)?;
        let count = self.required::<Bounded<0, 100_000_000>>(&format!("{pointer}/count"));
        let certainty = self.read::<Certainty>(&format!("{pointer}/type"));
        count.map(|Bounded(count)| Enrollment { count, certainty })
    }

    fn phases(&mut self, study_type: Option<StudyType>) -> Option<Vec<Phase>> {
        let without_phases = matches!(study_type, Some(StudyType::Observational | StudyType::ExpandedAccess));
        let Some(phases) = self.read::<Vec<Phase>>(PHASES) else {
            return without_phases.then(Vec::new);
        };
        let repeated = matches!(phases[..], [first, second] if first == second);
        if without_phases && !phases.is_empty() {
            self.faults.push(PHASES, "invalid", "must be empty for a study that is not interventional");
        } else if phases.len() > 2 || repeated || (phases.len() == 2 && phases.contains(&Phase::Na)) {
            self.faults.push(PHASES, "invalid", "must be one phase, or the two of a combined phase");
        }
        Some(phases)
    }

    fn conditions(&mut self) -> Conditions {
        let before = self.faults.0.len();
        let names = self.read::<List<Title>>(CONDITIONS);
        let terms = self.read::<List<RegistryTerm>>(MESH_TERMS);
        let conditions = Conditions {
            names: names.map(|List(names)| names.into_iter().map(String::from).collect()),
            terms: terms.map(|List(terms)| {
                terms.into_iter().map(|RegistryTerm { id, term }| MeshTerm { id, name: term.into() }).collect()
            }),
        };
        if self.faults.0.len() == before
            && let Err(fault) = conditions.onto(&[])
        {
            self.faults.0.push(fault);
        }
        conditions
    }

    fn interventions(&mut self, pointer: &str) -> Option<Vec<Intervention>> {
        let List(interventions) = self.read::<List<RegistryIntervention>>(pointer)?;
        Some(interventions.into_iter().map(|i| Intervention { name: i.name.into(), kind: i.kind }).collect())
    }

    fn sponsor(&mut self, pointer: &str) -> Option<Sponsor> {
        self.find(pointer)?;
        let name = self.required::<Title>(&format!("{pointer}/name"));
        let class = self.read::<SponsorClass>(&format!("{pointer}/class"));
        name.map(|name| Sponsor { name: name.into(), class, organization_id: None })
    }

    fn fda_regulated(&mut self, pointer: &str) -> Option<bool> {
        let drug = self.read::<bool>(&format!("{pointer}/isFdaRegulatedDrug"));
        let device = self.read::<bool>(&format!("{pointer}/isFdaRegulatedDevice"));
        drug.into_iter().chain(device).reduce(|a, b| a || b)
    }
}

#[cfg(test)]
mod tests;
