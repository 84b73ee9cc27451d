//! The feed: the log in its order, as far as the reader may see it; pages and streams go on without gap and without repeat.
use super::{Actor, settled, some_history, wait_for};
use crate::support::{TestApp, on_both_engines};
use benchside::{app::Clock, http::edge::Edge, id::OrganizationId};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};

on_both_engines!(
    pages_lead_through_the_log_in_its_order,
    the_feed_holds_what_its_reader_sees,
    a_stream_goes_on_where_it_was_cut_off,
    a_stream_ends_with_its_reader,
    what_the_feed_refuses,
);

fn all_pages(who: &Actor, query: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = who.get(&format!("/v1/events?limit={limit}{query}{after}")).expect(200).body;
        let data = page["data"].as_array().unwrap().clone();
        assert!(data.len() <= limit);
        found.extend(data);
        match page["next_cursor"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

fn sequences(events: &[Value]) -> Vec<u64> {
    let index = |event: &Value| event["sequence"].as_str().unwrap().strip_prefix("1-").unwrap().parse().unwrap();
    events.iter().map(index).collect()
}

fn pages_lead_through_the_log_in_its_order(app: &TestApp) {
    some_history(app, 5);
    let auditor = app.auditor("Audrey Stone");
    let size = settled(app).size;
    for limit in [1, 7, 200] {
        assert_eq!(sequences(&all_pages(&auditor, "", limit)), (0..size).collect::<Vec<_>>());
    }
    let moved = all_pages(&auditor, "&kind=discovery&action=moved", 2);
    assert_eq!(moved.len(), 5);
    let first = &moved[0];
    assert_eq!(
        (&first["specversion"], &first["type"], &first["datacontenttype"]),
        (&json!("1.0"), &json!("benchside.discovery.moved"), &json!("application/json"))
    );
    assert_eq!(first["source"], app.app.db.log());
    assert_eq!(first["subject"], format!("discoveries/{}", first["data"]["record"]["id"].as_str().unwrap()));
    assert_eq!((&first["id"], &first["time"]), (&first["data"]["event_id"], &first["data"]["recorded_at"]));
    assert_eq!(first["data"]["to"], "validated");
    assert_eq!(first["sequence"], format!("1-{}", first["data"]["leaf_index"]));
    // At the end of the log there is nothing more, until something happens.
    let last = format!("1-{}", size - 1);
    let end = auditor.get(&format!("/v1/events?after={last}")).expect(200).body;
    assert_eq!((&end["data"], &end["next_cursor"], &end["position"]), (&json!([]), &Value::Null, &json!(last)));
    app.lab("A Later Lab");
    settled(app);
    let later = auditor.get(&format!("/v1/events?after={last}")).expect(200).body;
    assert_eq!(later["data"][0]["type"], "benchside.organization.created");
}

fn the_feed_holds_what_its_reader_sees(app: &TestApp) {
    let ada = some_history(app, 3);
    let stranger = app.scientist("Bea Lind", app.lab("Another Lab"));
    settled(app);
    let seen = |who: &Actor| all_pages(who, "&kind=discovery", 2);
    assert_eq!((seen(&ada).len(), seen(&stranger).len()), (9, 0), "the discoveries are confidential");
    let own = all_pages(&ada, "", 50);
    for event in &own {
        let path = format!("/v1/{}/history?limit=200", event["subject"].as_str().unwrap());
        let history = ada.get(&path).expect(200).body;
        let entry = history["data"].as_array().unwrap().iter().find(|e| e["event_id"] == event["id"]);
        assert_eq!(entry, Some(&event["data"]), "the feed says what the history says");
    }
    // What was shown is gone once the reader may not see it any more.
    let lab = ada.get("/v1/me").body["organizations"][0]["id"].clone();
    let made = ada.post("/v1/discoveries", json!({ "title": "Open", "modality": "device", "lab_id": lab })).expect(201);
    settled(app);
    assert_eq!(seen(&stranger).len(), 1);
    ada.patch(&format!("/v1/discoveries/{}", made.id()), 1, json!({ "visibility": "confidential" })).expect(200);
    settled(app);
    assert_eq!(seen(&stranger).len(), 0);
}

/// One connection to the stream.
struct Listening(BufReader<Box<dyn std::io::Read + Send + Sync>>);

/// An event as it came: its id, its name, its data.
#[derive(Debug, PartialEq)]
struct Heard {
    id: String,
    name: String,
    data: Value,
}

impl Listening {
    fn to(who: &Actor, last: Option<&str>) -> Self {
        let mut request = ureq::get(format!("{}/v1/events", who.base))
            .header("authorization", format!("Bearer {}", who.token))
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.call().unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self(BufReader::new(Box::new(answer.into_body().into_reader())))
    }

    /// The next event, and the last id that was heard on the way; none when the stream has ended.
    fn next(&mut self, last: &mut Option<String>) -> Option<Heard> {
        let (mut id, mut name, mut data) = (String::new(), String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => value.clone_into(&mut data),
                _ if line == "\n" => {
                    if !id.is_empty() {
                        *last = Some(id.clone());
                    }
                    if !data.is_empty() {
                        return Some(Heard { id, name, data: serde_json::from_str(&data).unwrap() });
                    }
                }
                _ => assert!(line.starts_with(':'), "{line}"),
            }
        }
    }
}

fn a_stream_goes_on_where_it_was_cut_off(app: &TestApp) {
    let ada = some_history(app, 2);
    let auditor = app.auditor("Audrey Stone");
    let lab: OrganizationId = serde_json::from_value(ada.get("/v1/me").body["organizations"][0]["id"].clone()).unwrap();
    const LATER: usize = 60;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..LATER {
                ada.post("/v1/discoveries", json!({ "title": format!("T {n}"), "modality": "device", "lab_id": lab }))
                    .expect(201);
            }
        });
        let (mut last, mut heard) = (None, Vec::new());
        let size = 2 + 6 + 1 + LATER as u64;
        let deadline = Instant::now() + Duration::from_secs(60);
        // Cut off after a few events, again and again.
        while (heard.len() as u64) < size {
            assert!(Instant::now() < deadline, "only {} of {size} were heard", heard.len());
            let mut stream = Listening::to(&auditor, last.as_deref());
            for _ in 0..fastrand::usize(1..7) {
                if heard.len() as u64 == size {
                    break;
                }
                let event = stream.next(&mut last).unwrap();
                assert_eq!(
                    (&*event.id, &*event.name),
                    (event.data["sequence"].as_str().unwrap(), event.data["type"].as_str().unwrap())
                );
                heard.push(event.data);
            }
        }
        assert_eq!(sequences(&heard), (0..size).collect::<Vec<_>>());
        settled(app);
        assert_eq!(heard, all_pages(&auditor, "", 200), "streams and pages say the same");
    });
}

fn a_stream_ends_with_its_reader(app: &TestApp) {
    let admin = app.administrator("Admin");
    let auditor = app.auditor("Audrey Stone");
    let size = settled(app).size;
    let mut last = Some(format!("1-{}", size - 1));
    let mut stream = Listening::to(&auditor, last.clone().as_deref());
    app.lab("A Lab");
    let event = stream.next(&mut last).unwrap();
    assert_eq!(event.name, "benchside.organization.created");
    // The person leaves: what happens next is not told any more.
    let version = admin.get(&format!("/v1/people/{}", auditor.id.0)).expect(200).version();
    let leaves = format!("/v1/people/{}/disable", auditor.id.0);
    admin.versioned("POST", &leaves, version, json!({ "reason": "Left" })).expect(200);
    app.lab("Another Lab");
    assert_eq!(stream.next(&mut last), None);
}

fn what_the_feed_refuses(app: &TestApp) {
    let auditor = app.auditor("Audrey Stone");
    let size = settled(app).size;
    for (query, code) in [
        ("after=x".to_owned(), "invalid_format"),
        ("after=1".to_owned(), "invalid_format"),
        (format!("after=1-{size}"), "out_of_range"),
        ("after=2-0".to_owned(), "out_of_range"),
        ("limit=0".to_owned(), "out_of_range"),
        ("kind=thing".to_owned(), "unknown_value"),
        ("action=thing".to_owned(), "unknown_value"),
    ] {
        let problem = auditor.get(&format!("/v1/events?{query}")).refused(422, "invalid");
        assert_eq!(problem["errors"][0]["code"], code, "{query}: {problem:#}");
    }
    let headers = [("accept", "text/event-stream"), ("last-event-id", "nonsense")];
    auditor.send("GET", "/v1/events", &headers, None).refused(422, "invalid");
    auditor.send("GET", "/v1/events", &headers[1..], None).refused(422, "invalid");
    // A later generation has numbers of its own.
    app.app.db.close();
    super::by_force(
        &app.url,
        &[
            &format!("DELETE FROM log_checkpoint WHERE size = {size}"),
            &format!("DELETE FROM log_node WHERE number >= {}", tlog_tiles::tlog::stored_hash_count(size - 1)),
            &format!("INSERT INTO event_pending SELECT enqueued FROM log_leaf WHERE position = {}", size - 1),
            &format!("DELETE FROM log_leaf WHERE position = {}", size - 1),
        ],
    );
    let kept: i64 = {
        let mut conn = benchside::db::Conn::open(&app.url.parse().unwrap(), benchside::db::Purpose::Read).unwrap();
        benchside::ledger::log::latest(&mut conn).unwrap().unwrap().size.try_into().unwrap()
    };
    assert!(kept < i64::try_from(size).unwrap());
    let node = app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
    wait_for(&node, |shown| shown.generation == 2);
    let there = auditor.at(&node);
    let refusal = there.get("/v1/events?after=1-0").refused(410, "feed_reset");
    assert!(refusal["detail"].as_str().unwrap().contains("generation 2"));
    assert_eq!(
        there.get("/v1/events").expect(200).body["data"][0]["sequence"],
        "2-1",
        "behind the leaf that says how it went on"
    );
}
