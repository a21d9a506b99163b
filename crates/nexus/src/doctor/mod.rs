//! `nexus doctor`: everything that can be wrong around a hub, each with what to do about it.

mod disk;
mod hub;
mod place;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::Global,
    command::config::loaded,
    config::Config,
    output::{Failure, table},
};

/// `nexus doctor`
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, detail: detail.into(), remedy: None }
    }

    pub(crate) fn warn(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    pub(crate) fn fail(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Fail, detail: detail.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks at everything; exit code 1 when anything fails.
pub(crate) async fn run(global: &Global, _args: &Arguments) -> Result<(), Failure> {
    let (config, config_finding) = match loaded(global) {
        Ok(loaded) => {
            let from = loaded.file.map_or_else(|| "defaults and environment".to_owned(), |f| f.display().to_string());
            (loaded.config, Finding::ok("config", from))
        }
        Err(failure) => {
            let remedy = "correct it; `nexus config check` says when it is good";
            (Config::default(), Finding::fail("config", failure.to_string(), remedy))
        }
    };
    let mut findings = vec![config_finding, disk::folder(&config), disk::space(&config), disk::sync(&config)];
    let (hub, unseen) = match hub::find(global).await {
        Ok(hub) => (hub, None),
        Err(finding) => (None, Some(finding)),
    };
    findings.push(hub::clock(hub.as_ref()));
    findings.extend(place::ports(&config, hub.is_some()));
    findings.push(place::key(&config));
    findings.push(hub::chain(global, &config, hub.as_ref()).await);
    match unseen {
        Some(finding) => findings.push(finding),
        None => findings.extend(hub::risks(hub.as_ref()).await),
    }
    findings.extend(place::risks(&config));
    show(global, &findings)
}

fn show(global: &Global, findings: &[Finding]) -> Result<(), Failure> {
    let worst = findings.iter().map(|f| f.level).max().unwrap_or(Level::Ok);
    let answer = serde_json::json!({"level": worst, "findings": findings});
    global.screen().either(&answer, || {
        let rows: Vec<_> = findings
            .iter()
            .map(|f| {
                let level = match f.level {
                    Level::Ok => "ok",
                    Level::Warn => "warn",
                    Level::Fail => "FAIL",
                };
                let remedy = f.remedy.as_ref().map_or_else(String::new, |r| format!(" → {r}"));
                vec![level.to_owned(), f.check.to_owned(), format!("{}{remedy}", f.detail)]
            })
            .collect();
        table(&["", "check", "finding"], &rows, "")
    })?;
    match worst {
        Level::Fail => {
            let failed = findings.iter().filter(|f| f.level == Level::Fail).count();
            Err(Failure::failed(format!("{failed} of {} checks failed", findings.len())))
        }
        Level::Ok | Level::Warn => Ok(()),
    }
}
