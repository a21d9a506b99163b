//! `nexus deliveries`: what did not simply succeed, and what was kept of it.

use clap::Subcommand;
use nexus_client::delivery::Delivery;

use crate::{
    cli::Global,
    command::dead::{row, shown},
    output::{Failure, plain, table},
};

/// What can be asked of deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List deliveries that are retrying, dead, or were delivered after a failure (or with --keep-exchanges)
    List {
        /// Only those of this subscription
        #[arg(long, short)]
        subscription: Option<String>,
        /// Only those of the event with this id
        #[arg(long, value_name = "EVENT_ID")]
        event: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = ["retrying", "dead", "delivered"])]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one delivery with every attempt
    Show {
        /// Its id
        id: String,
    },
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::List { subscription, event, state, limit } => {
            let mut found: Vec<Delivery> = Vec::new();
            let mut cursor = None;
            while found.len() < limit {
                let (subscription, event, state) = (subscription.as_deref(), event.as_deref(), state.as_deref());
                let page = hub.deliveries(subscription, event, state, cursor.as_deref()).await?;
                found.extend(page.items);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            found.truncate(limit);
            screen.either(&found, || {
                let with_state = |delivery: &Delivery| {
                    let mut cells = row(delivery);
                    cells.insert(1, plain(&delivery.state));
                    cells
                };
                let rows: Vec<_> = found.iter().map(with_state).collect();
                let head = ["id", "state", "subscription", "event", "event id", "attempts", "last"];
                table(&head, &rows, "no deliveries out of the ordinary; `nexus fate EVENT_ID` tells of the others")
            })
        }
        Command::Show { id } => {
            let delivery = hub.delivery(&id).await?;
            screen.either(&delivery, || shown(&delivery))
        }
    }
}
