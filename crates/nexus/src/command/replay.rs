//! `nexus replay`: past events once more to one subscription.

use std::time::Duration;

use clap::Args;
use nexus_client::replay::{At, ReplayRequest};
use serde_json::Value;

use crate::{
    cli::Global,
    output::{Failure, object, text},
    progress,
};

/// `nexus replay`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// To whom
    #[arg(long, short)]
    subscription: String,
    /// From this seq or time (RFC 3339) on; the log's begin when absent
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<String>,
    /// Up to this seq or time; the present head when absent
    #[arg(long, value_name = "SEQ|TIME")]
    to: Option<String>,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Start it and do not wait for its end
    #[arg(long)]
    detach: bool,
}

pub(crate) async fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let at = |text: &Option<String>| text.as_deref().map(At::from);
    let request = ReplayRequest {
        subscription: args.subscription.clone(),
        from: at(&args.from),
        to: at(&args.to),
        dry_run: args.dry_run,
    };
    if args.dry_run {
        let count = hub.replay(&request).await?;
        return screen.either(&count, || {
            format!(
                "{} events would go to {} (seq {} to {})",
                text(&count, "events"),
                args.subscription,
                text(&count, "from_seq"),
                text(&count, "to_seq")
            )
        });
    }
    let mut replay = hub.replay(&request).await?;
    let id = text(&replay, "id");
    if !args.detach && !id.is_empty() {
        let number = |replay: &Value, field: &str| replay.get(field).and_then(Value::as_u64).unwrap_or(0);
        let first = number(&replay, "from_seq");
        let bar = progress::bar(Some((number(&replay, "to_seq") + 1).saturating_sub(first)), "events", global.json);
        while text(&replay, "state") == "running" {
            tokio::time::sleep(Duration::from_millis(200)).await;
            replay = hub.replay_status(&id).await?;
            bar.set_position(number(&replay, "position").saturating_sub(first));
        }
        bar.finish_and_clear();
    }
    screen.either(&replay, || object(&replay))?;
    if text(&replay, "state") == "cancelled" {
        return Err(Failure::failed("the replay was cancelled"));
    }
    Ok(())
}
