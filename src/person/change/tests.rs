//! People and organizations through their use cases, on a database.
use super::*;
use crate::{
    auth::policy::Principal,
    db::{Db, Settings},
    fault::read,
    organization::change::{NewOrganization, OrganizationPatch},
    vocabulary::Authn,
};
use serde_json::{Value, json};

struct Bench(Db, std::path::PathBuf);

impl Bench {
    fn open() -> Self {
        let file = std::env::temp_dir().join(format!("benchside-{}.db", uuid::Uuid::now_v7()));
        Self(Db::open(&format!("sqlite://{}", file.display()), &Settings::default()).unwrap(), file)
    }
    async fn write<T: Send + 'static>(
        &self,
        f: impl Fn(&mut Conn, &Context) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = Context {
            log: self.0.log().into(),
            person: None,
            authn: Authn::System,
            at: Time::now(),
            request: uuid::Uuid::nil(),
        };
        self.0.write(move |conn| f(conn, &context)).await
    }
    async fn organization(&self, body: Value) -> Result<crate::organization::Organization> {
        let new = read::<NewOrganization>(body).unwrap();
        self.write(move |conn, context| organization::change::create(conn, context, new.clone())).await
    }
    async fn person(&self, body: Value) -> Result<Person> {
        let new = read::<NewPerson>(body).unwrap();
        self.write(move |conn, context| create(conn, context, new.clone())).await
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.0.close();
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.1.display()));
        }
    }
}

fn code<T>(result: Result<T>) -> &'static str {
    result.err().map_or("ok", |e| e.code().as_str())
}

#[tokio::test]
async fn the_tree_has_no_cycles_and_ror_ids_are_unique() {
    let bench = Bench::open();
    let top = bench.organization(json!({ "name": "Top", "kind": "institution", "ror": "02mhbdp94" })).await.unwrap();
    let lab = bench.organization(json!({ "name": "Lab", "kind": "lab", "parent_id": top.id })).await.unwrap();
    let twin = json!({ "name": "Twin", "kind": "institution", "ror": "https://ror.org/02MHBDP94" });
    assert_eq!(code(bench.organization(twin).await), "conflict");
    let nowhere = json!({ "name": "Orphan", "kind": "lab", "parent_id": uuid::Uuid::now_v7() });
    assert_eq!(code(bench.organization(nowhere).await), "invalid");
    for (patch, expected) in [
        (json!({ "parent_id": lab.id }), "invalid"),
        (json!({ "parent_id": top.id }), "invalid"),
        (json!({ "lifecycle": "nothing@1" }), "invalid"),
        (json!({ "lifecycle": "trial@1" }), "invalid"),
        (json!({ "lifecycle": "translational@1", "parent_id": null, "ror": "02mhbdp94" }), "ok"),
    ] {
        let (patch, top) = (read::<OrganizationPatch>(patch.clone()).unwrap(), top.clone());
        let revised =
            bench.write(move |c, context| organization::change::revise(c, context, top.clone(), patch.clone()));
        assert_eq!(code(revised.await), expected);
    }
}

#[tokio::test]
async fn a_person_is_found_and_signs_in_until_disabled() {
    let bench = Bench::open();
    let lab = bench.organization(json!({ "name": "Lab", "kind": "lab" })).await.unwrap();
    let ada = json!({ "name": "Ada", "email": "Ada@Example.org", "roles": ["scientist"],
        "memberships": [{ "organization_id": lab.id }],
        "expertise": { "conditions": [{ "name": "ALS", "mesh": "D000690" }], "modalities": ["vaccine"] } });
    let person = bench.person(ada.clone()).await.unwrap();
    assert_eq!(code(bench.person(ada).await), "conflict");
    let (id, lab) = (person.id, lab.id);
    let signs_in = move |conn: &mut Conn| store::principal(conn, id, Authn::Password, Time::now());
    let principal: Principal = bench.0.read(signs_in).await.unwrap().unwrap();
    assert!(principal.belongs_to(lab) && principal.is(Role::Scientist));
    let member = bench.0.read(move |conn| store::is_active_member(conn, id, lab)).await.unwrap();
    assert!(member);
    for hash in ["first", "second"] {
        bench.write(move |conn, context| set_password_hash(conn, id, hash, context.at)).await.unwrap();
    }
    let kept = bench.0.read(move |conn| crate::person::store::password_hash(conn, id)).await.unwrap();
    assert_eq!(kept.as_deref(), Some("second"));
    let why = Disabling { reason: crate::fault::Text("left".into()) };
    let disabled = bench.write(move |conn, context| disable(conn, context, person.clone(), why.clone())).await;
    assert_eq!(disabled.unwrap().version, 2);
    assert!(bench.0.read(signs_in).await.unwrap().is_none());
    assert!(!bench.0.read(move |conn| store::is_active_member(conn, id, lab)).await.unwrap());
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let bench = Bench::open();
    let boss = json!({ "name": "Boss", "email": "boss@example.org", "roles": ["administrator"] });
    let boss = bench.person(boss).await.unwrap();
    let demote = read::<PersonPatch>(json!({ "roles": ["auditor"] })).unwrap();
    let attempt = |boss: Person, demote: PersonPatch| {
        bench.write(move |conn, context| revise(conn, context, boss.clone(), demote.clone()))
    };
    assert_eq!(code(attempt(boss.clone(), demote.clone()).await), "conflict");
    let second = json!({ "name": "Second", "email": "second@example.org", "roles": ["scientist", "administrator"] });
    bench.person(second).await.unwrap();
    assert_eq!(code(attempt(boss, demote).await), "ok");
}
