//! A log as files (C2SP tlog-tiles): `checkpoint`, `tile/<level>/<number>`, `tile/entries/<number>`. Verifying them needs
//! nothing but them and the verifier key.
use super::{
    checkpoint::Head,
    event::Hash,
    log::{self, Stored},
    tree::{self, Nodes, count},
    verify::{self, FaultKind, Report, Walk},
};
use crate::{Error, Result, db::Conn};
use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Read, Write},
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
/// [`Error::Open`] where the folder holds an export of another log, or of another generation of this one; what the database
/// and the file system say.
pub fn write(conn: &mut Conn, checkpoint: &Stored, folder: &Path) -> Result<()> {
    refuse_another(checkpoint, folder)?;
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

/// Tiles of two logs in one folder would be an export of neither.
fn refuse_another(checkpoint: &Stored, folder: &Path) -> Result<()> {
    let path = folder.join("checkpoint");
    if !path.exists() {
        return Ok(());
    }
    let (there, own) = (self::checkpoint(folder)?, checkpoint.note.lines().next());
    if there.lines().next() == own {
        return Ok(());
    }
    Err(Error::Open(format!(
        "{} holds an export of another log or generation: choose another folder",
        folder.display()
    )))
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
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    // An export that is cut off leaves the one before as it was.
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh).map_err(|e| failed("write", &fresh, &e))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|e| failed("write", path, &e))
}

/// Checks an export against its checkpoint. `pinned` are checkpoints that were kept elsewhere.
///
/// # Errors
/// What the file system says, or when a checkpoint is not the log's. What is wrong with the log is in the report.
pub fn verify(folder: &Path, verifier: &str, pinned: &[&str]) -> Result<Report> {
    let note = checkpoint(folder)?;
    let mut expected = BTreeSet::from([PathBuf::from("checkpoint")]);
    let origin = verifier.split('+').next().unwrap_or_default().to_owned();
    let mut walk = Walk::of(origin, pinned.iter().map(|note| verify::pinned(note, verifier)).collect::<Result<_>>()?);
    let head = match Head::verify(&note, verifier) {
        Ok(head) => head,
        Err(e) => {
            walk.fault(Some(0), FaultKind::CheckpointWrong, format!("the checkpoint: {e}"));
            return walk.report(0, 0);
        }
    };
    let mut nodes = Nodes::default();
    for tile in Tile::new_tiles(HEIGHT, 0, head.size) {
        expected.insert(path_of(&tile).into());
        if tile.level() > 0 {
            continue;
        }
        expected.insert(entries_of(&tile).into());
        let mut hashes = Nodes::default();
        if !entries(folder, &tile, &mut walk, &mut hashes)? {
            return walk.report(0, 0);
        }
        compare(folder, &tile, &mut walk, &hashes)?;
        nodes.extend(hashes.into_iter().filter(|(number, _)| is_in_a_higher_tile(*number)));
    }
    for tile in Tile::new_tiles(HEIGHT, 0, head.size).into_iter().filter(|tile| tile.level() > 0) {
        compare(folder, &tile, &mut walk, &nodes)?;
    }
    walk.head(&head)?;
    strays(folder, Path::new("tile"), &expected, &mut walk)?;
    walk.report(0, 0)
}

/// Whether a node stands in a tile above those of the leaves.
fn is_in_a_higher_tile(number: u64) -> bool {
    let (level, _) = tlog::split_stored_hash_index(number);
    level > 0 && level % HEIGHT == 0
}

/// Walks the leaves of one tile, whose nodes are put to the others; false when the rest cannot be read.
fn entries(folder: &Path, tile: &Tile, walk: &mut Walk, nodes: &mut Nodes) -> Result<bool> {
    let Some(bytes) = get(&folder.join(entries_of(tile)), LONGEST_ENTRIES)? else {
        walk.fault(Some(walk.size()), FaultKind::LeafMissing, format!("{} is missing", entries_of(tile)));
        return Ok(false);
    };
    let hashes = get(&folder.join(path_of(tile)), LONGEST_HASHES)?.unwrap_or_default();
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
        nodes.extend(made);
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
    let Some(bytes) = get(&folder.join(path_of(tile)), LONGEST_HASHES)? else {
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

/// What no file of an export exceeds, in bytes: a checkpoint, the leaves of a tile, its hashes.
const LONGEST_CHECKPOINT: u64 = 1 << 16;
const LONGEST_ENTRIES: u64 = WIDTH * (2 + u16::MAX as u64);
const LONGEST_HASHES: u64 = WIDTH * 32;

/// The checkpoint of an export.
///
/// # Errors
/// [`Error::Open`] when it is not there, or no text.
pub fn checkpoint(folder: &Path) -> Result<String> {
    let path = folder.join("checkpoint");
    let bytes = get(&path, LONGEST_CHECKPOINT)?;
    let bytes = bytes.ok_or_else(|| failed("read", &path, &std::io::Error::from(ErrorKind::NotFound)))?;
    String::from_utf8(bytes).map_err(|_| Error::Open(format!("the checkpoint {} is no text", path.display())))
}

/// A regular file, which an export consists of; one byte more than the longest at most, so that longer ones are told from it.
fn get(path: &Path, longest: u64) -> Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(Error::Open(format!("{} is no regular file", path.display()))),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", path, &e)),
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| failed("read", path, &e))?;
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|e| failed("read", path, &e))?;
    Ok(Some(bytes))
}

/// What stands under `tile/` and belongs to no tile of this size. Narrower versions of a tile may stay from an earlier export.
fn strays(root: &Path, under: &Path, expected: &BTreeSet<PathBuf>, walk: &mut Walk) -> Result<()> {
    let folder = root.join(under);
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| failed("read", &folder, &e))?,
    };
    for entry in entries {
        let entry = entry.map_err(|e| failed("read", &folder, &e))?;
        let (name, kind) = (under.join(entry.file_name()), entry.file_type().map_err(|e| failed("read", &folder, &e))?);
        if kind.is_dir() {
            strays(root, &name, expected, walk)?;
        } else if !kind.is_file() || !(expected.contains(&name) || is_narrower(root, &name, expected)?) {
            walk.fault(None, FaultKind::FileUnexpected, format!("{name:?} is no file of this log"));
        }
    }
    Ok(())
}

/// Whether a file is the beginning of a tile that is expected wider.
fn is_narrower(root: &Path, name: &Path, expected: &BTreeSet<PathBuf>) -> Result<bool> {
    let text = name.to_string_lossy();
    let Some((tile, width)) = text.split_once(".p/") else { return Ok(false) };
    let width = width.parse().ok().filter(|n: &u8| *n > 0 && n.to_string() == width);
    let wider = expected.iter().find(|e| {
        let text = e.to_string_lossy();
        let full = text.split_once(".p/").map_or(WIDTH, |(_, full)| full.parse().unwrap_or_default());
        text.split(".p/").next() == Some(tile) && width.is_some_and(|width| u64::from(width) < full)
    });
    let Some(wider) = wider else { return Ok(false) };
    let whole = get(&root.join(wider), LONGEST_ENTRIES)?.unwrap_or_default();
    Ok(get(&root.join(name), LONGEST_ENTRIES)?.is_some_and(|part| whole.starts_with(&part)))
}
