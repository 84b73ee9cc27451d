//! The only SQL of people.
use super::{Person, Tenure};
use crate::{
    Error, Result,
    auth::{
        policy::{Principal, ReadPrivate, Standing},
        scope::Scope,
    },
    db::{
        Conn, MultiBackend, Sees, any_of,
        columns::{Doc, Time},
        containing, finders,
        schema::{credential, discovery, finding, insight, membership, pairing, person, sign_in, trial},
        take_turn,
    },
    http::page::{Page, keyset},
    id::{AnyId, OrganizationId, PersonId},
    identifier::Orcid,
    ledger::stored,
    vocabulary::{Authn, Modality, RecordKind, Role},
};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

stored!(Person, person, RecordKind::Person);
finders!(Person, person, PersonId);

/// Every signed-in person sees every person; e-mail and roles are kept back where the person is shown.
pub fn visible_to(_: &Principal) -> Sees<person::table> {
    Box::new(true.into_sql::<Bool>())
}

/// The person of a token, with the roles and memberships they have now; `None` for unknown and disabled people.
///
/// # Errors
/// What the database says.
pub fn principal(conn: &mut Conn, id: PersonId, authn: Authn, at: Time) -> Result<Option<Principal>> {
    type Row = (String, Doc<Vec<Role>>, Doc<Vec<OrganizationId>>);
    let row: Option<Row> = person::table
        .filter(person::id.eq(id))
        .filter(person::disabled_at.is_null())
        .select((person::name, person::roles, person::organizations))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(name, roles, organizations)| Principal {
        id,
        name,
        roles: roles.0.into_iter().collect(),
        organizations: organizations.0,
        authn,
        session: None,
        scope: Scope::everything(),
        at,
    }))
}

/// Those of the people who are there and hold a role, and so may read.
///
/// # Errors
/// What the database says.
pub fn readers(conn: &mut Conn, ids: impl IntoIterator<Item = PersonId>) -> Result<HashSet<PersonId>> {
    let rows: Vec<(PersonId, Doc<Vec<Role>>)> = person::table
        .filter(person::id.eq_any(ids.into_iter().collect::<HashSet<_>>()))
        .filter(person::disabled_at.is_null())
        .select((person::id, person::roles))
        .load(conn)?;
    Ok(rows.into_iter().filter(|(_, roles)| !roles.is_empty()).map(|(id, _)| id).collect())
}

/// What a list of people may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Members of any of these organizations.
    pub organization: Vec<OrganizationId>,
    /// Holders of any of these roles; only for administrators.
    pub role: Vec<Role>,
    /// Experts in any of these conditions, as folded terms.
    pub condition: Vec<String>,
    /// Experts in any of these modalities.
    pub modality: Vec<Modality>,
    /// Whether they take new work.
    pub accepting_work: Option<bool>,
    /// Changed after.
    pub updated_after: Option<Time>,
    /// Every one of these folded words.
    pub words: Vec<String>,
}

/// One page, and the total where it was asked for. Words are looked for in e-mail addresses too when an administrator
/// asks.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Person>, Option<i64>)> {
    let searched =
        |text: String| -> Sees<person::table> { Box::new(person::search.like(containing(&text)).escape('\\')) };
    let matching = || {
        let mut query = person::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.organization.is_empty() {
            let members = membership::table
                .filter(membership::organization_id.eq_any(filter.organization.clone()))
                .select(membership::person_id);
            query = query.filter(person::id.eq_any(members));
        }
        if let Some(any) = any_of(filter.role.iter().map(|role| holds(*role))) {
            query = query.filter(any);
        }
        if let Some(any) = any_of(filter.condition.iter().map(|term| searched(term.clone()))) {
            query = query.filter(any);
        }
        if let Some(any) = any_of(filter.modality.iter().map(|modality| searched(super::mark(*modality)))) {
            query = query.filter(any);
        }
        if let Some(accepting) = filter.accepting_work {
            query = query.filter(person::accepting_work.eq(accepting));
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(person::updated_at.gt(after));
        }
        for word in &filter.words {
            query = if who.may::<ReadPrivate>(&Standing::to(RecordKind::Person)) {
                let addressed = person::email_folded.like(containing(word)).escape('\\');
                query.filter(searched(word.clone()).or(addressed))
            } else {
                query.filter(searched(word.clone()))
            };
        }
        query
    };
    let rows = keyset!(matching(), page, person: PersonId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "name" => name: String,
        "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// Whether a person holds a role. The column is a JSON list of words that need no escape.
fn holds(role: Role) -> Sees<person::table> {
    Box::new(sql::<Bool>(&format!("CAST(person.roles AS TEXT) LIKE '%\"{role}\"%'")))
}

/// Everybody, by code.
///
/// # Errors
/// What the database says.
pub fn list_all(conn: &mut Conn) -> Result<Vec<Person>> {
    Ok(person::table.order(person::number.asc()).load(conn)?)
}

/// The person with this e-mail address, folded.
///
/// # Errors
/// What the database says.
pub fn by_email(conn: &mut Conn, folded: &str) -> Result<Option<Person>> {
    Ok(person::table.filter(person::email_folded.eq(folded)).get_result(conn).optional()?)
}

/// The person with this ORCID iD.
///
/// # Errors
/// What the database says.
pub fn by_orcid(conn: &mut Conn, orcid: &Orcid) -> Result<Option<PersonId>> {
    let named = person::table.filter(person::orcid.eq(orcid.clone())).select(person::id);
    Ok(named.get_result(conn).optional()?)
}

/// Whether an active person besides this one is an administrator. Whoever goes on to take an administrator away by the
/// answer does so alone until the transaction ends.
///
/// # Errors
/// What the database says.
pub fn has_other_administrator(conn: &mut Conn, than: PersonId) -> Result<bool> {
    take_turn(conn, "administrators")?;
    let others = person::table
        .into_boxed::<MultiBackend>()
        .filter(person::id.ne(than))
        .filter(person::disabled_at.is_null())
        .filter(holds(Role::Administrator));
    Ok(others.count().get_result::<i64>(conn)? > 0)
}

/// Brings the index of memberships in line with a person's `organizations`.
///
/// # Errors
/// What the database says.
pub fn index_memberships(conn: &mut Conn, id: PersonId, organizations: &[OrganizationId]) -> Result<()> {
    diesel::delete(membership::table.filter(membership::person_id.eq(id))).execute(conn)?;
    for organization in organizations {
        let row = (membership::person_id.eq(id), membership::organization_id.eq(*organization));
        diesel::insert_into(membership::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Keeps the hash of a person's password, in place of the one before.
///
/// # Errors
/// What the database says.
pub fn set_password_hash(conn: &mut Conn, id: PersonId, hash: &str, at: Time) -> Result<()> {
    let own = credential::table.filter(credential::person_id.eq(id));
    let changed = (credential::password_hash.eq(hash), credential::changed_at.eq(at));
    if diesel::update(own).set(changed).execute(conn)? == 0 {
        let first = (credential::person_id.eq(id), credential::password_hash.eq(hash), credential::changed_at.eq(at));
        diesel::insert_into(credential::table).values(first).execute(conn)?;
    }
    Ok(())
}

/// Puts a hash in the place of the one that was seen, which may be the same; false where it is another by now. Either
/// way nobody else changes it until the transaction ends.
///
/// # Errors
/// What the database says.
pub fn keep_password_hash(conn: &mut Conn, id: PersonId, seen: &str, hash: &str) -> Result<bool> {
    let own = credential::table.filter(credential::person_id.eq(id)).filter(credential::password_hash.eq(seen));
    Ok(diesel::update(own).set(credential::password_hash.eq(hash)).execute(conn)? > 0)
}

/// The hash of a person's password, if they have one.
///
/// # Errors
/// What the database says.
pub fn password_hash(conn: &mut Conn, who: PersonId) -> Result<Option<String>> {
    let own = credential::table.filter(credential::person_id.eq(who)).select(credential::password_hash);
    Ok(own.get_result(conn).optional()?)
}

/// A record that somebody owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Owned {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    pub id: uuid::Uuid,
    /// Its code.
    #[schema(max_length = 30, example = "D-17")]
    pub code: String,
}

/// Every record that a person owns, by kind and code: for administrators, who see them all.
///
/// # Errors
/// What the database says.
pub fn owned(conn: &mut Conn, id: PersonId) -> Result<Vec<Owned>> {
    let mut owned = Vec::new();
    macro_rules! gather {
        ($($table:ident: $kind:ident),+) => {$(
            let rows = $table::table
                .filter($table::owner_id.eq(id))
                .order($table::number.asc())
                .select(($table::id, $table::number))
                .load(conn)?;
            owned.extend(rows.into_iter().map(|row| as_owned(RecordKind::$kind, row)));
        )+};
    }
    gather!(discovery: Discovery, trial: Trial, finding: Finding, insight: Insight, pairing: Pairing);
    Ok(owned)
}

fn as_owned(kind: RecordKind, (id, number): (AnyId, i64)) -> Owned {
    Owned { kind, id: id.0, code: kind.code(number) }
}

/// A person as their neighbours name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PersonName {
    /// Their id.
    pub id: PersonId,
    /// Their name.
    #[schema(max_length = 300, example = "Ada Okafor")]
    pub name: String,
}

/// The names of the given people, in one query.
///
/// # Errors
/// What the database says.
pub fn names(conn: &mut Conn, ids: impl IntoIterator<Item = PersonId>) -> Result<HashMap<PersonId, PersonName>> {
    let rows: Vec<(PersonId, String)> =
        person::table.filter(person::id.eq_any(ids)).select((person::id, person::name)).load(conn)?;
    Ok(rows.into_iter().map(|(id, name)| (id, PersonName { id, name })).collect())
}

/// Whether a person is active and belongs to an organization: only such a person may own what it is steward of.
///
/// # Errors
/// What the database says.
pub fn is_active_member(conn: &mut Conn, id: PersonId, organization: OrganizationId) -> Result<bool> {
    let member = membership::table
        .inner_join(person::table.on(person::id.eq(membership::person_id)))
        .filter(membership::person_id.eq(id))
        .filter(membership::organization_id.eq(organization))
        .filter(person::disabled_at.is_null());
    Ok(member.count().get_result::<i64>(conn)? > 0)
}

/// An owner of a record, with their time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnerView {
    /// Their id.
    pub id: PersonId,
    /// Their name.
    #[schema(max_length = 300, example = "Ada Okafor")]
    pub name: String,
    /// Since when.
    pub from: Time,
    /// Until when; null for the present owner.
    pub until: Option<Time>,
}

/// The names of people that records point to. A record never points to one who is not there.
pub struct Names(HashMap<PersonId, PersonName>);

impl Names {
    /// In one query.
    ///
    /// # Errors
    /// What the database says.
    pub fn load(conn: &mut Conn, ids: impl IntoIterator<Item = PersonId>) -> Result<Self> {
        let ids: std::collections::HashSet<_> = ids.into_iter().collect();
        Ok(Self(names(conn, ids)?))
    }
    /// One name.
    ///
    /// # Errors
    /// [`Error::Internal`] when it was not loaded.
    pub fn one(&self, id: PersonId) -> Result<PersonName> {
        self.0.get(&id).cloned().ok_or_else(|| Error::Internal(format!("no person {id}")))
    }
    /// Owners with their time.
    ///
    /// # Errors
    /// As [`Names::one`].
    pub fn owners(&self, tenures: &[Tenure]) -> Result<Vec<OwnerView>> {
        let owner = |t: &Tenure| {
            let PersonName { id, name } = self.one(t.person_id)?;
            Ok(OwnerView { id, name, from: t.from, until: t.until })
        };
        tenures.iter().map(owner).collect()
    }
}

/// What a sign-in is checked against.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Who signs in.
    pub person_id: PersonId,
    /// Whether they may not.
    pub disabled: bool,
    /// PHC string of their password.
    pub password_hash: String,
}

/// The credential behind a folded e-mail address.
///
/// # Errors
/// What the database says.
pub fn credential(conn: &mut Conn, email_folded: &str) -> Result<Option<Credential>> {
    let row: Option<(PersonId, Option<Time>, String)> = person::table
        .inner_join(credential::table.on(credential::person_id.eq(person::id)))
        .filter(person::email_folded.eq(email_folded))
        .select((person::id, person::disabled_at, credential::password_hash))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(person_id, disabled_at, password_hash)| Credential {
        person_id,
        disabled: disabled_at.is_some(),
        password_hash,
    }))
}

/// Notes a sign-in: a plain table, not an event.
///
/// # Errors
/// What the database says.
pub fn note_sign_in(conn: &mut Conn, person: PersonId, at: Time, address: &str, succeeded: bool) -> Result<()> {
    let row = (
        sign_in::id.eq(AnyId::fresh()),
        sign_in::person_id.eq(person),
        sign_in::at.eq(at),
        sign_in::address.eq(address),
        sign_in::succeeded.eq(succeeded),
    );
    diesel::insert_into(sign_in::table).values(row).execute(conn)?;
    Ok(())
}

/// Forgets at most so many sign-ins from before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget_sign_ins(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let old: Vec<AnyId> = sign_in::table
        .into_boxed::<MultiBackend>()
        .filter(sign_in::at.lt(before))
        .select(sign_in::id)
        .limit(most)
        .load(conn)?;
    Ok(diesel::delete(sign_in::table.filter(sign_in::id.eq_any(old))).execute(conn)?)
}
