//! What a running hub says, or its folder when none runs.

use std::time::Duration;

use nexus_client::{Client, Error};
use nexus_core::time::{Clock, Timestamp};
use nexus_engine::clock::SystemClock;
use nexus_store::Checks;
use serde_json::Value;

use super::Finding;
use crate::{cli::Global, config::Config, offline, output::text};

/// How far the hub's clock may lie from ours. Signed timestamps allow five minutes.
const SKEW: Duration = Duration::from_secs(30);
/// No hub was written before this: an earlier time is a clock that was never set.
const WRITTEN: &str = "2025-01-01T00:00:00Z";

/// A running hub with its health.
pub(super) struct Running {
    client: Client,
    health: Value,
}

/// Finds a hub that answers. Settings that lead nowhere, and a hub that is not trusted, are not the same as none.
pub(super) async fn find(global: &Global) -> Result<Option<Running>, Finding> {
    let client = global.client().map_err(|failure| {
        Finding::fail("hub", failure.to_string(), "correct --url or --ca, or the variable of that name")
    })?;
    let client = client.timeout(Duration::from_secs(5));
    match client.health().await {
        Ok(health) => Ok(Some(Running { client, health })),
        Err(error @ Error::Certificate { .. }) => {
            Err(Finding::fail("hub", error.to_string(), "mend the certificate, or whom this machine trusts"))
        }
        Err(_) => Ok(None),
    }
}

/// Our clock against sense, and the hub's against ours.
pub(super) fn clock(hub: Option<&Running>) -> Finding {
    let now = SystemClock::new().now();
    if Timestamp::parse(WRITTEN).is_some_and(|written| now < written) {
        return Finding::fail(
            "clock",
            format!("it is {now} here"),
            "set this machine's clock (timedatectl set-ntp true)",
        );
    }
    let theirs = hub.and_then(|h| h.health.get("timestamp")).and_then(Value::as_f64);
    let Some(theirs) = theirs else { return Finding::ok("clock", now.to_string()) };
    let ours = now.secs_f64();
    let skew = (theirs - ours).abs();
    let detail = format!("{now}; the hub is {skew:.1} s away");
    if skew > SKEW.as_secs_f64() {
        return Finding::warn("clock", detail, "set both clocks by NTP; signed timestamps may be refused");
    }
    Finding::ok("clock", detail)
}

/// The end of the chain: the whole of it where no hub runs, the hub's own word where one does.
pub(super) async fn chain(global: &Global, config: &Config, hub: Option<&Running>) -> Finding {
    let remedy = "stop the hub, keep the folder as it is, and restore the last good backup";
    if let Some(hub) = hub {
        return match hub.client.log_head().await {
            Ok(head) => Finding::ok(
                "chain",
                format!("the hub is at seq {}; `nexus log verify` walks it all", text(&head, "seq")),
            ),
            Err(Error::Refused(problem)) if matches!(problem.status, 401 | 403) => Finding::warn(
                "chain",
                "no token that may see the log",
                "give one with --token, or the data folder with --data",
            ),
            Err(error) => Finding::fail("chain", error.to_string(), remedy),
        };
    }
    let dir = global.data.as_ref().unwrap_or(&config.data.dir);
    if !offline::has_database(dir) {
        return Finding::ok("chain", "there is no log yet");
    }
    // Where the key can't be read, the finding about the key says so.
    let signers = offline::signers(config).unwrap_or_default();
    let report = offline::verify(dir, &Checks { signers: &signers, ..Checks::default() });
    match report.get("ok").and_then(Value::as_bool) {
        Some(true) => {
            let cut = report["cut"]["seq"].as_u64();
            let cut = cut.map_or_else(String::new, |seq| match report["cut"]["known"].as_bool() {
                Some(_) => format!("; this hub cut it after seq {seq} and signed that"),
                None => format!(
                    "; it was cut after seq {seq}, signed by a key that can't be checked without the key of the secrets"
                ),
            });
            Finding::ok("chain", format!("{} events verify, up to seq {}{cut}", report["events"], report["last"]))
        }
        _ => Finding::fail("chain", text(&report, "problem"), remedy),
    }
}

/// Sources that may say everything, subscriptions that stand still.
pub(super) async fn risks(hub: Option<&Running>) -> Vec<Finding> {
    let Some(hub) = hub else { return vec![Finding::ok("hub", "none runs here")] };
    let status = text(&hub.health, "status");
    let mut findings = vec![match status.as_str() {
        "healthy" => Finding::ok("hub", format!("{} answers, healthy", hub.client.url())),
        _ => Finding::warn(
            "hub",
            format!("{} says it is {status}", hub.client.url()),
            "`nexus health` names the component",
        ),
    }];
    if let Ok(sources) = hub.client.sources().await {
        for source in sources.items.iter().filter(|s| s.enabled && s.allow.is_empty()) {
            let remedy = format!(
                "name its event types: `nexus source remove {0}`, then `nexus source add {0} --allow TYPE`, or config/permissions.json",
                source.id
            );
            findings.push(Finding::warn("sources", format!("{} may dispatch every event", source.id), remedy));
        }
    }
    if let Ok(flows) = hub.client.flows().await {
        for (run, reason) in &flows.unreadable_runs {
            let remedy = format!(
                "start a hub of the version that wrote it, or `nexus log redact --subject {run} --reason …`, which removes it"
            );
            findings.push(Finding::warn("flows", format!("run {run} is set aside: {reason}"), remedy));
        }
    }
    if let Ok(subscriptions) = hub.client.subscriptions().await {
        for subscription in &subscriptions.items {
            let state = text(&subscription.activity, "state");
            if state != "active" && !state.is_empty() {
                let why = text(&subscription.activity, "reason");
                let remedy = format!("`nexus subscription resume {}` when its endpoint is well", subscription.name);
                findings.push(Finding::warn(
                    "subscriptions",
                    format!("{} is {state}: {why}", subscription.name),
                    remedy,
                ));
            }
        }
    }
    findings
}
