//! What finds people: recalls.
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
