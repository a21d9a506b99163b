//! The shipped connectors against their vendors' stand-ins.

mod faults;
mod mail;
mod published;
mod requests;
mod together;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use nexus_core::{access::Principal, sign::Secret};
use nexus_engine::{
    HubConfig,
    connectors::{CallError, Called, ConnectorCall, Library, connection::NewConnection},
    document::yaml,
};
use serde_json::{Value, json};

use crate::{
    rig::Rig,
    vendor::{stand_in::StandIn, vendors},
};

/// A hub whose connector of this name calls the stand-in instead of the vendor.
pub(super) struct World {
    pub(super) rig: Rig,
    pub(super) vendor: StandIn,
    pub(super) connector: &'static str,
    pub(super) manifest: Value,
}

/// A manifest as it is shipped.
pub(super) fn manifest(connector: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../connectors/{connector}.yaml"));
    let text = std::fs::read_to_string(file).expect("it is shipped");
    yaml::parse(&text).unwrap_or_else(|e| panic!("{connector}: {e}")).value
}

/// Puts `origin` in the place of every host that the connector calls, and of nothing else.
fn moved(manifest: &mut Value, origin: &str) {
    fn walk(value: &mut Value, origin: &str) {
        match value {
            Value::String(text) => {
                if let Some(rest) = text.strip_prefix("https://") {
                    let path = rest.find('/').map_or("", |at| &rest[at..]);
                    *text = format!("{origin}{path}");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, origin)),
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, origin)),
            _ => {}
        }
    }
    for part in ["base_url", "settings"] {
        if let Some(part) = manifest.get_mut(part) {
            walk(part, origin);
        }
    }
    for part in ["authorize_url", "token_url"] {
        let oauth = manifest.get_mut("auth").and_then(|auth| auth.get_mut("oauth2"));
        if let Some(url) = oauth.and_then(|oauth| oauth.get_mut(part)) {
            walk(url, origin);
        }
    }
}

impl World {
    /// With the vendor's stand-in; `None` where its specification is not at hand.
    pub(super) async fn new(connector: &'static str) -> Option<Self> {
        Self::tuned(connector, |_| {}).await
    }

    /// The same with the manifest changed.
    pub(super) async fn tuned(connector: &'static str, tune: impl FnOnce(&mut Value)) -> Option<Self> {
        Some(Self::at(connector, vendors::open(connector).await?, tune).await)
    }

    pub(super) async fn at(connector: &'static str, vendor: StandIn, tune: impl FnOnce(&mut Value)) -> Self {
        let mut manifest = manifest(connector);
        moved(&mut manifest, &vendor.origin);
        // A test waits for nothing that it does not test.
        manifest["retry"]["base"] = "5ms".into();
        tune(&mut manifest);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(format!("{connector}.json")), manifest.to_string()).expect("written");
        let library = Library::shipped().with_folder(folder.path());
        assert!(library.unusable().is_empty(), "{:?}", library.unusable());
        let config = HubConfig { connectors: Some(library), ..HubConfig::default() };
        let rig = Rig::open(Arc::new(tempfile::tempdir().expect("a folder")), config).await;
        Self { rig, vendor, connector, manifest }
    }

    /// An account; where a person must agree, somebody does. The stand-in then takes its proof only.
    pub(super) async fn account(&self, name: &str) {
        let (settings, secrets) = belongings(self.connector, &self.vendor.origin);
        self.account_of(name, settings, secrets).await;
    }

    pub(super) async fn account_of(&self, name: &str, settings: Value, secrets: Value) {
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        let secrets: BTreeMap<String, Secret> = serde_json::from_value(secrets).expect("secrets");
        let new =
            NewConnection { name: name.into(), connector: self.connector.into(), settings, secrets, scopes: None };
        let admin = Principal::admin("test");
        let connectors = self.rig.hub.connectors();
        connectors.connections().create(new, &admin).await.unwrap_or_else(|e| panic!("{}: {e:?}", self.connector));
        if self.manifest["auth"].get("oauth2").is_some() {
            let page = connectors.authorize(name, "https://hub.example/oauth/callback", &admin).expect("a page");
            let (state, code) = self.vendor.consent(&page.url, name);
            assert_eq!(connectors.agreed(&state, Ok(&code)).await.expect("agreed"), name);
        }
    }

    pub(super) fn asks(&self, operation: &str, input: Value) -> ConnectorCall {
        ConnectorCall::new(self.connector, operation, input)
    }

    pub(super) async fn call(&self, operation: &str, input: Value) -> Result<Called, CallError> {
        self.rig.hub.connectors().call(self.asks(operation, input)).await
    }

    pub(super) async fn call_as(&self, account: &str, operation: &str, input: Value) -> Result<Called, CallError> {
        let call = ConnectorCall { connection: Some(account.into()), ..self.asks(operation, input) };
        self.rig.hub.connectors().call(call).await
    }

    /// With a key.
    pub(super) async fn call_keyed(&self, key: &str, operation: &str, input: Value) -> Result<Called, CallError> {
        let call = ConnectorCall { key: Some(key.into()), ..self.asks(operation, input) };
        self.rig.hub.connectors().call(call).await
    }
}

/// Settings and secrets of an account.
pub(super) fn belongings(connector: &str, origin: &str) -> (Value, Value) {
    match connector {
        "x" | "linkedin" | "google-calendar" => (json!({"client_id": "app"}), json!({"client_secret": "app-secret"})),
        "twilio" => (json!({"account_sid": "AC00000000000000000000000000000001"}), json!({"auth_token": "t"})),
        "discord" => (json!({}), json!({"bot_token": "MTIz.abc"})),
        "discord-webhook" => (json!({"webhook_id": "123456789012345678"}), json!({"webhook_token": "tok_en-1"})),
        "openai-compatible" | "sendgrid" | "anthropic" => (json!({}), json!({"api_key": "k-123"})),
        "stripe" => (json!({}), json!({"secret_key": "sk_test_1"})),
        "slack" => (json!({}), json!({"bot_token": "xoxb-1"})),
        "slack-webhook" => (json!({"team": "T00000000", "webhook": "B00000000"}), json!({"token": "XXXXXXXX"})),
        "whatsapp-cloud" => (json!({"phone_number_id": "106540352242922"}), json!({"access_token": "EAAG"})),
        "opensolar" => (json!({"org_id": "62854"}), json!({"token": "d7e1"})),
        "github" => (json!({}), json!({"token": "github_pat_1"})),
        "hubspot" => (json!({}), json!({"access_token": "pat-na1"})),
        "smart-factory" => (json!({}), json!({"api_key": "factory-key"})),
        "neobot" => (json!({"url": origin}), json!({"signing_key": "neobot-key"})),
        "signed-webhook" => (json!({"url": format!("{origin}/hook")}), json!({"key": "hook-key"})),
        "scriptwriter" | "chromadon" => (json!({"url": origin}), json!({})),
        "generic-webhook" => (json!({"url": format!("{origin}/hook")}), json!({})),
        other => panic!("what has {other}?"),
    }
}

/// A short time for requests that get no answer.
pub(super) fn hasty(manifest: &mut Value) {
    for operation in manifest["operations"].as_object_mut().expect("operations").values_mut() {
        operation["timeout"] = "300ms".into();
    }
}
