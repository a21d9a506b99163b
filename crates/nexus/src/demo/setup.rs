//! What the demo tells its hub: five nodes with secrets and permissions of their own, an account at each of the two that are
//! called, and two of the shipped flows.

use nexus_client::{Client, connector::NewConnection, source::NewSource};
use serde_json::{Map, Value};

use super::{FACTORY_API_KEY, FACTORY_SECRET, FLOWPAY_SECRET, NEOBOT_SIGNING_KEY, cast::Cast};
use crate::output::Failure;

/// A flow of the play: its name, its document, the subscription that begins its runs.
pub(crate) struct Automation {
    pub(crate) name: &'static str,
    pub(crate) subscription: &'static str,
    text: &'static str,
}

/// Step 5, and then it waits for step 8.
pub(crate) const MINT: Automation = Automation {
    name: "shipped/payment-to-mint",
    subscription: "flow.shipped.payment-to-mint",
    text: include_str!("../../../../flows/payment-to-mint.yaml"),
};
/// Step 9.
pub(crate) const NOTIFY: Automation = Automation {
    name: "shipped/mint-to-notify",
    subscription: "flow.shipped.mint-to-notify",
    text: include_str!("../../../../flows/mint-to-notify.yaml"),
};

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
    let accounts = [
        ("smart-factory", &cast.factory_url, "api_key", FACTORY_API_KEY),
        ("neobot", &cast.neobot_url, "signing_key", NEOBOT_SIGNING_KEY),
    ];
    for (connector, url, secret, value) in accounts {
        let field = |name: &str, value: &str| Map::from_iter([(name.to_owned(), Value::from(value))]);
        let account = NewConnection {
            name: connector.into(),
            connector: connector.into(),
            settings: field("url", url),
            secrets: field(secret, value),
            scopes: None,
        };
        hub.create_connection(&account).await?;
    }
    for flow in [MINT, NOTIFY] {
        hub.publish_flow(flow.text).await?;
        hub.enable_flow(flow.name, true).await?;
    }
    Ok(())
}
