//! Webhooks, and what is on its way to them.
use diesel::table;

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    webhook (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        name -> Text,
        url -> Text,
        kinds -> JsonColumn,
        actions -> JsonColumn,
        conditions -> JsonColumn,
        organization_ids -> JsonColumn,
        state -> Text,
        owner_id -> IdColumn,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    webhook_secret (id) {
        id -> IdColumn,
        webhook_id -> IdColumn,
        secret -> Binary,
        created_at -> TimeColumn,
        expires_at -> Nullable<TimeColumn>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    webhook_cursor (webhook_id) {
        webhook_id -> IdColumn,
        generation -> BigInt,
        position -> BigInt,
        claimed_by -> Nullable<IdColumn>,
        claimed_until -> BigInt,
        fence -> BigInt,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    webhook_delivery (id) {
        id -> IdColumn,
        webhook_id -> IdColumn,
        enqueued -> BigInt,
        record_id -> IdColumn,
        state -> Text,
        round -> Integer,
        attempts -> Integer,
        created_at -> TimeColumn,
        next_at -> TimeColumn,
        first_tried_at -> Nullable<TimeColumn>,
        settled_at -> Nullable<TimeColumn>,
        last_status -> Nullable<Integer>,
        last_error -> Nullable<Text>,
    }
}
