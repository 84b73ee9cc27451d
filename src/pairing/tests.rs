//! Pairings as stories, on a database.
use super::{Pairing, change, store, testing::World};
use crate::{
    Result,
    auth::policy::Principal,
    error::Code,
    fault,
    http::etag::IfMatch,
    transition::{Asked, attempt},
    vocabulary::{OrganizationKind, Role},
};
use serde_json::{Value, json};

fn propose(world: &mut World, who: &Principal, body: Value) -> Result<Pairing> {
    let context = world.context(Some(who.id));
    change::propose(&mut world.conn, who, &context, fault::read(body).map_err(crate::Error::from)?)
}

fn go(world: &mut World, who: &Principal, pairing: &Pairing, body: Value) -> Result<Pairing> {
    let context = world.context(Some(who.id));
    let asked = Asked { key: pairing.id.into(), if_match: IfMatch::Any, body };
    attempt::<Pairing>(&mut world.conn, who, &context, &asked, None)?;
    store::load(&mut world.conn, pairing.id)
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn one_clinician_at_a_time_leads_a_discovery() {
    let mut world = World::new();
    let lab = world.organization(OrganizationKind::Lab);
    let scientist = world.person(Role::Scientist, &[lab]);
    let [first, second] = [(); 2].map(|()| world.person(Role::Clinician, &[]));
    let discovery = world.discovery(&scientist, lab, "internal");
    let body = |who: &Principal| json!({ "discovery_id": discovery.id, "kind": "clinical_lead", "clinician_id": who.id, "message": "Will you?" });

    let asked = propose(&mut world, &scientist, body(&first)).unwrap();
    assert_eq!(code(propose(&mut world, &first, body(&first))), Code::Conflict, "the same pairing is open");
    let offered = propose(&mut world, &second, body(&second)).unwrap();
    assert_eq!(code(go(&mut world, &second, &offered, json!({ "to": "accepted" }))), Code::NotPermitted);
    assert!(store::find(&mut world.conn, &second, asked.id.into()).is_err(), "nobody learns of another's pairing");

    let accepted = go(&mut world, &first, &asked, json!({ "to": "accepted" })).unwrap();
    assert!(accepted.answered_at.is_some());
    assert_eq!(code(go(&mut world, &scientist, &offered, json!({ "to": "accepted" }))), Code::Conflict);
    assert_eq!(code(go(&mut world, &first, &asked, json!({ "to": "ended" }))), Code::GatesUnmet, "needs a reason");
    let ended = go(&mut world, &first, &asked, json!({ "to": "ended", "reason": "Moving to another town" })).unwrap();
    assert_eq!((ended.state.as_str(), ended.version), ("ended", 3));
    go(&mut world, &scientist, &offered, json!({ "to": "accepted" })).unwrap();
    propose(&mut world, &scientist, body(&first)).unwrap();
}

#[test]
fn a_sponsor_is_asked_only_about_what_it_sees() {
    let mut world = World::new();
    let (lab, sponsor) = (world.organization(OrganizationKind::Lab), world.organization(OrganizationKind::Sponsor));
    let scientist = world.person(Role::Scientist, &[lab]);
    let partner = world.person(Role::Partner, &[sponsor]);
    let hidden = world.discovery(&scientist, lab, "confidential");
    let open = world.discovery(&scientist, lab, "public");
    let body = |id| json!({ "discovery_id": id, "kind": "industry_partner", "organization_id": sponsor, "message": "Join us" });

    assert_eq!(code(propose(&mut world, &scientist, body(hidden.id))), Code::ShareFirst);
    assert_eq!(code(propose(&mut world, &partner, body(hidden.id))), Code::Invalid, "hidden is absent");
    let other = world.person(Role::Partner, &[]);
    assert_eq!(code(propose(&mut world, &other, body(open.id))), Code::NotPermitted);
    let asked = propose(&mut world, &partner, body(open.id)).unwrap();
    assert_eq!(code(go(&mut world, &partner, &asked, json!({ "to": "accepted" }))), Code::NotPermitted);
    let declined = json!({ "to": "declined", "reason": "Too early" });
    assert_eq!(go(&mut world, &scientist, &asked, declined).unwrap().state, "declined");
}

#[test]
fn a_proposal_names_one_counterpart_that_suits_its_kind() {
    let mut world = World::new();
    let lab = world.organization(OrganizationKind::Lab);
    let scientist = world.person(Role::Scientist, &[lab]);
    let discovery = world.discovery(&scientist, lab, "internal");
    let faults = |world: &mut World, body: Value| match propose(world, &scientist, body) {
        Err(crate::Error::Invalid(faults)) => {
            faults.0.into_iter().map(|f| (f.pointer.unwrap_or_default(), f.code)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let nobody = uuid::Uuid::now_v7();
    let body = json!({ "discovery_id": nobody, "kind": "clinical_lead", "organization_id": lab, "message": "?" });
    assert_eq!(
        faults(&mut world, body),
        [
            ("/discovery_id".to_owned(), "not_found"),
            ("/clinician_id".to_owned(), "required"),
            ("/organization_id".to_owned(), "not_applicable")
        ]
    );
    let body =
        json!({ "discovery_id": discovery.id, "kind": "clinical_lead", "clinician_id": scientist.id, "message": "?" });
    assert_eq!(faults(&mut world, body), [("/clinician_id".to_owned(), "not_found")]);
    let body =
        json!({ "discovery_id": discovery.id, "kind": "industry_partner", "organization_id": lab, "message": "?" });
    assert_eq!(faults(&mut world, body), [("/organization_id".to_owned(), "not_found")]);
}
