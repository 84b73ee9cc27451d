//! The use cases that change an insight: raise and revise. What its moves do is in `moves`.
mod moves;

use super::{DRAFT, Insight, store};
use crate::{
    Error, Result,
    auth::policy::{Principal, RaiseInsight, Relation, Standing},
    db::Conn,
    discovery,
    error::Code,
    fault::{Change as Patch, Faults, List, LongText, Title},
    finding::{self, store::Citable},
    id::{DiscoveryId, FindingId, InsightId, OrganizationId, TrialId},
    ledger::{Change, Context, next_number, record_change},
    lifecycle::{builtin, facts},
    organization,
    person::Tenure,
    vocabulary::{Action, OrganizationKind, RecordKind, Urgency},
};
use deserr::Deserr;
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

/// An insight to raise.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "title": "Why do fast progressors respond?",
    "question": "Is the response tied to a TDP-43 fragment that slow progressors lack?",
    "rationale": "Two signed findings of one phase 1 trial point the same way.",
    "finding_ids": ["01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55"],
    "lab_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e56", "urgency": "priority"
}))]
pub struct NewInsight {
    /// 1–300 characters.
    pub title: Title,
    /// What the lab is asked to find out.
    pub question: LongText,
    /// Why it matters.
    pub rationale: LongText,
    /// At least one, each once: signed findings of trials of one clinic, the caller's.
    pub finding_ids: List<FindingId>,
    /// Discoveries it concerns besides those that the trials test.
    #[deserr(default)]
    #[schema(required = false)]
    pub discovery_ids: List<DiscoveryId>,
    /// The lab that is asked.
    pub lab_id: OrganizationId,
    /// How soon an answer is asked for: in 30, 14 or 3 days from submission; `routine` by default.
    #[deserr(default)]
    pub urgency: Option<Urgency>,
}

/// A merge patch of a draft.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "urgency": "urgent", "rationale": "A third finding says the same." }))]
pub struct InsightPatch {
    /// 1–300 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub title: Patch<Title>,
    /// What the lab is asked to find out.
    #[deserr(default)]
    #[schema(required = false)]
    pub question: Patch<LongText>,
    /// Why it matters.
    #[deserr(default)]
    #[schema(required = false)]
    pub rationale: Patch<LongText>,
    /// At least one, each once: signed findings of trials of the insight's clinic.
    #[deserr(default)]
    #[schema(required = false)]
    pub finding_ids: Patch<List<FindingId>>,
    /// Discoveries it concerns besides those that the trials test. Those the caller cannot see stay.
    #[deserr(default)]
    #[schema(required = false)]
    pub discovery_ids: Patch<List<DiscoveryId>>,
    /// The lab that is asked.
    #[deserr(default)]
    #[schema(required = false)]
    pub lab_id: Patch<OrganizationId>,
    /// How soon an answer is asked for.
    #[deserr(default)]
    #[schema(required = false)]
    pub urgency: Patch<Urgency>,
}

/// Raises an insight on signed findings of the caller's clinic, as a draft that the caller owns.
///
/// # Errors
/// 403 for findings of other clinics alone, 422 for findings, discoveries or a lab that do not fit.
pub fn raise(conn: &mut Conn, who: &Principal, context: &Context, new: NewInsight) -> Result<Insight> {
    let ids = new.finding_ids.0;
    facts::hold_cited(conn, &ids)?;
    let found = finding::store::citable(conn, who, &ids)?;
    let own = ids.iter().filter_map(|id| found.get(id)).map(|f| f.clinic_id).find(|c| who.belongs_to(*c));
    // Where none of them is seen, none is another clinic's either: that they are not there is told below.
    let steward = own.is_some() || found.is_empty();
    who.must::<RaiseInsight>(&Standing::to(RecordKind::Finding).being(Relation::Steward, steward))?;
    let mut faults = Faults::default();
    citation_faults(&ids, &found, own, &mut faults);
    discovery_faults(conn, who, &new.discovery_ids.0, &mut faults)?;
    lab_faults(conn, new.lab_id, &mut faults)?;
    faults.into_result()?;
    let clinic_id = own.ok_or_else(|| Error::Internal("cited findings without a clinic".into()))?;
    let tested = store::tested_discoveries(conn, &trials_of(&ids, &found))?;
    let mut insight = Insight {
        id: InsightId::fresh(),
        number: next_number(conn, RecordKind::Insight)?,
        version: 0,
        title: new.title.into(),
        question: new.question.into(),
        rationale: new.rationale.into(),
        findings: ids.into(),
        discoveries: each_once(tested.into_iter().chain(new.discovery_ids.0)).into(),
        clinic_id,
        lab_id: new.lab_id,
        owner_id: who.id,
        owners: vec![Tenure { person_id: who.id, from: context.at, until: None }].into(),
        assignee_id: None,
        urgency: new.urgency.unwrap_or(Urgency::Routine),
        state: builtin::insight().initial().name.clone(),
        state_entered_at: context.at,
        submitted_at: None,
        due_at: None,
        outcome: None,
        outcome_note: None,
        refined_discovery_id: None,
        spawned: Vec::new().into(),
        recalled_at: None,
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    insight.index();
    let change = Change { to: Some(insight.state.clone()), ..Change::of(Action::Created) };
    record_change(conn, context, &mut insight, change)?;
    store::index_citations(conn, insight.id, &insight.findings)?;
    store::index_discoveries(conn, insight.id, &insight.discoveries)?;
    Ok(insight)
}

/// Revises a draft. The caller has checked who may, and the version.
///
/// # Errors
/// 422 as for [`raise`], 409 when it is no draft any more.
pub fn revise(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    mut insight: Insight,
    patch: InsightPatch,
) -> Result<Insight> {
    let mut faults = Faults::default();
    let mut trials = None;
    if let Some(List(ids)) = patch.finding_ids.value() {
        facts::hold_cited(conn, ids)?;
        let found = finding::store::citable(conn, who, ids)?;
        citation_faults(ids, &found, Some(insight.clinic_id), &mut faults);
        trials = Some(trials_of(ids, &found));
    }
    if let Some(List(ids)) = patch.discovery_ids.value() {
        discovery_faults(conn, who, ids, &mut faults)?;
    }
    if let Some(lab) = patch.lab_id.value() {
        lab_faults(conn, *lab, &mut faults)?;
    }
    faults.into_result()?;
    if insight.state != DRAFT {
        return Err(Error::refused(Code::Immutable, "Only a draft can be revised."));
    }
    let before = insight.clone();
    if trials.is_some() || patch.discovery_ids.value().is_some() {
        let named = patch.discovery_ids.value().map(|list| &*list.0);
        insight.discoveries = concerned(conn, who, &before, trials, named)?.into();
    }
    patch.title.apply(&mut insight.title);
    patch.question.apply(&mut insight.question);
    patch.rationale.apply(&mut insight.rationale);
    if let Patch::To(findings) = patch.finding_ids {
        insight.findings = findings.0.into();
    }
    patch.lab_id.apply(&mut insight.lab_id);
    patch.urgency.apply(&mut insight.urgency);
    insight.index();
    record_change(conn, context, &mut insight, Change::of(Action::Revised))?;
    if before.findings != insight.findings {
        store::index_citations(conn, insight.id, &insight.findings)?;
    }
    if before.discoveries != insight.discoveries {
        store::index_discoveries(conn, insight.id, &insight.discoveries)?;
    }
    Ok(insight)
}

/// The discoveries of a revised draft: those the trials test now, and those named. Naming others replaces only those
/// that the caller sees.
fn concerned(
    conn: &mut Conn,
    who: &Principal,
    before: &Insight,
    trials: Option<Vec<TrialId>>,
    named: Option<&[DiscoveryId]>,
) -> Result<Vec<DiscoveryId>> {
    let cited = store::cited_trials(conn, before.id)?;
    let tested_before = store::tested_discoveries(conn, &cited)?;
    let tested = match trials {
        Some(trials) => store::tested_discoveries(conn, &trials)?,
        None => tested_before.clone(),
    };
    let mut kept: Vec<_> = before.discoveries.iter().copied().filter(|id| !tested_before.contains(id)).collect();
    if named.is_some() {
        let seen = discovery::store::visible_ids(conn, who, &kept.iter().map(|id| id.0).collect::<Vec<_>>())?;
        kept.retain(|id| !seen.contains(&id.0));
    }
    Ok(each_once(tested.into_iter().chain(kept).chain(named.unwrap_or_default().iter().copied())))
}

/// What is wrong with the findings an insight is to cite, for an insight of this clinic.
fn citation_faults(
    ids: &[FindingId],
    found: &HashMap<FindingId, Citable>,
    clinic: Option<OrganizationId>,
    faults: &mut Faults,
) {
    if ids.is_empty() {
        faults.push("/finding_ids", "too_few", "must have at least one member");
    }
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("/finding_ids/{index}");
        match found.get(id) {
            _ if ids[..index].contains(id) => faults.push(pointer, "repeated", "may stand only once"),
            None => faults.push(pointer, "not_found", format!("there is no finding {id}")),
            Some(f) if clinic.is_some_and(|c| c != f.clinic_id) => {
                faults.push(pointer, "other_clinic", "must be of a trial of the same clinic");
            }
            Some(f) if !f.signed => faults.push(pointer, "not_signed", "must stand signed"),
            Some(_) => {}
        }
    }
}

fn discovery_faults(conn: &mut Conn, who: &Principal, ids: &[DiscoveryId], faults: &mut Faults) -> Result<()> {
    let seen = discovery::store::visible_ids(conn, who, &ids.iter().map(|id| id.0).collect::<Vec<_>>())?;
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("/discovery_ids/{index}");
        if ids[..index].contains(id) {
            faults.push(pointer, "repeated", "may stand only once");
        } else if !seen.contains(&id.0) {
            faults.push(pointer, "not_found", format!("there is no discovery {id}"));
        }
    }
    Ok(())
}

fn lab_faults(conn: &mut Conn, lab: OrganizationId, faults: &mut Faults) -> Result<()> {
    let kind = organization::store::names(conn, [lab])?.get(&lab).map(|(_, kind)| *kind);
    if kind != Some(OrganizationKind::Lab) {
        faults.push("/lab_id", "not_found", "must be a lab");
    }
    Ok(())
}

fn trials_of(ids: &[FindingId], found: &HashMap<FindingId, Citable>) -> Vec<TrialId> {
    each_once(ids.iter().filter_map(|id| found.get(id)).map(|f| f.trial_id))
}

fn each_once<T: Copy + Eq + std::hash::Hash>(members: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut met = HashSet::new();
    members.into_iter().filter(|member| met.insert(*member)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_finding_that_does_not_fit_is_named() {
        let ids: Vec<_> = (1..=4).map(|n| FindingId::of(Uuid::from_u128(n))).collect();
        let clinic = |n| OrganizationId::of(Uuid::from_u128(n));
        let found = |id: FindingId, clinic_id, signed| {
            (id, Citable { id, trial_id: TrialId::of(Uuid::from_u128(9)), clinic_id, signed })
        };
        let known = HashMap::from([
            found(ids[0], clinic(1), true),
            found(ids[1], clinic(1), false),
            found(ids[2], clinic(2), true),
        ]);
        let mut faults = Faults::default();
        let cited = [ids[0], ids[1], ids[2], ids[3], ids[0]];
        citation_faults(&cited, &known, Some(clinic(1)), &mut faults);
        let named: Vec<_> = faults.0.iter().map(|f| (f.pointer.as_deref().unwrap_or_default(), f.code)).collect();
        assert_eq!(
            named,
            [
                ("/finding_ids/1", "not_signed"),
                ("/finding_ids/2", "other_clinic"),
                ("/finding_ids/3", "not_found"),
                ("/finding_ids/4", "repeated"),
            ]
        );
        let mut none = Faults::default();
        citation_faults(&[], &known, None, &mut none);
        assert_eq!(none.0[0].code, "too_few");
    }
}
