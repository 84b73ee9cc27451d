//! `benchside user`: the first administrator has nobody above, so people can be added from the machine itself.
use crate::{
    Error, Result,
    auth::{
        invitation,
        password::{Passwords, Secret, check_policy},
    },
    config::Database,
    db::{Conn, Db, Settings, columns::Time},
    http::body,
    id::{Key, OrganizationId},
    ledger::Context,
    organization,
    person::{self, Person},
    vocabulary::{Authn, RecordKind, Role},
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Read;
use uuid::Uuid;

/// `benchside user …`
#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a person who can sign in
    Add(Add),
    /// List people
    List(List),
    /// Print an invitation with which a person sets their password
    Invite(Invite),
    /// Disable a person: they can sign in no more
    Disable(Disable),
}

/// `benchside user add`
#[derive(Debug, Args)]
pub struct Add {
    /// Their e-mail address
    #[arg(long)]
    pub email: String,
    /// Their name
    #[arg(long)]
    pub name: String,
    /// A role; may be repeated
    #[arg(long = "role", required = true, value_name = "ROLE")]
    pub roles: Vec<Role>,
    /// The code of an organization they belong to, such as O-3; may be repeated
    #[arg(long = "organization", value_name = "CODE")]
    pub organizations: Vec<String>,
    /// Read the password, 12 characters or more, from standard input
    #[arg(long, required = true)]
    pub password_stdin: bool,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// `benchside user list`
#[derive(Debug, Args)]
pub struct List {
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// `benchside user invite`
#[derive(Debug, Args)]
pub struct Invite {
    /// Their e-mail address
    pub email: String,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// `benchside user disable`
#[derive(Debug, Args)]
pub struct Disable {
    /// Their e-mail address
    pub email: String,
    /// Why
    #[arg(long, default_value = "Disabled from the command line")]
    pub reason: String,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// Runs the command.
///
/// # Errors
/// One clear sentence.
pub async fn run(user: User) -> Result<()> {
    let address = match &user {
        User::Add(args) => &args.database.database,
        User::List(args) => args.database.existing()?,
        User::Invite(args) => args.database.existing()?,
        User::Disable(args) => args.database.existing()?,
    };
    let db = Db::open(address, &Settings::of_a_command())?;
    let done = match user {
        User::Add(args) => add(&db, args).await,
        User::List(_) => list(&db).await,
        User::Invite(args) => invite(&db, args).await,
        User::Disable(args) => disable(&db, args).await,
    };
    db.close();
    done.map_err(in_a_sentence)
}

/// The faults of a body, said on one line: there is no body here to point into.
pub fn in_a_sentence(e: Error) -> Error {
    match e {
        Error::Invalid(faults) => {
            let said = |f: &crate::fault::Fault| {
                format!("{} {}", f.pointer.as_deref().unwrap_or_default().trim_start_matches('/'), f.message)
            };
            Error::Open(faults.0.iter().map(said).collect::<Vec<_>>().join("; "))
        }
        Error::Refused { detail, .. } => Error::Open(detail),
        other => other,
    }
}

pub(super) fn system(db: &Db) -> Context {
    Context { log: db.log().into(), person: None, authn: Authn::System, at: Time::now(), request: Uuid::now_v7() }
}

async fn add(db: &Db, args: Add) -> Result<()> {
    let password = read_password()?;
    let hash = Passwords::new(1).hash_blocking(&password).map_err(|e| Error::Internal(e.to_string()))?;
    let context = system(db);
    let person = db
        .write(move |conn| {
            let mut memberships = Vec::new();
            for code in &args.organizations {
                memberships.push(json!({ "organization_id": organization_by_code(conn, code)? }));
            }
            let new =
                json!({ "name": args.name, "email": args.email, "roles": args.roles, "memberships": memberships });
            let person = person::change::create(conn, &context, body::parse(new)?)?;
            person::change::set_password_hash(conn, person.id, &hash, context.at)?;
            Ok(person)
        })
        .await?;
    println!("Added {} ({})", person.email, RecordKind::Person.code(person.number));
    Ok(())
}

fn organization_by_code(conn: &mut Conn, code: &str) -> Result<OrganizationId> {
    let unknown = || Error::Open(format!("there is no organization {code}"));
    let Some(Key::Number(number)) = Key::parse(RecordKind::Organization, code) else { return Err(unknown()) };
    organization::store::by_number(conn, number)?.map(|o| o.id).ok_or_else(unknown)
}

/// The first line of standard input.
fn read_password() -> Result<Secret> {
    let mut text = String::new();
    std::io::stdin()
        .take(16 * 1024)
        .read_to_string(&mut text)
        .map_err(|e| Error::Open(format!("cannot read the password: {e}")))?;
    let secret = Secret::from(text.lines().next().unwrap_or_default().to_owned());
    check_policy(&secret).map_err(|(_, why)| Error::Open(format!("the password {why}")))?;
    Ok(secret)
}

async fn list(db: &Db) -> Result<()> {
    for person in db.read(person::store::list_all).await? {
        println!("{}", line(&person));
    }
    Ok(())
}

fn line(person: &Person) -> String {
    let roles: Vec<_> = person.roles.iter().map(|r| r.as_str()).collect();
    let state = if person.disabled_at.is_some() { "  disabled" } else { "" };
    format!("{}  {}  {}  {}{state}", RecordKind::Person.code(person.number), person.email, person.name, roles.join(","))
}

pub(super) fn person_by_email(conn: &mut Conn, email: &str) -> Result<Person> {
    let found = person::store::by_email(conn, &email.trim().to_lowercase())?;
    found.ok_or_else(|| Error::Open(format!("there is nobody with the e-mail {email}")))
}

async fn invite(db: &Db, args: Invite) -> Result<()> {
    let context = system(db);
    let invited = db
        .write(move |conn| {
            let found = person_by_email(conn, &args.email)?;
            Ok(invitation::change::invite(conn, &context, &found)?.1)
        })
        .await?;
    println!("{}", invited.token.unwrap_or_default());
    eprintln!("Good once, until {}: POST /v1/auth/invitations/{{token}} with a password", invited.expires_at);
    Ok(())
}

async fn disable(db: &Db, args: Disable) -> Result<()> {
    let context = system(db);
    let code = db
        .write(move |conn| {
            let found = person_by_email(conn, &args.email)?;
            let why = body::parse(json!({ "reason": args.reason }))?;
            let disabled = person::change::disable(conn, &context, found, why)?;
            Ok(RecordKind::Person.code(disabled.number))
        })
        .await?;
    println!("Disabled {code}");
    Ok(())
}
