//! The hub inside a program: no server, no port; events on disk, handlers called until they succeed.
//!
//! `cargo run -p nexus-engine --example embedded`, twice: the second run still knows the log of the first.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{path::Path, sync::Arc, time::Duration};

use nexus_core::topic::TopicFilter;
use nexus_engine::{Hub, clock::SystemClock, embed::Message, vault::VaultKey};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::json;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/embedded-data".into());
    std::fs::create_dir_all(&folder)?;
    let clock = Arc::new(SystemClock::new());
    let store = SqliteStore::open(Path::new(&folder), &Hub::collections(), clock.clone(), SqliteOptions::default())?;

    let (done, mut finished) = mpsc::channel(1);
    // The reaction to a payment is an event of its own. The channel is how the handler reaches the hub's owner.
    let (mint, mut minted) = mpsc::channel::<Message>(16);
    let hub = Hub::builder(Arc::new(store), clock, VaultKey::new([7; 32], Vec::new()))
        .on_event(TopicFilter::parse("PAYMENT_RECEIVED")?, move |message: Message| {
            let mint = mint.clone();
            async move {
                println!("{} {} of {}", message.id, message.event, message.payload["amount"]);
                mint.send(message).await.map_err(|e| e.to_string())
            }
        })
        .on_event(TopicFilter::parse("MINT_CONFIRMED")?, move |message: Message| {
            let done = done.clone();
            async move {
                println!("{} {} for {}", message.id, message.event, message.payload["payer"]);
                done.send(()).await.map_err(|e| e.to_string())
            }
        })
        .start()
        .await?;

    println!("the log in {folder} has {} events", hub.log().head().seq);
    let payment = hub.dispatch("PAYMENT_RECEIVED", &json!({"amount": 25, "payer": "user_1"})).await?;
    if let Some(message) = minted.recv().await {
        hub.dispatch("MINT_CONFIRMED", &json!({"payer": message.payload["payer"], "cause": message.id})).await?;
    }
    finished.recv().await;
    println!("the payment is {}", hub.fate(payment.id).await?.verdict);
    hub.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
