//! The use cases that change a person: create, revise, change memberships, disable.
use super::{Expertise, Person, Roles, store};
use crate::{
    Error, Result,
    auth::{invitation, personal, policy::Principal, session},
    db::{
        Conn,
        columns::{Doc, Time},
    },
    error::Code,
    fault::{Change as Patch, Faults, List, Reason, Title},
    history::FieldChange,
    id::{OrganizationId, PersonId},
    identifier::{Email, Orcid},
    ledger::{Change, Context, next_number, record_change},
    organization,
    value::Condition,
    vocabulary::{Action, Modality, RecordKind, Role},
};
use deserr::Deserr;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// One organization that a person belongs to.
#[derive(Debug, Clone, Copy, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "organization_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55" }))]
pub struct Membership {
    /// The organization.
    pub organization_id: OrganizationId,
}

/// A person to enter.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "name": "Ada Okafor", "email": "ada@example.org", "orcid": "0000-0002-1825-0097", "roles": ["scientist"],
    "memberships": [{ "organization_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55" }],
    "expertise": { "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
        "modalities": ["small_molecule"] },
    "accepting_work": true
}))]
pub struct NewPerson {
    /// 1–300 characters.
    pub name: Title,
    /// Unique, whatever its letter case.
    pub email: Email,
    /// ORCID iD, unique.
    #[deserr(default)]
    pub orcid: Option<Orcid>,
    /// At least one.
    pub roles: Roles,
    /// The organizations they belong to.
    #[deserr(default)]
    #[schema(required = false)]
    pub memberships: List<Membership>,
    /// What they know.
    #[deserr(default)]
    #[schema(required = false)]
    pub expertise: Expertise,
    /// Whether they take new work; true by default.
    #[deserr(default)]
    pub accepting_work: Option<bool>,
}

/// A merge patch of a person.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "accepting_work": false, "expertise": { "modalities": ["vaccine"] } }))]
pub struct PersonPatch {
    /// 1–300 characters; administrators only, since signatures carry it.
    #[deserr(default)]
    #[schema(required = false)]
    pub name: Patch<Title>,
    /// Administrators only.
    #[deserr(default)]
    #[schema(required = false)]
    pub email: Patch<Email>,
    /// ORCID iD, unique.
    #[deserr(default)]
    #[schema(required = false)]
    pub orcid: Patch<Option<Orcid>>,
    /// Administrators only.
    #[deserr(default)]
    #[schema(required = false)]
    pub roles: Patch<Roles>,
    /// What they know.
    #[deserr(default)]
    #[schema(required = false)]
    pub expertise: Patch<ExpertisePatch>,
    /// Whether they take new work.
    #[deserr(default)]
    #[schema(required = false)]
    pub accepting_work: Patch<bool>,
}

/// The fields of [`PersonPatch`] that only administrators may change.
pub const RESERVED: &[&str] = &["name", "email", "roles"];

/// A merge patch of what a person knows.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "modalities": ["vaccine"] }))]
pub struct ExpertisePatch {
    /// Conditions.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: Patch<List<Condition>>,
    /// Modalities.
    #[deserr(default)]
    #[schema(required = false)]
    pub modalities: Patch<List<Modality>>,
}

/// Every organization that a person belongs to from now on.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "data": [{ "organization_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55" }] }))]
pub struct Memberships {
    /// The organizations; none where the person belongs to none any more.
    pub data: List<Membership>,
}

/// Why a person is disabled.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "reason": "Left the programme on 1 March" }))]
pub struct Disabling {
    /// In words.
    pub reason: Reason,
}

/// Enters a person. They have no password yet, so they cannot sign in until [`set_password_hash`].
///
/// # Errors
/// 422 for an organization that does not exist, 409 for an e-mail address or ORCID iD that is taken.
pub fn create(conn: &mut Conn, context: &Context, new: NewPerson) -> Result<Person> {
    let organizations = organizations(conn, "/memberships", &new.memberships)?;
    check_is_free(conn, Some(&new.email.folded()), new.orcid.as_ref(), None)?;
    let bare = Newcomer { name: new.name.into(), email: new.email, roles: Vec::new(), organizations };
    let person = Person {
        orcid: new.orcid,
        roles: new.roles.into(),
        expertise: new.expertise.into(),
        accepting_work: new.accepting_work.unwrap_or(true),
        ..bare.person(conn, context)?
    };
    enter(conn, context, person)
}

/// Somebody whom an identity provider vouches for. Unlike others they may have no role, and then may do nothing until
/// they are given one.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// 1–300 characters.
    pub name: String,
    /// As the provider knows it.
    pub email: Email,
    /// What the rules of the provider give them.
    pub roles: Vec<Role>,
    /// The organizations they give them, each of which exists.
    pub organizations: Vec<OrganizationId>,
}

impl Newcomer {
    fn person(self, conn: &mut Conn, context: &Context) -> Result<Person> {
        Ok(Person {
            id: PersonId::fresh(),
            number: next_number(conn, RecordKind::Person)?,
            version: 0,
            name: self.name,
            email_folded: self.email.folded(),
            email: self.email.into(),
            orcid: None,
            roles: self.roles.into(),
            organizations: self.organizations.into(),
            expertise: Expertise::default().into(),
            accepting_work: true,
            disabled_at: None,
            search: String::new(),
            created_at: context.at,
            updated_at: context.at,
            head: Vec::new(),
        })
    }
}

/// Enters somebody whom an identity provider vouches for.
///
/// # Errors
/// 409 for an e-mail address that is taken.
pub fn admit(conn: &mut Conn, context: &Context, new: Newcomer) -> Result<Person> {
    check_is_free(conn, Some(&new.email.folded()), None, None)?;
    let person = new.person(conn, context)?;
    enter(conn, context, person)
}

fn enter(conn: &mut Conn, context: &Context, mut person: Person) -> Result<Person> {
    person.index();
    save(conn, context, &mut person, Change::of(Action::Created))?;
    store::index_memberships(conn, person.id, &person.organizations)?;
    Ok(person)
}

/// Revises a person. The caller has checked who may change what, and the version.
///
/// # Errors
/// 409 for an e-mail address or ORCID iD that is taken, and for taking the last administrator's role away.
pub fn revise(conn: &mut Conn, context: &Context, mut person: Person, patch: PersonPatch) -> Result<Person> {
    let folded = patch.email.value().map(Email::folded);
    let orcid = patch.orcid.value().and_then(Option::as_ref);
    check_is_free(conn, folded.as_deref(), orcid, Some(person.id))?;
    if patch.roles.value().is_some_and(|roles| !roles.contains(Role::Administrator)) {
        check_is_not_last_administrator(conn, &person)?;
    }
    patch.name.apply(&mut person.name);
    patch.email.apply(&mut person.email);
    if let Some(folded) = folded {
        person.email_folded = folded;
    }
    patch.orcid.apply_nullable(&mut person.orcid);
    if let Patch::To(roles) = patch.roles {
        person.roles = roles.into();
    }
    if let Patch::To(expertise) = patch.expertise {
        let Doc(known) = &mut person.expertise;
        if let Patch::To(conditions) = expertise.conditions {
            known.conditions = conditions.0;
        }
        if let Patch::To(modalities) = expertise.modalities {
            known.modalities = modalities.0;
        }
    }
    patch.accepting_work.apply(&mut person.accepting_work);
    person.index();
    save(conn, context, &mut person, Change::of(Action::Revised))?;
    Ok(person)
}

/// Says anew which organizations a person belongs to. Records of an organization they leave stay theirs until they are
/// handed over.
///
/// # Errors
/// 422 for an organization that does not exist.
pub fn set_memberships(conn: &mut Conn, context: &Context, mut person: Person, new: Memberships) -> Result<Person> {
    person.organizations = organizations(conn, "/data", &new.data)?.into();
    save(conn, context, &mut person, Change::of(Action::Revised))?;
    store::index_memberships(conn, person.id, &person.organizations)?;
    Ok(person)
}

/// Gives a person exactly these roles and memberships, as the rules of their identity provider have it. The last
/// administrator stays one, whatever the provider says. Nothing is recorded where nothing changes.
///
/// # Errors
/// What the database says.
pub fn grant(
    conn: &mut Conn,
    context: &Context,
    mut person: Person,
    mut roles: Vec<Role>,
    organizations: Vec<OrganizationId>,
) -> Result<()> {
    let resigns = person.is(Role::Administrator) && !roles.contains(&Role::Administrator);
    if resigns && !store::has_other_administrator(conn, person.id)? {
        roles.push(Role::Administrator);
    }
    if *person.roles == roles && *person.organizations == organizations {
        return Ok(());
    }
    person.roles = roles.into();
    person.organizations = organizations.into();
    save(conn, context, &mut person, Change::of(Action::Revised))?;
    store::index_memberships(conn, person.id, &person.organizations)
}

/// Disables a person: from the next request on they cannot do anything. Their sessions, tokens and invitation end. What
/// they own stays theirs until it is handed over.
///
/// # Errors
/// 409 for oneself, for the last administrator, and for somebody who is disabled already.
pub fn disable(conn: &mut Conn, context: &Context, mut person: Person, why: Disabling) -> Result<Person> {
    if context.person == Some(person.id) {
        return Err(conflict("Nobody disables themself: another administrator can."));
    }
    if !person.is_active() {
        return Err(conflict("They are disabled already."));
    }
    check_is_not_last_administrator(conn, &person)?;
    person.disabled_at = Some(context.at);
    save(conn, context, &mut person, Change::of(Action::Disabled).because(Some(why.reason.into())))?;
    session::store::end_others(conn, person.id, None, context.at)?;
    personal::store::revoke_all(conn, person.id, context.at)?;
    invitation::store::void(conn, person.id)?;
    Ok(person)
}

/// Sets a person's password, as an Argon2id hash.
///
/// # Errors
/// What the database says.
pub fn set_password_hash(conn: &mut Conn, person: PersonId, hash: &str, at: Time) -> Result<()> {
    store::set_password_hash(conn, person, hash, at)
}

/// Changes one's own password: the one that was seen must still be it. One's other sessions end.
///
/// # Errors
/// 409 where it was changed meanwhile.
pub fn change_password(conn: &mut Conn, context: &Context, who: &Principal, seen: &str, hash: &str) -> Result<()> {
    if !store::keep_password_hash(conn, who.id, seen, hash)? {
        return Err(conflict("The password was changed at the same moment."));
    }
    store::set_password_hash(conn, who.id, hash, context.at)?;
    // After the hash: a sign-in with the old one that came first has its session by now.
    session::store::end_others(conn, who.id, who.session, context.at)?;
    record_access(conn, context, who.id, &[new_password(context.at)])?;
    Ok(())
}

/// That a password was set, as history tells it.
pub fn new_password(at: Time) -> FieldChange {
    FieldChange { field: "password".into(), before: Value::Null, after: json!({ "set_at": at }) }
}

/// Records that it changed how somebody gets in, of which nothing stands in the record itself. History shows `access` to
/// that person, administrators and auditors.
///
/// # Errors
/// What the store says.
pub fn record_access(conn: &mut Conn, context: &Context, id: PersonId, access: &[FieldChange]) -> Result<Person> {
    let mut person = store::load(conn, id)?;
    let mut change = Change::of(Action::Revised);
    change.extra.insert("access".into(), json!(access));
    save(conn, context, &mut person, change)?;
    Ok(person)
}

/// The organizations that are named, each existing and named once.
fn organizations(conn: &mut Conn, at: &str, named: &List<Membership>) -> Result<Vec<OrganizationId>> {
    let ids: Vec<_> = named.0.iter().map(|membership| membership.organization_id).collect();
    let known = organization::store::names(conn, ids.iter().copied())?;
    let mut faults = Faults::default();
    for (index, id) in ids.iter().enumerate() {
        let place = format!("{at}/{index}/organization_id");
        if !known.contains_key(id) {
            faults.push(place, "not_found", format!("there is no organization {id}"));
        } else if ids[..index].contains(id) {
            faults.push(place, "duplicate", "is named before");
        }
    }
    faults.into_result()?;
    Ok(ids)
}

fn check_is_free(conn: &mut Conn, email: Option<&str>, orcid: Option<&Orcid>, own: Option<PersonId>) -> Result<()> {
    if let Some(email) = email
        && store::by_email(conn, email)?.is_some_and(|holder| Some(holder.id) != own)
    {
        return Err(conflict("That e-mail is taken."));
    }
    if let Some(orcid) = orcid
        && store::by_orcid(conn, orcid)?.is_some_and(|holder| Some(holder) != own)
    {
        return Err(conflict("That ORCID iD is taken."));
    }
    Ok(())
}

fn check_is_not_last_administrator(conn: &mut Conn, person: &Person) -> Result<()> {
    let counts = person.is_active() && person.is(Role::Administrator);
    if counts && !store::has_other_administrator(conn, person.id)? {
        return Err(conflict("They are the last administrator: make another one first."));
    }
    Ok(())
}

fn conflict(detail: &str) -> Error {
    Error::refused(Code::Conflict, detail)
}

fn save(conn: &mut Conn, context: &Context, person: &mut Person, change: Change) -> Result<()> {
    // Two transactions may both have found the address free: the table decides.
    let saved = record_change(conn, context, person, change);
    let taken = |e: Error| if e.is_unique_violation() { conflict("That e-mail or ORCID iD is taken.") } else { e };
    saved.map(drop).map_err(taken)
}

#[cfg(test)]
mod tests;
