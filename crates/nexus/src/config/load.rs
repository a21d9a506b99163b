//! Puts the layers together: defaults, file, environment, flags.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Config, ConfigError, Secrets, log::Format};

/// Keys that stand at the top of the file because the Integration Core's configuration has them there, and the section
/// and name under which they go on.
const SEED_KEYS: [(&str, &str, &str); 4] = [
    ("api_host", "server", "api_host"),
    ("api_port", "server", "api_port"),
    ("compat_port", "server", "compat_port"),
    ("state_file", "state", "file"),
];
/// Sections of the file.
const SECTIONS: [&str; 13] = [
    "server",
    "data",
    "tls",
    "jwt",
    "ingress",
    "delivery",
    "services",
    "retention",
    "state",
    "connectors",
    "flows",
    "alerts",
    "log",
];
/// Least time that versions of state are kept; longer than a transaction may wait for being confirmed.
const LEAST_AGE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// Names that differ so much are no misspelling of one another.
const SIMILAR: f64 = 0.6;

/// The environment, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// That of this process. Variables that are no text are none of ours.
    pub(crate) fn of_process() -> Self {
        let texts = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
        Self(texts.filter(|(_, value)| !value.is_empty()).collect())
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names (without the prefix) and values.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(n, v)| Some((n.strip_prefix(prefix)?, v.as_str())))
    }
}

/// What flags say; they win over everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Vec<String>,
    pub(crate) log_format: Option<Format>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) plain_http: bool,
}

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) file: Option<PathBuf>,
    pub(crate) secrets: Secrets,
}

/// Reads everything and checks it.
pub(crate) fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, ConfigError> {
    let file = find_file(flags, environment)?;
    let mut table = file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let place = file.as_ref().map_or_else(String::new, |f| f.display().to_string());
    lift_seed_keys(&mut table);
    let known: Vec<&str> = SECTIONS.into_iter().chain(SEED_KEYS.map(|(key, ..)| key)).collect();
    for key in table.keys() {
        if !known.contains(&key.as_str()) {
            return Err(unknown(&place, key, &known));
        }
    }
    let mut layers = Layers { table, place, environment };
    let mut config = Config {
        server: layers.section("server")?,
        data: layers.section("data")?,
        tls: layers.section("tls")?,
        jwt: layers.section("jwt")?,
        ingress: layers.section("ingress")?,
        delivery: layers.section("delivery")?,
        services: layers.section("services")?,
        connectors: layers.section("connectors")?,
        retention: layers.section("retention")?,
        state: layers.section("state")?,
        flows: layers.section("flows")?,
        alerts: layers.section("alerts")?,
        log: layers.section("log")?,
    };
    short_names(&mut config, environment)?;
    apply_flags(&mut config, flags);
    check(&config)?;
    Ok(Loaded { config, file, secrets: Secrets::read(environment) })
}

/// The file that is named must exist; otherwise the first that does.
fn find_file(flags: &Flags, environment: &Environment) -> Result<Option<PathBuf>, ConfigError> {
    let named = flags.config.clone().or_else(|| environment.get("NEXUS_CONFIG").map(PathBuf::from));
    if let Some(file) = named {
        let missing = || ConfigError::File { file: file.display().to_string(), reason: "there is no such file".into() };
        return if file.is_file() { Ok(Some(file)) } else { Err(missing()) };
    }
    let data = flags.data.clone().or_else(|| environment.get("NEXUS_DATA").map(PathBuf::from));
    let data = data.unwrap_or_else(|| "nexus-data".into());
    Ok([PathBuf::from("nexus.toml"), data.join("nexus.toml")].into_iter().find(|f| f.is_file()))
}

fn read_file(file: &Path) -> Result<Table, ConfigError> {
    let wrong = |reason: String| ConfigError::File { file: file.display().to_string(), reason };
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    text.parse().map_err(|e: toml::de::Error| wrong(e.to_string()))
}

fn lift_seed_keys(table: &mut Table) {
    for (key, section, name) in SEED_KEYS {
        if let Some(value) = table.remove(key) {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            // A section that is no table is refused later, with its own message.
            if let Some(section) = section.as_table_mut() {
                section.entry(name).or_insert(value);
            }
        }
    }
}

struct Layers<'a> {
    table: Table,
    place: String,
    environment: &'a Environment,
}

impl Layers<'_> {
    fn section<T: DeserializeOwned + Serialize + Default>(&mut self, name: &str) -> Result<T, ConfigError> {
        let place = if self.place.is_empty() { format!("[{name}]") } else { format!("{}: [{name}]", self.place) };
        let wrong = |place: &str, reason: String| ConfigError::Value { place: place.to_owned(), reason };
        let defaults = serde_json::to_value(T::default()).map_err(|e| wrong(&place, e.to_string()))?;
        let defaults = defaults.as_object().cloned().unwrap_or_default();
        let known: Vec<&str> = defaults.keys().map(String::as_str).collect();
        let mut section = match self.table.remove(name) {
            None => Table::new(),
            Some(Value::Table(section)) => section,
            Some(_) => {
                return Err(wrong(&self.place, format!("{name} is a section; write [{name}] above its settings")));
            }
        };
        if let Some(key) = section.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(unknown(&place, key, &known));
        }
        let prefix = format!("NEXUS_{}_", name.to_ascii_uppercase());
        for (rest, text) in self.environment.with_prefix(&prefix) {
            let key = rest.to_ascii_lowercase();
            let Some(default) = defaults.get(&key) else {
                return Err(unknown("the environment", &format!("{prefix}{rest}"), &shouted(&prefix, &known)));
            };
            let value = by_kind(default, text).map_err(|reason| wrong(&format!("{prefix}{rest}"), reason))?;
            section.insert(key, value);
        }
        section.try_into().map_err(|e: toml::de::Error| wrong(&place, e.message().to_owned()))
    }
}

fn shouted(prefix: &str, known: &[&str]) -> Vec<String> {
    known.iter().map(|key| format!("{prefix}{}", key.to_ascii_uppercase())).collect()
}

/// A text of the environment in the form that its setting has.
fn by_kind(default: &Json, text: &str) -> Result<Value, String> {
    match default {
        Json::Bool(_) => match text {
            "1" | "true" | "yes" | "on" => Ok(Value::Boolean(true)),
            "0" | "false" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => Err(format!("{text:?} is neither true nor false")),
        },
        Json::Number(_) => text.parse().map(Value::Integer).map_err(|_| format!("{text:?} is no whole number")),
        Json::Array(_) => Ok(Value::Array(text.split(',').map(|part| Value::String(part.trim().to_owned())).collect())),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn unknown(place: &str, key: &str, known: &[impl AsRef<str>]) -> ConfigError {
    let near = known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name.as_ref()), name.as_ref()))
        .filter(|(likeness, _)| *likeness > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((_, name)) => format!("; did you mean {name:?}?"),
        None => {
            let names: Vec<_> = known.iter().map(AsRef::as_ref).collect();
            format!("; known are {}", names.join(", "))
        }
    };
    ConfigError::UnknownKey { place: place.to_owned(), key: key.to_owned(), hint }
}

/// `PORT`, `NEXUS_DATA`, `NEXUS_API_HOST`, `NEXUS_API_PORT`, `OTEL_EXPORTER_OTLP_ENDPOINT`.
fn short_names(config: &mut Config, environment: &Environment) -> Result<(), ConfigError> {
    let port = |name: &str| {
        let wrong = |text: &str| ConfigError::Value { place: name.to_owned(), reason: format!("{text:?} is no port") };
        environment.get(name).map(|text| text.parse::<u16>().map_err(|_| wrong(text))).transpose()
    };
    if let Some(dir) = environment.get("NEXUS_DATA") {
        config.data.dir = dir.into();
    }
    if let Some(host) = environment.get("NEXUS_API_HOST") {
        config.server.api_host = host.to_owned();
    }
    if let Some(number) = port("NEXUS_API_PORT")? {
        config.server.api_port = number;
    }
    if let (Some(number), None) = (port("PORT")?, environment.get("NEXUS_SERVER_LISTEN")) {
        config.server.listen = vec![format!("0.0.0.0:{number}")];
    }
    if let (Some(endpoint), None) = (environment.get("OTEL_EXPORTER_OTLP_ENDPOINT"), &config.log.otlp_endpoint) {
        config.log.otlp_endpoint = Some(endpoint.to_owned());
    }
    Ok(())
}

fn apply_flags(config: &mut Config, flags: &Flags) {
    if let Some(dir) = &flags.data {
        config.data.dir.clone_from(dir);
    }
    if !flags.listen.is_empty() {
        config.server.listen.clone_from(&flags.listen);
    }
    if flags.tls_cert.is_some() {
        config.tls.cert.clone_from(&flags.tls_cert);
    }
    if flags.tls_key.is_some() {
        config.tls.key.clone_from(&flags.tls_key);
    }
    config.server.plain_http |= flags.plain_http;
    if let Some(format) = flags.log_format {
        config.log.format = format;
    }
}

/// What no single value shows.
fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |place: &str, reason: String| Err(ConfigError::Value { place: place.to_owned(), reason });
    for network in &config.server.trusted_proxies {
        if let Err(reason) = network.parse::<nexus_gateway::Network>() {
            return wrong("[server] trusted_proxies", reason);
        }
    }
    for rule in &config.retention.events {
        if let Err(e) = nexus_core::topic::TopicFilter::parse(&rule.filter) {
            return wrong("[[retention.events]] filter", e.to_string());
        }
        if rule.age.is_none() && rule.size.is_none() {
            let reason = format!("the rule for {:?} needs an age, a size or both", rule.filter);
            return wrong("[[retention.events]]", reason);
        }
    }
    if let Err(reason) = config.tls.files() {
        return wrong("[tls]", reason);
    }
    if let Err(reason) = config.jwt.check() {
        return wrong("[jwt]", reason);
    }
    if let Some(reason) = config.services.wrong() {
        return wrong("[services]", reason);
    }
    if config.state.history_versions < nexus_services::state::FEWEST_VERSIONS {
        return wrong("[state] history_versions", "at least 2 are needed, to undo the last".into());
    }
    if config.state.history_age.0 < LEAST_AGE {
        return wrong("[state] history_age", "at least 1d is needed, to undo a transaction".into());
    }
    if config.state.snapshot_interval.0.is_zero() {
        return wrong("[state] snapshot_interval", "it can't be 0; file = \"off\" ends snapshots".into());
    }
    if config.server.connections == 0 || config.data.readers == 0 {
        return wrong("[server] connections, [data] readers", "at least 1 is needed".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, environment: &Environment) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("nexus.toml");
        std::fs::write(&file, text).expect("written");
        let flags = Flags { config: Some(file), ..Flags::default() };
        load(&flags, environment).map(|l| l.config).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let environment = Environment::of([("NEXUS_SERVER_DRAIN", "3s"), ("NEXUS_DATA", "/d"), ("PORT", "5000")]);
        let config = from("[server]\ndrain = \"1s\"\nlisten = [\"127.0.0.1:1\"]\n", &environment).expect("valid");
        assert_eq!(config.server.drain.to_string(), "3s");
        assert_eq!(config.server.addresses(), ["0.0.0.0:5000"]);
        assert_eq!(config.data.dir, PathBuf::from("/d"));
        let flags = Flags { data: Some("/e".into()), listen: vec!["[::1]:9".into()], ..Flags::default() };
        let config = load(&flags, &environment).expect("valid").config;
        assert_eq!((config.data.dir, config.server.addresses()), (PathBuf::from("/e"), vec!["[::1]:9".to_owned()]));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_name() {
        let none = Environment::default();
        assert!(from("[server]\nlissten = []\n", &none).expect_err("refused").contains("did you mean \"listen\"?"));
        assert!(from("[sever]\n", &none).expect_err("refused").contains("did you mean \"server\"?"));
        let environment = Environment::of([("NEXUS_LOG_LEVLE", "debug")]);
        assert!(from("", &environment).expect_err("refused").contains("NEXUS_LOG_LEVEL"));
    }

    #[test]
    fn the_seeds_names_stand_at_the_top() {
        let config = from("api_host = \"0.0.0.0\"\napi_port = 8081\ncompat_port = 8000\n", &Environment::default());
        assert_eq!(config.expect("valid").server.addresses(), ["0.0.0.0:8081", "0.0.0.0:8000"]);
    }

    #[test]
    fn the_state_file_has_the_seeds_name_and_lies_in_the_data_folder() {
        let file = |text: &str, environment: &Environment| {
            from(text, environment).expect("valid").state.file_in(Path::new("/d"))
        };
        let none = Environment::default();
        assert_eq!(file("", &none), Some("/d/nexus_state.json".into()));
        assert_eq!(file("state_file = \"x.json\"\n", &none), Some("/d/x.json".into()));
        assert_eq!(file("[state]\nfile = \"/e/x.json\"\n", &none), Some("/e/x.json".into()));
        assert_eq!(file("", &Environment::of([("NEXUS_STATE_FILE", "off")])), None);
        assert!(from("[state]\nhistory_versions = 1\n", &none).is_err());
        assert!(from("[[state.policies]]\nname = \"a\"\nprefix = \"\"\non_conflict = \"no\"\n", &none).is_err());
    }

    #[test]
    fn a_wrong_value_names_its_section() {
        let none = Environment::default();
        assert!(from("[server]\ndrain = \"soon\"\n", &none).expect_err("refused").contains("[server]"));
        assert!(from("[[retention.events]]\nfilter = \"a\"\n", &none).expect_err("refused").contains("age"));
        assert!(from("[server]\ntrusted_proxies = [\"x\"]\n", &none).is_err());
    }
}
