//! What finds people: recalls, subscriptions, how far notifications were read.
use diesel::table;

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    recall (id) {
        id -> IdColumn,
        finding_id -> IdColumn,
        cause -> Text,
        record_kind -> Text,
        record_id -> IdColumn,
        raised_at -> TimeColumn,
        acknowledged_at -> Nullable<TimeColumn>,
        acknowledged_by -> Nullable<IdColumn>,
        note -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    discovery_return (discovery_id, insight_id) {
        discovery_id -> IdColumn,
        insight_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    subscription (id) {
        id -> IdColumn,
        person_id -> IdColumn,
        target -> Text,
        record_kind -> Nullable<Text>,
        record_id -> Nullable<IdColumn>,
        lab_id -> Nullable<IdColumn>,
        mesh -> Nullable<Text>,
        name -> Nullable<Text>,
        pattern -> Nullable<Text>,
        follows_after -> BigInt,
        created_at -> TimeColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    notice_mark (person_id) {
        person_id -> IdColumn,
        read_until -> BigInt,
    }
}
