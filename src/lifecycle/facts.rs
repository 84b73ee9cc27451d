//! What gates ask about other kinds of record, read straight from the tables so that slices need not know each other.
use super::{TrialFact, builtin::ACCEPTED};
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn,
        columns::Doc,
        hold_rows,
        schema::{citation, finding, insight, insight_discovery, pairing, trial, trial_link},
    },
    finding::SIGNED,
    id::{DiscoveryId, FindingId, InsightId, OrganizationId, PairingId, PersonId, TrialId},
    vocabulary::{LinkRole, PairingKind, Phase, TrialStatus},
};
use diesel::prelude::*;
use std::collections::{HashMap, HashSet};

/// A trial linked to a discovery as `tests`.
pub struct TestingTrial {
    /// Which.
    pub id: TrialId,
    /// Its clinic.
    pub clinic: OrganizationId,
    /// What gates ask of it.
    pub fact: TrialFact,
}

/// An accepted pairing of a discovery.
pub struct AcceptedPairing {
    /// Which.
    pub id: PairingId,
    /// Clinical lead or industry partner.
    pub kind: PairingKind,
    /// The clinician.
    pub clinician: Option<PersonId>,
}

/// What gates ask of other kinds about a discovery.
#[derive(Default)]
pub struct Around {
    /// The trials linked to it as `tests`.
    pub trials: Vec<TestingTrial>,
    /// Its accepted pairings.
    pub pairings: Vec<AcceptedPairing>,
}

/// What is around each of the given discoveries, in two queries; nothing for one that has nothing.
///
/// # Errors
/// What the database says.
pub fn around(conn: &mut Conn, discoveries: &[DiscoveryId]) -> Result<HashMap<DiscoveryId, Around>> {
    type Tested = (DiscoveryId, TrialId, Doc<Vec<Phase>>, TrialStatus, OrganizationId);
    let tested: Vec<Tested> = trial::table
        .inner_join(trial_link::table.on(trial_link::trial_id.eq(trial::id)))
        .filter(trial_link::discovery_id.eq_any(discoveries))
        .filter(trial_link::role.eq(LinkRole::Tests))
        .select((trial_link::discovery_id, trial::id, trial::phases, trial::overall_status, trial::clinic_id))
        .load(conn)?;
    let paired: Vec<(DiscoveryId, PairingId, PairingKind, Option<PersonId>)> = pairing::table
        .filter(pairing::discovery_id.eq_any(discoveries))
        .filter(pairing::state.eq(ACCEPTED))
        .select((pairing::discovery_id, pairing::id, pairing::kind, pairing::clinician_id))
        .load(conn)?;
    let mut around: HashMap<DiscoveryId, Around> = HashMap::new();
    for (discovery, id, phases, status, clinic) in tested {
        let trial = TestingTrial { id, clinic, fact: TrialFact { phases: phases.0, status } };
        around.entry(discovery).or_default().trials.push(trial);
    }
    for (discovery, id, kind, clinician) in paired {
        around.entry(discovery).or_default().pairings.push(AcceptedPairing { id, kind, clinician });
    }
    Ok(around)
}

/// Keeps the trials that test a discovery and its accepted pairings as they are until the transaction ends, so that no
/// move is made on what ends at the same moment.
///
/// # Errors
/// What the database says.
pub fn hold_of_discovery(conn: &mut Conn, discovery: DiscoveryId) -> Result<()> {
    const TRIALS: &str = "SELECT 1 FROM trial JOIN trial_link ON trial_link.trial_id = trial.id \
         WHERE trial_link.discovery_id = $1 AND trial_link.role = 'tests' ORDER BY trial.id FOR SHARE OF trial";
    const PAIRINGS: &str = "SELECT 1 FROM pairing WHERE discovery_id = $1 AND state = 'accepted' ORDER BY id FOR SHARE";
    hold_rows(conn, TRIALS, discovery.0)?;
    hold_rows(conn, PAIRINGS, discovery.0)
}

/// The same for an insight that is cited, and the findings it stands on.
///
/// # Errors
/// What the database says.
pub fn hold_of_insight(conn: &mut Conn, insight: InsightId) -> Result<()> {
    // Findings before insights, as a recall takes them.
    hold_findings(conn, insight)?;
    hold_rows(conn, "SELECT 1 FROM insight WHERE id = $1 FOR SHARE", insight.0)
}

/// The same for the findings of an insight.
///
/// # Errors
/// What the database says.
pub fn hold_findings(conn: &mut Conn, insight: InsightId) -> Result<()> {
    const FINDINGS: &str = "SELECT 1 FROM finding JOIN citation ON citation.finding_id = finding.id \
         WHERE citation.insight_id = $1 ORDER BY finding.id FOR SHARE OF finding";
    hold_rows(conn, FINDINGS, insight.0)
}

/// The same for findings that are about to be cited, in the order of their ids: none of them is retracted meanwhile.
///
/// # Errors
/// What the database says.
pub fn hold_cited(conn: &mut Conn, findings: &[FindingId]) -> Result<()> {
    let mut findings = findings.to_vec();
    findings.sort_unstable();
    findings.dedup();
    findings
        .into_iter()
        .try_for_each(|finding| hold_rows(conn, "SELECT 1 FROM finding WHERE id = $1 FOR SHARE", finding.0))
}

/// Whether this person is the accepted clinical lead of a discovery.
///
/// # Errors
/// What the database says.
pub fn leads(conn: &mut Conn, who: PersonId, discovery: DiscoveryId) -> Result<bool> {
    let pairings = around(conn, &[discovery])?.remove(&discovery).unwrap_or_default().pairings;
    Ok(pairings.iter().any(|p| p.kind == PairingKind::ClinicalLead && p.clinician == Some(who)))
}

/// Leaves, of what is around some of the discoveries, what this person may see: in two queries.
///
/// # Errors
/// What the database says.
pub fn keep_visible(
    conn: &mut Conn,
    who: &Principal,
    around: &mut HashMap<DiscoveryId, Around>,
    of: &HashSet<DiscoveryId>,
) -> Result<()> {
    let some = || around.iter().filter(|(id, _)| of.contains(id)).map(|(_, around)| around);
    let trials: Vec<_> = some().flat_map(|a| &a.trials).map(|t| t.id.0).collect();
    let pairings: Vec<_> = some().flat_map(|a| &a.pairings).map(|p| p.id.0).collect();
    if !trials.is_empty() {
        let seen = crate::trial::store::visible_ids(conn, who, &trials)?;
        let hidden = around.iter_mut().filter(|(id, _)| of.contains(id));
        hidden.for_each(|(_, a)| a.trials.retain(|t| seen.contains(&t.id.0)));
    }
    if !pairings.is_empty() {
        let seen = crate::pairing::store::visible_ids(conn, who, &pairings)?;
        let hidden = around.iter_mut().filter(|(id, _)| of.contains(id));
        hidden.for_each(|(_, a)| a.pairings.retain(|p| seen.contains(&p.id.0)));
    }
    Ok(())
}

/// Whether an insight may be cited for a discovery: this person sees it, it was submitted and not withdrawn, every
/// finding it cites stands signed, and it concerns the discovery or findings of a trial that tests it.
///
/// # Errors
/// What the database says.
pub fn insight_stands(conn: &mut Conn, who: &Principal, id: InsightId, discovery: DiscoveryId) -> Result<bool> {
    if crate::insight::store::visible_ids(conn, who, &[id.0])?.is_empty() {
        return Ok(false);
    }
    let submitted = insight::table
        .filter(insight::id.eq(id))
        .filter(insight::submitted_at.is_not_null())
        .filter(insight::state.ne("withdrawn"));
    let shaky = citation::table
        .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
        .filter(citation::insight_id.eq(id))
        .filter(finding::state.ne(SIGNED));
    let named = insight_discovery::table
        .filter(insight_discovery::insight_id.eq(id))
        .filter(insight_discovery::discovery_id.eq(discovery));
    let tested = citation::table
        .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
        .inner_join(trial_link::table.on(trial_link::trial_id.eq(finding::trial_id)))
        .filter(citation::insight_id.eq(id))
        .filter(trial_link::discovery_id.eq(discovery))
        .filter(trial_link::role.eq(LinkRole::Tests));
    let concerns = named.count().get_result::<i64>(conn)? > 0 || tested.count().get_result::<i64>(conn)? > 0;
    let stands = submitted.count().get_result::<i64>(conn)? > 0 && shaky.count().get_result::<i64>(conn)? == 0;
    Ok(concerns && stands)
}
