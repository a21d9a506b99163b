//! `nexus backup` and `nexus restore`: a copy of a running hub, and a data folder made from one.

use std::path::PathBuf;

use clap::Args;
use nexus_store::Checks;

use crate::{
    cli::Global,
    command::config::loaded,
    offline,
    output::{Failure, note},
    progress,
};

/// `nexus backup`
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write; it must not exist
    file: PathBuf,
}

/// `nexus restore`
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `nexus backup` wrote
    file: PathBuf,
}

pub(crate) async fn backup(global: &Global, args: &Backup) -> Result<(), Failure> {
    if args.file.exists() {
        return Err(Failure::usage(format!("{} exists already; name another file", args.file.display())));
    }
    let partial = args.file.with_added_extension("partial");
    let mut bar = None;
    let bytes = global
        .client()?
        .backup(&partial, |written, total| {
            bar.get_or_insert_with(|| progress::bar(total, "bytes", global.json)).set_position(written);
        })
        .await;
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            // Half a backup is none.
            let _ = std::fs::remove_file(&partial);
            return Err(error.into());
        }
    };
    std::fs::rename(&partial, &args.file)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let done = serde_json::json!({"file": args.file, "bytes": bytes});
    global.screen().either(&done, || {
        format!(
            "wrote {} ({bytes} bytes); it opens only with the key of the secrets, which is not in it: keep that key elsewhere",
            args.file.display()
        )
    })
}

pub(crate) fn restore(global: &Global, args: &Restore) -> Result<(), Failure> {
    let config = loaded(global)?.config;
    let dir = &config.data.dir;
    if !args.file.is_file() {
        return Err(Failure::usage(format!("there is no file {}", args.file.display())));
    }
    let bar = progress::bar(Some(0), "events", global.json);
    let show = progress::show(&bar);
    let head = offline::restore(&args.file, dir, &Checks { progress: Some(&show), ..Checks::default() })?;
    bar.finish_and_clear();
    if !config.data.key_path().exists() {
        note(&format!(
            "put the key of the secrets at {} (or in NEXUS_ENCRYPTION_KEY) before you start the hub",
            config.data.key_path().display()
        ));
    }
    let done = serde_json::json!({"data": dir, "epoch": head.epoch, "seq": head.seq});
    global.screen().either(&done, || {
        format!("restored {} events into {}; the log goes on in epoch {}", head.seq, dir.display(), head.epoch)
    })
}

/// An error with everything that caused it.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
