//! `nexus subscribe` and `nexus subscription`: what is delivered where.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use nexus_client::subscription::{NewSubscription, Subscription};
use serde_json::Value;

use crate::{
    cli::Global,
    command::event::parse_json,
    output::{Failure, object, plain, table, text},
};

/// `nexus subscribe`
#[derive(Debug, Args)]
pub(crate) struct Subscribe {
    /// Its name: a-z, 0-9, _, . and -
    name: String,
    /// Event type or filter: * is one segment, > the rest; repeat it for several
    #[arg(long = "filter", short = 'f', value_name = "FILTER", required = true)]
    filters: Vec<String>,
    /// Where to; a URL
    #[arg(long, value_name = "URL")]
    to: String,
    /// Signing secret; without it the hub makes one and shows it once
    #[arg(long)]
    secret: Option<String>,
    /// One after the other per key (subject, else source)
    #[arg(long)]
    ordered: bool,
    /// jq for the key of an ordered subscription
    #[arg(long, value_name = "JQ", requires = "ordered")]
    key: Option<String>,
    /// What a dead letter does to its key: the key goes on, or waits
    #[arg(long, value_parser = ["continue", "hold"], requires = "ordered")]
    on_dead: Option<String>,
    /// Attempts until an event is dead
    #[arg(long, value_name = "N")]
    max_attempts: Option<u16>,
    /// Waits between attempts, for example "1s,5s,30s"; the last one repeats
    #[arg(long, value_name = "WAITS")]
    retry: Option<String>,
    /// Time for one attempt, for example 15s
    #[arg(long, value_parser = nexus_core::retry::parse_duration)]
    timeout: Option<std::time::Duration>,
    /// Deliveries in flight at once
    #[arg(long, value_name = "N")]
    concurrency: Option<u16>,
    /// jq that must be true of the event, for example '.payload.amount > 100'
    #[arg(long = "where", value_name = "JQ")]
    predicate: Option<String>,
    /// Begin after this seq instead of now; 0 = the whole log
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// Keep request and response heads of successes too
    #[arg(long)]
    keep_exchanges: bool,
    /// A further header, "Name: value"; ${secret:NAME} is put in when sending; repeat it for several
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Send a request of your own form instead of a signed webhook
    #[arg(long, value_name = "METHOD", help_heading = "Own request")]
    method: Option<String>,
    /// jq for the body of that request; the payload when absent
    #[arg(long, value_name = "JQ", help_heading = "Own request")]
    body: Option<String>,
}

/// What can be done with subscriptions.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List subscriptions
    List,
    /// Show one subscription and how far it is
    Show {
        /// Its name
        name: String,
    },
    /// Stop deliveries; events wait in the log
    Pause {
        /// Its name
        name: String,
        /// Why, for whoever finds it paused
        #[arg(long)]
        reason: Option<String>,
    },
    /// Go on where it stopped
    Resume {
        /// Its name
        name: String,
    },
    /// Send a sample and show the whole exchange
    Test {
        /// Its name
        name: String,
        /// The sample, as JSON
        sample: Option<String>,
    },
    /// Remove a subscription
    Remove {
        /// Its name
        name: String,
    },
}

pub(crate) async fn subscribe(global: &Global, args: Subscribe) -> Result<(), Failure> {
    let headers = headers(&args.headers)?;
    let own = args.method.is_some() || args.body.is_some();
    let target = if own {
        let method = args.method.unwrap_or_else(|| "POST".into());
        Some(
            serde_json::json!({"kind": "http", "method": method, "url": args.to, "headers": headers, "body": args.body}),
        )
    } else if headers.is_empty() {
        None
    } else {
        Some(serde_json::json!({"kind": "webhook", "url": args.to, "headers": headers}))
    };
    let new = NewSubscription {
        name: args.name,
        filters: args.filters,
        predicate: args.predicate,
        url: target.is_none().then_some(args.to),
        target,
        secret: args.secret,
        ordered: args.ordered,
        key: args.key,
        on_dead: args.on_dead,
        concurrency: args.concurrency,
        retry: args.retry,
        max_attempts: args.max_attempts,
        timeout_ms: args.timeout.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
        keep_exchanges: args.keep_exchanges,
        since: args.since,
    };
    let made = global.client()?.subscribe(&new).await?;
    global.screen().either(&made, || {
        let once =
            made.secret.as_ref().map_or_else(String::new, |s| format!("\nits signing secret, shown this once: {s}"));
        format!("subscribed {}: {} → {}{once}", made.name, made.filters.join(", "), text(&made.target, "url"))
    })
}

fn headers(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    given
        .iter()
        .map(|header| {
            header
                .split_once(':')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .ok_or_else(|| Failure::usage(format!("{header:?} is no header; write \"Name: value\"")))
        })
        .collect()
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::List => {
            let page = hub.subscriptions().await?;
            screen.either(&page.items, || {
                let rows: Vec<_> = page.items.iter().map(row).collect();
                table(&["name", "state", "filters", "to"], &rows, "no subscriptions; add one with `nexus subscribe`")
            })
        }
        Command::Show { name } => {
            let subscription = hub.subscription(&name).await?;
            let status = hub.subscription_status(&name).await?;
            screen.either(&serde_json::json!({"subscription": subscription, "status": status}), || {
                let whole = serde_json::to_value(&subscription).unwrap_or_default();
                format!("{}\n{}", object(&whole), object(&status))
            })
        }
        Command::Pause { name, reason } => {
            let done = hub.pause(&name, reason.as_deref()).await?;
            screen.either(&done, || format!("paused {name}; its events wait in the log"))
        }
        Command::Resume { name } => {
            let done = hub.resume(&name).await?;
            screen.either(&done, || format!("resumed {name}"))
        }
        Command::Test { name, sample } => {
            let sample = sample.as_deref().map(parse_json).transpose()?;
            let exchange = hub.test_subscription(&name, sample.as_ref()).await?;
            screen.either(&exchange, || shown_exchange(&exchange))?;
            let answered = exchange.pointer("/response/status").and_then(Value::as_u64);
            match answered {
                Some(200..=299) => Ok(()),
                Some(status) => Err(Failure::failed(format!("the endpoint answered {status}"))),
                None => Err(Failure::failed(format!("the endpoint gave no answer: {}", text(&exchange, "error")))),
            }
        }
        Command::Remove { name } => {
            let gone = hub.unsubscribe(&name).await?;
            screen.either(&gone, || format!("removed subscription {name}"))
        }
    }
}

fn row(subscription: &Subscription) -> Vec<String> {
    let target = &subscription.target;
    let to = if target.get("url").is_some() { text(target, "url") } else { plain(target) };
    vec![subscription.name.clone(), text(&subscription.activity, "state"), subscription.filters.join(", "), to]
}

fn shown_exchange(exchange: &Value) -> String {
    let mut shown = String::new();
    for (part, first) in [("request", ["method", "url"]), ("response", ["status", ""])] {
        let Some(message) = exchange.get(part).filter(|m| m.is_object()) else { continue };
        let head: Vec<_> = first.iter().map(|field| text(message, field)).collect();
        shown.push_str(&format!("{part}: {}\n", head.join(" ").trim_end()));
        for (name, value) in message.get("headers").and_then(Value::as_object).into_iter().flatten() {
            shown.push_str(&format!("  {name}: {}\n", plain(value)));
        }
        shown.push_str(&format!("\n  {}\n\n", text(message, "body")));
    }
    let latency = text(exchange, "latency_ms");
    shown
        .push_str(&format!("{}took {latency} ms", exchange.get("error").map_or_else(String::new, |e| plain(e) + "; ")));
    shown
}
