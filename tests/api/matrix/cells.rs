//! What each cell must be. The columns are those of [`super::cast::ACTORS`].
use super::cast::Stage;
use crate::support::Actor;
use serde_json::{Value, json};

/// How an operation is tested.
pub enum Cells {
    /// It answers without a token, the same to all.
    Open,
    /// A GET of a record of this kind, or of what is below it: who sees the record gets it.
    Reads(&'static str),
    /// A GET of a list of this kind: it holds exactly what one sees.
    Lists(&'static str),
    /// Anything else.
    Acts(&'static [Act]),
}
use Cells::{Acts, Lists, Open, Reads};

/// One line of cells.
pub struct Act {
    /// The record that the request is about; `""` for none.
    pub on: &'static str,
    /// The body, given the stage, who sends it and the id of the record.
    pub body: fn(&Stage, &Actor, &str) -> Value,
    /// What may come back to whom authority has let pass: status and code, `""` for success.
    pub passes: &'static [(u16, &'static str)],
    /// Who may.
    pub cells: &'static str,
}

/// Passes on to a version that is stale.
const STALE: &[(u16, &str)] = &[(412, "version_mismatch")];
/// Passes on to a fault of the body.
const FAULTY: &[(u16, &str)] = &[(422, "invalid")];
/// Passes on to the answer.
const ANSWERED: &[(u16, &str)] = &[(200, "")];

const fn act(
    on: &'static str,
    body: fn(&Stage, &Actor, &str) -> Value,
    passes: &'static [(u16, &'static str)],
    cells: &'static str,
) -> Act {
    Act { on, body, passes, cells }
}
/// With nothing in the body, which is a stale change or a fault.
const fn change(on: &'static str, cells: &'static str) -> Act {
    act(on, nothing, STALE, cells)
}
fn nothing(_: &Stage, _: &Actor, _: &str) -> Value {
    json!({})
}
fn typo(_: &Stage, _: &Actor, _: &str) -> Value {
    json!({ "typo": 1 })
}

/// Who sees each record of the world.
#[rustfmt::skip]
pub const VISIBLE: &[(&str, &str, &str)] = &[
    //                                           ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
    ("discoveries",   "amberfish",              "y   y   y   y    y   y   y   y    y   y   y   y    n"), // public
    ("discoveries",   "bluewhale",              "y   y   -   y    -   -   -   -    y   -   y   y    -"), // shared with the sponsor
    ("discoveries",   "zz-internal-crow",       "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("discoveries",   "zz-secret-newt",         "y   y   -   y    -   -   -   -    -   -   y   y    -"), // confidential
    ("discoveries",   "zz-embargoed-mole",      "y   y   y   y    y   y   y   y    -   -   y   y    -"), // public from 2099 on
    ("discoveries",   "zz-rivals-lynx",         "y   y   -   y    -   -   -   -    -   y   y   y    -"), // shared with the rival
    ("discoveries",   "coralreef",              "y   y   y   y    y   y   y   y    y   y   y   y    n"), // public since 2020
    ("discoveries",   "daffodil",               "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("discoveries",   "edelweiss",              "y   y   -   y    -   -   -   -    y   -   y   y    -"), // paired with the sponsor
    ("discoveries",   "zz-ended-stoat",         "y   y   -   y    -   -   -   -    -   -   y   y    -"), // was paired
    ("discoveries",   "zz-spawned-wolf",        "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("discoveries",   "iris",                   "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("discoveries",   "zz-left-ibis",           "y   y   -   y    -   -   -   y    -   -   y   y    -"), // owned by who left
    ("discoveries",   "zz-over-dodo",           "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("discoveries",   "zz-led-seal",            "y   y   -   y    y   -   -   -    -   -   y   y    -"), // led by kim
    ("trials",        "foxglove",               "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("trials",        "zz-hidden-trial",        "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("trials",        "zz-confidential-trial",  "-   -   -   -    y   y   -   -    -   -   y   y    -"),
    ("findings",      "gentian",                "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("findings",      "hawthorn",               "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("findings",      "zz-draft-finding",       "-   -   -   -    y   y   -   -    -   -   y   y    -"),
    ("findings",      "zz-next-finding",        "-   -   -   -    y   y   -   -    -   -   y   y    -"),
    ("findings",      "zz-hidden-finding",      "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("insights",      "heather",                "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("insights",      "zz-draft-insight",       "-   -   -   -    y   y   -   -    -   -   y   y    -"),
    ("insights",      "zz-mixed-insight",       "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("insights",      "zz-hidden-insight",      "y   y   y   y    y   y   y   y    -   -   y   y    -"),
    ("insights",      "jasmine",                "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("findings",      "kingcup",                "y   y   y   y    y   y   y   y    y   y   y   y    n"), // retracted
    ("insights",      "larkspur",               "y   y   y   y    y   y   y   y    y   y   y   y    n"), // cites it
    ("pairings",      "eagle-pairing",          "y   y   -   y    -   -   -   -    y   -   y   y    -"),
    ("pairings",      "falcon-pairing",         "y   y   -   y    -   -   -   -    y   -   y   y    -"),
    ("pairings",      "zz-rival-on-open",       "y   y   -   y    -   -   -   -    -   y   y   y    -"),
    ("pairings",      "zz-rival-on-theirs",     "y   y   -   y    -   -   -   -    -   y   y   y    -"),
    ("pairings",      "zz-lead-message",        "y   y   -   y    y   -   -   -    -   -   y   y    -"),
    ("pairings",      "zz-lead-of-seal",        "y   y   -   y    y   -   -   -    -   -   y   y    -"),
    ("ownership-transfers", "zz-transfer-reason", "y -   y   -    -   -   -   -    -   -   y   y    -"), // from ada to bea
    ("webhooks",      "zz-hook-crane",          "y   -   -   -    -   -   -   -    -   -   y   y    -"), // owned by ada
    ("organizations", "the lab",                "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("lifecycles",    "pathway",                "y   y   y   y    y   y   y   y    y   y   y   y    n"),
    ("people",        "ada",                    "y   y   y   y    y   y   y   y    y   y   y   y    n"),
];

/// Everybody with a role.
const WITH_A_ROLE: &str = "yyyy yyyy yyyy n";
/// Administrators.
const ADMINISTRATORS: &str = "nnnn nnnn nnny n";

/// Every operation.
#[rustfmt::skip]
pub const OPERATIONS: &[(&str, Cells)] = &[
    ("login", Open), ("refresh_tokens", Open), ("start_oidc_login", Open),
    ("finish_oidc_login", Open), ("accept_invitation", Open), ("get_liveness", Open), ("get_readiness", Open), ("get_metrics", Open), ("get_jwks", Open),
    ("get_openapi", Open),
    ("get_me", Acts(&[act("", nothing, ANSWERED, "yyyy yyyy yyyy y")])),
    // One's own, with a role or without: of others' sessions and tokens there are none.
    ("logout", Acts(&[act("", typo, FAULTY, "yyyy yyyy yyyy y")])),
    ("change_password", Acts(&[act("", typo, FAULTY, "yyyy yyyy yyyy y")])),
    ("list_sessions", Acts(&[act("", nothing, ANSWERED, "yyyy yyyy yyyy y")])),
    ("end_session", Acts(&[act("another's session", nothing, ANSWERED, "---- ---- ---- -")])),
    ("list_tokens", Acts(&[act("", nothing, ANSWERED, "yyyy yyyy yyyy y")])),
    ("create_token", Acts(&[act("", typo, FAULTY, "yyyy yyyy yyyy y")])),
    ("revoke_token", Acts(&[act("another's token", nothing, ANSWERED, "---- ---- ---- -")])),
    ("get_checkpoint", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("get_consistency_proof", Acts(&[act("", nothing, FAULTY, WITH_A_ROLE)])),
    ("get_tile", Acts(&[act("", nothing, ANSWERED, "nnnn nnnn nnyy n")])),
    ("list_history", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("list_work", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("list_subscriptions", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("create_subscription", Acts(&[
        act("", typo, FAULTY, WITH_A_ROLE),
        //                                                            ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("zz-secret-newt", follow, &[(201, "")],                  "y   y   -   y    -   -   -   -    -   -   y   y    n"),
        act("zz-internal-crow", follow, &[(201, "")],                "y   y   y   y    y   y   y   y    -   -   y   y    n"),
    ])),
    ("delete_subscription", Acts(&[act("another's subscription", nothing, ANSWERED, "---- ---- ---- -")])),
    ("list_notifications", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("mark_notifications", Acts(&[act("", typo, FAULTY, WITH_A_ROLE)])),
    ("list_recalls", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("acknowledge_recall", Acts(&[
        //                                        ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("recall of larkspur", typo, FAULTY,  "n   n   n   n    y   y   n   n    n   n   n   y    n"),
        act("recall of zz-led-seal", typo, FAULTY, "y y   -   n    n   -   -   -    -   -   n   y    -"),
    ])),
    ("list_events", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("get_event_proof", Acts(&[
        act("amberfish", nothing, ANSWERED,             "y   y   y   y    y   y   y   y    y   y   y   y    n"),
        act("zz-internal-crow", nothing, ANSWERED,      "y   y   y   y    y   y   y   y    -   -   y   y    n"),
        act("zz-secret-newt", nothing, ANSWERED,        "y   y   -   y    -   -   -   -    -   -   y   y    n"),
        act("zz-confidential-trial", nothing, ANSWERED, "-   -   -   -    y   y   -   -    -   -   y   y    n"),
        act("zz-draft-finding", nothing, ANSWERED,      "-   -   -   -    y   y   -   -    -   -   y   y    n"),
        act("zz-rival-on-open", nothing, ANSWERED,      "y   y   -   y    -   -   -   -    -   y   y   y    n"),
    ])),
    ("explain_authority", Acts(&[act("", nothing, FAULTY, ADMINISTRATORS)])),
    ("get_pipeline_overview", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("get_pipeline_funnel", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("create_signature_challenge", Acts(&[
        //                                                            ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("amberfish", challenge, STALE,                           "y   y   y   y    y   y   y   y    y   y   y   y    n"),
        act("zz-internal-crow", challenge, STALE,                    "y   y   y   y    y   y   y   y    -   -   y   y    n"),
        act("zz-secret-newt", challenge, STALE,                      "y   y   -   y    -   -   -   -    -   -   y   y    n"),
    ])),

    // Many at once: the role is asked first, and then each item as if it came alone.
    ("move_many", Acts(&[act("", typo, FAULTY, WITH_A_ROLE)])),
    ("create_organizations", Acts(&[act("", typo, FAULTY, ADMINISTRATORS)])),
    ("create_people", Acts(&[act("", typo, FAULTY, ADMINISTRATORS)])),
    //                                                   ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
    ("log_discoveries", Acts(&[act("", typo, FAULTY,    "y   y   y   n    n   n   n   y    n   n   n   n    n")])),
    ("register_trials", Acts(&[act("", typo, FAULTY,    "n   n   n   y    y   y   y   n    n   n   n   n    n")])),
    ("record_findings", Acts(&[act("", typo, FAULTY,    "n   n   n   y    y   y   y   n    n   n   n   n    n")])),
    ("raise_insights", Acts(&[act("", typo, FAULTY,     "n   n   n   y    y   y   y   n    n   n   n   n    n")])),
    ("propose_pairings", Acts(&[act("", typo, FAULTY,   "y   y   y   y    y   y   y   y    y   y   n   n    n")])),
    ("propose_ownership_transfers", Acts(&[act("", typo, FAULTY,
                                                        "y   y   y   y    y   y   y   y    n   n   n   y    n")])),

    ("list_webhooks", Lists("webhooks")),
    ("get_webhook", Reads("webhooks")),
    ("list_webhook_history", Reads("webhooks")),
    ("list_webhook_deliveries", Reads("webhooks")),
    ("create_webhook", Acts(&[act("", typo, FAULTY, ADMINISTRATORS)])),
    ("revise_webhook", Acts(&[change("zz-hook-crane", "n - - - - - - - - - n y -")])),
    ("create_webhook_secret", Acts(&[act("zz-hook-crane", typo, FAULTY, "n - - - - - - - - - n y -")])),
    ("redeliver_webhook_events", Acts(&[act("zz-hook-crane", typo, FAULTY, "n - - - - - - - - - n y -")])),
    ("end_webhook", Acts(&[act("zz-hook-crane", nothing, &[(204, "")], "n - - - - - - - - - n y -")])),

    ("list_organizations", Lists("organizations")),
    ("get_organization", Reads("organizations")),
    ("list_organization_history", Reads("organizations")),
    ("create_organization", Acts(&[act("", typo, FAULTY, ADMINISTRATORS)])),
    ("revise_organization", Acts(&[change("the lab", ADMINISTRATORS)])),

    ("list_people", Lists("people")),
    ("get_person", Reads("people")),
    ("list_person_history", Reads("people")),
    ("create_person", Acts(&[act("", typo, FAULTY, ADMINISTRATORS)])),
    ("revise_person", Acts(&[
        //                              ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        change("ada",                  "y   n   n   n    n   n   n   n    n   n   n   y    n"),
        change("pat",                  "n   n   n   n    n   n   n   n    y   n   n   y    n"),
        change("aud",                  "n   n   n   n    n   n   n   n    n   n   n   y    n"),
        act("kim", |_, _, _| json!({ "name": "Doctor" }), STALE,
                                       "n   n   n   n    n   n   n   n    n   n   n   y    n"),
        act("kim", |_, _, _| json!({ "roles": ["administrator"] }), STALE,
                                       "n   n   n   n    n   n   n   n    n   n   n   y    n"),
    ])),
    ("invite_person", Acts(&[act("ada", typo, FAULTY, ADMINISTRATORS)])),
    ("replace_memberships", Acts(&[change("ada", ADMINISTRATORS)])),
    ("disable_person", Acts(&[change("ada", ADMINISTRATORS)])),

    ("list_lifecycles", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("list_lifecycle_versions", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("get_lifecycle", Acts(&[act("", nothing, ANSWERED, WITH_A_ROLE)])),
    ("list_lifecycle_history", Reads("lifecycles")),
    ("add_lifecycle", Acts(&[act("", typo, FAULTY, ADMINISTRATORS)])),

    ("list_discoveries", Lists("discoveries")),
    ("get_discovery", Reads("discoveries")),
    ("list_discovery_history", Reads("discoveries")),
    ("list_discovery_transitions", Reads("discoveries")),
    ("list_available_discovery_transitions", Reads("discoveries")),
    ("log_discovery", Acts(&[
        //                              ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("the lab", |_, _, id| json!({
            "title": "T", "modality": "biologic", "lab_id": id, "effective_at": "2999-01-01T00:00:00Z",
        }), FAULTY,                    "y   y   n   n    n   n   n   n    n   n   n   n    n"),
    ])),
    ("revise_discovery", Acts(&[
        change("amberfish",            "y   y   n   n    n   n   n   n    n   n   n   y    n"),
        change("edelweiss",            "y   y   -   n    -   -   -   -    n   -   n   y    -"),
        change("zz-internal-crow",     "y   y   n   n    n   n   n   n    -   -   n   y    -"),
        change("zz-secret-newt",       "y   y   -   n    -   -   -   -    -   -   n   y    -"),
        change("zz-left-ibis",         "y   y   -   n    -   -   -   y    -   -   n   y    -"),
        change("zz-led-seal",          "y   y   -   n    n   -   -   -    -   -   n   y    -"),
    ])),
    ("change_discovery_lifecycle", Acts(&[
        change("amberfish", ADMINISTRATORS),
        change("zz-secret-newt",       "n   n   -   n    -   -   -   -    -   -   n   y    -"),
    ])),
    ("move_discovery", Acts(&[
        //                                                                ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("amberfish", |_, _, _| json!({ "to": "validated" }), STALE,  "y   y   n   n    n   n   n   n    n   n   n   n    n"),
        act("amberfish", |_, _, _| json!({ "to": "on_hold" }), STALE,    "y   y   n   y    y   y   n   n    n   n   n   n    n"),
        act("amberfish", discontinue, STALE,                             "y   n   n   n    n   n   n   n    n   n   n   y    n"),
        act("amberfish", correct, STALE,                                 "n   n   n   n    n   n   n   n    n   n   n   y    n"),
        act("edelweiss", |_, _, _| json!({ "to": "on_hold" }), STALE,    "y   y   -   y    -   -   -   -    n   -   n   n    -"),
        act("zz-left-ibis", discontinue, STALE,                          "n   n   -   n    -   -   -   y    -   -   n   y    -"),
        act("zz-secret-newt", correct, STALE,                            "n   n   -   n    -   -   -   -    -   -   n   y    -"),
    ])),

    ("list_trials", Lists("trials")),
    ("get_trial", Reads("trials")),
    ("list_trial_history", Reads("trials")),
    ("list_trial_transitions", Reads("trials")),
    ("list_available_trial_transitions", Reads("trials")),
    ("list_trial_discoveries", Reads("trials")),
    ("list_trial_findings", Reads("trials")),
    ("register_trial", Acts(&[
        act("the clinic", |_, _, id| json!({
            "brief_title": "T", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": id,
            "effective_at": "2999-01-01T00:00:00Z",
        }), FAULTY,                    "n   n   n   n    y   y   n   n    n   n   n   n    n"),
    ])),
    ("revise_trial", Acts(&[
        //                              ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        change("foxglove",             "n   n   n   n    y   y   n   n    n   n   n   y    n"),
        change("zz-hidden-trial",      "n   n   n   n    y   y   n   n    -   -   n   y    -"),
        change("zz-confidential-trial", "-  -   -   -    y   y   -   -    -   -   n   y    -"),
    ])),
    ("replace_trial_discoveries", Acts(&[
        change("foxglove",             "n   n   n   n    y   y   n   n    n   n   n   y    n"),
        change("zz-confidential-trial", "-  -   -   -    y   y   -   -    -   -   n   y    -"),
        // As `tests`: neither a colleague of the lead nor an administrator puts a discovery to the test.
        act("zz-hidden-trial", |s, _, _| links(s, "zz-over-dodo", "tests"), STALE,
                                       "n   n   n   n    n   n   n   n    -   -   n   n    -"),
        act("zz-confidential-trial", |s, _, _| links(s, "amberfish", "tests"), STALE,
                                       "-   -   -   -    y   n   -   -    -   -   n   n    -"),
        act("zz-confidential-trial", |s, _, _| links(s, "amberfish", "measures"), STALE,
                                       "-   -   -   -    y   y   -   -    -   -   n   y    -"),
    ])),
    ("move_trial", Acts(&[
        act("foxglove", recruiting, STALE, "n n n n y y n n n n n n n"),
        act("zz-hidden-trial", recruiting, STALE, "n n n n y y n n - - n n -"),
        act("zz-confidential-trial", recruiting, STALE, "- - - - y y - - - - n n -"),
        act("foxglove", |_, _, _| json!({ "to": "COMPLETED", "move": "correct" }), STALE, ADMINISTRATORS),
    ])),

    ("list_findings", Lists("findings")),
    ("get_finding", Reads("findings")),
    ("list_finding_history", Reads("findings")),
    ("list_finding_transitions", Reads("findings")),
    ("list_available_finding_transitions", Reads("findings")),
    ("record_finding", Acts(&[
        //                                     ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("foxglove", nothing, FAULTY,              "n   n   n   n    y   y   n   n    n   n   n   n    n"),
        act("zz-hidden-trial", nothing, FAULTY,       "n   n   n   n    y   y   n   n    -   -   n   n    -"),
        act("zz-confidential-trial", nothing, FAULTY, "-   -   -   -    y   y   -   -    -   -   n   n    -"),
    ])),
    ("revise_finding", Acts(&[
        change("zz-draft-finding",     "-   -   -   -    y   y   -   -    -   -   n   y    -"),
        change("gentian",              "n   n   n   n    y   y   n   n    n   n   n   y    n"),
        change("zz-hidden-finding",    "n   n   n   n    y   y   n   n    -   -   n   y    -"),
    ])),
    ("move_finding", Acts(&[
        act("zz-draft-finding", |_, _, _| json!({ "to": "signed" }), STALE, "- - - - y n - - - - n n -"),
        act("zz-draft-finding", |_, _, _| json!({ "to": "withdrawn" }), STALE, "- - - - y n - - - - n n -"),
        act("gentian", |_, _, _| json!({ "to": "retracted" }), STALE, "n n n n y n n n n n n y n"),
        act("zz-hidden-finding", |_, _, _| json!({ "to": "retracted" }), STALE, "n n n n y n n n - - n y -"),
    ])),

    ("list_insights", Lists("insights")),
    ("get_insight", Reads("insights")),
    ("list_insight_history", Reads("insights")),
    ("list_insight_transitions", Reads("insights")),
    ("list_available_insight_transitions", Reads("insights")),
    ("raise_insight", Acts(&[
        //                                     ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("gentian", raise, FAULTY,                 "n   n   n   n    y   y   n   n    n   n   n   n    n"),
        act("zz-hidden-finding", raise, FAULTY,       "n   n   n   n    y   y   n   n    n   n   n   n    n"),
        act("zz-draft-finding", raise, FAULTY,        "n   n   n   -    y   y   -   n    n   n   n   n    n"),
    ])),
    ("revise_insight", Acts(&[
        change("zz-draft-insight",     "-   -   -   -    y   y   -   -    -   -   n   y    -"),
        change("heather",              "n   n   n   n    y   y   n   n    n   n   n   y    n"),
        change("zz-mixed-insight",     "n   n   n   n    y   y   n   n    -   -   n   y    -"),
    ])),
    ("move_insight", Acts(&[
        act("zz-draft-insight", |_, _, _| json!({ "to": "submitted" }), STALE, "- - - - y y - - - - n n -"),
        act("zz-draft-insight", |_, _, _| json!({ "to": "withdrawn" }), STALE, "- - - - y n - - - - n n -"),
        act("zz-mixed-insight", |_, _, _| json!({ "to": "acknowledged" }), STALE, "y y n n n n n n - - n n -"),
        act("zz-mixed-insight", |_, _, _| json!({ "to": "declined" }), STALE, "y y n n n n n n - - n n -"),
    ])),

    ("list_pairings", Lists("pairings")),
    ("get_pairing", Reads("pairings")),
    ("list_pairing_history", Reads("pairings")),
    ("list_pairing_transitions", Reads("pairings")),
    ("list_available_pairing_transitions", Reads("pairings")),
    ("propose_pairing", Acts(&[
        // A clinician for themself, where the discovery has ended; a scientist of the lab names nobody who is one.
        act("zz-over-dodo", |_, who, id| json!({
            "discovery_id": id, "kind": "clinical_lead", "clinician_id": who.id, "message": "Please",
        }), &[(409, "immutable"), (422, "invalid")],
                                       "y   y   n   y    y   y   y   n    -   -   n   n    n"),
        // A partner for their sponsor, where such a pairing is there already; so does the lab.
        act("edelweiss", |s, _, id| json!({
            "discovery_id": id, "kind": "industry_partner", "organization_id": s.world.sponsor, "message": "Please",
        }), &[(409, "conflict")],      "y   y   -   n    -   -   -   -    y   -   n   n    n"),
    ])),
    ("move_pairing", Acts(&[
        act("zz-rival-on-open", |_, _, _| json!({ "to": "accepted" }), STALE, "n n - n - - - - - y n n -"),
        act("zz-rival-on-open", |_, _, _| json!({ "to": "withdrawn" }), STALE, "y y - n - - - - - n n n -"),
        act("eagle-pairing", |_, _, _| json!({ "to": "ended" }), STALE, "y y - n - - - - y - n n -"),
        act("zz-lead-of-seal", |_, _, _| json!({ "to": "ended" }), STALE, "y y - n y - - - - - n n -"),
    ])),

    ("list_ownership_transfers", Lists("ownership-transfers")),
    ("get_ownership_transfer", Reads("ownership-transfers")),
    ("list_ownership_transfer_history", Reads("ownership-transfers")),
    ("propose_ownership_transfer", Acts(&[
        //                                     ada sam bea mel  kim cal lou exo  pat riv aud adm  nil
        act("amberfish", |_, _, id| hand_over("discovery", id), FAULTY,    "y   n   n   n    n   n   n   n    n   n   n   y    n"),
        act("zz-left-ibis", |_, _, id| hand_over("discovery", id), FAULTY, "n   n   -   n    -   -   -   y    n   n   n   y    n"),
        act("foxglove", |_, _, id| hand_over("trial", id), FAULTY,         "n   n   n   n    y   n   n   n    n   n   n   y    n"),
        act("amberfish", |_, _, id| {
            let mut body = hand_over("discovery", id);
            body["force"] = json!(true);
            body
        }, FAULTY, ADMINISTRATORS),
    ])),
    ("accept_ownership_transfer", Acts(&[act("zz-transfer-reason", typo, FAULTY, "n - y - - - - - - - n n -")])),
    ("decline_ownership_transfer", Acts(&[act("zz-transfer-reason", typo, FAULTY, "n - y - - - - - - - n n -")])),
    ("withdraw_ownership_transfer", Acts(&[act("zz-transfer-reason", typo, FAULTY, "y - n - - - - - - - n y -")])),
];

fn follow(_: &Stage, _: &Actor, id: &str) -> Value {
    json!({ "record": { "kind": "discovery", "id": id } })
}
fn challenge(_: &Stage, _: &Actor, id: &str) -> Value {
    json!({
        "record": { "kind": "discovery", "id": id }, "version": 999, "meaning": "handoff",
        "transition": { "to": "clinic_ready" },
    })
}
fn discontinue(_: &Stage, _: &Actor, _: &str) -> Value {
    json!({ "to": "discontinued" })
}
fn correct(_: &Stage, _: &Actor, _: &str) -> Value {
    json!({ "to": "preclinical", "move": "correct" })
}
fn recruiting(_: &Stage, _: &Actor, _: &str) -> Value {
    json!({ "to": "RECRUITING" })
}
fn links(stage: &Stage, mark: &str, role: &str) -> Value {
    json!({ "data": [{ "discovery_id": stage.id(mark), "role": role }] })
}
/// To an organization that is no lab.
fn raise(stage: &Stage, _: &Actor, id: &str) -> Value {
    json!({ "title": "T", "question": "Q?", "rationale": "R", "finding_ids": [id], "lab_id": stage.world.clinic })
}
/// To nobody.
fn hand_over(kind: &str, id: &str) -> Value {
    json!({
        "to_person_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "reason": "R", "records": [{ "kind": kind, "id": id }],
    })
}
