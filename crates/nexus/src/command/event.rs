//! Events from the command line: publish, watch, look up, and ask what became of one.

use clap::Args;
use futures_util::StreamExt;
use nexus_client::{
    event::EventQuery,
    tail::{Tailed, TailedEvent},
};
use nexus_core::time::Timestamp;
use serde_json::Value;

use crate::{
    cli::Global,
    output::{Failure, note, object, pairs, plain, table, text},
};

/// `nexus publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Event type, for example order.created or PAYMENT_RECEIVED
    topic: String,
    /// Payload, as JSON
    payload: String,
    /// LOW, NORMAL, HIGH or CRITICAL
    #[arg(long, short)]
    priority: Option<String>,
}

/// `nexus tail`
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Event type or filter: * is one segment, > the rest
    #[arg(long, short, default_value = ">")]
    filter: String,
    /// Begin after this seq instead of now; 0 = the whole log
    #[arg(long, value_name = "SEQ")]
    since: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// `nexus events`
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// Event type or filter
    #[arg(long = "type", value_name = "TYPE")]
    topic: Option<String>,
    /// Who sent it
    #[arg(long)]
    source: Option<String>,
    /// What it is about
    #[arg(long)]
    subject: Option<String>,
    /// What it belongs to
    #[arg(long)]
    correlation: Option<String>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// After this seq
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// `nexus fate`
#[derive(Debug, Args)]
pub(crate) struct Fate {
    /// Its id
    event_id: String,
}

/// `nexus health`
#[derive(Debug, Args)]
pub(crate) struct Health {}

/// Reads an argument that is JSON, and says how to write it when it is not.
pub(crate) fn parse_json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|e| Failure::usage(format!("{text:?} is no JSON ({e}); quote it for the shell: '{{\"orderId\": 7}}'")))
}

pub(crate) async fn publish(global: &Global, args: &Publish) -> Result<(), Failure> {
    let payload = parse_json(&args.payload)?;
    let published = global.client()?.publish(&args.topic, &payload, args.priority.as_deref()).await?;
    global.screen().either(&published, || {
        format!("published {} as {}, seq {}", published.topic, published.message_id, published.seq)
    })
}

pub(crate) async fn tail(global: &Global, args: &Tail) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let mut stream = std::pin::pin!(hub.tail(&args.filter, args.since.as_deref()));
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        match stream.next().await {
            Some(Ok(Tailed::Event(event))) => {
                screen.either(&event, || line(&event))?;
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

#[expect(clippy::cast_possible_truncation, reason = "microseconds of this century fit")]
fn line(event: &TailedEvent) -> String {
    let time = Timestamp::from_micros((event.timestamp * 1e6).round() as i64);
    let time = Timestamp::from_millis(time.millis());
    format!("{:>8}  {time}  {}  {}  {}", event.seq, event.id, event.topic, event.payload)
}

pub(crate) async fn query(global: &Global, args: Query) -> Result<(), Failure> {
    let query = EventQuery {
        topic: args.topic,
        source: args.source,
        subject: args.subject,
        correlation: args.correlation,
        from: args.from,
        until: args.until,
        after: args.after,
        newest_first: !args.oldest_first,
        limit: Some(args.limit),
    };
    let page = global.client()?.events(&query).await?;
    global.screen().either(&page.items, || {
        let rows: Vec<_> = page
            .items
            .iter()
            .map(|e| ["seq", "time", "id", "type", "source"].iter().map(|f| text(e, f)).collect())
            .collect();
        table(&["seq", "time", "id", "type", "source"], &rows, "no events")
    })
}

pub(crate) async fn fate(global: &Global, args: &Fate) -> Result<(), Failure> {
    let fate = global.client()?.fate(&args.event_id).await?;
    global.screen().either(&fate, || shown_fate(&fate))
}

/// Scalars first, then one table per list, then further objects.
fn shown_fate(fate: &Value) -> String {
    let Some(map) = fate.as_object() else { return plain(fate) };
    let scalars: Vec<_> =
        map.iter().filter(|(_, v)| !v.is_array() && !v.is_object()).map(|(k, v)| (k.as_str(), plain(v))).collect();
    let mut shown = pairs(&scalars);
    for (name, value) in map {
        match value {
            Value::Object(_) => shown.push_str(&format!("\n{name}\n{}", indent(&object(value)))),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                shown.push_str(&format!("\n{name}\n{}", indent(&objects(items))));
            }
            Value::Array(items) if !items.is_empty() => shown.push_str(&format!("\n{name}: {}\n", plain(value))),
            _ => {}
        }
    }
    shown
}

/// A list of objects as a table of the fields that any of them has.
pub(crate) fn objects(items: &[Value]) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for field in items.iter().filter_map(Value::as_object).flat_map(|o| o.keys()) {
        if !fields.contains(&field.as_str()) {
            fields.push(field);
        }
    }
    let rows: Vec<_> = items.iter().map(|item| fields.iter().map(|f| text(item, f)).collect()).collect();
    table(&fields, &rows, "none")
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

pub(crate) async fn health(global: &Global) -> Result<(), Failure> {
    let hub = global.client()?;
    let health = hub.health().await?;
    global.screen().either(&health, || object(&health))?;
    if text(&health, "status") == "unhealthy" {
        return Err(Failure::failed("the hub is unhealthy"));
    }
    // It answers anybody, but shows its parts to those alone who prove who they are.
    let sees_nothing = health["checks"].as_object().is_some_and(serde_json::Map::is_empty);
    if hub.token().is_some() && sees_nothing {
        return Err(Failure::failed("the hub did not accept the token, and so shows nothing of its parts"));
    }
    Ok(())
}
