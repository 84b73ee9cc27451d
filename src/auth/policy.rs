//! The whole policy in one place: which roles may ask for what, before any record is looked at, and who a person is to
//! a record.
//!
//! A permission is a type, so that a handler's signature says what it needs (`who: Guard<LogDiscovery>`). What depends on
//! the record (steward, owner, party) is decided where the record is loaded; moves are decided by the lifecycle's gates.
use super::scope::Scope;
use crate::{
    Error, Result,
    db::columns::Time,
    id::{OrganizationId, PersonId, SessionId},
    vocabulary::{Authn, Role},
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
    /// Whether they belong to an organization.
    pub fn belongs_to(&self, organization: OrganizationId) -> bool {
        self.organizations.contains(&organization)
    }
    /// A record is revised by its owner, by members of its steward who hold the role that creates such records, and by
    /// administrators.
    ///
    /// # Errors
    /// 403 when none of these holds.
    pub fn may_revise(&self, owner: PersonId, steward: OrganizationId, creator: Role) -> Result<()> {
        let member = self.is(creator) && self.belongs_to(steward);
        if self.id == owner || member || self.is(Role::Administrator) {
            return Ok(());
        }
        Err(Error::not_permitted(format!(
            "Only its owner, a {creator} of its steward or an administrator may revise this record."
        )))
    }
}

/// Something a handler asks leave for.
pub trait Permission: 'static {
    /// Its name in `/v1/me` and in the documents.
    const NAME: &'static str;
    /// The roles that have it; none: whoever is signed in.
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal: [$($role:ident),*];)+) => {
        $($(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl Permission for $name {
            const NAME: &'static str = $text;
            const ROLES: &'static [Role] = &[$(Role::$role),*];
        })+
        /// The table: every permission and the roles that have it.
        pub const PERMISSIONS: &[(&str, &[Role])] = &[$(($name::NAME, $name::ROLES)),+];
    };
}
permissions! {
    /// See who one is: all that people without a role may do.
    OwnAccess = "own_access": [];
    /// Read what one may see.
    Read = "read": [Scientist, Clinician, Administrator, Partner, Auditor];
    /// Ask for a move; the gates of the lifecycle decide.
    Move = "move": [Scientist, Clinician, Administrator, Partner, Auditor];
    /// Ask for a challenge to sign; useful only for a move one may make.
    Sign = "sign": [Scientist, Clinician, Administrator, Partner, Auditor];
    /// Log discoveries of own labs.
    LogDiscovery = "log_discovery": [Scientist];
    /// Register trials of own clinics.
    RegisterTrial = "register_trial": [Clinician];
    /// Link trials to discoveries.
    LinkTrial = "link_trial": [Scientist, Clinician, Administrator];
    /// Record findings of own trials.
    RecordFinding = "record_finding": [Clinician];
    /// Raise insights to labs.
    RaiseInsight = "raise_insight": [Clinician];
    /// Propose pairings.
    ProposePairing = "propose_pairing": [Scientist, Clinician, Partner];
    /// Revise records one owns or is a steward of.
    Revise = "revise": [Scientist, Clinician, Administrator];
    /// Revise what one knows and whether one takes new work.
    ReviseProfile = "revise_profile": [Scientist, Clinician, Administrator, Partner];
    /// Hand records over.
    TransferOwnership = "transfer_ownership": [Scientist, Clinician, Administrator];
    /// Create and revise organizations.
    ManageOrganizations = "manage_organizations": [Administrator];
    /// Create, revise and disable people and their memberships.
    ManagePeople = "manage_people": [Administrator];
    /// Add lifecycles and move records between their versions.
    ManageLifecycles = "manage_lifecycles": [Administrator];
}

/// Whether what these roles have is for somebody who holds those.
pub fn is_for(allowed: &[Role], roles: &BTreeSet<Role>) -> bool {
    allowed.is_empty() || allowed.iter().any(|role| roles.contains(role))
}

/// What somebody with these roles may ask for, in the order of the table.
pub fn permissions_of(roles: &BTreeSet<Role>) -> Vec<&'static str> {
    PERMISSIONS.iter().filter(|(_, allowed)| is_for(allowed, roles)).map(|(name, _)| *name).collect()
}
