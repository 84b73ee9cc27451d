//! Single sign-on: people whom a provider of theirs vouches for (OpenID Connect Core 1.0).
//!
//! A person comes in by the code flow with PKCE, or with an access token that a provider issued for this service
//! (RFC 9068). Either way they are a person of ours before anything is asked of them: [`change`] finds or enters them,
//! [`rules`](Issuer::grants) say what roles they get. Here is what an issuer is and what its claims mean, which is pure;
//! [`config`] reads the file, [`jwt`] judges tokens, [`cache`] and [`provider`] talk to the provider, [`store`] holds the
//! SQL.
//!
//! Deliberately absent: single logout, refresh tokens of the provider, implicit and hybrid flows, dynamic registration.
pub mod cache;
pub mod change;
pub mod config;
pub mod entry;
pub mod fetch;
pub mod http;
pub mod jwt;
pub mod provider;
pub mod store;

use crate::{auth::password::Secret, identifier::Email, vocabulary::Role};
use deserr::Deserr;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The longest subject that is believed, in bytes (OpenID Connect Core, 2).
pub const LONGEST_SUBJECT: usize = 255;

/// Whom an issuer may bring in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = crate::fault::Faults)]
pub enum Admission {
    /// People an administrator has entered, known by their e-mail address.
    #[deserr(rename = "existing")]
    Existing,
    /// Those, and others, who are entered when they first come.
    #[deserr(rename = "just_in_time")]
    JustInTime,
}

/// When the rules of an issuer are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = crate::fault::Faults)]
pub enum Upkeep {
    /// Once, to a person who is entered just in time. From then on their roles are the administrators'.
    #[deserr(rename = "initial")]
    Initial,
    /// At each sign-in. The rules own the roles and memberships they name; others stay as administrators set them.
    #[deserr(rename = "managed")]
    Managed,
}

/// What somebody gets in whose claims a value occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The claim, as [`Claims::get`] takes it.
    pub claim: String,
    /// The value: the claim is this string, or a list with it.
    pub value: String,
    /// The role they get.
    pub role: Role,
    /// The number of the organization they become a member of, if any.
    pub organization: Option<i64>,
}

/// A provider whose word is taken, as configured.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What paths call it.
    pub name: String,
    /// Its issuer identifier, exactly as its tokens have it.
    pub url: String,
    /// What it calls this service.
    pub client_id: String,
    /// What this service proves itself with; none for a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// The audience of access tokens that are accepted; where there is none, no such token is.
    pub audience: Option<String>,
    /// Whom it may bring in.
    pub admits: Admission,
    /// The claim with the e-mail address.
    pub email_claim: String,
    /// Whether the address counts only where `email_verified` says so.
    pub needs_verified_email: bool,
    /// When the rules are applied.
    pub upkeep: Upkeep,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// What rules give: roles, and the numbers of organizations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// The roles.
    pub roles: BTreeSet<Role>,
    /// The organizations.
    pub organizations: BTreeSet<i64>,
}

impl Issuer {
    /// What the rules give somebody with these claims.
    pub fn grants(&self, claims: &Claims) -> Grants {
        gathered(self.rules.iter().filter(|rule| claims.says(&rule.claim, &rule.value)))
    }
    /// All that the rules could give.
    pub fn grantable(&self) -> Grants {
        gathered(&self.rules)
    }
    /// The e-mail address of somebody with these claims, as far as the issuer may be believed about it.
    pub fn email(&self, claims: &Claims) -> Option<Email> {
        let address = claims.text(&self.email_claim)?.trim().parse().ok()?;
        (!self.needs_verified_email || claims.says_true("email_verified")).then_some(address)
    }
    /// Whether a claim that the configuration asks about is missing.
    pub fn misses_some(&self, claims: &Claims) -> bool {
        let asked = self.rules.iter().map(|rule| &*rule.claim).chain([&*self.email_claim]);
        let verified = self.needs_verified_email.then_some("email_verified");
        asked.chain(verified).any(|name| claims.get(name).is_none())
    }
}

fn gathered<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Grants {
    let mut grants = Grants::default();
    for rule in rules {
        grants.roles.insert(rule.role);
        grants.organizations.extend(rule.organization);
    }
    grants
}

/// What an issuer says of somebody; verified before it is called so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// A claim by its name, or by a JSON pointer (RFC 6901) such as `/realm_access/roles` where it begins with a slash.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else { return self.0.get(name) };
        let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        self.0.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
    }
    /// A claim that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }
    /// A claim that is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }
    /// Who this is about; one issuer never gives a subject to two people.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub").filter(|sub| !sub.is_empty() && sub.len() <= LONGEST_SUBJECT && !sub.contains('\0'))
    }
    /// Whether a claim is this string, or a list with it.
    pub fn says(&self, name: &str, value: &str) -> bool {
        match self.get(name) {
            Some(Value::String(text)) => text == value,
            Some(Value::Array(members)) => members.iter().any(|member| member.as_str() == Some(value)),
            _ => false,
        }
    }
    /// Whether a claim is true; some providers write it as a string.
    fn says_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == &Value::Bool(true) || value == "true")
    }
    /// What the person is called: their name, else their address.
    pub fn name(&self, email: &Email) -> String {
        let parts = ["given_name", "family_name"].map(|part| self.text(part).unwrap_or_default().trim());
        let joined = parts.join(" ");
        let known = [self.text("name").unwrap_or_default().trim(), joined.trim(), email.as_str()];
        let name: String = known.into_iter().find(|name| !name.is_empty()).unwrap_or_default().replace('\0', "");
        name.chars().take(300).collect()
    }
    /// These, and of the others what these leave open.
    pub fn completed_by(mut self, others: Self) -> Self {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }
}

#[cfg(test)]
mod tests;
