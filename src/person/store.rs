//! The only SQL of people.
use super::{Person, Tenure};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, Sees,
        columns::{Doc, Time},
        finders,
        schema::{credential, membership, person, sign_in},
    },
    id::{AnyId, OrganizationId, PersonId},
    ledger::stored,
    vocabulary::{Authn, RecordKind, Role},
};
use diesel::{prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::HashMap;
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
        at,
    }))
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
