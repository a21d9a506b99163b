//! The house rules that a program can check: arrows between crates, licences, sizes, heads of files, names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Which of ours each crate may import in its production code (docs/architecture.md, "The rooms").
const ARROWS: [(&str, &[&str]); 10] = [
    ("nexus-core", &[]),
    ("nexus-store", &["nexus-core"]),
    ("nexus-outbound", &["nexus-core"]),
    ("nexus-engine", &["nexus-core", "nexus-outbound"]),
    ("nexus-services", &["nexus-core", "nexus-engine", "nexus-outbound"]),
    ("nexus-flows", &["nexus-core", "nexus-engine", "nexus-outbound"]),
    ("nexus-gateway", &["nexus-core", "nexus-engine", "nexus-flows", "nexus-services"]),
    (
        "nexus",
        &[
            "nexus-core",
            "nexus-store",
            "nexus-outbound",
            "nexus-engine",
            "nexus-services",
            "nexus-flows",
            "nexus-gateway",
            "nexus-client",
        ],
    ),
    ("nexus-client", &[]),
    ("nexus-bench", &["nexus-core", "nexus-store"]),
];

/// Crates whose home is one room.
const HOMES: [(&str, &[&str]); 4] = [
    ("rusqlite", &["nexus-store", "nexus-bench"]),
    ("hyper-rustls", &["nexus-outbound", "nexus-client"]),
    ("jsonschema", &["nexus-engine"]),
    ("clap", &["nexus", "nexus-bench"]),
];

/// Licences whose terms MIT OR Apache-2.0 can keep; the same list as in deny.toml.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

const FILE_LINES: usize = 800;
const TEST_FILE_LINES: usize = 1_200;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The platform this compiler builds for: crates of others were never downloaded.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").current_dir(root()).output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host()])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every file that is ours, with its content; what is binary or made by a tool is left out.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root(), &root(), &mut found);
    assert!(found.len() > 100, "the sources were not found");
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("a folder").filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches!(name.as_str(), ".git" | ".test-tools" | "target" | "node_modules" | "nexus-data") {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else if let (Ok(text), Ok(relative)) = (std::fs::read_to_string(&path), path.strip_prefix(root)) {
            found.push((relative.to_string_lossy().into_owned(), text));
        }
    }
}

fn rust_files() -> Vec<(String, String)> {
    sources().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/conformance/") || path.contains("_tests")
}

fn dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    all.filter(|d| d["kind"].is_null()).filter_map(|d| d["name"].as_str())
}

#[test]
fn crates_import_only_along_the_arrows() {
    let metadata = metadata();
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().expect("members").iter().filter_map(Value::as_str).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeMap<&str, &Value> = packages
        .iter()
        .filter(|p| p["id"].as_str().is_some_and(|id| members.contains(id)))
        .filter_map(|p| Some((p["name"].as_str()?, p)))
        .collect();
    let table: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    for (name, package) in &ours {
        let may = table.get(name).unwrap_or_else(|| panic!("{name} has no row in the arrow table"));
        for dependency in dependencies(package).filter(|d| ours.contains_key(d)) {
            assert!(may.contains(&dependency), "{name} must not import {dependency}");
        }
        for (foreign, homes) in HOMES {
            let imports = dependencies(package).any(|d| d == foreign);
            assert!(!imports || homes.contains(name), "{foreign} is only for {homes:?}, not for {name}");
        }
    }
    assert_eq!(ours.len(), ARROWS.len(), "the arrow table names crates that are not there");
}

#[test]
fn every_dependency_has_a_licence_that_ours_can_live_with() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(allowed(licence), "{name} has the licence {licence:?}");
    }
}

/// Reads `A OR B`, `A AND B`, `(A OR B) AND C` and the old `A/B`.
fn allowed(expression: &str) -> bool {
    let flat = expression.replace('/', " OR ");
    let every = |clause: &str| {
        let clause = clause.trim().trim_start_matches('(').trim_end_matches(')');
        clause.split(" OR ").any(|one| {
            one.split(" AND ").all(|l| LICENCES.contains(&l.trim().trim_start_matches('(').trim_end_matches(')')))
        })
    };
    if flat.contains(") AND ") || flat.contains(" AND (") {
        return flat.replace(") AND ", ")&").replace(" AND (", "&(").split('&').all(every);
    }
    every(&flat)
}

#[test]
fn files_stay_readable() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        let most = if is_test(&path) { TEST_FILE_LINES } else { FILE_LINES };
        assert!(lines <= most, "{path} has {lines} lines, at most {most} are wanted; split it by what it does");
    }
}

#[test]
fn every_file_says_at_its_head_what_it_is_for() {
    for (path, text) in rust_files() {
        let head = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!")).unwrap_or_default();
        assert!(head.starts_with("//! ") && head.len() > 12, "{path} has no module doc at its head");
    }
}

#[test]
fn nothing_is_named_for_being_left_over() {
    for (path, _) in rust_files() {
        for part in path.split(['/', '.']) {
            let magnet = matches!(part, "utils" | "util" | "common" | "helpers" | "helper" | "types" | "misc");
            assert!(!magnet, "{path}: put it beside what it belongs to");
        }
    }
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    let itself = "crates/nexus/tests/it/tidy.rs";
    let later = ["TO", "FIX"].map(|half| format!("{half}{}", if half == "TO" { "DO" } else { "ME" }));
    let machine = format!("/{}/", "work");
    for (path, text) in sources().into_iter().filter(|(path, _)| path != itself) {
        for word in later.iter().chain([&machine]) {
            assert!(!text.contains(word.as_str()), "{path} says {word}");
        }
    }
}

#[test]
fn every_pages_link_leads_somewhere() {
    for (path, text) in sources().into_iter().filter(|(path, _)| path.ends_with(".md")) {
        let dir = root().join(&path).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.contains(' ');
            assert!(outside || dir.join(target).exists(), "{path} links to {target}, which is not there");
        }
    }
}
