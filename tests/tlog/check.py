"""Exports of one log as it grew, and proofs from it, checked by implementations that are not ours.

What a signature, a hash, a root, a tile and a proof are is the libraries' word: tlog-scales, and aics-tlog where Python is
3.12 or newer. Ours is what asks them: it finds the files, compares bytes with bytes, and reads a proof's text into lines.
"""

import base64
import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Callable, NamedTuple

from tlog_scales import reader, signing, tiles, tlog, writer
from tlog_scales.backend import LocalBackend

NEWER = sys.version_info >= (3, 12)
if NEWER:
    import aics_tlog as aics

NAMES = ["first", "second", "third"]
KEY = sys.argv[1]
FOLDER = Path(sys.argv[2])
PROOFS = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("proof-*.json"))]


class Head(NamedTuple):
    size: int
    root: bytes


class Refused(Exception):
    pass


def must(condition: bool, what: str) -> None:
    if not condition:
        raise Refused(what)


class Scales:
    name = "tlog-scales"

    def head(self, note: bytes, key: str) -> Head:
        head = tlog.Checkpoint.from_text(note.decode())
        head.verify(signing.Vkey.from_string(key))
        must(head.origin == key.partition("+")[0], "the checkpoint is of another log")
        return Head(head.size, head.root_hash)

    def open(self, folder: Path, size: int) -> None:
        self.reader = reader.TilesReader(LocalBackend(folder))
        self.reader.set_size(size)

    def entry(self, index: int) -> bytes:
        return self.reader.get_entry(index)

    def written(self, entries: list[bytes]) -> tuple[bytes, dict[str, bytes]]:
        with tempfile.TemporaryDirectory() as parent:
            log = writer.TilesWriter.create(Path(parent, "log"), "another")
            for entry in entries:
                log.add_leaf(entry)
            log.commit([signing.DummySigner()])
            return log.reader.calculate_root_hash(), files(log.root)

    def root(self, head: Head) -> bytes:
        return self.reader.calculate_root_hash()

    def included(self, leaf: bytes, index: int, head: Head, path: list[bytes] | None = None) -> None:
        if path is None:
            path = self.reader.get_inclusion_proof(index, head.size).node_hashes
        tlog.InclusionProof(index, head.size, path).check(tiles.leaf_hash(leaf), head.root)

    def extends(self, old: Head, new: Head) -> None:
        self.reader.get_consistency_proof(old.size, new.size).check(old.root, new.root)


class Aics:
    name = "aics-tlog"

    def head(self, note: bytes, key: str) -> Head:
        origin = key.partition("+")[0]
        head = aics.verify_checkpoint(aics.parse_note(note), aics.parse_vkey(key), expected_origin=origin)
        must(head.ok, head.error)
        return Head(head.size, head.root)

    def open(self, folder: Path, size: int) -> None:
        self.reader, self.size = aics.FileSystemTileReader(folder), size

    def entry(self, index: int) -> bytes:
        return aics.read_entry(self.reader, index, self.size)

    def written(self, entries: list[bytes]) -> tuple[bytes, dict[str, bytes]]:
        return aics.MerkleTree(entries).root(), aics.TileWriter(entries).materialise()

    def root(self, head: Head) -> bytes:
        aics.audit_tiles(self.reader, head.size, head.root)
        return aics.tree_root_from_tiles(self.reader, head.size)

    def included(self, leaf: bytes, index: int, head: Head, path: list[bytes] | None = None) -> None:
        if path is None:
            path = aics.inclusion_proof_from_tiles(self.reader, index, head.size)
        must(aics.verify_leaf_inclusion(leaf, index, head.size, path, head.root), f"leaf {index} is not included")

    def extends(self, old: Head, new: Head) -> None:
        path = aics.consistency_proof_from_tiles(self.reader, old.size, new.size)
        must(aics.verify_consistency(old.size, new.size, old.root, new.root, path), "the log was rewritten")


Library = Scales | Aics


def files(folder: Path) -> dict[str, bytes]:
    """Everything but the checkpoint."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "checkpoint"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def check_export(library: Library, folder: Path, key: str = KEY) -> tuple[Head, list[bytes]]:
    head = library.head((folder / "checkpoint").read_bytes(), key)
    library.open(folder, head.size)
    must(library.root(head) == head.root, "the tiles have another root")
    entries = [library.entry(index) for index in range(head.size)]
    for index, entry in enumerate(entries):
        library.included(entry, index, head)
    root, written = library.written(entries)
    must(root == head.root, "the entries have another root")
    found = files(folder)
    must(found.keys() == written.keys(), f"these files are missing or too many: {found.keys() ^ written.keys()}")
    for name, data in found.items():
        must(data == written[name], f"{name} is not what follows from the entries")
    return head, entries


def check_proof(library: Library, opened: dict, entries: list[bytes]) -> None:
    top, _, note = opened["proof"].partition("\n\n")
    form, index, *path = top.split("\n")
    must(form == "c2sp.org/tlog-proof@v1" and index == f"index {opened['index']}", "the proof is of another form")
    leaf = opened["leaf"].encode()
    must(leaf == entries[opened["index"]], "the proof is of another leaf")
    head = library.head(note.encode(), KEY)
    library.included(leaf, opened["index"], head, [base64.b64decode(line, validate=True) for line in path])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


refusals = 0


def refuses(what: str, check: Callable[[], object]) -> None:
    global refusals
    try:
        check()
    except Exception as error:
        # A mistake of ours would pass for a refusal.
        if isinstance(error, (NameError, AttributeError, TypeError)):
            raise
        refusals += 1
        return
    raise SystemExit(f"{what} went unnoticed")


def check_damage(library: Library, good: Path) -> None:
    """One byte changed, in each line of the checkpoint and at three places of every tile and every bundle of entries."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "log")
        shutil.copytree(good, folder)

        def damage(name: str, at: int) -> None:
            data = (good / name).read_bytes()
            (folder / name).write_bytes(flipped(data, at))
            refuses(f"{library.name}: byte {at} of {name}", lambda: check_export(library, folder))
            (folder / name).write_bytes(data)

        origin, size, root, _, signature = (good / "checkpoint").read_bytes().splitlines(keepends=True)
        begin = 0
        for line in [origin, size, root]:
            damage("checkpoint", begin + len(line) // 2)
            begin += len(line)
        # The key's id, and the signature itself.
        blob = begin + 1 + signature.rindex(b" ") + 1
        damage("checkpoint", blob + 2)
        damage("checkpoint", blob + 50)
        for name, data in files(good).items():
            for at in [0, len(data) // 2, len(data) - 1]:
                damage(name, at)
        check_export(library, folder)
    at = len(KEY) - 10
    other = flipped(KEY.encode(), at).decode()
    refuses(f"{library.name}: another key", lambda: check_export(library, good, other))


def check_log(library: Library) -> None:
    heads: list[Head] = []
    for name in NAMES:
        head, entries = check_export(library, FOLDER / name)
        for old in heads:
            library.extends(old, head)
            fork = Head(old.size, flipped(old.root, 7))
            refuses(f"{library.name}: a fork at {old.size}", lambda: library.extends(fork, head))
        heads.append(head)
    first, second, third = (head.size for head in heads)
    must(first > 256 and second % 256 == 0 and third % 256 != 0, "the exports have not every kind of tile")
    for opened in PROOFS:
        check_proof(library, opened, entries)
        changed = opened | {"proof": opened["proof"].replace("\n\n", "\n" + "A" * 43 + "=\n\n", 1)}
        refuses(f"{library.name}: a proof with a hash too many", lambda: check_proof(library, changed, entries))
    check_damage(library, FOLDER / NAMES[-1])
    sizes = ", ".join(str(head.size) for head in heads)
    print(f"{library.name} {version(library.name)}: exports of {sizes} leaves and {len(PROOFS)} proofs are good", flush=True)


check_log(Scales())
if NEWER:
    check_log(Aics())
else:
    print("aics-tlog was left out: it wants Python 3.12")
print(f"{refusals} changes were noticed")
