//! The use case that links a trial to discoveries.
use super::{
    Link, Trial,
    body::{NewLink, NewLinks},
    change::save,
    store,
};
use crate::{
    Result,
    auth::policy::{LinkTrial, Principal, Relation},
    db::Conn,
    discovery,
    fault::{self, Faults},
    http::etag::IfMatch,
    id::DiscoveryId,
    ledger::{Change, Context},
    lifecycle::facts,
    vocabulary::{Action, LinkRole},
};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

/// Replaces the links to discoveries that the caller can see; the others stay, unsaid. Links that are there already make
/// no new version.
///
/// # Errors
/// 403 for those who may not revise the trial, or may not put a discovery to the test with it; 428, 412; 422 for a
/// discovery that is hidden, absent or named twice.
pub fn relink(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    mut trial: Trial,
    if_match: &IfMatch,
    body: Value,
) -> Result<Trial> {
    who.must::<LinkTrial>(&trial.standing(who))?;
    let asked = fault::read::<NewLinks>(body);
    let named = asked.iter().flat_map(|l| &l.data.0).map(|l| l.discovery_id);
    let known = named.chain(trial.discoveries.iter().map(|l| l.discovery_id)).map(|id| id.0);
    let visible = discovery::store::visible_ids(conn, who, &known.collect::<Vec<_>>())?;
    for link in asked.iter().flat_map(|l| &l.data.0).filter(|l| visible.contains(&l.discovery_id.0)) {
        // Whoever links a trial as a test becomes party to the discovery, so its own people have to.
        let is_new = !trial.discoveries.iter().any(|l| (l.discovery_id, l.role) == (link.discovery_id, link.role));
        if is_new && link.role == LinkRole::Tests {
            let discovery = discovery::store::load(conn, link.discovery_id)?;
            let leads = facts::leads(conn, who.id, link.discovery_id)?;
            who.must::<LinkTrial>(&discovery.standing(who).being(Relation::Lead, leads))?;
        }
    }
    if_match.check(trial.version)?;
    let asked = asked?.data.0;
    faults_of(&asked, &visible).into_result()?;

    let before: BTreeSet<Link> = trial.discoveries.iter().copied().collect();
    let mut links: Vec<Link> =
        asked.into_iter().map(|NewLink { discovery_id, role }| Link { discovery_id, role }).collect();
    links.extend(before.iter().filter(|l| !visible.contains(&l.discovery_id.0)));
    let after: BTreeSet<Link> = links.iter().copied().collect();
    if before == after {
        return Ok(trial);
    }
    trial.discoveries = links.into();
    let touched: BTreeSet<DiscoveryId> = before.symmetric_difference(&after).map(|l| l.discovery_id).collect();
    let mentions = touched.into_iter().map(DiscoveryId::any).collect();
    save(conn, context, &mut trial, Change { mentions, ..Change::of(Action::Linked) })?;
    store::index_links(conn, trial.id, &trial.discoveries)?;
    Ok(trial)
}

fn faults_of(asked: &[NewLink], visible: &HashSet<Uuid>) -> Faults {
    let mut faults = Faults::default();
    for (index, link) in asked.iter().enumerate() {
        if !visible.contains(&link.discovery_id.0) {
            let message = format!("there is no discovery {}, or none that you may see", link.discovery_id);
            faults.push(format!("/data/{index}/discovery_id"), "not_found", message);
        } else if asked[..index].iter().any(|l| (l.discovery_id, l.role) == (link.discovery_id, link.role)) {
            faults.push(format!("/data/{index}"), "duplicate", "stands in the list already");
        }
    }
    faults
}
