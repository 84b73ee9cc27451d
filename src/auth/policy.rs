//! The whole policy in one place: who may do what, being what to the record.
//!
//! The [`TABLE`] says it; [`Principal::may`] and [`Principal::must`] decide by it, and `docs/security.md` shows it
//! ([`markdown`]). A permission is a type, so that a handler's signature says what it needs (`who: Guard<LogDiscovery>`)
//! before any record is looked at; what a person is to a record is said by the record ([`Standing`]), where it is
//! loaded. Whether a record is seen at all is decided in the queries, and moves by the gates of the lifecycle.
//!
//! Pure: knows no database and no HTTP.
mod page;
mod table;
#[cfg(test)]
mod tests;

pub use page::markdown;
pub use table::*;

use super::scope::Scope;
use crate::{
    Error, Result,
    db::columns::Time,
    error::Code,
    id::{OrganizationId, PersonId, SessionId},
    lifecycle::Unmet,
    vocabulary::{Authn, RecordKind, Role, vocabulary},
};
use std::collections::BTreeSet;

/// The person who asks, as the database has them at this request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who.
    pub id: PersonId,
    /// Their name now.
    pub name: String,
    /// Their roles now.
    pub roles: BTreeSet<Role>,
    /// The organizations they belong to now.
    pub organizations: Vec<OrganizationId>,
    /// How they were authenticated.
    pub authn: Authn,
    /// The session they came in by, if they signed in.
    pub session: Option<SessionId>,
    /// What their token is limited to.
    pub scope: Scope,
    /// The moment of the request: what an embargo is compared with.
    pub at: Time,
}

impl Principal {
    /// Whether they hold a role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
    /// Administrators and auditors see every record.
    pub fn sees_all(&self) -> bool {
        self.is(Role::Administrator) || self.is(Role::Auditor)
    }
    /// Scientists and clinicians see what is internal.
    pub fn sees_internal(&self) -> bool {
        self.is(Role::Scientist) || self.is(Role::Clinician)
    }
    /// How people get in is changed by somebody who signed in, never by a script.
    ///
    /// # Errors
    /// 403 for a token without a session.
    pub fn must_have_signed_in(&self) -> Result<()> {
        match self.session {
            Some(_) => Ok(()),
            None => Err(Error::not_permitted("This token cannot do that: sign in.")),
        }
    }
    /// A signature is given by a person who is there, never by a script.
    ///
    /// # Errors
    /// 403 for a personal token.
    pub fn may_sign(&self) -> Result<()> {
        if self.authn == Authn::Token {
            return Err(Error::not_permitted("A personal token cannot sign."));
        }
        Ok(())
    }
    /// Whether they belong to an organization.
    pub fn belongs_to(&self, organization: OrganizationId) -> bool {
        self.organizations.contains(&organization)
    }
    /// Whether they may ask for it at all, whatever the record.
    pub fn may_ask<P: Permission>(&self) -> bool {
        P::ROW.grants().any(|grant| grant.is_for(&self.roles))
    }
    /// Whether they may do it, being what they are to the record.
    pub fn may<P: Permission>(&self, standing: &Standing) -> bool {
        P::ROW.over(standing.kind).is_some_and(|rule| rule.admits(&self.roles, standing))
    }
    /// That they may do it, being what they are to the record.
    ///
    /// # Errors
    /// 403 with what is missing.
    pub fn must<P: Permission>(&self, standing: &Standing) -> Result<()> {
        match P::ROW.over(standing.kind) {
            Some(rule) if rule.admits(&self.roles, standing) => Ok(()),
            Some(rule) => Err(rule.refused(&self.roles)),
            None => Err(Error::Internal(format!("the policy says nothing about `{}` of a {}", P::NAME, standing.kind))),
        }
    }
}

vocabulary! {
    /// What a person may be to a record.
    Relation {
        Any = "any", Gates = "gates", Owner = "owner", Steward = "steward", Member = "member", Own = "self",
        Lead = "lead", NamedClinician = "named_clinician", NamedSponsor = "named_sponsor", Receiver = "receiver",
        Proposer = "proposer",
    }
}

impl Relation {
    /// The same in words: "a scientist, being …".
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Any => "whatever they are to it",
            Self::Gates => "as the gates of its lifecycle decide, move by move",
            Self::Owner => "its owner",
            Self::Steward => "a member of its steward",
            Self::Member => "a member of the organization",
            Self::Own => "the person themself",
            Self::Lead => "the discovery's accepted clinical lead",
            Self::NamedClinician => "the clinician whom the proposal names",
            Self::NamedSponsor => "a member of the sponsor that the proposal names",
            Self::Receiver => "the person it is offered to",
            Self::Proposer => "the person who proposed it",
        }
    }
}

/// What one person is to one record.
#[derive(Debug, Clone)]
pub struct Standing {
    kind: RecordKind,
    relations: Vec<Relation>,
}

impl Standing {
    /// Nobody in particular to a record of this kind.
    pub const fn to(kind: RecordKind) -> Self {
        Self { kind, relations: Vec::new() }
    }
    /// The same person, being this as well where it holds.
    #[must_use]
    pub fn being(mut self, relation: Relation, holds: bool) -> Self {
        if holds {
            self.relations.push(relation);
        }
        self
    }
    fn has(&self, relation: Relation) -> bool {
        // Gates decide later, by more than a relation.
        matches!(relation, Relation::Any | Relation::Gates) || self.relations.contains(&relation)
    }
}

/// Who may do something, being what to the record.
#[derive(Debug)]
pub struct Grant {
    /// What they must be to the record.
    pub relation: Relation,
    /// The roles of which they hold one; none: whoever is signed in.
    pub roles: &'static [Role],
}

impl Grant {
    /// Whether it is for people with these roles.
    pub fn is_for(&self, roles: &BTreeSet<Role>) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|role| roles.contains(role))
    }
    /// Whether it admits somebody with these roles who is that to the record.
    pub fn admits(&self, roles: &BTreeSet<Role>, standing: &Standing) -> bool {
        self.is_for(roles) && standing.has(self.relation)
    }
    /// For whom it is, in words: `scientist, being a member of its steward`.
    pub fn in_words(&self) -> String {
        let roles = match self.roles {
            [] => "anybody signed in".to_owned(),
            roles => words(roles),
        };
        match self.relation {
            Relation::Any => roles,
            relation => format!("{roles}, being {}", relation.meaning()),
        }
    }
    /// What is missing for somebody with these roles.
    fn unmet(&self, roles: &BTreeSet<Role>) -> Unmet {
        let gate = if self.is_for(roles) && self.relation != Relation::Any { self.relation.as_str() } else { "role" };
        Unmet { gate, message: self.in_words(), roles: self.roles.to_vec(), ..Unmet::default() }
    }
}

/// What holds for some kinds of record: any one of its grants is enough.
#[derive(Debug)]
pub struct Rule {
    /// The kinds of record that are acted on; none: what is done concerns no record that is there.
    pub over: &'static [RecordKind],
    /// What somebody is told whom no grant admits.
    pub refusal: &'static str,
    /// Who may.
    pub grants: &'static [Grant],
}

impl Rule {
    /// Whether somebody with these roles may, being what they are to the record.
    pub fn admits(&self, roles: &BTreeSet<Role>, standing: &Standing) -> bool {
        self.grants.iter().any(|grant| grant.admits(roles, standing))
    }
    /// What is missing: what the one grant asks for, or any of several.
    pub fn unmet(&self, roles: &BTreeSet<Role>) -> Unmet {
        match self.grants {
            [one] => one.unmet(roles),
            several => Unmet {
                gate: "any_of",
                message: several.iter().map(Grant::in_words).collect::<Vec<_>>().join("; or "),
                branches: several.iter().map(|grant| grant.unmet(roles)).collect(),
                ..Unmet::default()
            },
        }
    }
    fn refused(&self, roles: &BTreeSet<Role>) -> Error {
        Error::refused(Code::NotPermitted, self.refusal).with("unmet", [self.unmet(roles)])
    }
}

/// One action of the table.
#[derive(Debug)]
pub struct Row {
    /// Its name in `/v1/me` and in the documents.
    pub name: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// Who may: a rule for each kind of record that has its own.
    pub rules: &'static [Rule],
}

impl Row {
    /// The action of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().copied().find(|row| row.name == name)
    }
    /// The rule for a kind of record, where the action is of that kind.
    pub fn over(&self, kind: RecordKind) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.over.contains(&kind))
    }
    /// Everybody who may, to some record.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.rules.iter().flat_map(|rule| rule.grants)
    }
    /// The roles of which one is needed, whatever the record; none: no role is needed.
    pub fn roles(&self) -> Vec<Role> {
        if self.grants().any(|grant| grant.roles.is_empty()) {
            return Vec::new();
        }
        Role::ALL.iter().copied().filter(|role| self.grants().any(|grant| grant.roles.contains(role))).collect()
    }
    /// What somebody is told who holds none of these roles.
    pub fn refused(&self) -> Error {
        let roles = self.roles();
        let message = format!("one of the roles {}", words(&roles));
        Error::refused(Code::NotPermitted, format!("This needs the permission `{}`.", self.name))
            .with("unmet", [Unmet { gate: "role", message, roles, ..Unmet::default() }])
    }
}

fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

/// Something a handler asks leave for: a row of the table as a type.
pub trait Permission: 'static {
    /// Its name in `/v1/me` and in the documents.
    const NAME: &'static str;
    /// Who may.
    const ROW: &'static Row;
}

/// What somebody with these roles may ask for, in the order of the table.
pub fn permissions_of(roles: &BTreeSet<Role>) -> Vec<&'static str> {
    TABLE.iter().filter(|row| row.grants().any(|grant| grant.is_for(roles))).map(|row| row.name).collect()
}
