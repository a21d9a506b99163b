//! `nexus consume`: takes the deliveries of a subscription, prints them, and acknowledges them or not.

use clap::Args;
use nexus_client::{
    consume::{Consumed, Delivery},
    subscription::NewSubscription,
};
use serde_json::json;

use crate::{
    cli::Global,
    output::{Failure, note},
};

/// `nexus consume`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Subscription whose target is a consumer
    name: String,
    /// Acknowledge each delivery once it is printed; otherwise it goes to another, or comes again, when this ends
    #[arg(long)]
    ack: bool,
    /// Make the subscription if it is not there: event type or filter, may be repeated
    #[arg(long, short)]
    filter: Vec<String>,
    /// Deliveries held at once
    #[arg(long, default_value_t = 16, value_name = "N")]
    max: usize,
    /// End after so many deliveries
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

pub(crate) async fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    if !args.filter.is_empty() {
        let target = Some(json!({"kind": "consumer"}));
        let filters = args.filter.clone();
        let new = NewSubscription { name: args.name.clone(), filters, target, ..NewSubscription::default() };
        hub.ensure_subscription(&new).await?;
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    // Never more than are asked for: what is held at the end has used up an attempt.
    let most = |left: u64| args.max.min(usize::try_from(left).unwrap_or(usize::MAX));
    let mut consumer = hub.consume(&args.name, most(left));
    while left > 0 {
        match consumer.next().await? {
            Consumed::Delivery(delivery) => {
                screen.either(&delivery, || line(&delivery))?;
                left -= 1;
                if most(left) < args.max {
                    consumer.resize(most(left)).await;
                }
                if args.ack {
                    consumer.ack(&delivery.lease).await;
                }
            }
            Consumed::Unheld { lease, reason } => note(&format!("{lease}: {reason}")),
            Consumed::Lost(reason) => note(&format!("{reason}; connecting again")),
        }
    }
    consumer.close().await;
    Ok(())
}

fn line(delivery: &Delivery) -> String {
    let Delivery { seq, id, event, attempt, payload, .. } = delivery;
    format!("{seq:>8}  {id}  {event}  attempt {attempt}  {payload}")
}
