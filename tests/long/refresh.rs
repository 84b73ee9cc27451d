//! Refreshes at once: round after round, many clients send the same refresh token at the same moment. All of them get the
//! same successor, which the next round sends. In the end an early token is sent once more, and the session has ended.
//!
//!   BENCHSIDE_LONG_REFRESH_ROUNDS=1000   rounds
//!   BENCHSIDE_LONG_REFRESHES=100         refreshes at once in each
use super::{
    setting,
    support::{Actor, PASSWORD, TestApp},
};
use benchside::db::schema::refresh_token;
use diesel::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

mod sqlite {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_refreshes_at_once_have_one_successor() {
        super::refreshes_at_once_have_one_successor(&crate::support::TestApp::sqlite());
    }
}
#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    #[ignore = "long: .ci/long runs it"]
    fn long_refreshes_at_once_have_one_successor() {
        super::refreshes_at_once_have_one_successor(&crate::support::TestApp::postgres());
    }
}

/// A client that keeps its one connection: hundreds of thousands of them would use up the ports.
struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    fn of(app: &TestApp) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { agent, url: format!("{}/v1/auth/refresh", app.base) }
    }
    /// Status and body; what went wrong where there is no answer.
    fn refresh(&self, token: &str) -> (u16, Value) {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        match request.send(json!({ "refresh_token": token }).to_string()) {
            Ok(mut answer) => {
                let status = answer.status().as_u16();
                let text = answer.body_mut().read_to_string().unwrap_or_default();
                (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
            }
            Err(e) => (0, json!(e.to_string())),
        }
    }
}

/// What the clients of a round share with the one who starts it.
struct Round {
    start: Barrier,
    end: Barrier,
    token: Mutex<String>,
    answers: Mutex<Vec<(u16, Value)>>,
    over: AtomicBool,
}

impl Round {
    fn take_part(&self, client: &Client) {
        loop {
            self.start.wait();
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let token = self.token.lock().unwrap().clone();
            let answer = client.refresh(&token);
            self.answers.lock().unwrap().push(answer);
            self.end.wait();
        }
    }
    /// Sends one token from all clients at once; answers what all of them were told, or everything that they were.
    fn play(&self, token: &str) -> Result<Value, String> {
        token.clone_into(&mut self.token.lock().unwrap());
        self.start.wait();
        self.end.wait();
        let answers = std::mem::take(&mut *self.answers.lock().unwrap());
        let told: BTreeSet<_> =
            answers.iter().map(|(status, body)| (*status, body["refresh_token"].to_string())).collect();
        match (told.len(), answers.first()) {
            (1, Some((200, body))) => Ok(body.clone()),
            _ => Err(format!("{} kinds of answers: {:#?}", told.len(), told)),
        }
    }
}

fn refreshes_at_once_have_one_successor(app: &TestApp) {
    let rounds = setting("BENCHSIDE_LONG_REFRESH_ROUNDS", 1000);
    let clients = usize::try_from(setting("BENCHSIDE_LONG_REFRESHES", 100)).unwrap();
    let engine = app.url.split(':').next().unwrap();
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let login = json!({ "email": ada.email, "password": PASSWORD });
    let elsewhere = app.anonymous().post("/v1/auth/login", login.clone()).expect(200).body;
    let first = app.anonymous().post("/v1/auth/login", login).expect(200).body;
    let round = Round {
        start: Barrier::new(clients + 1),
        end: Barrier::new(clients + 1),
        token: Mutex::default(),
        answers: Mutex::default(),
        over: AtomicBool::new(false),
    };
    let text = |tokens: &Value| tokens["refresh_token"].as_str().unwrap_or_default().to_owned();
    let (mut last, mut seen) = (first.clone(), BTreeSet::from([text(&first)]));
    let began = Instant::now();
    // A failure is kept until the clients have gone: they would wait for ever.
    let failed = std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| round.take_part(&Client::of(app)));
        }
        let failed = (1..=rounds).find_map(|n| match round.play(&text(&last)) {
            Ok(next) if seen.insert(text(&next)) => {
                last = next;
                None
            }
            Ok(_) => Some(format!("round {n}: a token came back")),
            Err(e) => Some(format!("round {n}: {e}")),
        });
        round.over.store(true, Ordering::SeqCst);
        round.start.wait();
        failed
    });
    assert_eq!(failed, None, "{engine}");
    let took = began.elapsed();
    let issued = app.read(|conn| Ok(refresh_token::table.count().get_result::<i64>(conn)?));
    // Of this session, of the one elsewhere, and of the one that `scientist` opened.
    assert_eq!(u64::try_from(issued).unwrap(), rounds + 1 + 2, "each round issued one token");
    let with = |tokens: &Value| Actor { token: tokens["access_token"].as_str().unwrap().into(), ..ada.clone() };
    with(&last).get("/v1/me").expect(200);

    // Whoever sends the first one now is not who got the last.
    let client = Client::of(app);
    let (status, problem) = client.refresh(&text(&first));
    assert_eq!((status, &problem["code"]), (401, &json!("session_ended")));
    assert_eq!(client.refresh(&text(&last)).0, 401, "the family has ended");
    with(&last).get("/v1/me").refused(401, "unauthenticated");
    assert_eq!(client.refresh(&text(&elsewhere)).0, 200, "and no other");
    println!(
        "{engine}: {rounds} rounds of {clients} refreshes at once with one token, one successor each, in {:.0} s; the \
         replay of the first token ended the session",
        took.as_secs_f64()
    );
}
