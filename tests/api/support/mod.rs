//! The stage on which the stories play: a served app on a fresh database, and people who act on it.
mod actor;
pub mod contract;
pub mod crowd;
pub mod world;

pub use actor::{Actor, Reply};

use actix_web::{rt::System, web};
use benchside::{
    Result, api,
    app::{App, Clock},
    auth::{
        keys::Keys,
        password::{Cost, Passwords, Secret},
        session::{self, Session},
        token::ACCESS_LIFETIME,
    },
    config::assemble,
    db::{Conn, Db, Settings},
    http::edge::Edge,
    id::{OrganizationId, PersonId, SessionId},
    ledger::{Context, guard::Guard, pulse::Pulse, sequencer::Sequencer},
    vocabulary::{Authn, OrganizationKind, Role},
};
use serde_json::json;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// The password of everyone.
pub const PASSWORD: &str = "correct horse battery";

/// Declares each story once and has it played on both engines.
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* $story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] $(#[$attribute])* fn $story() { super::$story(&crate::support::TestApp::sqlite()) })+
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(#[test] $(#[$attribute])* fn $story() { super::$story(&crate::support::TestApp::postgres()) })+
        }
    };
}
pub(crate) use on_both_engines;

/// A served app on a database of its own.
pub struct TestApp {
    pub base: String,
    pub url: String,
    pub app: web::Data<App>,
    pub folder: PathBuf,
    /// Whether the folder is another's, who removes it.
    beside: bool,
    runtime: tokio::runtime::Runtime,
}

impl TestApp {
    pub fn sqlite() -> Self {
        let folder = fresh_folder();
        let url = format!("sqlite://{}", folder.join("test.db").display());
        Self::on(url, folder)
    }

    /// On a new database of the server that `BENCHSIDE_TEST_POSTGRES` names.
    #[cfg(feature = "postgres")]
    pub fn postgres() -> Self {
        Self::on(fresh_postgres(), fresh_folder())
    }

    /// A second node of the same deployment: the same database, the same keys, a process of its own.
    pub fn another_node(&self) -> Self {
        let mut node = Self::on(self.url.clone(), self.folder.clone());
        node.beside = true;
        node
    }

    /// A person as another node knows them.
    pub fn at(&self, who: &Actor) -> Actor {
        Actor { base: self.base.clone(), ..who.clone() }
    }

    /// Runs what the service does by itself.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    fn on(url: String, folder: PathBuf) -> Self {
        // What tests assert is never a time: on a busy machine nobody is refused.
        let settings = Settings { connections: 4, patience: Duration::from_secs(30), ..Settings::default() };
        let inside = vec!["127.0.0.0/8".parse().unwrap()];
        let edge = Edge { rate_limit: 0, webhook_allow_private: inside, ..Edge::default() };
        let (base, app) = serve(&url, &folder, &settings, edge, Clock::system());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { base, url, app, folder, beside: false, runtime }
    }

    /// Another node on the same database, as the settings have it by default and with this edge.
    pub fn node(&self, edge: Edge, clock: Clock) -> Node {
        self.node_on(&self.url, edge, clock)
    }

    /// One that reaches the database another way.
    pub fn node_on(&self, url: &str, edge: Edge, clock: Clock) -> Node {
        let (base, app) = serve(url, &self.folder, &Settings::default(), edge, clock);
        Node { base, app }
    }

    /// Runs a closure in a transaction, as the system.
    pub fn write<T: Send + 'static>(&self, f: impl Fn(&mut Conn, &Context) -> Result<T> + Send + 'static) -> T {
        let context = self.system();
        self.runtime.block_on(self.app.db.write(move |conn| f(conn, &context))).unwrap()
    }

    /// Runs statements that both engines understand.
    pub fn sql(&self, statements: impl Into<String>) {
        use diesel::connection::SimpleConnection;
        let statements = statements.into();
        self.write(move |conn, _| Ok(conn.batch_execute(&statements)?));
    }

    /// Has the database refuse, from now on, such a change of a table's row.
    pub fn refuse(&self, change: &str, table: &str, when: &str) {
        if self.url.starts_with("sqlite") {
            self.sql(format!(
                "CREATE TRIGGER refused BEFORE {change} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ));
        } else {
            self.sql(format!(
                "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''refused''; END';
                 CREATE TRIGGER refused BEFORE {change} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refused()"
            ));
        }
    }

    /// The demo's story, and someone of each role in it.
    pub fn demo(&self, seed: u64, today: benchside::db::columns::Time) {
        let hash = self.app.passwords.hash_blocking(&Secret::from(PASSWORD.to_owned())).unwrap();
        self.runtime.block_on(benchside::cli::demo::tell(&self.app.db, seed, today, &hash, Clock::system())).unwrap();
    }

    /// Somebody who is there already, signed in.
    pub fn signed_in(&self, email: &str) -> Actor {
        let folded = email.to_owned();
        let person = self.read(move |conn| benchside::person::store::by_email(conn, &folded)).unwrap();
        let token =
            self.anonymous().post("/v1/auth/login", json!({ "email": email, "password": PASSWORD })).expect(200);
        let token = token.body["access_token"].as_str().unwrap().to_owned();
        Actor { id: person.id, name: person.name, email: email.into(), token, base: self.base.clone() }
    }

    /// Runs a closure that reads.
    pub fn read<T: Send + 'static>(&self, f: impl Fn(&mut Conn) -> Result<T> + Send + 'static) -> T {
        self.runtime.block_on(self.app.db.read(f)).unwrap()
    }

    pub fn system(&self) -> Context {
        Context {
            log: Arc::from(self.app.db.log()),
            person: None,
            authn: Authn::System,
            at: self.app.clock.now(),
            request: Uuid::now_v7(),
        }
    }

    pub fn organization(&self, kind: OrganizationKind, name: &str) -> OrganizationId {
        let body = json!({ "name": name, "kind": kind });
        self.write(move |conn, context| {
            let new = benchside::http::body::parse(body.clone())?;
            Ok(benchside::organization::change::create(conn, context, new)?.id)
        })
    }

    pub fn lab(&self, name: &str) -> OrganizationId {
        self.organization(OrganizationKind::Lab, name)
    }
    pub fn clinic(&self, name: &str) -> OrganizationId {
        self.organization(OrganizationKind::Clinic, name)
    }
    pub fn sponsor(&self, name: &str) -> OrganizationId {
        self.organization(OrganizationKind::Sponsor, name)
    }

    /// A person who can sign in.
    pub fn person(&self, name: &str, roles: &[Role], organizations: &[OrganizationId]) -> Actor {
        let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
        let memberships: Vec<_> = organizations.iter().map(|id| json!({ "organization_id": id })).collect();
        let body = json!({ "name": name, "email": email, "roles": roles, "memberships": memberships });
        let hash = self.app.passwords.hash_blocking(&Secret::from(PASSWORD.to_owned())).unwrap();
        let id = self.write(move |conn, context| {
            let new = benchside::http::body::parse(body.clone())?;
            let person = benchside::person::change::create(conn, context, new)?;
            benchside::person::change::set_password_hash(conn, person.id, &hash, context.at)?;
            Ok(person.id)
        });
        let token = self.token_of(id);
        Actor { id, name: name.into(), email, token, base: self.base.clone() }
    }

    /// An access token of a new session.
    pub fn token_of(&self, id: PersonId) -> String {
        let now = self.app.clock.now();
        let session = Session {
            id: SessionId::fresh(),
            person_id: id,
            authn: Authn::Password,
            issuer: None,
            client: None,
            address: None,
            created_at: now,
            last_used_at: now,
            expires_at: Session::expiry(now, now),
            ended_at: None,
        };
        let sid = session.id.0;
        self.write(move |conn, _| session::store::open(conn, &session));
        self.app.tokens.issue(id.0, sid, Uuid::now_v7(), now.utc(), ACCESS_LIFETIME).unwrap()
    }

    pub fn scientist(&self, name: &str, lab: OrganizationId) -> Actor {
        self.person(name, &[Role::Scientist], &[lab])
    }
    pub fn clinician(&self, name: &str, clinic: OrganizationId) -> Actor {
        self.person(name, &[Role::Clinician], &[clinic])
    }
    pub fn administrator(&self, name: &str) -> Actor {
        self.person(name, &[Role::Administrator], &[])
    }
    pub fn auditor(&self, name: &str) -> Actor {
        self.person(name, &[Role::Auditor], &[])
    }
    pub fn partner(&self, name: &str, sponsor: OrganizationId) -> Actor {
        self.person(name, &[Role::Partner], &[sponsor])
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> Actor {
        let id = PersonId::of(Uuid::nil());
        Actor { id, name: "nobody".into(), email: String::new(), token: String::new(), base: self.base.clone() }
    }
}

/// Another server on the database of a [`TestApp`].
pub struct Node {
    pub base: String,
    pub app: web::Data<App>,
}

fn serve(url: &str, folder: &Path, settings: &Settings, edge: Edge, clock: Clock) -> (String, web::Data<App>) {
    let keys = Keys::open(&folder.join("keys")).unwrap();
    let guard = Guard::within(folder.join("keys"), keys.log().verifying_key());
    let sequencer = Sequencer::new(&keys, guard.clone(), clock.clone());
    let db = Db::open_sealed(url, settings, Box::new(sequencer)).unwrap();
    let passwords = Passwords::with_cost(4, Cost::new(8, 1, 1).unwrap());
    let app =
        assemble(db, Pulse::new(guard, &keys), &keys, "benchside".into(), "benchside".into(), passwords, edge, clock)
            .unwrap();
    let app = web::Data::new(app);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = app.clone();
    std::thread::spawn(move || {
        System::new().block_on(async {
            let followed = served.clone();
            actix_web::rt::spawn(async move { followed.pulse.keep(&followed.db).await });
            api::server(served, listener, 1).unwrap().await.unwrap();
        });
    });
    (base, app)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.app.db.close();
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // The server's thread lives as long as the process; what it does by itself ends here.
        self.app.db.close();
        if !std::thread::panicking() && !self.beside {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

pub fn fresh_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(Uuid::now_v7().simple().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[cfg(feature = "postgres")]
pub fn fresh_postgres() -> String {
    use diesel::{Connection, PgConnection, connection::SimpleConnection};
    let server = std::env::var("BENCHSIDE_TEST_POSTGRES")
        .expect("BENCHSIDE_TEST_POSTGRES names a server to test on; tests/run starts one");
    let (root, _) = server.rsplit_once('/').unwrap();
    let name = format!("t{}", Uuid::now_v7().simple());
    let mut admin = PgConnection::establish(&server).expect("the test server answers");
    admin.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    format!("{root}/{name}")
}
