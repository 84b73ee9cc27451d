use super::*;
use serde_json::json;

fn claims(value: Value) -> Claims {
    serde_json::from_value(value).unwrap()
}

fn rule(claim: &str, value: &str, role: Role, organization: Option<i64>) -> Rule {
    Rule { claim: claim.into(), value: value.into(), role, organization }
}

fn issuer() -> Issuer {
    Issuer {
        name: "hospital".into(),
        url: "https://login.example.org".into(),
        client_id: "benchside".into(),
        client_secret: None,
        scopes: vec!["openid".into()],
        audience: None,
        admits: Admission::Existing,
        email_claim: "email".into(),
        needs_verified_email: true,
        upkeep: Upkeep::Initial,
        rules: vec![
            rule("groups", "als", Role::Scientist, Some(3)),
            rule("groups", "ops", Role::Administrator, None),
            rule("/realm/ro~1les", "clinic", Role::Clinician, Some(4)),
        ],
    }
}

#[test]
fn rules_read_strings_lists_and_what_lies_deeper() {
    let grants = issuer().grants(&claims(json!({ "groups": ["x", "als"], "realm": { "ro/les": "clinic" } })));
    assert_eq!(grants.roles, BTreeSet::from([Role::Scientist, Role::Clinician]));
    assert_eq!(grants.organizations, BTreeSet::from([3, 4]));
    for nothing in [
        json!({}),
        json!({ "groups": "alsatian" }),
        json!({ "groups": { "als": true } }),
        json!({ "groups": [["als"]] }),
        json!({ "realm": "clinic" }),
    ] {
        assert_eq!(issuer().grants(&claims(nothing.clone())), Grants::default(), "{nothing}");
    }
    assert_eq!(issuer().grantable().roles.len(), 3);
}

#[test]
fn an_address_counts_where_it_is_verified_or_need_not_be() {
    let address = |issuer: &Issuer, value: Value| issuer.email(&claims(value)).map(String::from);
    let (strict, lax) = (issuer(), Issuer { needs_verified_email: false, ..issuer() });
    for verified in [json!(true), json!("true")] {
        let told = json!({ "email": "ada@example.org", "email_verified": verified });
        assert_eq!(address(&strict, told).as_deref(), Some("ada@example.org"));
    }
    for verified in [json!(false), json!("false"), json!(null), json!(1)] {
        let told = json!({ "email": "ada@example.org", "email_verified": verified });
        assert_eq!(address(&strict, told), None);
    }
    assert_eq!(address(&strict, json!({ "email": "ada@example.org" })), None);
    assert_eq!(address(&lax, json!({ "email": "ada@example.org" })).as_deref(), Some("ada@example.org"));
    assert_eq!(address(&lax, json!({ "email": "nobody" })), None);
}

#[test]
fn a_subject_is_a_string_of_a_size() {
    for no in [
        json!({}),
        json!({ "sub": 7 }),
        json!({ "sub": "" }),
        json!({ "sub": "x".repeat(256) }),
        json!({ "sub": "a\0" }),
    ] {
        assert_eq!(claims(no).subject(), None);
    }
    assert_eq!(claims(json!({ "sub": "248289761001" })).subject(), Some("248289761001"));
}

#[test]
fn people_are_called_by_what_is_known() {
    let email: Email = "ada@example.org".parse().unwrap();
    for (told, expected) in [
        (json!({ "name": " Ada Okafor " }), "Ada Okafor"),
        (json!({ "name": " ", "given_name": "Ada", "family_name": "Okafor" }), "Ada Okafor"),
        (json!({ "given_name": "Ada" }), "Ada"),
        (json!({}), "ada@example.org"),
    ] {
        assert_eq!(claims(told).name(&email), expected);
    }
    assert_eq!(claims(json!({ "name": "x".repeat(400) })).name(&email).len(), 300);
}

#[test]
fn more_claims_are_asked_for_where_one_is_missing_and_never_replace_any() {
    let whole = json!({ "email": "a@b.c", "email_verified": true, "groups": [], "realm": { "ro/les": [] } });
    assert!(!issuer().misses_some(&claims(whole)));
    assert!(issuer().misses_some(&claims(json!({ "email": "a@b.c", "email_verified": true }))));
    let both = claims(json!({ "sub": "1", "email": "a@b.c" }))
        .completed_by(claims(json!({ "email": "x@y.z", "groups": ["als"] })));
    assert_eq!(both.text("email"), Some("a@b.c"));
    assert!(both.says("groups", "als"));
}
