//! `nexus dead`: deliveries that were given up, and what to do with them.

use clap::{Args, Subcommand};
use nexus_client::delivery::{Delivery, Select};
use serde_json::Value;

use crate::{
    cli::Global,
    command::event::objects,
    output::{Failure, pairs, plain, table, text},
};

/// Items of one page.
const PAGE: usize = 200;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List dead letters
    List {
        /// Only those of this subscription
        #[arg(long, short)]
        subscription: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one dead letter with every attempt
    Show {
        /// Its id
        id: String,
    },
    /// Try again, with fresh attempts
    Redrive(Which),
    /// Give up for good
    Delete(Which),
}

/// Which dead letters.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The one with this id
    id: Option<String>,
    /// All of this subscription
    #[arg(long, short)]
    subscription: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

impl From<Which> for Select {
    fn from(which: Which) -> Self {
        match (which.id, which.subscription) {
            (Some(id), _) => Self::One(id),
            (None, Some(subscription)) => Self::Subscription(subscription),
            (None, None) => Self::All,
        }
    }
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::List { subscription, limit } => {
            let mut letters: Vec<Delivery> = Vec::new();
            let mut cursor = None;
            while letters.len() < limit {
                let wanted = Some(PAGE.min(limit - letters.len()));
                let page = hub.dead_letters(subscription.as_deref(), cursor.as_deref(), wanted).await?;
                letters.extend(page.items);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            screen.either(&letters, || {
                let rows: Vec<_> = letters.iter().map(row).collect();
                table(&["id", "subscription", "event", "event id", "attempts", "last"], &rows, "no dead letters")
            })
        }
        Command::Show { id } => {
            let letter = hub.dead_letter(&id).await?;
            screen.either(&letter, || shown(&letter))
        }
        Command::Redrive(which) => {
            let done = hub.redrive(&which.into()).await?;
            screen.either(&done, || format!("redriven: {}", counted(&done)))
        }
        Command::Delete(which) => {
            let done = hub.delete_dead(&which.into()).await?;
            screen.either(&done, || format!("deleted: {}", counted(&done)))
        }
    }
}

/// The cells of one delivery.
pub(super) fn row(letter: &Delivery) -> Vec<String> {
    let last = letter.attempts.last().map_or_else(String::new, |attempt| {
        let status = text(attempt, "status");
        if status.is_empty() { text(attempt, "error") } else { status }
    });
    vec![
        letter.id.clone(),
        letter.subscription.clone(),
        letter.event.clone(),
        letter.event_id.clone(),
        letter.attempts.len().to_string(),
        last,
    ]
}

/// One delivery with its attempts.
pub(super) fn shown(letter: &Delivery) -> String {
    let head = pairs(&[
        ("id", letter.id.clone()),
        ("subscription", letter.subscription.clone()),
        ("event", letter.event.clone()),
        ("event id", letter.event_id.clone()),
        ("seq", letter.seq.to_string()),
        ("state", plain(&letter.state)),
    ]);
    format!("{head}\n{}", objects(&letter.attempts))
}

/// The count in an answer, whatever it is called.
fn counted(answer: &Value) -> String {
    answer
        .as_object()
        .and_then(|map| map.values().find(|v| v.is_number()))
        .map_or_else(|| plain(answer), Value::to_string)
}
