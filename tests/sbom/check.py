"""Checks a CycloneDX bill of materials on standard input: its form by the official schema, then what it says."""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = sys.stdin.read()
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
assert fault is None, fault

sbom = json.loads(text)
root = sbom["metadata"]["component"]
assert root["name"] == "benchside" and root["type"] == "application", root
components = {component["bom-ref"]: component for component in sbom["components"]}
assert len(components) == len(sbom["components"]), "two components share a name"
linked = {c["name"] for c in components.values() if c["scope"] == "required"}
for name in ["actix-web", "argon2", "diesel", "pq-sys", "libsqlite3-sys", "sqlite"]:
    assert name in linked, f"{name} is in the binary and not in the bill"
assert "utoipa-gen" in {c["name"] for c in components.values()} - linked, "what only builds is told apart"
for name in ["insta", "proptest", "jsonschema"]:
    assert name not in {c["name"] for c in components.values()}, f"{name} only tests"
lock = Path("Cargo.lock").read_text()
for component in components.values():
    assert component["licenses"], component
    if component["purl"].startswith("pkg:cargo/"):
        assert component["hashes"][0]["content"] in lock, component
for edge in sbom["dependencies"]:
    for end in [edge["ref"], *edge.get("dependsOn", [])]:
        assert end in components or end == root["bom-ref"], f"{end} is no component"
print(f"{len(components)} components, {len(linked)} of them in the binary")
