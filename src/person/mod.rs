//! A person: roles, memberships, expertise. Signed-in people see a person's name, organizations, ORCID and expertise;
//! e-mail and roles only that person and administrators.
pub mod change;
pub mod http;
pub mod store;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    fault::{Faults, List, pointer},
    id::{OrganizationId, PersonId},
    identifier::Orcid,
    value::{Condition, search_text, terms_of},
    vocabulary::{Modality, RecordKind, Role},
};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ArrayBuilder, Schema},
    },
};

/// What a person knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690", "derived": false }],
    "modalities": ["small_molecule"]
}))]
pub struct Expertise {
    /// Conditions, at most 100.
    #[deserr(default, from(List<Condition>) = members)]
    #[schema(required = false, max_items = 100)]
    pub conditions: Vec<Condition>,
    /// Modalities.
    #[deserr(default, from(List<Modality>) = members)]
    #[schema(required = false, max_items = 100)]
    pub modalities: Vec<Modality>,
}

fn members<T>(List(members): List<T>) -> Vec<T> {
    members
}

/// The roles of a person as a request gives them: at least one, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// At least one role, each once; `None` otherwise.
    pub fn of(roles: Vec<Role>) -> Option<Self> {
        let distinct: std::collections::BTreeSet<_> = roles.iter().collect();
        (!roles.is_empty() && distinct.len() == roles.len()).then_some(Self(roles))
    }
    /// Whether this role is among them.
    pub fn contains(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}
impl From<Roles> for Doc<Vec<Role>> {
    fn from(Roles(roles): Roles) -> Self {
        roles.into()
    }
}
impl Deserr<Faults> for Roles {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let List(roles) = List::<Role>::deserialize_from_value(value, location)?;
        if roles.is_empty() {
            return Err(Faults::at(pointer(location), "too_few", "must have at least one member"));
        }
        Self::of(roles).ok_or_else(|| Faults::at(pointer(location), "duplicate", "must name each role once"))
    }
}
impl PartialSchema for Roles {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Role::schema())
            .min_items(Some(1))
            .max_items(Some(Role::ALL.len()))
            .unique_items(true)
            .into()
    }
}
impl ToSchema for Roles {}

/// A person as they are stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::person, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// The number of their code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// 1–300 characters.
    pub name: String,
    /// As given.
    pub email: String,
    /// In lower case: unique.
    #[serde(skip)]
    pub email_folded: String,
    /// ORCID iD.
    pub orcid: Option<Orcid>,
    /// At least one, but for people who came by an identity provider and were given none.
    pub roles: Doc<Vec<Role>>,
    /// The organizations they belong to; `membership` indexes them.
    pub organizations: Doc<Vec<OrganizationId>>,
    /// What they know.
    pub expertise: Doc<Expertise>,
    /// Whether they take new work.
    pub accepting_work: bool,
    /// Since when they may not sign in.
    pub disabled_at: Option<Time>,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When they were entered.
    pub created_at: Time,
    /// When they last changed.
    pub updated_at: Time,
    /// Leaf hash of their latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

/// What somebody is to a person.
pub fn standing(who: &Principal, person: PersonId) -> Standing {
    Standing::to(RecordKind::Person).being(Relation::Own, who.id == person)
}

/// One owner's time with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// Who.
    pub person_id: PersonId,
    /// Since when.
    pub from: Time,
    /// Until when; null for the present owner.
    pub until: Option<Time>,
}

/// Hands a record's ownership on: closes the present tenure and opens the next.
pub fn hand_over(owners: &mut Doc<Vec<Tenure>>, to: PersonId, at: Time) {
    if let Some(present) = owners.0.last_mut() {
        present.until = Some(at);
    }
    owners.0.push(Tenure { person_id: to, from: at, until: None });
}

impl Person {
    /// Whether they may sign in.
    pub const fn is_active(&self) -> bool {
        self.disabled_at.is_none()
    }

    /// Whether they hold a role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Brings the folded columns in line with the fields they are made from. Everybody may search them, so neither e-mail
    /// nor roles go in: name and ORCID, then the [terms](terms_of) of the expertise, then its modalities as [marks](mark).
    /// A bar in a name would pass for the bars around a term.
    pub fn index(&mut self) {
        let name = self.name.replace('|', " ");
        let text = search_text([&*name].into_iter().chain(self.orcid.as_ref().map(Orcid::as_str)));
        let modalities: String = self.expertise.modalities.iter().map(|m| mark(*m)).collect();
        self.search = format!("{text}\n{}{modalities}", terms_of(&self.expertise.conditions));
    }
}

/// A modality as it stands among the folded text of a person: between empty lines, which folded text has none of.
pub fn mark(modality: Modality) -> String {
    format!("\n\n{modality}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::read;
    use serde_json::json;

    #[test]
    fn roles_are_at_least_one_and_none_twice() {
        assert!(read::<Roles>(json!(["scientist", "clinician"])).is_ok());
        for (body, code) in [
            (json!([]), "too_few"),
            (json!(["auditor", "auditor"]), "duplicate"),
            (json!(["boss"]), "unknown_value"),
            (json!("auditor"), "wrong_type"),
        ] {
            assert_eq!(read::<Roles>(body).unwrap_err().0[0].code, code);
        }
    }

    #[test]
    fn expertise_has_bounds_and_both_lists_may_be_missing() {
        assert_eq!(read::<Expertise>(json!({})).unwrap(), Expertise::default());
        let faults = read::<Expertise>(json!({
            "conditions": vec![json!({ "name": "ALS" }); 101], "modalities": ["vaccine", "magic"], "x": 1
        }));
        let mut codes: Vec<_> = faults.unwrap_err().0.iter().map(|f| f.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["too_many", "unknown_field", "unknown_value"]);
    }
}
