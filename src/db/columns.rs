//! Column types both engines know, and the Rust types that live in them.
//!
//! Each SQL type is our own: a bare `uuid::Uuid` collides with diesel's blanket impls on the derived backend, and a type
//! *named* `Timestamptz` would be taken for diesel's.
use super::MultiBackend;
use crate::{fault, id::Id};
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
#[cfg(feature = "postgres")]
use diesel::pg::Pg;
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{HasSqlType, SqlType},
    sqlite::Sqlite,
};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use utoipa::{
    __dev::ComposeSchema,
    ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};
use uuid::Uuid;

/// `uuid`; 16 bytes in SQLite.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(sqlite_type(name = "Binary"))]
#[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 2950, array_oid = 2951)))]
pub struct IdColumn;

/// `timestamptz`; RFC 3339 text of fixed width in SQLite.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(sqlite_type(name = "Text"))]
#[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 1184, array_oid = 1185)))]
pub struct TimeColumn;

/// `jsonb`; text in SQLite.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(sqlite_type(name = "Text"))]
#[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 3802, array_oid = 3807)))]
pub struct JsonColumn;

/// A moment, to the microsecond: what both engines keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = TimeColumn)]
pub struct Time(DateTime<Utc>);

impl Time {
    /// The system's clock. Use cases take their time from [`crate::app::Clock`] instead.
    pub fn now() -> Self {
        Self::from(Utc::now())
    }
    /// As chrono has it.
    pub const fn utc(self) -> DateTime<Utc> {
        self.0
    }
    /// Reads RFC 3339; anything finer than a microsecond is dropped. Years 1 to 9999, so that the fixed width holds.
    pub fn parse(text: &str) -> Option<Self> {
        use chrono::Datelike;
        let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
        (1..=9999).contains(&time.year()).then(|| Self::from(time))
    }
    /// So many seconds later.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0 + TimeDelta::seconds(seconds))
    }
    /// So many days of 86 400 s later.
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days * 86_400)
    }
}
impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6))
    }
}
impl std::fmt::Display for Time {
    /// Fixed width, so that the order of the text is the order of time.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}
impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}
impl Deserr<fault::Faults> for Time {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, fault::Faults> {
        match value {
            Value::String(text) => Self::parse(&text).ok_or_else(|| {
                let message = "must be an RFC 3339 time such as 2026-03-01T09:30:00Z";
                fault::Faults::at(fault::pointer(location), "invalid_format", message)
            }),
            other => Err(fault::wrong_type(other, "an RFC 3339 time", location)),
        }
    }
}
impl ComposeSchema for Time {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .max_length(Some(40))
            .examples([serde_json::json!("2026-03-01T09:30:00.000000Z")])
            .into()
    }
}
impl ToSchema for Time {}

/// A value that is stored as JSON: lists and small objects that are always read whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[serde(transparent)]
#[diesel(sql_type = JsonColumn)]
pub struct Doc<T>(pub T)
where
    T: std::fmt::Debug + 'static;

impl<T: std::fmt::Debug> std::ops::Deref for Doc<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T: std::fmt::Debug> From<T> for Doc<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: 'static> ToSql<IdColumn, Sqlite> for Id<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}
impl<T: 'static> FromSql<IdColumn, Sqlite> for Id<T> {
    fn from_sql(mut v: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::of(Uuid::from_slice(v.read_blob())?))
    }
}
impl ToSql<TimeColumn, Sqlite> for Time {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_string());
        Ok(IsNull::No)
    }
}
impl FromSql<TimeColumn, Sqlite> for Time {
    fn from_sql(mut v: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Self::parse(v.read_text()).ok_or_else(|| "not an RFC 3339 time".into())
    }
}
impl<T: std::fmt::Debug + Serialize + 'static> ToSql<JsonColumn, Sqlite> for Doc<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}
impl<T: std::fmt::Debug + DeserializeOwned + 'static> FromSql<JsonColumn, Sqlite> for Doc<T> {
    fn from_sql(mut v: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_str(v.read_text())?))
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use diesel::sql_types as std_sql;
    use std::io::Write;

    impl<T: 'static> ToSql<IdColumn, Pg> for Id<T> {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            ToSql::<std_sql::Uuid, Pg>::to_sql(&self.0, out)
        }
    }
    impl<T: 'static> FromSql<IdColumn, Pg> for Id<T> {
        fn from_sql(v: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            FromSql::<std_sql::Uuid, Pg>::from_sql(v).map(Self::of)
        }
    }
    impl ToSql<TimeColumn, Pg> for Time {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            ToSql::<std_sql::Timestamptz, Pg>::to_sql(&self.0, out)
        }
    }
    impl FromSql<TimeColumn, Pg> for Time {
        fn from_sql(v: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            FromSql::<std_sql::Timestamptz, Pg>::from_sql(v).map(Self)
        }
    }

    /// `jsonb` on the wire is a version byte and then the text.
    const JSONB_VERSION: u8 = 1;

    impl<T: std::fmt::Debug + Serialize + 'static> ToSql<JsonColumn, Pg> for Doc<T> {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            out.write_all(&[JSONB_VERSION])?;
            serde_json::to_writer(out, &self.0)?;
            Ok(IsNull::No)
        }
    }
    impl<T: std::fmt::Debug + DeserializeOwned + 'static> FromSql<JsonColumn, Pg> for Doc<T> {
        fn from_sql(v: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            match v.as_bytes() {
                [JSONB_VERSION, text @ ..] => Ok(Self(serde_json::from_slice(text)?)),
                _ => Err("unknown jsonb version".into()),
            }
        }
    }
}

/// Says that a type both engines know is known to the derived backend too.
macro_rules! on_either_engine {
    ($column:ident holds $rust:ty $(, for any $kind:ident: $($bound:path),+)?) => {
        impl HasSqlType<$column> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                MultiBackend::lookup_sql_type::<$column>(lookup)
            }
        }
        impl $(<$kind: 'static $(+ $bound)+>)? FromSql<$column, MultiBackend> for $rust {
            fn from_sql(v: <MultiBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                v.from_sql::<Self, $column>()
            }
        }
        impl $(<$kind: 'static $(+ $bound)+>)? ToSql<$column, MultiBackend> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value(($column, self));
                Ok(IsNull::No)
            }
        }
    };
}
on_either_engine!(IdColumn holds Id<T>, for any T: Sized);
on_either_engine!(TimeColumn holds Time);
on_either_engine!(JsonColumn holds Doc<T>, for any T: Send, Sync, std::fmt::Debug, Serialize, DeserializeOwned);
