//! `nexus flows backtest` and `nexus flows rehearse`: flows over the past of a running hub.

use std::path::Path;

use clap::Args;
use nexus_client::flow::{Stretch, Version};
use serde_json::{Value, json};

use super::file;
use crate::{
    cli::Global,
    output::{Failure, note, plain, table},
};

/// Differences of one run that are printed.
const SHOWN: usize = 20;

/// `nexus flows backtest`
#[derive(Debug, Args)]
pub(crate) struct BacktestArguments {
    /// A flow of the hub (namespace/name), or a flow file that need not be published
    #[arg(value_name = "FLOW|FILE")]
    flow: String,
    /// From this seq or time on, for example 2026-01-02T03:04:05Z [default: the beginning of the log]
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<String>,
    /// Up to this seq or time, not included [default: now]
    #[arg(long, value_name = "SEQ|TIME")]
    to: Option<String>,
    /// At most so many findings
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
}

/// `nexus flows rehearse`
#[derive(Debug, Args)]
pub(crate) struct RehearseArguments {
    /// A flow file with the new version, or a flow of the hub (namespace/name)
    #[arg(value_name = "FLOW|FILE")]
    flow: String,
    /// With so many of its newest ended runs, 1 to 100
    #[arg(long, default_value_t = 20)]
    runs: usize,
}

/// A file where there is one, or what looks like one; else a flow of the hub.
fn version(what: &str) -> Result<Version, Failure> {
    let path = Path::new(what);
    if path.exists() || nexus_flows::files::is_flow(path) {
        return Ok(Version::Document(file::read(path)?));
    }
    Ok(Version::Flow(what.to_owned()))
}

pub(super) async fn backtest(global: &Global, args: BacktestArguments) -> Result<(), Failure> {
    let (hub, version) = (global.client()?, version(&args.flow)?);
    let mut stretch = Stretch { from: args.from, to: args.to, next: None };
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let (flow, more) = loop {
        let answer = hub.backtest_flow(&version, &stretch).await?;
        found.extend(answer.found);
        looked_at += answer.looked_at;
        if answer.next.is_none() || found.len() >= args.limit {
            break (answer.flow, answer.next.is_some() || found.len() > args.limit);
        }
        stretch.next = answer.next;
    };
    found.truncate(args.limit);
    let report = json!({"flow": flow, "looked_at": looked_at, "found": found, "more": more});
    global.screen().either(&report, || {
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        let nothing = format!("nothing would have begun {flow}");
        table(&["at", "by", "key", "seq", "event"], &rows, &nothing)
    })?;
    note(&format!("{looked_at} events were looked at"));
    if more {
        note(&format!("there is more than these {}: choose a shorter stretch, or a higher --limit", args.limit));
    }
    Ok(())
}

fn row(found: &Value) -> Vec<String> {
    let text = |name: &str| found.get(name).map(plain).unwrap_or_default();
    let by = match found.get("detector") {
        Some(detector) => format!("detector {}", plain(detector)),
        None => text("type"),
    };
    vec![text("at"), by, text("key"), text("seq"), text("id")]
}

pub(super) async fn rehearse(global: &Global, args: RehearseArguments) -> Result<(), Failure> {
    let answer = global.client()?.rehearse_flow(&version(&args.flow)?, args.runs).await?;
    global.screen().either(&answer, || {
        let text = |of: &Value, name: &str| of.get(name).map(plain).unwrap_or_default();
        let mut lines = Vec::new();
        for run in answer.get("runs").and_then(Value::as_array).into_iter().flatten() {
            let differences = run.get("differences").and_then(Value::as_array).cloned().unwrap_or_default();
            let verdict = if differences.is_empty() { "same" } else { "DIFFERENT" };
            let (id, version, status) = (text(run, "run"), text(run, "version"), text(run, "status"));
            lines.push(format!("{verdict} {id} ({version}): {status}, would be {}", text(run, "would")));
            lines.extend(differences.iter().take(SHOWN).map(|difference| format!("  {}", shown(difference))));
            if differences.len() > SHOWN {
                lines.push(format!("  and {} more; --json has all", differences.len() - SHOWN));
            }
            if run.get("unsure").is_some() {
                lines.push(format!("  not sure: {}", text(run, "unsure")));
            }
        }
        lines.push(format!(
            "{}: {} runs would go as they went, {} would not",
            text(&answer, "flow"),
            text(&answer, "same"),
            text(&answer, "different")
        ));
        lines.join("\n")
    })
}

fn shown(difference: &Value) -> String {
    let text = |name: &str| difference.get(name).map(plain).unwrap_or_default();
    let place = format!("{} {}{}", text("of"), text("which"), text("path"));
    match (difference.get("before"), difference.get("after")) {
        (None, Some(_)) => format!("+ {place}: {}", text("after")),
        (Some(_), None) => format!("- {place}: {}", text("before")),
        _ => format!("~ {place}: {} -> {}", text("before"), text("after")),
    }
}
