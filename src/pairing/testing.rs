//! A small world for tests: organizations, people and discoveries in a database of their own.
use crate::{
    auth::policy::Principal,
    db::{
        Conn, Purpose,
        columns::{Doc, Time},
        migrate,
        schema::membership,
    },
    discovery::{self, Discovery},
    fault,
    id::{Id, OrganizationId, PersonId},
    ledger::{Change, Context, next_number, record_change},
    organization::Organization,
    person::Person,
    vocabulary::{Action, Authn, OrganizationKind, RecordKind, Role},
};
use diesel::prelude::*;
use serde_json::json;

/// Everything a test has.
pub(crate) struct World {
    /// The database.
    pub(crate) conn: Conn,
    path: std::path::PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.path.display()));
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("benchside-{}.db", uuid::Uuid::now_v7()));
        let address = format!("sqlite://{}", path.display()).parse().unwrap();
        let mut conn = Conn::open(&address, Purpose::Write).unwrap();
        migrate::up(&mut conn).unwrap();
        Self { conn, path }
    }

    pub(crate) fn context(&self, person: Option<PersonId>) -> Context {
        let request = uuid::Uuid::now_v7();
        Context { log: "test".into(), person, authn: Authn::Password, at: Time::now(), request }
    }

    pub(crate) fn organization(&mut self, kind: OrganizationKind) -> OrganizationId {
        let context = self.context(None);
        let mut organization = Organization {
            id: Id::fresh(),
            number: next_number(&mut self.conn, RecordKind::Organization).unwrap(),
            version: 0,
            name: format!("A {kind}"),
            kind,
            parent_id: None,
            ror: None,
            focus: Doc::default(),
            lifecycle: None,
            search: String::new(),
            created_at: context.at,
            updated_at: context.at,
            head: Vec::new(),
        };
        record_change(&mut self.conn, &context, &mut organization, Change::of(Action::Created)).unwrap();
        organization.id
    }

    pub(crate) fn person(&mut self, role: Role, organizations: &[OrganizationId]) -> Principal {
        let context = self.context(None);
        let id: PersonId = Id::fresh();
        let mut person = Person {
            id,
            number: next_number(&mut self.conn, RecordKind::Person).unwrap(),
            version: 0,
            name: format!("A {role}"),
            email: format!("{id}@test.test"),
            email_folded: format!("{id}@test.test"),
            orcid: None,
            roles: vec![role].into(),
            organizations: organizations.to_vec().into(),
            expertise: Doc::default(),
            accepting_work: true,
            disabled_at: None,
            search: String::new(),
            created_at: context.at,
            updated_at: context.at,
            head: Vec::new(),
        };
        record_change(&mut self.conn, &context, &mut person, Change::of(Action::Created)).unwrap();
        for organization in organizations {
            let row = (membership::person_id.eq(id), membership::organization_id.eq(*organization));
            diesel::insert_into(membership::table).values(row).execute(&mut self.conn).unwrap();
        }
        Principal {
            id,
            name: person.name,
            roles: [role].into(),
            organizations: organizations.to_vec(),
            authn: Authn::Password,
            session: None,
            scope: crate::auth::scope::Scope::everything(),
            at: Time::now(),
        }
    }

    pub(crate) fn disable(&mut self, who: &Principal) {
        let context = self.context(None);
        let mut person = crate::person::store::load(&mut self.conn, who.id).unwrap();
        person.disabled_at = Some(context.at);
        record_change(&mut self.conn, &context, &mut person, Change::of(Action::Disabled)).unwrap();
    }

    pub(crate) fn discovery(&mut self, who: &Principal, lab: OrganizationId, visibility: &str) -> Discovery {
        let body =
            json!({ "title": "Clears aggregates", "modality": "biologic", "lab_id": lab, "visibility": visibility });
        let context = self.context(Some(who.id));
        discovery::change::log(&mut self.conn, who, &context, fault::read(body).unwrap(), None).unwrap()
    }
}
