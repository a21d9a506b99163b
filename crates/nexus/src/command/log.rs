//! `nexus log`: the chain verified, a person's data erased, a checkpoint to keep elsewhere.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use nexus_client::log::Redact as What;
use nexus_core::chain::Checkpoint;
use nexus_store::Checks;
use serde_json::Value;

use crate::{
    cli::Global,
    command::config::loaded,
    config::Config,
    offline,
    output::{Failure, object, plain, text},
    progress,
};

/// Events of one part of an online verification.
const PART_EVENTS: u64 = 20_000;

/// What can be done with the log.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Walk the chain and find any changed, missing or moved event. With --data it reads that folder, no hub needed
    Verify {
        /// A checkpoint that was taken earlier and kept elsewhere: also finds a tail that was cut off
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        /// Public key, as checkpoints name it, of the hub that may have cut the log's beginning; for a folder or backup
        /// whose key of the secrets is not here
        #[arg(long, value_name = "PUBLIC_KEY")]
        signer: Vec<String>,
    },
    /// Erase a person's data from events, receipts, dead letters and runs of flows; the log still verifies
    Redact(Redact),
    /// Print a signed checkpoint of the log's head
    Checkpoint,
}

/// `nexus log redact`
#[derive(Debug, Args)]
pub(crate) struct Redact {
    /// The event whose data to erase
    #[arg(required_unless_present = "subject", conflicts_with = "subject")]
    event_id: Option<String>,
    /// Erase the data of every event about this subject
    #[arg(long)]
    subject: Option<String>,
    /// Why; the log keeps it
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Verify { against, signer } => verify(global, against.as_deref(), signer).await,
        Command::Redact(args) => {
            let what = match (args.event_id, args.subject) {
                (Some(id), _) => What::Event(id),
                (None, Some(subject)) => What::Subject(subject),
                (None, None) => return Err(Failure::usage("name an event, or a subject with --subject")),
            };
            let done = global.client()?.redact(&what, &args.reason).await?;
            global.screen().either(&done, || {
                let count = |name: &str| done.get(name).and_then(Value::as_u64).unwrap_or(0);
                let parts =
                    [("runs", "runs of flows"), ("approvals", "approvals"), ("memories", "memories of detectors")];
                let with: String = parts
                    .iter()
                    .filter(|(name, _)| count(name) > 0)
                    .map(|(name, what)| format!(", of {} {what}", count(name)))
                    .collect();
                format!("erased the data of {} events{with}; backups made before still hold it", count("redacted"))
            })
        }
        Command::Checkpoint => {
            let checkpoint = global.client()?.checkpoint().await?;
            global.screen().json(&checkpoint)
        }
    }
}

async fn verify(global: &Global, against: Option<&Path>, mut signers: Vec<String>) -> Result<(), Failure> {
    let against = against.map(read_checkpoint).transpose()?;
    let bar = progress::bar(Some(0), "events", global.json);
    let folder = global.data.as_deref().filter(|_| global.url.is_none());
    let report = match folder.filter(|dir| offline::has_database(dir)) {
        Some(dir) => {
            signers.extend(offline::signers(&config_of(global, dir))?);
            if signers.is_empty() {
                signers.extend(against.iter().map(|checkpoint| checkpoint.public_key.clone()));
            }
            let show = progress::show(&bar);
            offline::verify(dir, &Checks { against: against.as_ref(), signers: &signers, progress: Some(&show) })
        }
        None => verify_online(global, against.as_ref(), &bar).await?,
    };
    bar.finish_and_clear();
    global.screen().either(&report, || object(&report))?;
    if report.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let at = report.get("bad_seq").map_or_else(String::new, |seq| format!(" at seq {}", plain(seq)));
    Err(Failure::failed(format!("the log does not verify{at}: {}", text(&report, "problem"))))
}

/// The configuration of this folder; one that can't be read is no reason not to look at the log.
fn config_of(global: &Global, dir: &Path) -> Config {
    loaded(global).map(|loaded| loaded.config).unwrap_or_else(|_| {
        let mut config = Config::default();
        config.data.dir = dir.to_owned();
        config
    })
}

/// Part by part, so that it can be told how far it is, and no request lasts for hours.
async fn verify_online(global: &Global, against: Option<&Checkpoint>, bar: &ProgressBar) -> Result<Value, Failure> {
    let hub = global.client()?;
    let against = against.map(|c| serde_json::json!(c));
    let mut report = hub.verify_log_part(against.as_ref(), None, PART_EVENTS).await?;
    while let Some(next) = report.get("next").filter(|next| next.is_object()).cloned() {
        let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
        let first = count("first");
        bar.set_length((count("head") + 1).saturating_sub(first));
        bar.set_position((count("last") + 1).saturating_sub(first));
        let part = hub.verify_log_part(against.as_ref(), Some(&next), PART_EVENTS).await?;
        report = joined(&report, part);
    }
    Ok(report)
}

/// One report of an earlier part and the part that follows it.
fn joined(earlier: &Value, mut part: Value) -> Value {
    for name in ["events", "erased"] {
        let count = |of: &Value| of.get(name).and_then(Value::as_u64).unwrap_or(0);
        part[name] = (count(earlier) + count(&part)).into();
    }
    part["first"] = earlier["first"].clone();
    if earlier["compared"] == true {
        part["compared"] = true.into();
    }
    part
}

fn read_checkpoint(file: &Path) -> Result<Checkpoint, Failure> {
    let wrong = |reason: String| Failure::usage(format!("{}: {reason}", file.display()));
    let bytes = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(format!("it is no checkpoint of `nexus log checkpoint` ({e})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_verification_make_one_report() {
        let earlier =
            serde_json::json!({"ok": true, "events": 5, "erased": 1, "first": 3, "last": 7, "compared": true});
        let part = serde_json::json!({"ok": true, "events": 2, "erased": 0, "first": 8, "last": 9, "compared": false});
        let wanted = serde_json::json!({"ok": true, "events": 7, "erased": 1, "first": 3, "last": 9, "compared": true});
        assert_eq!(joined(&earlier, part), wanted);
    }
}
