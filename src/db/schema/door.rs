//! How people get in, and what is kept for a repetition.
use diesel::table;

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    session (id) {
        id -> IdColumn,
        person_id -> IdColumn,
        authn -> Text,
        issuer -> Nullable<Text>,
        client -> Nullable<Text>,
        address -> Nullable<Text>,
        created_at -> TimeColumn,
        last_used_at -> TimeColumn,
        expires_at -> TimeColumn,
        ended_at -> Nullable<TimeColumn>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    refresh_token (hash) {
        hash -> Binary,
        session_id -> IdColumn,
        issued_at -> TimeColumn,
        used_at -> Nullable<TimeColumn>,
        seed -> Nullable<Binary>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    personal_token (id) {
        id -> IdColumn,
        person_id -> IdColumn,
        name -> Text,
        hash -> Binary,
        scopes -> JsonColumn,
        created_at -> TimeColumn,
        expires_at -> TimeColumn,
        last_used_at -> Nullable<TimeColumn>,
        revoked_at -> Nullable<TimeColumn>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    invitation (hash) {
        hash -> Binary,
        person_id -> IdColumn,
        created_at -> TimeColumn,
        expires_at -> TimeColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    identity (issuer, subject) {
        issuer -> Text,
        subject -> Text,
        person_id -> IdColumn,
        created_at -> TimeColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    oidc_login (state_hash) {
        state_hash -> Binary,
        browser_hash -> Binary,
        issuer -> Text,
        nonce -> Text,
        verifier -> Text,
        challenge_id -> Nullable<IdColumn>,
        created_at -> TimeColumn,
        expires_at -> TimeColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    idempotency (person_id, route, key) {
        person_id -> IdColumn,
        route -> Text,
        key -> Text,
        digest -> Binary,
        created_at -> TimeColumn,
        status -> Nullable<Integer>,
        location -> Nullable<Text>,
        etag -> Nullable<Text>,
        records -> Nullable<JsonColumn>,
        body -> Nullable<Text>,
    }
}
