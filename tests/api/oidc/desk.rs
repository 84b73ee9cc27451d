//! A node of the service that believes outside issuers, and the real provider it believes.
use super::browser::Browser;
use crate::support::{Actor, Reply, TestApp};
use actix_web::{rt::System, web};
use benchside::{
    api,
    app::{App, Clock},
    auth::{
        keys::Keys,
        oidc::{
            Issuer,
            config::{Secrets, parse},
            provider::Providers,
        },
        password::Passwords,
    },
    config::assemble,
    db::{Db, Settings},
    http::edge::Edge,
    id::PersonId,
    ledger::{guard::Guard, pulse::Pulse},
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};
use uuid::Uuid;

/// Another node on the database of a [`TestApp`].
pub struct Desk {
    pub base: String,
}

impl Desk {
    /// One whose issuers may depend on its address.
    pub fn open(app: &TestApp, clock: Clock, issuers: impl FnOnce(&str) -> Vec<Issuer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings { connections: 4, patience: Duration::from_secs(30), ..Settings::default() };
        let db = Db::open(&app.url, &settings).unwrap();
        let keys = Keys::open(&app.folder.join("keys")).unwrap();
        let edge = Edge { rate_limit: 0, ..Edge::default() };
        let (issuer, audience) = ("benchside".into(), "benchside".into());
        let node = assemble(
            db,
            Pulse::new(Guard::within(app.folder.join("keys"), keys.log().verifying_key()), &keys),
            &keys,
            issuer,
            audience,
            Passwords::new(1),
            edge,
            clock,
        )
        .unwrap();
        let providers = Providers::new(issuers(&base), &base).unwrap();
        let node = web::Data::new(App { providers, ..node });
        std::thread::spawn(move || {
            System::new().block_on(async { api::server(node, listener, 1).unwrap().await }).unwrap();
        });
        Self { base }
    }

    pub fn start(&self, issuer: &str) -> String {
        format!("{}/v1/auth/oidc/{issuer}/start", self.base)
    }

    /// The whole sign-in.
    pub fn signs_in(&self, browser: &Browser, issuer: &str, login: &str) -> Reply {
        browser.get(&browser.authenticates(&self.start(issuer), login).url)
    }

    /// Whoever holds this token.
    pub fn bearer(&self, token: &str) -> Actor {
        Actor {
            id: PersonId::of(Uuid::nil()),
            name: "a bearer".into(),
            email: String::new(),
            token: token.into(),
            base: self.base.clone(),
        }
    }

    /// Whoever got these tokens.
    pub fn holder(&self, tokens: &Reply) -> Actor {
        assert_eq!(tokens.status, 200, "{:#}", tokens.body);
        self.bearer(tokens.body["access_token"].as_str().unwrap())
    }

    /// Somebody who is there already.
    pub fn at_this_node(&self, who: &Actor) -> Actor {
        Actor { base: self.base.clone(), ..who.clone() }
    }
}

/// The issuers of a text in which `ISSUER` stands for an address.
pub fn issuers(text: &str, issuer: &str) -> Vec<Issuer> {
    let secret = |_: &str| Ok("a secret of the tests".to_owned());
    parse(&text.replace("ISSUER", issuer), &Secrets { file: &secret, variable: &secret }).unwrap()
}

/// The provider of `tests/oidc`, in a process of its own.
pub struct Real {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub issuer: String,
}

impl Real {
    /// Starts it, if it can be had here. In CI it must.
    pub fn start(redirect: &str) -> Option<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc");
        let mut node = Command::new("node");
        node.current_dir(folder).args(["provider.mjs", redirect]);
        let installed = std::path::Path::new(folder).join("node_modules/oidc-provider").exists();
        let started = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = match started {
            Ok(child) if installed => child,
            started => {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI tests with a real provider");
                eprintln!("NOT TESTED: no Node.js, or tests/oidc is not installed; tests/run does that");
                if let Ok(mut child) = started {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                return None;
            }
        };
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut real = Self { child, input, output, issuer: String::new() };
        real.issuer = real.line();
        assert!(real.issuer.starts_with("http://127.0.0.1:"), "{}", real.issuer);
        Some(real)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Whom it knows from now on.
    pub fn knows(&mut self, accounts: &Value) {
        writeln!(self.input, "{accounts}").unwrap();
        // It says other things too.
        while self.line() != "ready" {
            assert!(self.child.try_wait().unwrap().is_none(), "the provider has ended");
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A desk that believes the real provider, configured by this text.
pub fn desk_with_provider(app: &TestApp, text: &str, name: &str) -> Option<(Desk, Real)> {
    let mut real = None;
    let desk = Desk::open(app, Clock::system(), |base| {
        real = Real::start(&format!("{base}/v1/auth/oidc/{name}/callback"));
        real.as_ref().map(|real| issuers(text, &real.issuer)).unwrap_or_default()
    });
    real.map(|real| (desk, real))
}
