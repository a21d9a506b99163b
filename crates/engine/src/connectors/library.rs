//! Which connectors there are: those in the binary, and those in the operator's folder, which come before them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::check::Connector;
use crate::document::{problem::Problems, yaml::DOCUMENT_BYTES};

/// Files of the folder that are read.
const FILES: usize = 500;

/// A manifest in the binary, by file name.
macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors/", $name, ".yaml")))),*]
    };
}

/// The manifests in the binary, by file name.
const SHIPPED: &[(&str, &str)] = shipped![
    "anthropic",
    "chromadon",
    "discord",
    "discord-webhook",
    "generic-webhook",
    "github",
    "google-calendar",
    "hubspot",
    "linkedin",
    "neobot",
    "openai-compatible",
    "opensolar",
    "scriptwriter",
    "sendgrid",
    "signed-webhook",
    "slack",
    "slack-webhook",
    "smart-factory",
    "smtp",
    "stripe",
    "twilio",
    "whatsapp-cloud",
    "x",
];

/// Where a connector comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the binary.
    Shipped,
    /// A file of the operator's.
    File(PathBuf),
    /// The program that embeds the hub gave it.
    Given,
}

/// A file that is no connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Which.
    pub file: String,
    /// What is wrong, one thing per line.
    pub message: String,
}

/// A connector, or what it is made from: those in the binary are compiled when somebody asks for them.
#[derive(Clone, Debug)]
struct Entry {
    made: OnceLock<Option<Arc<Connector>>>,
    text: &'static str,
    origin: Origin,
}

impl Entry {
    fn made(connector: Connector, origin: Origin) -> Self {
        Self { made: OnceLock::from(Some(Arc::new(connector))), text: "", origin }
    }

    fn get(&self) -> Option<&Arc<Connector>> {
        self.made.get_or_init(|| Connector::read(self.text).ok().map(Arc::new)).as_ref()
    }
}

/// The connectors, by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    known: BTreeMap<String, Entry>,
    unusable: Vec<Unusable>,
}

impl Library {
    /// Those in the binary.
    pub fn shipped() -> Self {
        let mut library = Self::default();
        for (name, text) in SHIPPED {
            library.known.insert((*name).to_owned(), Entry { made: OnceLock::new(), text, origin: Origin::Shipped });
        }
        library
    }

    /// With those in `folder`, where it is there. A file with a mistake is left out and named.
    #[must_use]
    pub fn with_folder(mut self, folder: &Path) -> Self {
        let Ok(entries) = fs::read_dir(folder) else { return self };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json"));
        files.sort();
        for file in files.iter().skip(FILES) {
            self.refuse(file, format!("only {FILES} files are read"));
        }
        for file in files.iter().take(FILES) {
            match read(file) {
                Ok(text) => self.add(&file.display().to_string(), &text, Origin::File(file.clone())),
                Err(message) => self.refuse(file, message),
            }
        }
        self
    }

    /// With the one that `text` describes, for programs that embed the hub.
    pub fn with(mut self, text: &str) -> Result<Self, Problems> {
        let connector = Connector::read(text)?;
        self.known.insert(connector.manifest.name.clone(), Entry::made(connector, Origin::Given));
        Ok(self)
    }

    fn refuse(&mut self, file: &Path, message: String) {
        self.unusable.push(Unusable { file: file.display().to_string(), message });
    }

    fn add(&mut self, file: &str, text: &str, origin: Origin) {
        match Connector::read(text) {
            Ok(connector) => {
                self.known.insert(connector.manifest.name.clone(), Entry::made(connector, origin));
            }
            Err(problems) => {
                self.unusable.push(Unusable { file: file.to_owned(), message: problems.to_string() });
            }
        }
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Arc<Connector>> {
        self.known.get(name)?.get()
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&Arc<Connector>, &Origin)> {
        self.known.values().filter_map(|entry| Some((entry.get()?, &entry.origin)))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// Files that are no connectors.
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}

fn read(file: &Path) -> Result<String, String> {
    let size = fs::metadata(file).map_err(|e| e.to_string())?.len();
    if usize::try_from(size).map_or(true, |size| size > DOCUMENT_BYTES) {
        return Err(format!("it has {size} bytes; at most {DOCUMENT_BYTES} are read"));
    }
    fs::read_to_string(file).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_manifest_is_sound_and_shows_what_each_operation_takes() {
        for (file, text) in SHIPPED {
            let connector = Connector::read(text).unwrap_or_else(|problems| panic!("{file}:\n{problems}"));
            assert_eq!(*file, connector.manifest.name, "a file has its connector's name");
        }
        let library = Library::shipped();
        assert_eq!(library.all().count(), SHIPPED.len());
        for (connector, _) in library.all() {
            for (id, operation) in &connector.manifest.operations {
                let name = &connector.manifest.name;
                assert!(operation.input.is_empty() || operation.example.is_some(), "{name} {id} has no example");
            }
        }
    }

    #[test]
    fn a_folder_adds_connectors_and_a_mistake_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let good = "connector: 1\nname: mine\ntitle: Mine\nchecked: reading\nbase_url: https://a.example\noperations:\n  go: {title: Go, method: GET, path: /x}\n";
        fs::write(folder.path().join("mine.yaml"), good).unwrap();
        fs::write(folder.path().join("typo.yaml"), good.replace("method: GET", "methode: GET")).unwrap();
        fs::write(folder.path().join("wrong.yaml"), good.replace("path: /x", "path: /x, query: {a: '${ env }'}"))
            .unwrap();
        fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
        let library = Library::shipped().with_folder(folder.path());
        assert!(library.get("mine").is_some());
        let told: Vec<&str> = library.unusable().iter().map(|u| u.message.as_str()).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("/operations/go/methode (line 7)") && told[0].contains("`method`"), "{}", told[0]);
        assert!(told[1].starts_with("/operations/go/query/a (line 7)"), "{}", told[1]);
    }
}
