//! The routes of the log: what anybody signed in may pin, and what auditors read.
use super::{
    export::bundle,
    log::{self, Stored},
    proof::Proof,
    tree::{self, count, natural},
};
use crate::{
    Error, Result,
    auth::{
        extract::Guard,
        policy::{Principal, Read, ReadLog},
    },
    db::Conn,
    history,
    http::params::{self, Params},
    id::EventId,
};
use actix_web::{HttpRequest, HttpResponse, get, http::header};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde::Serialize;
use tlog_tiles::tile::Tile;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(get_checkpoint).service(get_event_proof).service(get_consistency_proof).service(get_tile);
}

/// A tile is eight levels high, 256 hashes wide (C2SP tlog-tiles).
const TILE_HEIGHT: u8 = 8;
/// The path segment of tiles that hold leaves.
const ENTRIES: &str = "entries";

/// A signed note.
#[derive(ToSchema)]
#[schema(max_length = 2000)]
#[expect(dead_code, reason = "describes an answer")]
struct Note(String);

/// The bytes of a tile: 32 for each hash; for each leaf two and at most 65 535.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary, max_length = 16777472)]
#[expect(dead_code, reason = "describes an answer")]
struct TileBytes(Vec<u8>);

/// A hash in base64.
#[derive(Debug, Serialize, ToSchema)]
#[schema(min_length = 44, max_length = 44, example = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")]
struct NodeHash(String);

/// The log's last signed checkpoint (C2SP tlog-checkpoint). Whoever keeps one can prove later that history was not
/// rewritten before it.
#[utoipa::path(tag = "Ledger", operation_id = "get_checkpoint",
    responses((status = 200, description = "The signed checkpoint", body = Note, content_type = "text/plain",
        example = "benchside/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u{2014} benchside/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55 AAAAAA==\n")))]
#[get("/v1/ledger/checkpoint")]
async fn get_checkpoint(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    let published = who.app().pulse.latest()?;
    Ok(text(published.note.clone()))
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8")).body(body)
}

/// Which leaf.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters")]
struct IndexPath {
    /// The leaf's index, from 0.
    #[param(minimum = 0, example = 41)]
    index: u64,
}

/// That the log contains one event, to be checked without us.
#[derive(Debug, Serialize, ToSchema)]
struct EventProof {
    /// The leaf's index.
    #[schema(minimum = 0, example = 41)]
    index: u64,
    /// The event; null for the leaf with which a later generation of the log begins.
    event_id: Option<EventId>,
    /// The exact text of the leaf (RFC 8785); `SHA-256(0x00 ‖ leaf)` is its hash.
    #[schema(max_length = 65535, example = "{\"action\":\"created\"}")]
    leaf: String,
    /// The proof with its checkpoint (C2SP tlog-proof).
    #[schema(max_length = 20000, example = "c2sp.org/tlog-proof@v1\nindex 41\n")]
    proof: String,
    /// The exact text of what the leaf commits to; null where it was erased, or names what the caller may not see.
    #[schema(max_length = 1000000, example = "{\"reason\":null}")]
    payload: Option<String>,
    /// What blinds the commitment, in hex: `commit = SHA-256(0x02 ‖ salt ‖ payload)`.
    #[schema(
        min_length = 64,
        max_length = 64,
        example = "00000000000000000000000000000000000000000000000000000000000000ff"
    )]
    salt: Option<String>,
}

/// That the log contains an event, against the last checkpoint. For whoever may see the event.
#[utoipa::path(tag = "Ledger", operation_id = "get_event_proof", params(IndexPath),
    responses((status = 200, description = "The proof", body = EventProof)))]
#[get("/v1/ledger/events/{index}/proof")]
async fn get_event_proof(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    let index = request.match_info().get("index").and_then(whole).ok_or_else(Error::not_found)?;
    let published = who.app().pulse.latest()?;
    let proof = who.read(move |conn, who| event_proof(conn, who, &published, index)).await?;
    Ok(HttpResponse::Ok().json(proof))
}

/// A number as programs write it: no sign, no leading zeros.
fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text && i64::try_from(*n).is_ok())
}

fn event_proof(conn: &mut Conn, who: &Principal, checkpoint: &Stored, index: u64) -> Result<EventProof> {
    if index >= checkpoint.size {
        return Err(Error::not_found());
    }
    let (generation, position) = (checkpoint.generation, count(index)?);
    let shown = match log::event_at(conn, generation, position)? {
        Some(event) => Some(history::store::shown(conn, who, event)?.ok_or_else(Error::not_found)?),
        None => None,
    };
    let leaf = log::entries(conn, generation, position, 1)?.pop().ok_or_else(Error::not_found)?;
    let path = log::inclusion(conn, generation, checkpoint.size, index)?;
    let proof = Proof { index, path, checkpoint: checkpoint.note.clone() };
    let (event_id, opened) = shown.map_or((None, None), |shown| (Some(shown.id), shown.opened));
    let (payload, salt) = opened.unzip();
    Ok(EventProof { index, event_id, leaf: text_of(leaf)?, proof: proof.to_string(), payload, salt })
}

fn text_of(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::Internal("a leaf that is no text".into()))
}

/// Between which sizes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct SizesQuery {
    /// The size of the tree that was pinned.
    #[param(minimum = 0, example = 17)]
    from: u64,
    /// The size of the later tree; that of the generation's last checkpoint where it is left out.
    #[param(minimum = 0, required = false, example = 42)]
    to: u64,
    /// The generation that was pinned: 1, or the number at the end of the checkpoint's first line; the newest where it is left
    /// out.
    #[param(minimum = 1, required = false, example = 1)]
    generation: i64,
}

/// That a tree begins with an earlier one.
#[derive(Debug, Serialize, ToSchema)]
struct ConsistencyProof {
    /// The size of the earlier tree.
    #[schema(minimum = 0, example = 17)]
    from: u64,
    /// The size of the later tree.
    #[schema(minimum = 0, example = 42)]
    to: u64,
    /// The consistency path (RFC 6962, 2.1.2): hashes in base64.
    #[schema(max_items = 128)]
    hashes: Vec<NodeHash>,
    /// The last checkpoint of the generation.
    #[schema(max_length = 2000, example = "benchside/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55\n42\n")]
    checkpoint: String,
}

/// That the log still begins with what it was at an earlier size: nothing of that was changed, dropped or slipped in.
#[utoipa::path(tag = "Ledger", operation_id = "get_consistency_proof", params(SizesQuery),
    responses((status = 200, description = "The proof", body = ConsistencyProof)))]
#[get("/v1/ledger/consistency")]
async fn get_consistency_proof(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["from", "to", "generation"])?;
    let published = who.app().pulse.latest()?;
    let generation = params.integer("generation", 1, published.generation).unwrap_or(published.generation);
    let last = match generation == published.generation {
        true => Some((*published).clone()),
        false => who.read(move |conn, _| log::last_of(conn, generation)).await?,
    };
    if last.is_none() {
        params.faults.push_parameter("generation", "out_of_range", "must be a generation of which something was kept");
    }
    let newest = last.as_ref().map_or(Ok(0), |last| count(last.size))?;
    if !params.has("from") {
        params.faults.push_parameter("from", "required", "is required");
    }
    let to = params.integer("to", 0, newest).unwrap_or(newest);
    let from = params.integer("from", 0, to);
    params.finish()?;
    let (from, to) = (natural(from.unwrap_or_default())?, natural(to)?);
    let hashes = who.read(move |conn, _| log::consistency(conn, generation, to, from)).await?;
    let hashes = hashes.into_iter().map(|hash| NodeHash(BASE64.encode(hash))).collect();
    let checkpoint = last.map_or_else(String::new, |last| last.note);
    Ok(HttpResponse::Ok().json(ConsistencyProof { from, to, hashes, checkpoint }))
}

/// Which tile.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters")]
struct TilePath {
    /// Its level from 0, or `entries`.
    #[param(max_length = 7, pattern = "^([0-9]|[1-5][0-9]|6[0-3]|entries)$", example = "0")]
    level: String,
    /// Its number in groups of three digits, all but the last after an `x`; with `.p/W` for the first W of a tile that is
    /// not full.
    #[param(max_length = 40, pattern = "^(x[0-9]{3}/)*[0-9]{3}([.]p/[0-9]{1,3})?$", example = "000.p/17")]
    number: String,
}

/// A tile of the log (C2SP tlog-tiles): 256 hashes, or as many leaves each with its length before it.
#[utoipa::path(tag = "Ledger", operation_id = "get_tile", path = "/v1/ledger/tile/{level}/{number}", params(TilePath),
    responses((status = 200, description = "The tile", body = TileBytes, content_type = "application/octet-stream")))]
#[get("/v1/ledger/tile/{level}/{number:.*}")]
async fn get_tile(who: Guard<ReadLog>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    let named = |name| request.match_info().get(name).unwrap_or_default();
    let asked = TileAsked::read(named("level"), named("number")).ok_or_else(Error::not_found)?;
    let published = who.app().pulse.latest()?;
    let bytes = who.read(move |conn, _| asked.bytes(conn, &published)).await?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(bytes))
}

/// A tile that may be there.
#[derive(Debug, Clone, Copy)]
pub struct TileAsked {
    tile: Tile,
    entries: bool,
}

impl TileAsked {
    /// The tile that these segments of a path name.
    pub fn read(level: &str, number: &str) -> Option<Self> {
        let entries = level == ENTRIES;
        // The library writes the height into its paths, as the first tiled logs did.
        let level = if entries { "0" } else { level };
        level.parse().ok().filter(|n: &u8| *n < 64 && n.to_string() == level)?;
        // The library panics at a width of 0.
        if let Some((_, width)) = number.split_once(".p/") {
            width.parse().ok().filter(|n: &u8| *n > 0)?;
        }
        let tile = Tile::from_path(&format!("tile/{TILE_HEIGHT}/{level}/{number}")).ok()?;
        Some(Self { tile, entries })
    }

    /// # Errors
    /// 404 beyond the checkpoint.
    fn bytes(self, conn: &mut Conn, checkpoint: &Stored) -> Result<Vec<u8>> {
        let Self { tile, entries } = self;
        let below = u32::from(TILE_HEIGHT) * u32::from(tile.level());
        let first = tile.level_index().checked_mul(1 << TILE_HEIGHT);
        let there = checkpoint.size.checked_shr(below).unwrap_or(0);
        let first =
            first.filter(|first| first.saturating_add(tile.width().into()) <= there).ok_or_else(Error::not_found)?;
        if entries {
            return bundle(&log::entries(conn, checkpoint.generation, count(first)?, tile.width().into())?);
        }
        let numbers = tree::needed(|asked| tile.read_data(asked))?;
        let nodes = log::nodes(conn, checkpoint.generation, &numbers)?;
        tile.read_data(&nodes).map_err(|e| tree::broken(&e))
    }
}
