//! Transfers as stories, on a database.
use super::{Transfer, change, store};
use crate::{
    Result,
    auth::policy::{AnswerTransfer, Principal},
    discovery,
    error::Code,
    fault,
    pairing::{self, testing::World},
    vocabulary::{OrganizationKind, Role, TransferState},
};
use serde_json::{Value, json};

fn propose(world: &mut World, who: &Principal, body: Value) -> Result<Transfer> {
    let context = world.context(Some(who.id));
    change::propose(&mut world.conn, who, &context, fault::read(body).map_err(crate::Error::from)?)
}

fn accept(world: &mut World, who: &Principal, transfer: &Transfer) -> Result<Transfer> {
    let context = world.context(Some(who.id));
    let transfer = store::find(&mut world.conn, who, transfer.id.into())?;
    who.must::<AnswerTransfer>(&transfer.standing(who))?;
    change::accept(&mut world.conn, who, &context, transfer)
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn a_record_changes_hands_when_its_receiver_accepts() {
    let mut world = World::new();
    let lab = world.organization(OrganizationKind::Lab);
    let [giver, receiver, other] = [(); 3].map(|()| world.person(Role::Scientist, &[lab]));
    let [one, two] = [(); 2].map(|()| world.discovery(&giver, lab, "internal"));
    let records = json!([{ "kind": "discovery", "id": one.id }, { "kind": "discovery", "id": two.id }]);
    let body = json!({ "to_person_id": receiver.id, "reason": "Parental leave", "records": records });

    assert_eq!(code(propose(&mut world, &other, body.clone())), Code::NotPermitted);
    let offered = propose(&mut world, &giver, body.clone()).unwrap();
    assert_eq!(code(propose(&mut world, &giver, body)), Code::Conflict, "one open transfer a record");
    assert_eq!(code(accept(&mut world, &other, &offered)), Code::NotFound);
    assert_eq!(code(accept(&mut world, &giver, &offered)), Code::NotPermitted);
    let accepted = accept(&mut world, &receiver, &offered).unwrap();
    assert_eq!((accepted.state, accepted.version), (TransferState::Accepted, 2));
    assert_eq!(code(accept(&mut world, &receiver, &offered)), Code::Immutable);
    for id in [one.id, two.id] {
        let owned = discovery::store::load(&mut world.conn, id).unwrap();
        assert_eq!((owned.owner_id, owned.version, owned.owners.len()), (receiver.id, 2, 2));
        assert!(owned.owners[0].until.is_some() && owned.owners[1].until.is_none());
    }
    let codes: Vec<_> =
        crate::person::store::owned(&mut world.conn, receiver.id).unwrap().into_iter().map(|r| r.code).collect();
    assert_eq!(codes, ["D-1", "D-2"]);
    assert!(crate::person::store::owned(&mut world.conn, giver.id).unwrap().is_empty());
}

#[test]
fn a_new_steward_takes_discoveries_with_their_pairings_and_nothing_else() {
    let mut world = World::new();
    let [old, new] = [(); 2].map(|()| world.organization(OrganizationKind::Lab));
    let clinic = world.organization(OrganizationKind::Clinic);
    let giver = world.person(Role::Scientist, &[old]);
    let receiver = world.person(Role::Scientist, &[new]);
    let clinician = world.person(Role::Clinician, &[clinic]);
    let discovery = world.discovery(&giver, old, "internal");
    let asked =
        json!({ "discovery_id": discovery.id, "kind": "clinical_lead", "clinician_id": clinician.id, "message": "?" });
    let context = world.context(Some(giver.id));
    let paired = pairing::change::propose(&mut world.conn, &giver, &context, fault::read(asked).unwrap()).unwrap();
    let body = |steward, records: Value| json!({ "to_person_id": receiver.id, "reason": "The group moves", "steward_id": steward, "records": records });
    let (d, p) = (json!({ "kind": "discovery", "id": discovery.id }), json!({ "kind": "pairing", "id": paired.id }));

    assert_eq!(code(propose(&mut world, &giver, body(clinic, json!([d])))), Code::Invalid, "a lab is needed");
    assert_eq!(code(propose(&mut world, &giver, body(new, json!([p])))), Code::Invalid, "a pairing does not go alone");
    let offered = propose(&mut world, &giver, body(new, json!([p, d]))).unwrap();
    accept(&mut world, &receiver, &offered).unwrap();
    let moved = discovery::store::load(&mut world.conn, discovery.id).unwrap();
    assert_eq!((moved.lab_id, moved.owner_id), (new, receiver.id));
    assert_eq!(pairing::store::load(&mut world.conn, paired.id).unwrap().owner_id, receiver.id);
    assert!(pairing::store::find(&mut world.conn, &giver, paired.id.into()).is_err(), "visibility follows");
}

#[test]
fn only_who_has_left_is_passed_over_and_only_by_an_administrator() {
    let mut world = World::new();
    let lab = world.organization(OrganizationKind::Lab);
    let administrator = world.person(Role::Administrator, &[]);
    let [leaver, receiver] = [(); 2].map(|()| world.person(Role::Scientist, &[lab]));
    let discovery = world.discovery(&leaver, lab, "confidential");
    let records = json!([{ "kind": "discovery", "id": discovery.id }]);
    let body = json!({ "to_person_id": receiver.id, "reason": "Has left", "records": records, "force": true });

    assert_eq!(code(propose(&mut world, &leaver, body.clone())), Code::NotPermitted);
    assert_eq!(code(propose(&mut world, &administrator, body.clone())), Code::Conflict, "still there");
    world.disable(&leaver);
    let forced = propose(&mut world, &administrator, body).unwrap();
    assert_eq!((forced.state, forced.from_person_id, forced.version), (TransferState::Accepted, leaver.id, 1));
    assert_eq!(discovery::store::load(&mut world.conn, discovery.id).unwrap().owner_id, receiver.id);
}

#[test]
fn every_fault_of_a_transfer_is_named() {
    let mut world = World::new();
    let [lab, away] = [(); 2].map(|()| world.organization(OrganizationKind::Lab));
    let giver = world.person(Role::Scientist, &[lab]);
    let stranger = world.person(Role::Scientist, &[away]);
    let secret = world.discovery(&stranger, away, "confidential");
    let own = world.discovery(&giver, lab, "internal");
    let record = |id| json!({ "kind": "discovery", "id": id });
    let records = json!([record(own.id), record(own.id), record(secret.id)]);
    let body = json!({ "to_person_id": stranger.id, "reason": "?", "records": records });
    let Err(crate::Error::Invalid(faults)) = propose(&mut world, &giver, body) else { panic!("faults were expected") };
    let found: Vec<_> = faults.0.iter().map(|f| (f.pointer.as_deref().unwrap_or_default(), f.code)).collect();
    assert_eq!(found, [("/records/1", "duplicate"), ("/records/2", "not_found"), ("/to_person_id", "not_a_member")]);
    let empty = json!({ "to_person_id": giver.id, "reason": "?", "records": [] });
    assert_eq!(code(propose(&mut world, &giver, empty)), Code::Invalid);
}
