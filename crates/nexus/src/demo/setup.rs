//! What the demo tells its hub: five nodes with secrets and permissions of their own, and two reactors.

use nexus_client::{Client, source::NewSource, subscription::NewSubscription};

use super::{FACTORY_API_KEY, FACTORY_SECRET, FLOWPAY_SECRET, cast::Cast};
use crate::output::Failure;

/// Reactor of step 5.
pub(crate) const MINT: &str = "mint-on-payment";
/// Reactor of step 9.
pub(crate) const NOTIFY: &str = "notify-on-mint";

/// The nodes: id, preset, secret, what each may dispatch.
const NODES: [(&str, &str, &str, &[&str]); 5] = [
    ("flowpay", "flowpay", FLOWPAY_SECRET, &["PAYMENT_RECEIVED", "PAYMENT_FAILED"]),
    ("factory", "factory", FACTORY_SECRET, &["MINT_CONFIRMED", "MINT_FAILED"]),
    ("fluxx-dao", "nexus", "fluxx-dao-demo-secret", &["dao.>"]),
    ("wod-pro", "nexus", "wod-pro-demo-secret", &["wod.>"]),
    ("neobot", "nexus", "neobot-demo-secret", &["neobot.>"]),
];

/// Registers everything.
pub(crate) async fn register(hub: &Client, cast: &Cast) -> Result<(), Failure> {
    for (id, preset, secret, allow) in NODES {
        let source = NewSource {
            id: id.into(),
            preset: Some(preset.into()),
            secrets: vec![secret.into()],
            allow: allow.iter().map(|a| (*a).to_owned()).collect(),
            ..NewSource::default()
        };
        hub.add_source(&source).await?;
    }
    hub.put_secret("FACTORY_API_KEY", FACTORY_API_KEY).await?;
    hub.subscribe(&reactor(
        MINT,
        "PAYMENT_RECEIVED",
        serde_json::json!({
            "kind": "http",
            "method": "POST",
            "url": format!("{}/api/mint", cast.factory_url),
            "headers": {"Authorization": "Bearer ${secret:FACTORY_API_KEY}"},
            "body": "{address: .payload.payerId, amount: .payload.amount}",
        }),
    ))
    .await?;
    hub.subscribe(&reactor(
        NOTIFY,
        "MINT_CONFIRMED",
        serde_json::json!({
            "kind": "http",
            "method": "POST",
            "url": format!("{}/api/notify", cast.neobot_url),
            "body": r#"{channel: "whatsapp", to: .payload.address, message: "Minted \(.payload.amount): \(.payload.txHash)"}"#,
        }),
    ))
    .await?;
    Ok(())
}

fn reactor(name: &str, event: &str, target: serde_json::Value) -> NewSubscription {
    NewSubscription {
        name: name.into(),
        filters: vec![event.into()],
        target: Some(target),
        keep_exchanges: true,
        retry: Some("200ms,1s,5s,30s".into()),
        ..NewSubscription::default()
    }
}
