//! Writes the software bill of materials that `benchside sbom` prints (CycloneDX 1.6): what cargo resolved for this
//! build, with this target and these features.
//!
//! Nothing in it is of the moment or of the machine, so the same sources give the same document.
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fs,
    path::Path,
    process::Command,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    for file in ["build.rs", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={file}");
    }
    // Packages that are already here need no network; those of the tests may not be here yet.
    let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    let sbom = Sbom::of(&metadata)?.document();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("sbom.json"), format!("{sbom:#}\n"))?;
    Ok(())
}

/// What `cargo metadata` says of this build.
fn metadata(network: &[&str]) -> Result<Value> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.args(["metadata", "--format-version=1", "--locked", "--no-default-features"]).args(network);
    cargo.arg("--filter-platform").arg(env::var("TARGET")?);
    cargo.arg("--manifest-path").arg(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml"));
    if env::var_os("CARGO_FEATURE_POSTGRES").is_some() {
        cargo.args(["--features", "postgres"]);
    }
    let output = cargo.output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packages of a build and what each depends on.
struct Sbom<'a> {
    root: &'a str,
    packages: BTreeMap<&'a str, &'a Value>,
    edges: BTreeMap<&'a str, Vec<Edge<'a>>>,
    checksums: BTreeMap<(String, String), String>,
}

struct Edge<'a> {
    to: &'a str,
    only_at_build: bool,
}

impl<'a> Sbom<'a> {
    fn of(metadata: &'a Value) -> Result<Self> {
        let root = metadata["resolve"]["root"].as_str().ok_or("cargo metadata names no root")?;
        let packages = list(&metadata["packages"]).map(|p| (text(&p["id"]), p)).collect();
        let edges = list(&metadata["resolve"]["nodes"]).map(|node| {
            let used = list(&node["deps"]).filter(|d| list(&d["dep_kinds"]).any(|k| k["kind"] != "dev"));
            let edge = |d: &'a Value| Edge {
                to: text(&d["pkg"]),
                only_at_build: list(&d["dep_kinds"]).all(|k| !k["kind"].is_null()),
            };
            (text(&node["id"]), used.map(edge).collect())
        });
        let lock: toml::Table = fs::read_to_string("Cargo.lock")?.parse()?;
        let locked = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
        let checksum = |p: &toml::Value| {
            let member = |name| p.get(name).and_then(toml::Value::as_str).map(str::to_owned);
            Some(((member("name")?, member("version")?), member("checksum")?))
        };
        Ok(Self { root, packages, edges: edges.collect(), checksums: locked.filter_map(checksum).collect() })
    }

    /// Every package that is reached from the root, in the binary or not.
    fn reached(&self, also_at_build: bool) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::from([self.root]);
        let mut next = vec![self.root];
        while let Some(id) = next.pop() {
            for edge in self.edges.get(id).into_iter().flatten() {
                let linked = !edge.only_at_build && !self.is_macro(edge.to);
                if (linked || also_at_build) && reached.insert(edge.to) {
                    next.push(edge.to);
                }
            }
        }
        reached
    }

    fn is_macro(&self, id: &str) -> bool {
        list(&self.packages[id]["targets"]).any(|t| list(&t["kind"]).any(|kind| kind == "proc-macro"))
    }

    fn purl(&self, id: &str) -> String {
        let package = self.packages[id];
        format!("pkg:cargo/{}@{}", text(&package["name"]), text(&package["version"]).replace('+', "%2B"))
    }

    fn component(&self, id: &str, kind: &str) -> Value {
        let package = self.packages[id];
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let mut component = json!({
            "type": kind, "bom-ref": self.purl(id), "name": name, "version": version, "purl": self.purl(id),
        });
        if let Some(license) = package["license"].as_str() {
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        if let Some(checksum) = self.checksums.get(&(name.to_owned(), version.to_owned())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    }

    fn document(&self) -> Value {
        let linked = self.reached(false);
        let all = self.reached(true);
        let components = all.iter().filter(|id| **id != self.root).map(|id| {
            let mut component = self.component(id, "library");
            // Code that only ran while this was built is told apart.
            component["scope"] = json!(if linked.contains(id) { "required" } else { "excluded" });
            component
        });
        let dependencies = all.iter().map(|id| {
            let on: BTreeSet<_> = self.edges.get(id).into_iter().flatten().map(|edge| self.purl(edge.to)).collect();
            json!({ "ref": self.purl(id), "dependsOn": on })
        });
        json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {
                "component": self.component(self.root, "application"),
                "lifecycles": [{ "phase": "build" }],
            },
            "components": components.collect::<Vec<_>>(),
            "dependencies": dependencies.collect::<Vec<_>>(),
        })
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
