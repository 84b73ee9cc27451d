//! A webhook: somebody elsewhere is told of events, as far as its owner may see them now, signed so that they can tell who
//! speaks (Standard Webhooks 1.0). Pure.
pub mod change;
pub mod deliver;
pub mod delivery;
pub mod http;
pub mod reach;
pub mod secret;
pub mod send;
pub mod store;

use crate::{
    auth::policy::Standing,
    db::columns::{Doc, Time},
    id::{OrganizationId, PersonId, WebhookId},
    ledger::log::Wanted,
    value::term_of,
    vocabulary::{Action, RecordKind, WebhookState, vocabulary},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::Serialize;

/// How long an old secret stays good beside a new one, in seconds.
pub const OVERLAP_SECONDS: i64 = 86_400;
/// The most webhooks that have not ended.
pub const MOST_WEBHOOKS: i64 = 100;
/// The most secrets that are good at once.
pub const MOST_SECRETS: usize = 5;

vocabulary! {
    /// What a revision may set: deliveries go on, or wait.
    WebhookSwitch { Enabled = "enabled", Disabled = "disabled" }
}

impl From<WebhookSwitch> for WebhookState {
    fn from(switch: WebhookSwitch) -> Self {
        match switch {
            WebhookSwitch::Enabled => Self::Enabled,
            WebhookSwitch::Disabled => Self::Disabled,
        }
    }
}

/// A webhook as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = crate::db::schema::webhook, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// What it is for.
    pub name: String,
    /// Where events are sent.
    pub url: String,
    /// Of records of these kinds; of all where there are none.
    pub kinds: Doc<Vec<RecordKind>>,
    /// Of these actions; of all where there are none.
    pub actions: Doc<Vec<Action>>,
    /// Of records about any of these conditions, by MeSH id or name; of all where there are none.
    pub conditions: Doc<Vec<String>>,
    /// Of records whose steward is one of these; of all where there are none.
    pub organization_ids: Doc<Vec<OrganizationId>>,
    /// Where it stands.
    pub state: WebhookState,
    /// Through whose sight it is told.
    pub owner_id: PersonId,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

impl Webhook {
    /// What anybody is to it: who may manage webhooks may manage all.
    pub const fn standing() -> Standing {
        Standing::to(RecordKind::Webhook)
    }
    /// What is asked of the log.
    pub fn wanted(&self) -> Wanted {
        Wanted { kinds: self.kinds.0.clone(), actions: self.actions.0.clone() }
    }
    /// Whether it asks for events of this kind and action.
    pub fn asks_for(&self, kind: RecordKind, action: Action) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.actions.is_empty() || self.actions.contains(&action))
    }
    /// Whether it asks for more than kinds and actions.
    pub fn asks_about_records(&self) -> bool {
        !self.conditions.is_empty() || !self.organization_ids.is_empty()
    }
    /// Whether a record with this steward and these [terms](crate::value::terms_of) is one it asks for.
    pub fn is_about(&self, steward: Option<OrganizationId>, terms: &str) -> bool {
        let conditions = &self.conditions;
        (conditions.is_empty() || conditions.iter().any(|condition| terms.contains(&term_of(condition))))
            && (self.organization_ids.is_empty() || steward.is_some_and(|id| self.organization_ids.contains(&id)))
    }
}
