//! Routes of pairings: take, ask the use case, answer.
use super::{
    Pairing, ProposingSide,
    change::{self, NewPairing},
    store::{self, Filter},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{Principal, ProposePairing, Read},
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    discovery::{self, store::DiscoveryName},
    http::{
        self, Links,
        answer::Answer,
        as_of::{self, AsOfQuery},
        body::{self, Body},
        openapi::{FieldsQuery, IdPath, ListOf, PageQuery},
        page::{After, PARAMETERS_AND_AS_OF, Page, SortValue},
        params::Params,
    },
    id::PairingId,
    ledger::Context,
    organization::{self, store::OrganizationName},
    past::{self, AsOf, ShownThen},
    person::{
        self,
        store::{OwnerView, PersonName},
    },
    vocabulary::{PairingKind, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list)
        .service(create)
        .service(create_many)
        .service(read)
        .service(list_transitions)
        .service(make_transition)
        .service(available_transitions)
        .service(list_history);
}

crate::transition::http::movable_routes!(
    Pairing,
    "Pairings",
    "pairing",
    "/v1/pairings/{id}/transitions",
    "/v1/pairings/{id}/transitions/available",
    "/v1/pairings/{id}/history"
);

/// A pairing as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PairingView {
    /// Its id.
    pub id: PairingId,
    /// Its code.
    #[schema(max_length = 30, example = "P-12")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 2)]
    pub version: i64,
    /// Clinical lead or industry partner.
    pub kind: PairingKind,
    /// A state of the lifecycle.
    #[schema(max_length = 60, example = "proposed")]
    pub state: String,
    /// Since when, in effect.
    pub state_entered_at: Time,
    /// The discovery; null where the reader may not see it.
    pub discovery: Option<DiscoveryName>,
    /// The clinician, for a clinical lead.
    pub clinician: Option<PersonName>,
    /// The sponsor, for an industry partner.
    pub organization: Option<OrganizationName>,
    /// Who proposed it.
    pub proposed_by: PersonName,
    /// For which side.
    pub proposing_side: ProposingSide,
    /// Its owner.
    pub owner: PersonName,
    /// Owners past and present.
    #[schema(max_items = 1000)]
    pub owners: Vec<OwnerView>,
    /// To the side that was asked.
    #[schema(max_length = 2000)]
    pub message: String,
    /// When it was accepted or declined.
    pub answered_at: Option<Time>,
    /// The match explanation it was proposed on.
    #[schema(value_type = Option<Object>)]
    pub match_explanation: Option<Value>,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Where it is.
    pub links: Links,
    /// With `as_of`: how many leaves the checkpoint covers that it is as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
}

/// The given pairings as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Pairing>) -> Result<Vec<PairingView>> {
    let discoveries = discovery::store::names(conn, who, rows.iter().map(|p| p.discovery_id))?;
    let organizations = organization::store::Names::load(conn, rows.iter().filter_map(|p| p.organization_id))?;
    let named = |p: &Pairing| p.clinician_id.into_iter().chain([p.proposed_by_id, p.owner_id]);
    let owners = |p: &Pairing| p.owners.iter().map(|t| t.person_id).collect::<Vec<_>>();
    let people = person::store::Names::load(conn, rows.iter().flat_map(|p| named(p).chain(owners(p))))?;
    let view = |p: Pairing| {
        Ok(PairingView {
            id: p.id,
            code: RecordKind::Pairing.code(p.number),
            version: p.version,
            kind: p.kind,
            state: p.state,
            state_entered_at: p.state_entered_at,
            discovery: discoveries.get(&p.discovery_id).cloned(),
            clinician: p.clinician_id.map(|id| people.one(id)).transpose()?,
            organization: p.organization_id.map(|id| organizations.one(id)).transpose()?,
            proposed_by: people.one(p.proposed_by_id)?,
            proposing_side: p.proposing_side,
            owner: people.one(p.owner_id)?,
            owners: people.owners(&p.owners)?,
            message: p.message,
            answered_at: p.answered_at,
            match_explanation: p.match_explanation.map(|m| m.0),
            created_at: p.created_at,
            updated_at: p.updated_at,
            links: Links::of(RecordKind::Pairing, p.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for PairingView {
    fn was(&mut self, as_of: &AsOf) {
        self.as_of_size = Some(as_of.size);
    }
}

/// One pairing as one person sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Pairing) -> Result<PairingView> {
    http::only(views(conn, who, vec![row])?)
}

/// What a list may be narrowed by; each may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct PairingQuery {
    /// States.
    #[param(max_length = 60, required = false, example = "proposed")]
    state: Vec<String>,
    /// Kinds.
    #[param(required = false)]
    kind: Vec<PairingKind>,
    /// Discoveries that the caller may see.
    #[param(required = false)]
    discovery_id: Vec<uuid::Uuid>,
    /// Clinicians; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    clinician_id: Vec<String>,
    /// Sponsors.
    #[param(required = false)]
    organization_id: Vec<uuid::Uuid>,
    /// Owners; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
}

/// Pairings of the caller's sides, newest change first.
#[utoipa::path(tag = "Pairings", operation_id = "list_pairings", params(PageQuery, PairingQuery, AsOfQuery),
    responses((status = 200, description = "A page of pairings", body = ListOf<PairingView>)))]
#[get("/v1/pairings")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] =
        &["state", "kind", "discovery_id", "clinician_id", "organization_id", "owner_id", "updated_after"];
    const SORTS: &[&str] = &["-updated_at", "created_at", "code"];
    let mut params = Params::read(&request, &[PARAMETERS_AND_AS_OF, FILTERS].concat())?;
    let as_of = as_of::of_list(&mut params, who.at, FILTERS, &["state", "organization_id", "owner_id"]);
    let page = Page::read(&request, &mut params, as_of.map_or(SORTS, |_| as_of::SORTS));
    let filter = Filter {
        state: params.names("state"),
        kind: params.any("kind"),
        discovery: params.ids("discovery_id"),
        clinician: params.people("clinician_id", who.id),
        organization: params.ids("organization_id"),
        owner: params.people("owner_id", who.id),
        updated_after: params.time("updated_after"),
    };
    params.finish()?;
    let asked = page.clone();
    let listed =
        who.read(move |conn, who| past::store::list(conn, who, as_of, &filter, &asked, store::list, views)).await?;
    let sort = page.sort.clone();
    page.answer_listed(&request, listed, move |p| After {
        value: match &*sort {
            "created_at" => p.created_at.to_cursor(),
            "code" => http::page::number_in(&p.code),
            _ => p.updated_at.to_cursor(),
        },
        id: p.id.0,
    })
}

/// Proposes a pairing for the discovery's lab, or for the clinician or sponsor it names.
#[utoipa::path(tag = "Pairings", operation_id = "propose_pairing", request_body = NewPairing,
    responses((status = 201, description = "The new pairing", body = PairingView)))]
#[post("/v1/pairings")]
async fn create(who: Guard<ProposePairing>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewPairing>(body.clone())?;
    let pairing = change::propose(conn, who, context, new)?;
    let made = view(conn, who, pairing)?;
    Answer::created(RecordKind::Pairing, made.id.0, made.version, &made)
}

crate::bulk::http::batch_route!(
    "Pairings",
    "propose_pairings",
    "/v1/pairings/batch",
    ProposePairing,
    NewPairing,
    PairingView,
    create_one
);

/// One pairing.
#[utoipa::path(tag = "Pairings", operation_id = "get_pairing", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The pairing", body = PairingView)))]
#[get("/v1/pairings/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Pairing)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let pairing = store::find(conn, who, key)?;
            past::store::shown(conn, who, pairing, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}
