//! The tables, once for both engines; `migrations/` makes them.
#![expect(missing_docs, reason = "the migrations say what the columns are")]
use diesel::{allow_tables_to_appear_in_same_query, table};

mod door;
mod hook;
mod log;
mod people;
pub use door::*;
pub use hook::*;
pub use log::*;
pub use people::*;

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    organization (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        name -> Text,
        kind -> Text,
        parent_id -> Nullable<IdColumn>,
        ror -> Nullable<Text>,
        focus -> JsonColumn,
        lifecycle -> Nullable<Text>,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    person (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        name -> Text,
        email -> Text,
        email_folded -> Text,
        orcid -> Nullable<Text>,
        roles -> JsonColumn,
        organizations -> JsonColumn,
        expertise -> JsonColumn,
        accepting_work -> Bool,
        disabled_at -> Nullable<TimeColumn>,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    membership (person_id, organization_id) {
        person_id -> IdColumn,
        organization_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    credential (person_id) {
        person_id -> IdColumn,
        password_hash -> Text,
        changed_at -> TimeColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    sign_in (id) {
        id -> IdColumn,
        person_id -> IdColumn,
        at -> TimeColumn,
        address -> Nullable<Text>,
        succeeded -> Bool,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    lifecycle (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        kind -> Text,
        name -> Text,
        edition -> BigInt,
        document -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    discovery (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        title -> Text,
        summary -> Text,
        modality -> Text,
        conditions -> JsonColumn,
        lifecycle -> Text,
        stage -> Text,
        stage_entered_at -> TimeColumn,
        held_from -> Nullable<Text>,
        stop_reason -> Nullable<Text>,
        trl -> Nullable<Integer>,
        lab_id -> IdColumn,
        owner_id -> IdColumn,
        owners -> JsonColumn,
        visibility -> Text,
        shared_with -> JsonColumn,
        embargo_until -> Nullable<TimeColumn>,
        refs -> JsonColumn,
        tags -> JsonColumn,
        origin_insight_id -> Nullable<IdColumn>,
        recalled_at -> Nullable<TimeColumn>,
        terms -> Text,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    trial (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        nct_id -> Nullable<Text>,
        org_study_id -> Nullable<Text>,
        acronym -> Nullable<Text>,
        brief_title -> Text,
        official_title -> Nullable<Text>,
        study_type -> Text,
        phases -> JsonColumn,
        overall_status -> Text,
        last_known_status -> Nullable<Text>,
        status_entered_at -> TimeColumn,
        suspended_from -> Nullable<Text>,
        why_stopped -> Nullable<Text>,
        stop_reason -> Nullable<Text>,
        conditions -> JsonColumn,
        interventions -> JsonColumn,
        enrollment -> Nullable<JsonColumn>,
        start_date -> Nullable<JsonColumn>,
        primary_completion_date -> Nullable<JsonColumn>,
        completion_date -> Nullable<JsonColumn>,
        sponsor -> Nullable<JsonColumn>,
        fda_regulated -> Nullable<Bool>,
        verified_on -> Nullable<Text>,
        clinic_id -> IdColumn,
        owner_id -> IdColumn,
        owners -> JsonColumn,
        refs -> JsonColumn,
        visibility -> Text,
        shared_with -> JsonColumn,
        embargo_until -> Nullable<TimeColumn>,
        source -> Text,
        discoveries -> JsonColumn,
        terms -> Text,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    finding (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        trial_id -> IdColumn,
        kind -> Text,
        title -> Text,
        narrative -> Text,
        observed_on -> Text,
        unexpected -> Bool,
        effect -> Nullable<JsonColumn>,
        ctcae_grade -> Nullable<Integer>,
        state -> Text,
        state_entered_at -> TimeColumn,
        disclosed -> Bool,
        supersedes_id -> Nullable<IdColumn>,
        owner_id -> IdColumn,
        owners -> JsonColumn,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    insight (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        title -> Text,
        question -> Text,
        rationale -> Text,
        findings -> JsonColumn,
        discoveries -> JsonColumn,
        clinic_id -> IdColumn,
        lab_id -> IdColumn,
        owner_id -> IdColumn,
        owners -> JsonColumn,
        assignee_id -> Nullable<IdColumn>,
        urgency -> Text,
        state -> Text,
        state_entered_at -> TimeColumn,
        submitted_at -> Nullable<TimeColumn>,
        due_at -> Nullable<TimeColumn>,
        outcome -> Nullable<Text>,
        outcome_note -> Nullable<Text>,
        refined_discovery_id -> Nullable<IdColumn>,
        spawned -> JsonColumn,
        recalled_at -> Nullable<TimeColumn>,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    pairing (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        discovery_id -> IdColumn,
        kind -> Text,
        clinician_id -> Nullable<IdColumn>,
        organization_id -> Nullable<IdColumn>,
        proposed_by_id -> IdColumn,
        proposing_side -> Text,
        owner_id -> IdColumn,
        owners -> JsonColumn,
        message -> Text,
        state -> Text,
        state_entered_at -> TimeColumn,
        answered_at -> Nullable<TimeColumn>,
        match_explanation -> Nullable<JsonColumn>,
        search -> Text,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    transfer (id) {
        id -> IdColumn,
        number -> BigInt,
        version -> BigInt,
        state -> Text,
        proposed_by_id -> IdColumn,
        from_person_id -> IdColumn,
        to_person_id -> IdColumn,
        steward_id -> Nullable<IdColumn>,
        reason -> Text,
        records -> JsonColumn,
        forced -> Bool,
        answer_reason -> Nullable<Text>,
        answered_at -> Nullable<TimeColumn>,
        created_at -> TimeColumn,
        updated_at -> TimeColumn,
        head -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    share (record_id, organization_id) {
        record_id -> IdColumn,
        organization_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    trial_link (trial_id, discovery_id, role) {
        trial_id -> IdColumn,
        discovery_id -> IdColumn,
        role -> Text,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    citation (insight_id, finding_id) {
        insight_id -> IdColumn,
        finding_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    insight_discovery (insight_id, discovery_id) {
        insight_id -> IdColumn,
        discovery_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    transfer_record (transfer_id, record_id) {
        transfer_id -> IdColumn,
        record_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    signature_challenge (id) {
        id -> IdColumn,
        person_id -> IdColumn,
        record_kind -> Text,
        record_id -> IdColumn,
        record_version -> BigInt,
        meaning -> Text,
        digest -> Binary,
        statement -> Text,
        issued_at -> TimeColumn,
        expires_at -> TimeColumn,
        attempts -> Integer,
        consumed_at -> Nullable<TimeColumn>,
        authenticated_at -> Nullable<TimeColumn>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    event (enqueued) {
        enqueued -> BigInt,
        id -> IdColumn,
        record_kind -> Text,
        record_id -> IdColumn,
        record_version -> BigInt,
        action -> Text,
        #[sql_name = "move"]
        move_name -> Nullable<Text>,
        from_state -> Nullable<Text>,
        to_state -> Nullable<Text>,
        actor_id -> Nullable<IdColumn>,
        at -> TimeColumn,
        effective_at -> TimeColumn,
        leaf -> Binary,
        leaf_hash -> Binary,
        salt -> Nullable<Binary>,
        payload -> Nullable<Binary>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    event_mention (record_id, event_id) {
        record_id -> IdColumn,
        event_id -> IdColumn,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    event_pending (enqueued) {
        enqueued -> BigInt,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::db::columns::{IdColumn, JsonColumn, TimeColumn};
    log_identity (id) {
        id -> Integer,
        log -> Text,
    }
}

allow_tables_to_appear_in_same_query!(
    organization,
    person,
    membership,
    credential,
    sign_in,
    lifecycle,
    discovery,
    trial,
    finding,
    insight,
    pairing,
    transfer,
    share,
    trial_link,
    citation,
    insight_discovery,
    transfer_record,
    signature_challenge,
    event,
    event_mention,
    event_pending,
    log_identity,
    log_generation,
    log_leaf,
    log_node,
    log_checkpoint,
    session,
    refresh_token,
    personal_token,
    invitation,
    identity,
    oidc_login,
    idempotency,
    recall,
    discovery_return,
    webhook,
    webhook_secret,
    webhook_cursor,
    webhook_delivery,
    subscription,
    notice_mark
);
