//! `benchside sbom`: what this binary is made of, from the binary itself (CycloneDX 1.6).
//!
//! `build.rs` writes the packages down when it is built. SQLite comes compiled in and is added here, since vulnerabilities
//! are published for it and not for the package that carries it.
use crate::{Error, Result};
use serde_json::{Value, json};

/// The bill of materials.
///
/// # Errors
/// When what the build wrote is no JSON.
pub fn document() -> Result<Value> {
    let mut sbom: Value = serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/sbom.json")))
        .map_err(|e| Error::Internal(format!("the bill of materials: {e}")))?;
    let version = libsqlite3_sys::SQLITE_VERSION.to_str().map_err(|e| Error::Internal(e.to_string()))?;
    let reference = format!("pkg:generic/sqlite@{version}");
    if let Some(components) = sbom["components"].as_array_mut() {
        components.push(json!({
            "type": "library", "bom-ref": reference, "name": "sqlite", "version": version, "purl": reference,
            "cpe": format!("cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"), "scope": "required",
            "licenses": [{ "license": { "id": "blessing" } }],
        }));
    }
    if let Some(dependencies) = sbom["dependencies"].as_array_mut() {
        let carries = |d: &&mut Value| d["ref"].as_str().is_some_and(|r| r.starts_with("pkg:cargo/libsqlite3-sys@"));
        if let Some(on) = dependencies.iter_mut().find(carries).and_then(|d| d["dependsOn"].as_array_mut()) {
            on.push(json!(reference));
        }
    }
    Ok(sbom)
}
