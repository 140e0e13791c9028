//! What `cargo metadata` says about the workspace, reduced to what the commands need.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::process;

/// The resolved workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Members and all that they pull in, on any platform, with every feature.
    pub(crate) packages: Vec<Package>,
}

/// One package of the resolved graph.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression; packages with only a licence file have none.
    pub(crate) licence: Option<String>,
    /// The folder of the manifest relative to the root with `/` between its parts; only members have one.
    pub(crate) folder: Option<String>,
    pub(crate) has_library: bool,
    pub(crate) features: Vec<String>,
    /// What the manifest names.
    pub(crate) dependencies: Vec<Dependency>,
    /// What the resolver chose: package id, and whether anything but a dev-dependency leads there.
    pub(crate) edges: Vec<(String, bool)>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let root = root()?;
        let text = process::output(process::cargo(&root).args([
            "metadata",
            "--format-version=1",
            "--all-features",
        ]))?;
        let value =
            serde_json::from_str(&text).map_err(Error::on("cannot read the output of `cargo metadata`"))?;
        Self::parse(&value)
            .ok_or_else(|| Error::failed("the output of `cargo metadata` lacks an expected field"))
    }

    fn parse(value: &Value) -> Option<Self> {
        let root = PathBuf::from(value.get("workspace_root")?.as_str()?);
        let members: BTreeSet<&str> =
            value.get("workspace_members")?.as_array()?.iter().filter_map(Value::as_str).collect();
        let mut edges = BTreeMap::new();
        for node in value.pointer("/resolve/nodes")?.as_array()? {
            let targets: Option<Vec<_>> = node.get("deps")?.as_array()?.iter().map(parse_edge).collect();
            edges.insert(node.get("id")?.as_str()?, targets?);
        }
        let mut packages = Vec::new();
        for package in value.get("packages")?.as_array()? {
            let id = package.get("id")?.as_str()?;
            let mut parsed = parse_package(package)?;
            parsed.edges = edges.remove(id).unwrap_or_default();
            if members.contains(id) {
                let folder = Path::new(package.get("manifest_path")?.as_str()?).parent()?;
                parsed.folder = Some(folder.strip_prefix(&root).ok()?.to_string_lossy().replace('\\', "/"));
            }
            packages.push(parsed);
        }
        Some(Self { target: PathBuf::from(value.get("target_directory")?.as_str()?), root, packages })
    }

    /// The packages that the workspace consists of.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.folder.is_some())
    }

    /// Every feature of these members, of all if none is named, as cargo's `--features` wants it; but for those that bring the peers of
    /// a benchmark (`…-peers`), which take longer to build than everything else together.
    pub(crate) fn features(&self, names: &[String]) -> String {
        let chosen = self.members().filter(|member| names.is_empty() || names.contains(&member.name));
        let features = chosen.flat_map(|member| {
            let own = member.features.iter().filter(|feature| !feature.ends_with("-peers"));
            own.map(|feature| format!("{}/{feature}", member.name))
        });
        features.collect::<Vec<_>>().join(",")
    }

    /// The members that people depend on: the libraries under `crates/`.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Package> {
        self.members().filter(|package| package.is_library())
    }
}

impl Package {
    /// Whether people depend on this member.
    pub(crate) fn is_library(&self) -> bool {
        self.has_library && self.folder.as_deref().is_some_and(|folder| folder.starts_with("crates/"))
    }
}

/// The folder of the root manifest, asked from where we stand.
pub(crate) fn root() -> Result<PathBuf> {
    let start = env::current_dir().map_err(Error::on("cannot tell the current folder"))?;
    let manifest = process::output(process::cargo(&start).args([
        "locate-project",
        "--workspace",
        "--message-format=plain",
    ]))?;
    let folder = Path::new(manifest.trim()).parent().map(Path::to_path_buf);
    folder.ok_or_else(|| Error::failed(format!("`{}` has no folder", manifest.trim())))
}

fn parse_package(value: &Value) -> Option<Package> {
    let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let dependencies: Option<Vec<_>> =
        value.get("dependencies")?.as_array()?.iter().map(parse_dependency).collect();
    let mut kinds = value
        .get("targets")?
        .as_array()?
        .iter()
        .filter_map(|target| target.get("kind")?.as_array())
        .flatten();
    Some(Package {
        id: text("id")?,
        name: text("name")?,
        version: text("version")?,
        licence: text("license"),
        folder: None,
        features: value.get("features")?.as_object()?.keys().cloned().collect(),
        has_library: kinds.any(|kind| matches!(kind.as_str(), Some("lib" | "rlib" | "proc-macro"))),
        dependencies: dependencies?,
        edges: Vec::new(),
    })
}

fn parse_dependency(value: &Value) -> Option<Dependency> {
    let dev = value.get("kind").and_then(Value::as_str) == Some("dev");
    Some(Dependency { name: value.get("name")?.as_str()?.to_owned(), dev })
}

fn parse_edge(value: &Value) -> Option<(String, bool)> {
    let kinds = value.get("dep_kinds")?.as_array()?;
    let shipped = kinds.iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"));
    Some((value.get("pkg")?.as_str()?.to_owned(), shipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let text = r#"{"workspace_root":"/w","target_directory":"/t","workspace_members":["a"],
            "packages":[
              {"id":"a","name":"a","version":"1.0.0","license":"MIT","manifest_path":"/w/crates/a/Cargo.toml",
               "targets":[{"kind":["lib"]},{"kind":["test"]}],
               "features":{"one":[],"two":["one"],"cel-peers":["dep:cel"]},
               "dependencies":[{"name":"b","kind":null},{"name":"c","kind":"dev"}]},
              {"id":"b","name":"b","version":"2.0.0","license":null,"manifest_path":"/r/b/Cargo.toml",
               "targets":[{"kind":["bin"]}],"features":{"foreign":[]},"dependencies":[]}],
            "resolve":{"nodes":[{"id":"a","deps":[{"pkg":"b","dep_kinds":[{"kind":"dev"},{"kind":null}]},
               {"pkg":"c","dep_kinds":[{"kind":"dev"}]}]},{"id":"b","deps":[]}]}}"#;
        let workspace = Workspace::parse(&serde_json::from_str(text).unwrap()).unwrap();
        let names: Vec<_> = workspace.libraries().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a"]);
        let member = &workspace.packages[0];
        assert_eq!(member.folder.as_deref(), Some("crates/a"));
        assert_eq!(member.edges, [("b".to_owned(), true), ("c".to_owned(), false)]);
        assert!(member.dependencies[1].dev && !member.dependencies[0].dev);
        assert!(workspace.packages[1].folder.is_none());
        // Neither those of the peers, nor those of packages that are not ours, nor those of members that are not asked for.
        assert_eq!(workspace.features(&[]), "a/one,a/two");
        assert_eq!(workspace.features(&["b".to_owned()]), "");
    }

    #[test]
    fn foreign_output_is_refused() {
        assert!(Workspace::parse(&serde_json::json!({"workspace_root": "/w"})).is_none());
    }
}
