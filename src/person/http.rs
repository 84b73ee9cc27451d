//! Routes of people: take, ask the use case, answer.
use super::{
    Expertise, Person,
    change::{self, Disabling, Memberships, NewPerson, PersonPatch, RESERVED},
    standing,
    store::{self, Filter, Owned},
};
use crate::{
    Error, Result,
    auth::{
        extract::Guard,
        invitation::{self, Invited},
        policy::{ManagePeople, Principal, Read, ReadPrivate, ReviseProfile, Standing},
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    http::{
        self, Links,
        answer::Answer,
        as_of::{self, AsOfQuery},
        body::{self, Body, Empty},
        etag::IfMatch,
        openapi::{FieldsQuery, IdPath, IfMatchHeader, ListOf, PageQuery},
        page::{After, PARAMETERS, Page, SortValue},
        params::Params,
    },
    id::{OrganizationId, PersonId},
    identifier::Orcid,
    ledger::Context,
    organization,
    past::{self, AsOf, ShownThen},
    value::{fold, term_of},
    vocabulary::{Modality, OrganizationKind, RecordKind, Role},
};
use actix_web::{HttpRequest, HttpResponse, get, patch, post, put};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list)
        .service(create)
        .service(create_many)
        .service(read)
        .service(revise)
        .service(replace_memberships)
        .service(disable)
        .service(invite)
        .service(list_history);
}

crate::history::http::history_route!("People", "person", "/v1/people/{id}/history", RecordKind::Person);

/// An organization as its members name it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MemberOf {
    /// Its id.
    pub id: OrganizationId,
    /// Its code.
    #[schema(max_length = 30, example = "O-3")]
    pub code: String,
    /// Its name.
    #[schema(max_length = 300, example = "Motor Neuron Lab")]
    pub name: String,
    /// What it is.
    pub kind: OrganizationKind,
}

/// A person as they are answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PersonView {
    /// Their id.
    pub id: PersonId,
    /// Their code.
    #[schema(max_length = 30, example = "U-8")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
    /// 1–300 characters.
    #[schema(max_length = 300, example = "Ada Okafor")]
    pub name: String,
    /// Their e-mail address, for themself and administrators; null for others.
    #[schema(max_length = 254, example = "ada@example.org")]
    pub email: Option<String>,
    /// ORCID iD.
    pub orcid: Option<Orcid>,
    /// What they are in the service, for themself and administrators; null for others.
    #[schema(max_items = 5)]
    pub roles: Option<Vec<Role>>,
    /// The organizations they belong to.
    #[schema(max_items = 100)]
    pub organizations: Vec<MemberOf>,
    /// What they know.
    pub expertise: Expertise,
    /// Whether they take new work.
    pub accepting_work: bool,
    /// Whether they may not sign in any more.
    pub disabled: bool,
    /// When they were entered.
    pub created_at: Time,
    /// When they last changed.
    pub updated_at: Time,
    /// Where they are.
    pub links: Links,
    /// With `as_of`: how many leaves the checkpoint covers that it is as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
}

/// The given people as one person sees them, in a fixed number of queries.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Person>) -> Result<Vec<PersonView>> {
    let ids: HashSet<_> = rows.iter().flat_map(|p| p.organizations.iter().copied()).collect();
    let known = organization::store::names(conn, ids)?;
    let member_of = |id: &OrganizationId| {
        let found = known.get(id).ok_or_else(|| Error::Internal(format!("no organization {id}")))?;
        let (name, kind) = found.clone();
        Ok(MemberOf { id: name.id, code: name.code, name: name.name, kind })
    };
    let view = |p: Person| {
        let private = who.may::<ReadPrivate>(&standing(who, p.id));
        Ok(PersonView {
            id: p.id,
            code: RecordKind::Person.code(p.number),
            version: p.version,
            disabled: !p.is_active(),
            name: p.name,
            email: private.then_some(p.email),
            orcid: p.orcid,
            roles: private.then_some(p.roles.0),
            organizations: p.organizations.iter().map(member_of).collect::<Result<_>>()?,
            expertise: p.expertise.0,
            accepting_work: p.accepting_work,
            created_at: p.created_at,
            updated_at: p.updated_at,
            links: Links::of(RecordKind::Person, p.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for PersonView {
    fn was(&mut self, as_of: &AsOf) {
        self.as_of_size = Some(as_of.size);
    }
}

/// One person as one person sees them.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Person) -> Result<PersonView> {
    http::only(views(conn, who, vec![row])?)
}

/// What a list may be narrowed by; the first four may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct PersonQuery {
    /// Members of any of these organizations.
    #[param(required = false)]
    organization_id: Vec<uuid::Uuid>,
    /// Roles; administrators only.
    #[param(required = false)]
    role: Vec<Role>,
    /// Conditions they know, by MeSH id or name.
    #[param(max_length = 300, required = false, example = "D000690")]
    condition: Vec<String>,
    /// Modalities they know.
    #[param(required = false)]
    modality: Vec<Modality>,
    /// Whether they take new work.
    #[param(required = false)]
    accepting_work: bool,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
    /// Words that all occur in name, ORCID or expertise; for administrators also in the e-mail address.
    #[param(max_length = 300, required = false, example = "okafor")]
    q: String,
}

/// People, newest change first.
#[utoipa::path(tag = "People", operation_id = "list_people", params(PageQuery, PersonQuery),
    responses((status = 200, description = "A page of people", body = ListOf<PersonView>)))]
#[get("/v1/people")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] =
        &["organization_id", "role", "condition", "modality", "accepting_work", "updated_after", "q"];
    const SORTS: &[&str] = &["-updated_at", "created_at", "name", "code"];
    let mut params = Params::read(&request, &[PARAMETERS, FILTERS].concat())?;
    if params.has("role") {
        who.must::<ReadPrivate>(&Standing::to(RecordKind::Person))?;
    }
    let page = Page::read(&request, &mut params, SORTS);
    let filter = Filter {
        organization: params.ids("organization_id"),
        role: params.any("role"),
        condition: params.texts("condition").iter().map(|c| term_of(c)).collect(),
        modality: params.any("modality"),
        accepting_work: params.flag("accepting_work"),
        updated_after: params.time("updated_after"),
        words: params.words("q", |text| fold(&text.replace('|', " "))),
    };
    params.finish()?;
    let asked = page.clone();
    let (rows, total) = who
        .read(move |conn, who| {
            let (rows, total) = store::list(conn, who, &filter, &asked)?;
            Ok((views(conn, who, rows)?, total))
        })
        .await?;
    let sort = page.sort.clone();
    page.answer(&request, rows, total, move |p| After {
        value: match &*sort {
            "created_at" => p.created_at.to_cursor(),
            "name" => p.name.to_cursor(),
            "code" => http::page::number_in(&p.code),
            _ => p.updated_at.to_cursor(),
        },
        id: p.id.0,
    })
}

/// A person who was just entered, with the invitation to hand to them.
#[derive(Serialize, ToSchema)]
pub struct NewPersonView {
    /// The person.
    #[serde(flatten)]
    pub person: PersonView,
    /// Shown this once: with it they set their first password.
    pub invitation: Invited,
}

/// Enters a person, who has no password yet, and invites them.
#[utoipa::path(tag = "People", operation_id = "create_person", request_body = NewPerson,
    responses((status = 201, description = "The new person, with their invitation", body = NewPersonView)))]
#[post("/v1/people")]
async fn create(who: Guard<ManagePeople>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

/// Invites a person anew, who has no password or forgot it. The invitation before this one is void; the password and the
/// sessions they have stay until they set another.
#[utoipa::path(tag = "People", operation_id = "invite_person", params(IdPath), request_body = Empty,
    responses((status = 201, description = "The invitation, shown this once", body = Invited)))]
#[post("/v1/people/{id}/invitation")]
async fn invite(who: Guard<ManagePeople>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Person)?;
    who.post(&request, body, move |conn, who, context, body| {
        let person = store::find(conn, who, key)?;
        let Empty {} = body::parse(body.clone())?;
        let (person, invited) = invitation::change::invite(conn, context, &person)?;
        let answer = Answer::made(&invited)?.at_version(person.version);
        Ok(Answer { about: vec![(RecordKind::Person, person.id.0)], once: vec!["/token".into()], ..answer })
    })
    .await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewPerson>(body.clone())?;
    let person = change::create(conn, context, new)?;
    let invitation = invitation::change::welcome(conn, context, &person)?;
    let person = view(conn, who, person)?;
    let (id, version) = (person.id.0, person.version);
    let answer = Answer::created(RecordKind::Person, id, version, &NewPersonView { person, invitation })?;
    Ok(Answer { once: vec!["/invitation/token".into()], ..answer })
}

crate::bulk::http::batch_route!(
    "People",
    "create_people",
    "/v1/people/batch",
    ManagePeople,
    NewPerson,
    NewPersonView,
    create_one
);

/// One person.
#[utoipa::path(tag = "People", operation_id = "get_person", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The person", body = PersonView)))]
#[get("/v1/people/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Person)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let person = store::find(conn, who, key)?;
            past::store::shown(conn, who, person, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Revises a person (RFC 7396 merge patch): administrators everybody, others their own expertise, ORCID iD and whether
/// they take new work. Name, e-mail address and roles need a session: no token of a script changes them.
#[utoipa::path(tag = "People", operation_id = "revise_person", params(IdPath, IfMatchHeader),
    request_body(content = PersonPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The person", body = PersonView)))]
#[patch("/v1/people/{id}")]
async fn revise(who: Guard<ReviseProfile>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Person)?;
    let if_match = IfMatch::of(&request);
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let person = store::find(conn, who, key)?;
            may_revise(who, person.id, &body)?;
            if_match.check(person.version)?;
            let patch = body::parse::<PersonPatch>(body.clone())?;
            let revised = change::revise(conn, context, person, patch)?;
            view(conn, who, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}

fn may_revise(who: &Principal, person: PersonId, patch: &Value) -> Result<()> {
    let standing = standing(who, person);
    who.must::<ReviseProfile>(&standing)?;
    if RESERVED.iter().any(|field| patch.get(*field).is_some()) {
        who.must::<ManagePeople>(&standing)?;
        who.must_have_signed_in()?;
    }
    Ok(())
}

/// Says anew which organizations a person belongs to.
#[utoipa::path(tag = "People", operation_id = "replace_memberships", params(IdPath, IfMatchHeader),
    request_body = Memberships,
    responses((status = 200, description = "The person", body = PersonView)))]
#[put("/v1/people/{id}/memberships")]
async fn replace_memberships(who: Guard<ManagePeople>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Person)?;
    let if_match = IfMatch::of(&request);
    let body = body.json().await?;
    let revised = who
        .write(move |conn, who, context| {
            let person = store::find(conn, who, key)?;
            if_match.check(person.version)?;
            let new = body::parse::<Memberships>(body.clone())?;
            let revised = change::set_memberships(conn, context, person, new)?;
            view(conn, who, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}

/// What a disabled person owns: each is to be handed over.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnedView {
    /// The records, by kind and code.
    #[schema(max_items = 100_000)]
    pub owned: Vec<Owned>,
}

/// Disables a person, and lists what they own.
#[utoipa::path(tag = "People", operation_id = "disable_person", params(IdPath, IfMatchHeader), request_body = Disabling,
    responses((status = 200, description = "What they own", body = OwnedView)))]
#[post("/v1/people/{id}/disable")]
async fn disable(who: Guard<ManagePeople>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Person)?;
    let if_match = IfMatch::of(&request);
    who.post(&request, body, move |conn, who, context, body| {
        let person = store::find(conn, who, key)?;
        if_match.check(person.version)?;
        let why = body::parse::<Disabling>(body.clone())?;
        let disabled = change::disable(conn, context, person, why)?;
        let owned = store::owned(conn, disabled.id)?;
        Answer::changed(disabled.version, &OwnedView { owned })
    })
    .await
}
