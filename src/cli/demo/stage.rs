//! The demo's clock and hands: each act is a use case of the service, at the moment the story says, by the person it says.
use super::text::FIELDS;
use crate::{
    Error, Result,
    app::{self, Clock},
    auth::policy::Principal,
    db::{Conn, Db, columns::Time},
    discovery::{self, Discovery},
    finding::{self, Finding},
    history::TransitionView,
    http::{body, etag::IfMatch},
    id::{ChallengeId, DiscoveryId, Key, OrganizationId, PersonId},
    insight::{self, Insight},
    ledger::{Context, Stored},
    organization,
    pairing::{self, Pairing},
    person,
    signature::{self, Subject},
    transfer,
    transition::{Asked, Checked, Movable, attempt},
    trial::{self, Trial},
    vocabulary::{Authn, Meaning, RecordKind, Role},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Where the story is played.
pub(super) struct Stage {
    db: Db,
    /// The demo's own moment; the clock that its checkpoints are signed by shows it too.
    now: Time,
    clock: Clock,
    /// The same seed gives the same story.
    pub dice: fastrand::Rng,
    hash: String,
}

impl Stage {
    pub fn new(db: &Db, seed: u64, now: Time, hash: &str, clock: Clock) -> Self {
        clock.set(now);
        Self { db: db.clone(), now, clock, dice: fastrand::Rng::with_seed(seed), hash: hash.into() }
    }

    /// The demo's own moment.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Goes on to a later one.
    pub fn go_on_to(&mut self, moment: Time) {
        self.now = moment;
        self.clock.set(moment);
    }

    fn context(&self, person: Option<PersonId>) -> Context {
        let authn = if person.is_some() { Authn::Password } else { Authn::System };
        Context { log: self.db.log().into(), person, authn, at: self.now, request: Uuid::now_v7() }
    }

    async fn system<T: Send + 'static>(
        &self,
        f: impl Fn(&mut Conn, &Context) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = self.context(None);
        self.db.write(move |conn| f(conn, &context)).await
    }

    async fn act<T: Send + 'static>(
        &self,
        who: PersonId,
        f: impl Fn(&mut Conn, &Principal, &Context) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = self.context(Some(who));
        self.db
            .write(move |conn| {
                let principal = person::store::principal(conn, who, Authn::Password, context.at)?;
                let principal = principal.ok_or_else(|| Error::Internal("nobody acts".into()))?;
                f(conn, &principal, &context)
            })
            .await
    }

    pub fn focus(&self, field: usize) -> Value {
        FIELDS[field % FIELDS.len()]
            .conditions
            .iter()
            .map(|(name, mesh)| json!({ "name": name, "mesh": mesh }))
            .collect()
    }

    pub async fn organization(
        &self,
        name: &str,
        kind: &str,
        parent: Option<OrganizationId>,
        focus: Value,
    ) -> Result<OrganizationId> {
        let new = json!({ "name": name, "kind": kind, "parent_id": parent, "focus": focus });
        self.system(move |conn, context| Ok(organization::change::create(conn, context, body::parse(new.clone())?)?.id))
            .await
    }

    pub async fn person(
        &self,
        name: &str,
        email: &str,
        role: Role,
        organizations: &[(OrganizationId, usize)],
    ) -> Result<PersonId> {
        let memberships: Value = organizations.iter().map(|(id, _)| json!({ "organization_id": id })).collect();
        let field = &FIELDS[organizations.first().map_or(0, |(_, field)| *field) % FIELDS.len()];
        let expert = matches!(role, Role::Scientist | Role::Clinician | Role::Partner);
        let conditions = if expert { self.focus(organizations.first().map_or(0, |(_, f)| *f)) } else { json!([]) };
        let modalities = if expert { json!(field.modalities) } else { json!([]) };
        let new = json!({
            "name": name, "email": email, "roles": [role], "memberships": memberships,
            "expertise": { "conditions": conditions, "modalities": modalities },
        });
        let hash = self.hash.clone();
        self.system(move |conn, context| {
            let person = person::change::create(conn, context, body::parse(new.clone())?)?;
            person::change::set_password_hash(conn, person.id, &hash, context.at)?;
            Ok(person.id)
        })
        .await
    }

    /// Hires so many people of a role; the first of each role gets the printed sign-in.
    pub async fn hire(
        &mut self,
        names: &mut std::slice::Iter<'_, &'static str>,
        role: Role,
        organization: OrganizationId,
        count: usize,
    ) -> Result<Vec<PersonId>> {
        let mut people = Vec::new();
        for _ in 0..count {
            let name = names.next().copied().unwrap_or("Jo Doe");
            let first = format!("{role}@demo.test");
            let taken = first.clone();
            let known = self.db.read(move |conn| person::store::by_email(conn, &taken)).await?;
            let email =
                if known.is_none() { first } else { format!("{}@demo.test", name.to_lowercase().replace(' ', ".")) };
            people.push(self.person(name, &email, role, &[(organization, 0)]).await?);
        }
        Ok(people)
    }

    pub async fn log(&self, who: PersonId, new: Value) -> Result<DiscoveryId> {
        self.act(who, move |conn, who, context| {
            Ok(discovery::change::log(conn, who, context, body::parse(new.clone())?, None)?.id)
        })
        .await
    }

    pub async fn revise_discovery(&self, who: PersonId, id: DiscoveryId, patch: Value) -> Result<()> {
        self.act(who, move |conn, _, context| {
            let found = discovery::store::load(conn, id)?;
            discovery::change::revise(conn, context, found, body::parse(patch.clone())?).map(drop)
        })
        .await
    }

    pub async fn propose(&self, who: PersonId, new: Value) -> Result<Uuid> {
        self.act(who, move |conn, who, context| {
            Ok(pairing::change::propose(conn, who, context, body::parse(new.clone())?)?.id.0)
        })
        .await
    }

    pub async fn hand_on(&self, who: PersonId, new: Value) -> Result<()> {
        self.act(who, move |conn, who, context| {
            transfer::change::propose(conn, who, context, body::parse(new.clone())?).map(drop)
        })
        .await
    }

    pub async fn register(&self, who: PersonId, new: Value) -> Result<Uuid> {
        self.act(who, move |conn, who, context| {
            Ok(trial::change::register(conn, who, context, body::parse(new.clone())?)?.id.0)
        })
        .await
    }

    pub async fn revise_trial(&self, who: PersonId, id: Uuid, patch: Value) -> Result<()> {
        self.act(who, move |conn, who, context| {
            let found = trial::store::find(conn, who, Key::Id(id))?;
            trial::change::revise(conn, context, found, body::parse(patch.clone())?).map(drop)
        })
        .await
    }

    pub async fn link(&self, who: PersonId, id: Uuid, links: Value) -> Result<()> {
        self.act(who, move |conn, who, context| {
            let found = trial::store::find(conn, who, Key::Id(id))?;
            trial::link::relink(conn, who, context, found, &IfMatch::Any, links.clone()).map(drop)
        })
        .await
    }

    pub async fn record(&self, who: PersonId, trial: Uuid, new: Value) -> Result<Uuid> {
        self.act(who, move |conn, who, context| {
            let found = trial::store::find(conn, who, Key::Id(trial))?;
            Ok(finding::change::record(conn, who, context, &found, body::parse(new.clone())?)?.id.0)
        })
        .await
    }

    pub async fn raise(&self, who: PersonId, new: Value) -> Result<Uuid> {
        self.act(who, move |conn, who, context| {
            Ok(insight::change::raise(conn, who, context, body::parse(new.clone())?)?.id.0)
        })
        .await
    }

    pub async fn move_discovery(&self, who: PersonId, id: DiscoveryId, order: Value) -> Result<TransitionView> {
        self.moves::<Discovery>(who, id.0, order).await
    }
    pub async fn move_trial(&self, who: PersonId, id: Uuid, order: Value) -> Result<TransitionView> {
        self.moves::<Trial>(who, id, order).await
    }
    pub async fn move_finding(&self, who: PersonId, id: Uuid, order: Value) -> Result<TransitionView> {
        self.moves::<Finding>(who, id, order).await
    }
    pub async fn move_insight(&self, who: PersonId, id: Uuid, order: Value) -> Result<TransitionView> {
        self.moves::<Insight>(who, id, order).await
    }
    pub async fn move_pairing(&self, who: PersonId, id: Uuid, order: Value) -> Result<TransitionView> {
        self.moves::<Pairing>(who, id, order).await
    }

    /// Makes a move as the route does: `sign` in the order names the meaning of a signature, which is given first.
    async fn moves<M: Movable + 'static>(&self, who: PersonId, id: Uuid, mut order: Value) -> Result<TransitionView> {
        let meaning = order.as_object_mut().and_then(|o| o.remove("sign"));
        let meaning = meaning.and_then(|m| m.as_str().and_then(|m| m.parse::<Meaning>().ok()));
        self.act(who, move |conn, who, context| {
            let mut order = order.clone();
            if let Some(meaning) = meaning {
                let challenge = sign(conn, who, context, <M as Stored>::KIND, id, meaning, &order)?;
                order["signature"] = json!({ "challenge_id": challenge, "password": "known to the signer" });
            }
            let asked = Asked { key: Key::Id(id), if_match: IfMatch::Any, body: order };
            let event = attempt::<M>(conn, who, context, &asked, meaning.map(|_| Checked { right: true }))?;
            crate::history::store::transition(conn, who, event)
        })
        .await
    }
}

fn sign(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    kind: RecordKind,
    id: Uuid,
    meaning: Meaning,
    order: &Value,
) -> Result<ChallengeId> {
    let record = app::seen(conn, who, kind, Key::Id(id))?;
    let subject = Subject {
        challenge: ChallengeId::fresh(),
        issued_at: context.at,
        kind,
        record: id,
        version: record.version,
        meaning,
        transition: order,
    };
    Ok(signature::store::issue(conn, who, &subject, &record.code)?.id)
}
