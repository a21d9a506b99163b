//! `nexus config`: check and show what would be in force.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use crate::{
    cli::Global,
    config::{Config, Environment, Flags, Loaded, load},
    output::Failure,
};

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check it; exit code 2 and the reason when it is wrong
    Check {
        /// The file; the one that `nexus serve` would take when absent
        file: Option<PathBuf>,
    },
    /// Show what differs from the defaults; secrets are redacted
    Show {
        /// Show every setting
        #[arg(long)]
        resolved: bool,
    },
}

/// Loads what `nexus serve` with these global flags would load.
pub(crate) fn loaded(global: &Global) -> Result<Loaded, Failure> {
    let flags = Flags { config: global.config.clone(), data: global.data.clone(), ..Flags::default() };
    Ok(load(&flags, &Environment::of_process())?)
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Check { file } => {
            let global = Global { config: file.clone().or_else(|| global.config.clone()), ..global.clone() };
            let loaded = loaded(&global)?;
            let file = loaded.file.as_ref().map(|f| f.display().to_string());
            let answer = serde_json::json!({"ok": true, "file": file});
            global.screen().either(&answer, || match &file {
                Some(file) => format!("{file} is good"),
                None => "there is no nexus.toml; the defaults and the environment are good".to_owned(),
            })
        }
        Command::Show { resolved } => {
            let loaded = loaded(global)?;
            let value = |config: &Config| serde_json::to_value(config).map_err(|e| Failure::failed(e.to_string()));
            let mut shown = value(&loaded.config)?;
            if !resolved {
                differing(&mut shown, &value(&Config::default())?);
            }
            drop_nulls(&mut shown);
            if global.json {
                return global.screen().json(&shown);
            }
            let text = toml::to_string(&shown).map_err(|e| Failure::failed(e.to_string()))?;
            let from = loaded.file.map_or_else(|| "no file".to_owned(), |f| f.display().to_string());
            let secrets = loaded.secrets.count();
            global.screen().line(&format!(
                "# from {from}, the environment and flags\n# secrets by the environment: {secrets}\n{text}"
            ))
        }
    }
}

/// Leaves only the settings that are not as in `defaults`.
fn differing(shown: &mut Value, defaults: &Value) {
    for (name, section) in shown.as_object_mut().into_iter().flatten() {
        let default = defaults.get(name);
        if let Some(section) = section.as_object_mut() {
            section.retain(|key, value| default.and_then(|d| d.get(key)) != Some(value));
        }
    }
    if let Some(map) = shown.as_object_mut() {
        map.retain(|_, section| section.as_object().is_some_and(|s| !s.is_empty()));
    }
}

fn drop_nulls(shown: &mut Value) {
    for section in shown.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        if let Some(section) = section.as_object_mut() {
            section.retain(|_, value| !value.is_null());
        }
    }
}
