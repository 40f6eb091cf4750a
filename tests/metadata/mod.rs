//! What `cargo metadata` says of packages, what they need, and which Rust they ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

/// The part of `cargo metadata` that is looked at.
#[derive(Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    rust_version: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Dependency {
    /// Whether users of the package need it; those of tests alone they do not.
    fn is_for_users(&self) -> bool {
        self.dep_kinds
            .iter()
            .any(|dep| dep.kind.as_deref() != Some("dev"))
    }
}

impl Metadata {
    /// That of this workspace, for the machine it is built on.
    pub fn load() -> Metadata {
        let rustc = Command::new("rustc")
            .arg("-vV")
            .output()
            .expect("rustc runs");
        let version = String::from_utf8(rustc.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version=1",
                "--offline",
                "--filter-platform",
            ])
            .arg(host.expect("rustc names its host"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("cargo's metadata")
    }

    /// The package of that name.
    pub fn id_of(&self, name: &str) -> &str {
        let package = self.packages.iter().find(|package| package.name == name);
        &package.unwrap_or_else(|| panic!("package {name}")).id
    }

    /// Major and minor version of Rust that the package asks for; (0, 0) if it does not say.
    pub fn rust_of(&self, id: &str) -> (u32, u32) {
        let package = self
            .packages
            .iter()
            .find(|package| package.id == id)
            .unwrap();
        let version = package.rust_version.as_deref().unwrap_or("0.0");
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// Everything that users of the package need with it.
    pub fn needs<'a>(&'a self, id: &'a str) -> BTreeSet<&'a str> {
        let nodes: BTreeMap<_, _> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let mut needed = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let for_users = nodes[id].deps.iter().filter(|dep| dep.is_for_users());
            open.extend(
                for_users
                    .map(|dep| dep.pkg.as_str())
                    .filter(|&dep| needed.insert(dep)),
            );
        }
        needed
    }
}
