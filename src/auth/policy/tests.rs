//! The table is sound, and decides as it reads.
use super::*;
use crate::id::Id;

fn person(roles: &[Role]) -> Principal {
    Principal {
        id: Id::fresh(),
        name: "Somebody".into(),
        roles: roles.iter().copied().collect(),
        organizations: Vec::new(),
        authn: Authn::System,
        session: None,
        scope: Scope::everything(),
        at: Time::parse("2026-03-01T00:00:00Z").unwrap(),
    }
}

#[test]
fn every_action_has_one_name_and_one_rule_for_a_kind() {
    let names: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), TABLE.len());
    for row in TABLE {
        assert!(!row.meaning.is_empty() && row.meaning.ends_with('.'), "{}: {}", row.name, row.meaning);
        for kind in RecordKind::ALL {
            let rules = row.rules.iter().filter(|rule| rule.over.contains(kind)).count();
            assert!(rules <= 1, "{} has {rules} rules for a {kind}", row.name);
        }
        for rule in row.rules {
            assert!(!rule.grants.is_empty() && rule.refusal.ends_with('.'), "{}", row.name);
            assert!(!rule.over.is_empty() || rule.grants.iter().all(|g| g.relation == Relation::Any), "{}", row.name);
        }
        assert_eq!(Row::named(row.name).unwrap().meaning, row.meaning);
    }
}

#[test]
fn an_auditor_writes_no_record_and_a_person_without_roles_sees_only_themself() {
    assert_eq!(permissions_of(&BTreeSet::new()), ["own_access"]);
    assert_eq!(
        permissions_of(&[Role::Auditor].into()),
        ["own_access", "read", "follow", "read_log", "read_private", "move", "sign"]
    );
}

#[test]
fn a_relation_counts_only_for_the_roles_it_is_written_for() {
    let to = |owner, steward| {
        Standing::to(RecordKind::Discovery).being(Relation::Owner, owner).being(Relation::Steward, steward)
    };
    for (roles, owner, steward, may) in [
        (&[Role::Scientist][..], false, false, false),
        (&[Role::Scientist], false, true, true),
        (&[Role::Scientist], true, false, true),
        (&[Role::Clinician], false, true, false),
        (&[Role::Clinician], true, false, true),
        (&[Role::Administrator], false, false, true),
        (&[Role::Partner], true, true, false),
        (&[Role::Auditor], true, true, false),
        (&[], true, true, false),
        (&[Role::Auditor, Role::Scientist], false, true, true),
    ] {
        let who = person(roles);
        assert_eq!(who.may::<Revise>(&to(owner, steward)), may, "{roles:?} owner {owner} steward {steward}");
        assert_eq!(who.must::<Revise>(&to(owner, steward)).is_ok(), may);
    }
}

#[test]
fn a_refusal_names_what_is_missing() {
    let unmet = |error: Error| error.problem()["unmet"].clone();
    let scientist = person(&[Role::Scientist]);
    let told = unmet(scientist.must::<Revise>(&Standing::to(RecordKind::Discovery)).unwrap_err());
    assert_eq!(told[0]["gate"], "any_of");
    let branches: Vec<_> =
        told[0]["branches"].as_array().unwrap().iter().map(|b| b["gate"].as_str().unwrap()).collect();
    assert_eq!(branches, ["owner", "steward", "role"]);
    let told = unmet(scientist.must::<LogDiscovery>(&Standing::to(RecordKind::Organization)).unwrap_err());
    assert_eq!(
        (&told[0]["gate"], &told[0]["message"]),
        (&"member".into(), &"scientist, being a member of the organization".into())
    );
    let told = unmet(RecordFinding::ROW.refused());
    assert_eq!((&told[0]["gate"], &told[0]["message"]), (&"role".into(), &"one of the roles clinician".into()));
    // Of a kind that the action is not of, the policy says nothing, and so nobody may.
    let wrong = scientist.must::<Revise>(&Standing::to(RecordKind::Transfer)).unwrap_err();
    assert_eq!(wrong.code(), Code::Internal);
    assert!(!scientist.may::<Revise>(&Standing::to(RecordKind::Transfer)));
}

#[test]
fn the_page_has_a_line_for_every_rule() {
    let page = markdown();
    let rules: usize = TABLE.iter().map(|row| row.rules.len()).sum();
    let (table, _) = page.split_once("\n\n").unwrap();
    assert_eq!(table.lines().count(), rules + 2);
    assert!(table.contains("| `revise` | discovery | owner, steward | owner | any |  |  |  |"), "{table}");
}
