//! Who comes in: the person that verified claims are about, and what the issuer's rules make of them.
use super::{Admission, Claims, Grants, Issuer, Upkeep, store};
use crate::{
    Result,
    db::Conn,
    id::OrganizationId,
    ledger::Context,
    organization,
    person::{
        Person,
        change::{Newcomer, admit, grant},
        store as people,
    },
    vocabulary::Role,
};
use std::collections::BTreeSet;

/// The active person that these claims are about; `None` where there is none whom this issuer may bring in.
///
/// Whom the issuer has brought before is known by issuer and subject alone. Anybody else is known by their e-mail
/// address, once: a second subject with the same address is somebody else, whatever the address says.
///
/// # Errors
/// 409 where somebody came in under the same address or subject at the same moment; what the database says.
pub fn identified(conn: &mut Conn, context: &Context, issuer: &Issuer, claims: &Claims) -> Result<Option<Person>> {
    let Some(subject) = claims.subject() else { return Ok(None) };
    if let Some(id) = store::person_of(conn, &issuer.url, subject)? {
        return Ok(Some(people::load(conn, id)?).filter(Person::is_active));
    }
    let Some(email) = issuer.email(claims) else { return Ok(None) };
    let person = match people::by_email(conn, &email.folded())? {
        Some(person) if person.is_active() && !is_known_to(conn, issuer, &person)? => person,
        None if issuer.admits == Admission::JustInTime => {
            let (roles, organizations) = resolved(conn, issuer.grants(claims))?;
            admit(conn, context, Newcomer { name: claims.name(&email), email, roles, organizations })?
        }
        Some(_) | None => return Ok(None),
    };
    store::link(conn, &issuer.url, subject, person.id, context.at)?;
    Ok(Some(person))
}

fn is_known_to(conn: &mut Conn, issuer: &Issuer, person: &Person) -> Result<bool> {
    Ok(store::issuers_of(conn, person.id)?.contains(&issuer.url))
}

/// Brings roles and memberships in line with the rules, where these are applied at each sign-in: what a rule names is
/// given or taken, what none names is left alone.
///
/// # Errors
/// What the database says.
pub fn keep_up(conn: &mut Conn, context: &Context, issuer: &Issuer, claims: &Claims, person: Person) -> Result<()> {
    if issuer.upkeep == Upkeep::Initial {
        return Ok(());
    }
    let (given, memberships) = resolved(conn, issuer.grants(claims))?;
    let (named, places) = resolved(conn, issuer.grantable())?;
    let roles = settled(&person.roles, &named, given);
    let organizations = settled(&person.organizations, &places, memberships);
    grant(conn, context, person, roles, organizations)
}

/// What is there and named by no rule, then what rules give, each once.
fn settled<T: Copy + PartialEq>(present: &[T], named: &[T], given: Vec<T>) -> Vec<T> {
    let kept = present.iter().copied().filter(|one| !named.contains(one) || given.contains(one));
    let mut settled: Vec<T> = kept.collect();
    settled.extend(given.into_iter().filter(|one| !present.contains(one)));
    settled
}

/// Roles, and the organizations behind the numbers; one that is not there is said in the log and given to nobody.
fn resolved(conn: &mut Conn, grants: Grants) -> Result<(Vec<Role>, Vec<OrganizationId>)> {
    let mut organizations = BTreeSet::new();
    for number in grants.organizations {
        match organization::store::by_number(conn, number)? {
            Some(found) => _ = organizations.insert(found.id),
            None => tracing::error!("a rule for single sign-on names O-{number}, and there is no such organization"),
        }
    }
    Ok((grants.roles.into_iter().collect(), organizations.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn rules_give_and_take_what_they_name_and_nothing_else() {
        assert_eq!(settled(&[1, 2], &[2, 3], vec![3]), [1, 3]);
        assert_eq!(settled(&[1, 2], &[2, 3], vec![2]), [1, 2], "nothing changes, not even the order");
        assert_eq!(settled(&[2], &[2], vec![]), [0; 0]);
        assert_eq!(settled(&[], &[2], vec![2]), [2]);
    }
}
