//! The log in its order.
use diesel::table;

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    log_generation (generation) {
        generation -> BigInt,
        origin -> Text,
        verifier -> Text,
        started_at -> TimeColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    log_leaf (generation, position) {
        generation -> BigInt,
        position -> BigInt,
        enqueued -> Nullable<BigInt>,
        own -> Nullable<Binary>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    log_node (generation, number) {
        generation -> BigInt,
        number -> BigInt,
        hash -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    log_checkpoint (generation, size) {
        generation -> BigInt,
        size -> BigInt,
        at -> TimeColumn,
        note -> Text,
    }
}
