//! The file that `--oidc` names: which issuers are believed, and what their claims mean here. Every fault is named at
//! once. Secrets are not in it: it says which environment variable or file holds them.
use super::{Admission, Issuer, Rule, Upkeep};
use crate::{
    Error, Result,
    auth::password::Secret,
    fault::{self, Faults, List, Text},
    id::Key,
    vocabulary::{RecordKind, Role},
};
use deserr::Deserr;
use oauth2::url::{Host, Url};
use serde_json::Value;
use std::path::Path;

/// The most issuers.
const MOST_ISSUERS: usize = 20;
/// The longest secret, in bytes.
const LONGEST_SECRET: usize = 4096;

#[derive(Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
struct File {
    issuer: List<Entry, MOST_ISSUERS>,
}

#[derive(Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
struct Entry {
    name: Text<1, 40>,
    issuer: Text<1, 500>,
    client_id: Text<1, 300>,
    #[deserr(default)]
    client_secret_env: Option<Text<1, 200>>,
    #[deserr(default)]
    client_secret_file: Option<Text<1, 1000>>,
    #[deserr(default)]
    scopes: Option<List<Text<1, 100>>>,
    #[deserr(default)]
    audience: Option<Text<1, 500>>,
    allow_people: Admission,
    #[deserr(default)]
    email_claim: Option<Text<1, 200>>,
    #[deserr(default)]
    require_verified_email: Option<bool>,
    #[deserr(default)]
    roles: Option<Upkeep>,
    #[deserr(default)]
    role: List<RoleRule>,
}

#[derive(Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
struct RoleRule {
    claim: Text<1, 200>,
    value: Text<1, 500>,
    role: Role,
    #[deserr(default)]
    organization: Option<Text<1, 30>>,
}

/// Reads the file, and the secrets it points to.
///
/// # Errors
/// One message with every fault of the file.
pub fn read(path: &Path) -> Result<Vec<Issuer>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::Open(format!("cannot read the single sign-on file {}: {e}", path.display())))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let variable = |name: &str| std::env::var(name).map_err(|e| e.to_string());
    parse(&text, &Secrets { file: &file, variable: &variable }).map_err(|faults| {
        let lines = faults.0.iter().map(|f| format!("\n  {}: {}", f.pointer.as_deref().unwrap_or_default(), f.message));
        Error::Open(format!("the single sign-on file {} has faults:{}", path.display(), lines.collect::<String>()))
    })
}

/// Where secrets are looked up.
pub struct Secrets<'a> {
    /// The text of a file.
    pub file: &'a dyn Fn(&str) -> Result<String, String>,
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Result<String, String>,
}

/// Reads the text of the file.
///
/// # Errors
/// Every fault.
pub fn parse(text: &str, secrets: &Secrets<'_>) -> Result<Vec<Issuer>, Faults> {
    let document: Value = toml::from_str(text).map_err(|e| Faults::at("", "malformed", format!("is no TOML: {e}")))?;
    let file: File = fault::read(document)?;
    let mut faults = Faults::default();
    if file.issuer.0.is_empty() {
        faults.push("/issuer", "too_few", "must name at least one issuer");
    }
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, entry) in file.issuer.0.into_iter().enumerate() {
        let at = format!("/issuer/{index}");
        if issuers.iter().any(|other| other.name == entry.name.0) {
            faults.push(format!("{at}/name"), "duplicate", "is named before");
        }
        if issuers.iter().any(|other| other.url == entry.issuer.0) {
            faults.push(format!("{at}/issuer"), "duplicate", "is named before");
        }
        issuers.push(issuer(entry, &at, secrets, &mut faults));
    }
    faults.into_result()?;
    Ok(issuers)
}

fn issuer(entry: Entry, at: &str, secrets: &Secrets<'_>, faults: &mut Faults) -> Issuer {
    if !is_name(&entry.name.0) {
        faults.push(format!("{at}/name"), "invalid_format", "must be made of a-z, 0-9 and -");
    }
    if !is_issuer(&entry.issuer.0) {
        let expected = "must be an https:// address without query or fragment (http:// only on the loopback)";
        faults.push(format!("{at}/issuer"), "invalid_format", expected);
    }
    Issuer {
        client_secret: secret(&entry, at, secrets, faults),
        scopes: scopes(entry.scopes, at, faults),
        rules: rules(entry.role, at, faults),
        name: entry.name.0,
        url: entry.issuer.0,
        client_id: entry.client_id.0,
        audience: entry.audience.map(|a| a.0),
        admits: entry.allow_people,
        email_claim: entry.email_claim.map_or_else(|| "email".into(), |c| c.0),
        needs_verified_email: entry.require_verified_email.unwrap_or(true),
        upkeep: entry.roles.unwrap_or(Upkeep::Initial),
    }
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_issuer(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| is_safe(&url) && url.query().is_none())
}

/// Whether something secret may be sent there: over TLS, or without leaving the machine.
pub fn is_safe(url: &Url) -> bool {
    let on_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    plain && (url.scheme() == "https" || url.scheme() == "http" && on_loopback)
}

fn secret(entry: &Entry, at: &str, secrets: &Secrets<'_>, faults: &mut Faults) -> Option<Secret> {
    let (member, found) = match (&entry.client_secret_env, &entry.client_secret_file) {
        (None, None) => return None,
        (Some(variable), None) => ("client_secret_env", (secrets.variable)(&variable.0)),
        (None, Some(file)) => ("client_secret_file", (secrets.file)(&file.0)),
        (Some(_), Some(_)) => {
            let message = "must not be given beside client_secret_env";
            faults.push(format!("{at}/client_secret_file"), "not_applicable", message);
            return None;
        }
    };
    let secret = match found {
        Ok(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
        Err(why) => {
            faults.push(format!("{at}/{member}"), "not_found", format!("cannot be read: {why}"));
            return None;
        }
    };
    if secret.is_empty() || secret.len() > LONGEST_SECRET {
        let message = format!("must hold a secret of 1 to {LONGEST_SECRET} bytes");
        faults.push(format!("{at}/{member}"), "invalid_format", message);
    }
    Some(secret.into())
}

fn scopes(scopes: Option<List<Text<1, 100>>>, at: &str, faults: &mut Faults) -> Vec<String> {
    let Some(List(scopes)) = scopes else { return ["openid", "email", "profile"].map(String::from).to_vec() };
    let scopes: Vec<String> = scopes.into_iter().map(String::from).collect();
    for (index, scope) in scopes.iter().enumerate() {
        // RFC 6749, 3.3: printable, without space, quote and backslash.
        if !scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
            faults.push(format!("{at}/scopes/{index}"), "invalid_format", "is no scope");
        }
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        faults.push(format!("{at}/scopes"), "required", "must have `openid` among them");
    }
    scopes
}

fn rules(List(rules): List<RoleRule>, at: &str, faults: &mut Faults) -> Vec<Rule> {
    let mut read = Vec::new();
    for (index, rule) in rules.into_iter().enumerate() {
        let code = rule.organization.map(|code| code.0);
        let organization = code.as_deref().and_then(|code| match Key::parse(RecordKind::Organization, code)? {
            Key::Number(number) => Some(number),
            Key::Id(_) => None,
        });
        if code.is_some() && organization.is_none() {
            let place = format!("{at}/role/{index}/organization");
            faults.push(place, "invalid_format", "must be the code of an organization, such as O-3");
        }
        read.push(Rule { claim: rule.claim.0, value: rule.value.0, role: rule.role, organization });
    }
    read
}

#[cfg(test)]
mod tests;
