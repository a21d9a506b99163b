//! Secrets that the environment gives, and the permissions file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use nexus_core::{sign::Secret, topic::TopicFilter};

use super::{Config, ConfigError, load::Environment};

/// Secrets of sources by the environment. They live in memory only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    /// `NEXUS_SECRET_KEY`, else `NEXUS_SECRET`: of source `nexus`, and of `flowpay` and `factory` while they have none.
    pub(crate) shared: Option<Secret>,
    /// Which of the two it was.
    pub(crate) shared_variable: Option<String>,
    /// `NEXUS_SECRET_KEY_<SOURCE>`, by source id.
    pub(crate) by_source: BTreeMap<String, Secret>,
}

const SHARED: [&str; 2] = ["NEXUS_SECRET_KEY", "NEXUS_SECRET"];

impl Secrets {
    /// Reads them out of the environment. `WOD_PRO` is source `wod_pro` as well as `wod-pro`.
    pub(crate) fn read(environment: &Environment) -> Self {
        let (shared_variable, shared) = SHARED
            .into_iter()
            .find_map(|name| environment.get(name).map(|value| (name.to_owned(), Secret::from(value))))
            .unzip();
        let mut by_source = BTreeMap::new();
        for (name, value) in environment.with_prefix("NEXUS_SECRET_KEY_") {
            let id = name.to_ascii_lowercase();
            by_source.insert(id.replace('_', "-"), Secret::from(value));
            by_source.insert(id, Secret::from(value));
        }
        Self { shared, shared_variable, by_source }
    }

    /// How many sources have a secret here.
    pub(crate) fn count(&self) -> usize {
        self.by_source.len() + usize::from(self.shared.is_some())
    }
}

/// Which permissions file holds: the one that is set, else the first that exists beside the configuration, in the working
/// directory or in the data folder. It may appear later.
pub(crate) fn permissions_file(config: &Config, config_file: Option<&Path>) -> PathBuf {
    if let Some(file) = &config.data.permissions {
        return file.clone();
    }
    let beside = config_file.and_then(Path::parent).map(|dir| dir.join("config"));
    let places =
        beside.into_iter().chain([PathBuf::from("config"), config.data.dir.join("config"), config.data.dir.clone()]);
    let mut files = places.map(|dir| dir.join("permissions.json"));
    let fallback = config.data.dir.join("config").join("permissions.json");
    files.find(|file| file.exists()).unwrap_or(fallback)
}

/// Reads `{"<source>":["PAYMENT_RECEIVED",…]}`; `"*"` is every event.
pub(crate) fn read_permissions(text: &str) -> Result<BTreeMap<String, Vec<TopicFilter>>, ConfigError> {
    let wrong = |reason: String| ConfigError::Value { place: "permissions".into(), reason };
    let form = "write {\"flowpay\": [\"PAYMENT_RECEIVED\"]}";
    let raw: BTreeMap<String, Vec<String>> =
        serde_json::from_str(text).map_err(|e| wrong(format!("it is not of its form ({e}); {form}")))?;
    raw.into_iter()
        .map(|(source, names)| {
            let filters = names.iter().map(|name| {
                let filter = if name == "*" { ">" } else { name };
                TopicFilter::parse(filter).map_err(|e| wrong(format!("{source}: {name:?}: {e}")))
            });
            Ok((source.clone(), filters.collect::<Result<_, _>>()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_permits_every_event_of_any_depth() {
        let permissions = read_permissions(r#"{"factory":["MINT_CONFIRMED"],"neobot":["*"]}"#).expect("valid");
        assert!(permissions["factory"][0].matches("mint.confirmed"));
        assert!(!permissions["factory"][0].matches("payment.received"));
        assert!(permissions["neobot"][0].matches("a.b.c"));
        assert!(read_permissions(r#"{"factory":"MINT_CONFIRMED"}"#).is_err());
        assert!(read_permissions(r#"{"factory":["a..b"]}"#).is_err());
    }

    #[test]
    fn a_source_with_a_dash_finds_its_secret_in_the_environment() {
        let environment = Environment::of([("NEXUS_SECRET_KEY_WOD_PRO", "w"), ("NEXUS_SECRET", "s")]);
        let secrets = Secrets::read(&environment);
        assert_eq!(secrets.by_source.get("wod-pro").map(Secret::expose), Some("w"));
        assert_eq!(secrets.shared.as_ref().map(Secret::expose), Some("s"));
    }
}
