//! A log as files (C2SP tlog-tiles): `checkpoint`, `tile/<level>/<number>`, `tile/entries/<number>`. Verifying them needs
//! nothing but them and the verifier key.
use super::{
    checkpoint::Head,
    event::Hash,
    log::{self, Stored},
    tree::{self, Nodes, count},
    verify::{FaultKind, Report, Walk},
};
use crate::{Error, Result, db::Conn};
use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};
use tlog_tiles::{
    tile::Tile,
    tlog::{self, HashReader},
};

/// A tile is eight levels high, 256 hashes wide.
const HEIGHT: u8 = 8;
const WIDTH: u64 = 1 << HEIGHT;

fn failed(action: &str, path: &Path, e: &std::io::Error) -> Error {
    Error::Open(format!("cannot {action} {}: {e}", path.display()))
}

/// The path of a tile of hashes. The library writes the height into its paths, as the first tiled logs did.
fn path_of(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1)
}

/// The path of the tile that holds the leaves under a tile of level 0.
fn entries_of(tile: &Tile) -> String {
    tile.path().replacen("tile/8/0/", "tile/entries/", 1)
}

/// Writes the log up to a checkpoint into a folder, which is made, or is one that holds an earlier export of the same log.
///
/// # Errors
/// What the database and the file system say.
pub fn write(conn: &mut Conn, checkpoint: &Stored, folder: &Path) -> Result<()> {
    for tile in Tile::new_tiles(HEIGHT, 0, checkpoint.size) {
        let numbers = tree::needed(|asked| tile.read_data(asked))?;
        let nodes = log::nodes(conn, checkpoint.generation, &numbers)?;
        let hashes = tile.read_data(&nodes).map_err(|e| tree::broken(&e))?;
        put(&folder.join(path_of(&tile)), &hashes)?;
        if tile.level() == 0 {
            let first = count(tile.level_index() * WIDTH)?;
            let leaves = log::entries(conn, checkpoint.generation, first, tile.width().into())?;
            put(&folder.join(entries_of(&tile)), &bundle(&leaves)?)?;
        }
    }
    // Last, so that a folder with a checkpoint is whole.
    put(&folder.join("checkpoint"), checkpoint.note.as_bytes())
}

/// Leaves one behind the other, each after its length as a big-endian `u16` (C2SP tlog-tiles).
///
/// # Errors
/// When a leaf is longer.
pub fn bundle(leaves: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for leaf in leaves {
        let length =
            u16::try_from(leaf.len()).map_err(|_| Error::Internal(format!("a leaf of {} bytes", leaf.len())))?;
        bytes.extend(length.to_be_bytes());
        bytes.extend(leaf);
    }
    Ok(bytes)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| failed("make", folder, &e))?;
    }
    let mut file = fs::File::create(path).map_err(|e| failed("write", path, &e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| failed("write", path, &e))
}

/// Checks an export against its checkpoint. `pinned` is a checkpoint that was kept elsewhere.
///
/// # Errors
/// What the file system says, or when a checkpoint is not the log's. What is wrong with the log is in the report.
pub fn verify(folder: &Path, verifier: &str, pinned: Option<&str>) -> Result<Report> {
    let path = folder.join("checkpoint");
    let note = fs::read_to_string(&path).map_err(|e| failed("read", &path, &e))?;
    let mut walk = Walk::of(None);
    let mut expected = BTreeSet::from([PathBuf::from("checkpoint")]);
    let origin = verifier.split('+').next().unwrap_or_default().to_owned();
    let head = match Head::verify(&note, verifier) {
        Ok(head) => head,
        Err(e) => {
            walk.fault(Some(0), FaultKind::CheckpointWrong, format!("the checkpoint: {e}"));
            return walk.report(origin, 0, 0);
        }
    };
    let pinned = pinned.map(|note| Head::verify(note, verifier)).transpose();
    let pinned = pinned.map_err(|e| Error::Open(format!("the pinned checkpoint: {e}")))?;
    let mut nodes = Nodes::default();
    for tile in Tile::new_tiles(HEIGHT, 0, head.size) {
        expected.insert(path_of(&tile).into());
        if tile.level() > 0 {
            continue;
        }
        expected.insert(entries_of(&tile).into());
        if !entries(folder, &tile, &mut walk, &mut nodes, pinned.as_ref())? {
            return walk.report(origin, 0, 0);
        }
    }
    for tile in Tile::new_tiles(HEIGHT, 0, head.size) {
        compare(folder, &tile, &mut walk, &nodes)?;
    }
    walk.head(&head)?;
    if let Some(pinned) = pinned.filter(|pinned| pinned.size > head.size) {
        walk.beyond(pinned.size);
    }
    strays(folder, folder, &expected, &mut walk)?;
    walk.report(origin, 0, 0)
}

/// Walks the leaves of one tile; false when the rest cannot be read.
fn entries(folder: &Path, tile: &Tile, walk: &mut Walk, nodes: &mut Nodes, pinned: Option<&Head>) -> Result<bool> {
    let Some(bytes) = get(&folder.join(entries_of(tile)))? else {
        walk.fault(Some(walk.size()), FaultKind::LeafMissing, format!("{} is missing", entries_of(tile)));
        return Ok(false);
    };
    let hashes = get(&folder.join(path_of(tile)))?.unwrap_or_default();
    let mut rest = &bytes[..];
    for place in 0..tile.width() {
        let index = walk.size();
        let Some((leaf, after)) = first_of(rest) else {
            walk.fault(Some(index), FaultKind::LeafMissing, "the leaf is missing or cut short");
            return Ok(false);
        };
        rest = after;
        let (_, made) = walk.leaf(leaf)?;
        if let Some((_, hash)) = made.first()
            && hashes.chunks_exact(32).nth(place as usize) != Some(&hash[..])
        {
            walk.fault(Some(index), FaultKind::LeafChanged, "the leaf has not the hash that its tile says");
        }
        for (number, hash) in made {
            nodes.insert(number, hash);
        }
        if let Some(pinned) = pinned.filter(|pinned| pinned.size == walk.size()) {
            walk.head(pinned)?;
        }
    }
    if !rest.is_empty() {
        walk.fault(
            Some(walk.size()),
            FaultKind::LeafMalformed,
            format!("{} holds more than its leaves", entries_of(tile)),
        );
        return Ok(false);
    }
    Ok(true)
}

fn first_of(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// That a tile holds the hashes that the leaves make; the first leaf under one that it does not is named.
fn compare(folder: &Path, tile: &Tile, walk: &mut Walk, nodes: &Nodes) -> Result<()> {
    let below = HEIGHT * tile.level();
    let first = tile.level_index() * WIDTH;
    let leaf = |place: u64| Some((first + place) << below);
    let Some(bytes) = get(&folder.join(path_of(tile)))? else {
        walk.fault(leaf(0), FaultKind::TreeChanged, format!("{} is missing", path_of(tile)));
        return Ok(());
    };
    for place in 0..u64::from(tile.width()) {
        let number = tlog::stored_hash_index(below, first + place);
        let hash: Hash = nodes.read_hashes(&[number]).map_err(|e| tree::broken(&e))?[0].0;
        let under = ((first + place) << below)..((first + place + 1) << below);
        if bytes.chunks_exact(32).nth(usize::try_from(place).unwrap_or(usize::MAX)) != Some(&hash[..])
            && !walk.explains(&under)
        {
            walk.fault(
                leaf(place),
                FaultKind::TreeChanged,
                format!("{} holds another hash than the leaves make", path_of(tile)),
            );
            return Ok(());
        }
    }
    if bytes.len() != tile.width() as usize * 32 {
        walk.fault(
            leaf(u64::from(tile.width())),
            FaultKind::TreeChanged,
            format!("{} is longer than its hashes", path_of(tile)),
        );
    }
    Ok(())
}

fn get(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", path, &e)),
    }
}

/// Files under `tile/` that belong to no tile of this size. Narrower versions of a tile may stay from an earlier export.
fn strays(root: &Path, folder: &Path, expected: &BTreeSet<PathBuf>, walk: &mut Walk) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| failed("read", folder, &e))? {
        let path = entry.map_err(|e| failed("read", folder, &e))?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
        if path.is_dir() {
            strays(root, &path, expected, walk)?;
        } else if name.starts_with("tile") && !expected.contains(&name) && !is_narrower(&name, expected) {
            walk.fault(None, FaultKind::FileUnexpected, format!("{} is no file of this log", name.display()));
        }
    }
    Ok(())
}

/// Whether a file is a part of a tile that is expected wider.
fn is_narrower(name: &Path, expected: &BTreeSet<PathBuf>) -> bool {
    let text = name.to_string_lossy();
    let Some((tile, _)) = text.split_once(".p/") else { return false };
    expected.iter().any(|e| e.to_string_lossy().split(".p/").next() == Some(tile))
}
