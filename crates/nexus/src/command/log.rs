//! `nexus log`: the chain verified, a person's data erased, a checkpoint to keep elsewhere.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nexus_client::log::Redact as What;
use nexus_core::chain::Checkpoint;
use serde_json::Value;

use crate::{
    cli::Global,
    offline,
    output::{Failure, object, plain, text},
    progress,
};

/// What can be done with the log.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Walk the chain and find any changed, missing or moved event. With --data it reads that folder, no hub needed
    Verify {
        /// A checkpoint that was taken earlier and kept elsewhere: also finds a tail that was cut off
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Erase a person's data from events, receipts and dead letters; the log still verifies
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
        Command::Verify { against } => verify(global, against.as_deref()).await,
        Command::Redact(args) => {
            let what = match (args.event_id, args.subject) {
                (Some(id), _) => What::Event(id),
                (None, Some(subject)) => What::Subject(subject),
                (None, None) => return Err(Failure::usage("name an event, or a subject with --subject")),
            };
            let done = global.client()?.redact(&what, &args.reason).await?;
            global.screen().either(&done, || {
                let count = done
                    .as_object()
                    .and_then(|o| o.values().find(|v| v.is_number()))
                    .map_or_else(|| plain(&done), plain);
                format!("erased the data of {count} events; backups made before still hold it")
            })
        }
        Command::Checkpoint => {
            let checkpoint = global.client()?.checkpoint().await?;
            global.screen().json(&checkpoint)
        }
    }
}

async fn verify(global: &Global, against: Option<&Path>) -> Result<(), Failure> {
    let against = against.map(read_checkpoint).transpose()?;
    let bar = progress::bar(None, "events", global.json);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let folder = global.data.as_deref().filter(|_| global.url.is_none());
    let report = match folder.filter(|dir| offline::has_database(dir)) {
        Some(dir) => offline::verify(dir, against.as_ref()),
        None => global.client()?.verify_log(against.map(|c| serde_json::json!(c)).as_ref()).await?,
    };
    bar.finish_and_clear();
    global.screen().either(&report, || object(&report))?;
    if report.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let at = report.get("bad_seq").map_or_else(String::new, |seq| format!(" at seq {}", plain(seq)));
    Err(Failure::failed(format!("the log does not verify{at}: {}", text(&report, "problem"))))
}

fn read_checkpoint(file: &Path) -> Result<Checkpoint, Failure> {
    let wrong = |reason: String| Failure::usage(format!("{}: {reason}", file.display()));
    let bytes = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(format!("it is no checkpoint of `nexus log checkpoint` ({e})")))
}
