//! The only SQL of imports: whom a trial from outside may belong to.
use crate::{
    Result,
    db::{
        Conn,
        columns::Doc,
        schema::{membership, person},
    },
    id::{OrganizationId, PersonId},
    vocabulary::Role,
};
use diesel::prelude::*;

/// The active person with this folded address.
///
/// # Errors
/// What the database says.
pub fn active_person(conn: &mut Conn, email_folded: &str) -> Result<Option<PersonId>> {
    let active = person::table.filter(person::email_folded.eq(email_folded)).filter(person::disabled_at.is_null());
    Ok(active.select(person::id).get_result(conn).optional()?)
}

/// The active clinician who has been longest in the books among the members of a clinic.
///
/// # Errors
/// What the database says.
pub fn first_clinician(conn: &mut Conn, clinic: OrganizationId) -> Result<Option<PersonId>> {
    let members: Vec<(PersonId, Doc<Vec<Role>>)> = membership::table
        .inner_join(person::table.on(person::id.eq(membership::person_id)))
        .filter(membership::organization_id.eq(clinic))
        .filter(person::disabled_at.is_null())
        .order(person::number.asc())
        .select((person::id, person::roles))
        .load(conn)?;
    Ok(members.into_iter().find(|(_, roles)| roles.contains(&Role::Clinician)).map(|(id, _)| id))
}

/// Makes a person a member, for tests that have no use case at hand.
#[cfg(test)]
pub(crate) fn join(conn: &mut Conn, person: PersonId, organization: OrganizationId) -> Result<()> {
    let row = (membership::person_id.eq(person), membership::organization_id.eq(organization));
    diesel::insert_into(membership::table).values(row).execute(conn)?;
    Ok(())
}
