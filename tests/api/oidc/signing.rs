//! Signatures of people who have no password here: their provider authenticates them anew for each.
use super::{JUST_IN_TIME, account, browser::Browser, desk::desk_with_provider, me, refused};
use crate::support::{Actor, TestApp, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(a_signature_takes_a_fresh_authentication_at_the_provider);

/// A finding of a trial that is ready to be signed, and the body that signs it.
fn draft(clinician: &Actor) -> String {
    let clinic = me(clinician)["organizations"][0]["id"].clone();
    let new = json!({
        "brief_title": "Safety of BX-12", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic,
        "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
    });
    let trial = clinician.post("/v1/trials", new).expect(201).id();
    let new = json!({ "kind": "safety", "title": "None", "narrative": "None seen.", "observed_on": "2026-01-02" });
    let finding = clinician.post(&format!("/v1/trials/{trial}/findings"), new).expect(201).id();
    format!("/v1/findings/{finding}")
}

fn challenge(who: &Actor, finding: &str) -> Value {
    let asked = json!({
        "record": { "kind": "finding", "id": finding.rsplit('/').next() }, "version": 1, "meaning": "authorship",
        "transition": { "to": "signed" },
    });
    who.post("/v1/signatures/challenges", asked).expect(201).body
}

fn a_signature_takes_a_fresh_authentication_at_the_provider(app: &TestApp) {
    let Some((desk, mut real)) = desk_with_provider(app, JUST_IN_TIME, "real") else { return };
    let kim = app.clinician("Kim Park", app.clinic("ALS Clinic"));
    real.knows(&json!({ "kim": account(&kim.email, true, &[]), "nia": account("nia@example.org", true, &[]) }));
    let browser = Browser::default();
    let signer = desk.holder(&desk.signs_in(&browser, "real", "kim"));
    let finding = draft(&signer);
    let sign = |who: &Actor, challenge: &Value| {
        let body = json!({ "to": "signed", "signature": { "challenge_id": challenge["id"] } });
        who.versioned("POST", &format!("{finding}/transitions"), 1, body)
    };

    // With a session by password, the password is asked for.
    let by_password = challenge(&kim, &finding);
    assert_eq!(by_password["authentication"], json!({ "method": "password", "start": null }));

    let issued = challenge(&signer, &finding);
    let start = issued["authentication"]["start"].as_str().unwrap();
    let expected = format!("/v1/auth/oidc/real/start?challenge={}", issued["id"].as_str().unwrap());
    assert_eq!((&issued["authentication"]["method"], start), (&json!("oidc"), &*expected));
    let start = format!("{}{start}", desk.base);
    sign(&signer, &issued).refused(409, "signature_invalid");

    // Somebody else's authentication is not the signer's, and enters nobody on the way.
    let stranger = Browser::default();
    refused(stranger.get(&stranger.authenticates(&start, "nia").url), "not_admitted");
    desk.signs_in(&stranger, "real", "nia").expect(200);
    refused(stranger.get(&stranger.authenticates(&start, "nia").url), "not_fresh");
    sign(&signer, &issued).refused(409, "signature_invalid");

    // The provider remembers the signer, and asks anew all the same.
    let remembered = browser.authenticates(&desk.start("real"), "kim");
    assert_eq!(remembered.forms, 0);
    browser.get(&remembered.url).expect(200);
    let back = browser.authenticates(&start, "kim");
    assert_eq!(back.forms, 1);
    browser.get(&back.url).expect(204);
    let signed = sign(&signer, &issued).expect(201);
    assert_eq!(signed.body["signature"]["signer"], "Kim Park");
    sign(&signer, &issued).refused(412, "version_mismatch");
    browser.get(&start).refused(404, "not_found");
}
