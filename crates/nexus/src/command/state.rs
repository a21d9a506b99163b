//! `nexus state`: shared keys with versions.

use clap::{Args, Subcommand};
use futures_util::StreamExt;
use nexus_client::{
    state::{PutState, State, StateChange, Watch},
    tail::Tailed,
};

use super::event::{objects, parse_json};
use crate::{
    cli::Global,
    output::{Failure, note, object, table},
};

/// What can be done with state.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the value of a key
    Get {
        /// The key
        key: String,
    },
    /// Set a key
    Set(Set),
    /// Delete a key
    Delete {
        /// The key
        key: String,
        /// Only in this version
        #[arg(long, value_name = "VERSION")]
        expect: Option<u64>,
    },
    /// List keys
    List {
        /// Keys that begin so
        #[arg(default_value = "")]
        prefix: String,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Go on after this cursor
        #[arg(long)]
        cursor: Option<String>,
    },
    /// The versions of a key that are kept
    History {
        /// The key
        key: String,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Go on after this cursor
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Print changes as they come
    Watch(WatchArguments),
    /// Conflicts that wait for a choice
    Conflicts {
        /// Of this key
        #[arg(long)]
        key: Option<String>,
        /// Resolved ones too
        #[arg(long)]
        all: bool,
    },
    /// End a conflict
    Resolve {
        /// Its id
        id: String,
        /// What becomes of the key
        #[arg(value_parser = ["current", "wanted", "value"])]
        choice: String,
        /// With the choice value: the value, as JSON
        value: Option<String>,
        /// Only while this is the present version of the key; without it, while nobody wrote it since the conflict
        #[arg(long, value_name = "VERSION")]
        expect: Option<u64>,
    },
}

/// `nexus state set`
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The key
    key: String,
    /// Its value, as JSON
    value: String,
    /// Only if this is the present version; 0 = if the key does not exist
    #[arg(long, value_name = "VERSION")]
    expect: Option<u64>,
    /// Delete it by itself after this, for example 10m
    #[arg(long, value_parser = nexus_core::retry::parse_duration)]
    ttl: Option<std::time::Duration>,
}

/// `nexus state watch`
#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// The key, or with --prefix the beginning of keys
    key: String,
    /// Every key that begins so
    #[arg(long)]
    prefix: bool,
    /// Go on after this position
    #[arg(long, value_name = "SEQ")]
    since: Option<String>,
    /// End after so many changes
    #[arg(long)]
    count: Option<u64>,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::Get { key } => match hub.state(&key).await? {
            // Only the value on standard output, so that `V=$(nexus state get …)` works.
            Some(found) => screen.either(&found, || found.value.to_string()),
            None => Err(Failure::failed(format!("there is no state {key:?}"))),
        },
        Command::Set(args) => {
            let with = PutState { expected_version: args.expect, ttl_seconds: args.ttl.map(|t| t.as_secs().max(1)) };
            let done = hub.put_state(&args.key, &parse_json(&args.value)?, &with).await?;
            screen.either(&done, || format!("{} has version {}", args.key, done.version))
        }
        Command::Delete { key, expect } => {
            let done = hub.delete_state(&key, expect).await?;
            screen.either(&done, || format!("deleted {key} with version {}", done.version))
        }
        Command::List { prefix, limit, cursor } => {
            let page = hub.list_state(&prefix, cursor.as_deref(), limit).await?;
            screen.either(&page, || shown(&page.items, page.next_cursor.as_deref(), "no keys"))
        }
        Command::History { key, limit, cursor } => {
            let page = hub.state_history(&key, cursor.as_deref(), limit).await?;
            screen.either(&page, || shown(&page.history, page.next_cursor.as_deref(), "no versions"))
        }
        Command::Watch(args) => watch(global, args).await,
        Command::Conflicts { key, all } => {
            let page = hub.state_conflicts(key.as_deref(), all).await?;
            screen.either(&page.items, || objects(&page.items))
        }
        Command::Resolve { id, choice, value, expect } => {
            let value = value.as_deref().map(parse_json).transpose()?;
            let done = hub.resolve_state_conflict(&id, &choice, value.as_ref(), expect).await?;
            screen.either(&done, || object(&done))
        }
    }
}

fn shown(items: &[State], next: Option<&str>, nothing: &str) -> String {
    let row = |state: &State| {
        let deleted = state.more.get("deleted").is_some_and(|d| d == true);
        let value = if deleted { "(deleted)".to_owned() } else { state.value.to_string() };
        let named = (!state.key.is_empty()).then(|| state.key.clone());
        let rest = [state.version.to_string(), state.updated_at.clone(), state.updated_by.clone(), value];
        named.into_iter().chain(rest).collect::<Vec<_>>()
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let head = ["key", "version", "updated", "by", "value"];
    let head = if rows.first().is_some_and(|row| row.len() == head.len()) { &head[..] } else { &head[1..] };
    let more = next.map_or_else(String::new, |cursor| format!("\nmore: --cursor {cursor:?}"));
    table(head, &rows, nothing) + &more
}

async fn watch(global: &Global, args: WatchArguments) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let what = if args.prefix { Watch::Prefix(args.key) } else { Watch::Key(args.key) };
    let mut stream = std::pin::pin!(hub.watch_state(&what, args.since.as_deref()));
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        match stream.next().await {
            Some(Ok(Tailed::Event(event))) => {
                let change: StateChange = serde_json::from_value(event.payload.clone())
                    .map_err(|e| Failure::failed(format!("the hub told a change that can't be read: {e}")))?;
                screen.either(&event, || {
                    format!("{:>8}  {}  {}  {} -> {}", event.seq, change.version, change.key, change.old, change.new)
                })?;
                left -= 1;
            }
            Some(Ok(Tailed::Gap(gap))) => note(&format!("gap: {}", object(&gap).replace('\n', ", "))),
            Some(Ok(Tailed::Lost(reason))) => note(&format!("{reason}; connecting again")),
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    Ok(())
}
