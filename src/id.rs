//! Typed ids: the id of one kind of record never passes for another's.
use crate::vocabulary::RecordKind;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use diesel::{deserialize::FromSqlRow, expression::AsExpression};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use uuid::Uuid;

/// The id of one kind of thing, a UUID of version 7: ids rise with time, so indexes grow at one end.
#[derive(AsExpression, FromSqlRow)]
#[diesel(sql_type = crate::db::columns::IdColumn)]
pub struct Id<T: 'static>(pub Uuid, PhantomData<fn() -> T>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $alias:ident of $kind:ident),+ $(,)?) => {$(
        #[doc = concat!("Marks ids of kind `", stringify!($kind), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $kind {}
        #[doc = concat!("The id of a ", stringify!($kind), ".")]
        pub type $alias = Id<$kind>;
    )+};
}
kinds! {
    OrganizationId of OrganizationMark, PersonId of PersonMark, LifecycleId of LifecycleMark, DiscoveryId of DiscoveryMark,
    TrialId of TrialMark, FindingId of FindingMark, InsightId of InsightMark, PairingId of PairingMark,
    TransferId of TransferMark, WebhookId of WebhookMark, DeliveryId of DeliveryMark, EventId of EventMark, ChallengeId of ChallengeMark,
    SessionId of SessionMark, TokenId of TokenMark, RecallId of RecallMark, SubscriptionId of SubscriptionMark, AnyId of AnyMark,
}

impl<T> Id<T> {
    /// A new id, of now.
    pub fn fresh() -> Self {
        Self::of(Uuid::now_v7())
    }
    /// The id with these bytes.
    pub const fn of(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
    /// The same bytes where the kind is known another way (an event's record, a share).
    pub const fn any(self) -> AnyId {
        Id::of(self.0)
    }
}

// Written out because a derive would ask the same of `T`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl<T> std::fmt::Display for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl<T> Serialize for Id<T> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}
impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Uuid::deserialize(d).map(Self::of)
    }
}
impl<T> Deserr<crate::fault::Faults> for Id<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, crate::fault::Faults> {
        match value {
            Value::String(text) => Uuid::parse_str(&text).map(Self::of).map_err(|_| {
                crate::fault::Faults::at(crate::fault::pointer(location), "invalid_format", "must be a UUID")
            }),
            other => Err(crate::fault::wrong_type(other, "a UUID", location)),
        }
    }
}
impl<T> utoipa::__dev::ComposeSchema for Id<T> {
    fn compose(
        _: Vec<utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>,
    ) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            .examples([serde_json::json!("01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")])
            .into()
    }
}
impl<T> utoipa::ToSchema for Id<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
}

impl RecordKind {
    /// The letter before the number in a code: `D-17`.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Organization => "O",
            Self::Person => "U",
            Self::Lifecycle => "L",
            Self::Discovery => "D",
            Self::Trial => "T",
            Self::Finding => "F",
            Self::Insight => "I",
            Self::Pairing => "P",
            Self::Transfer => "X",
            Self::Webhook => "W",
        }
    }
    /// The code of the record with this number.
    pub fn code(self, number: i64) -> String {
        format!("{}-{number}", self.letter())
    }
    /// The plural in paths.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Organization => "organizations",
            Self::Person => "people",
            Self::Lifecycle => "lifecycles",
            Self::Discovery => "discoveries",
            Self::Trial => "trials",
            Self::Finding => "findings",
            Self::Insight => "insights",
            Self::Pairing => "pairings",
            Self::Transfer => "ownership-transfers",
            Self::Webhook => "webhooks",
        }
    }
}

/// How a path names a record: by id or by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The UUID.
    Id(Uuid),
    /// The number of the code.
    Number(i64),
}

impl Key {
    /// Reads a path segment; `None` for what names no record of this kind.
    pub fn parse(kind: RecordKind, segment: &str) -> Option<Self> {
        if let Ok(id) = Uuid::parse_str(segment) {
            return Some(Self::Id(id));
        }
        let (letter, number) = segment.split_once('-')?;
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
        (plain && letter.eq_ignore_ascii_case(kind.letter())).then(|| number.parse().ok().map(Self::Number))?
    }
}
impl<T> From<Id<T>> for Key {
    fn from(id: Id<T>) -> Self {
        Self::Id(id.0)
    }
}
