//! Access tokens got with a flow's own client credentials, kept until shortly before they end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use data_encoding::BASE64;
use http::{HeaderValue, header};
use nexus_outbound::{Reach, Request};
use ring::digest;
use serde::Deserialize;
use serde_json::Value;

use super::Flows;
use crate::error::{FlowError, Standard};

/// Tokens that are kept.
const KEPT: usize = 256;
/// A token is got anew this long before it ends.
const MARGIN: Duration = Duration::from_secs(60);
/// How long one counts that does not say.
const UNSAID: u64 = 300;

type Slot = Arc<tokio::sync::Mutex<Option<(String, Duration)>>>;

/// The tokens.
#[derive(Default)]
pub(super) struct Grants(Mutex<HashMap<[u8; 32], Slot>>);

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

fn error(detail: impl Into<String>) -> FlowError {
    FlowError::new(Standard::Authentication, detail)
}

impl Grants {
    fn slot(&self, key: [u8; 32]) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT && !slots.contains_key(&key) {
            slots.clear();
        }
        Arc::clone(slots.entry(key).or_default())
    }

    /// A token for these parameters; asked for once, however many ask at the same time.
    pub(super) async fn token(&self, flows: &Flows, parameters: &Value, reach: Reach) -> Result<String, FlowError> {
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, parameters.to_string().as_bytes()).as_ref());
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if let Some((token, until)) = &*held
            && flows.clock().mono() < *until
        {
            return Ok(token.clone());
        }
        let granted = ask(flows, parameters, reach).await?;
        let lasts = Duration::from_secs(granted.expires_in.unwrap_or(UNSAID)).saturating_sub(MARGIN);
        *held = Some((granted.access_token.clone(), flows.clock().mono() + lasts));
        Ok(granted.access_token)
    }
}

async fn ask(flows: &Flows, parameters: &Value, reach: Reach) -> Result<Granted, FlowError> {
    let text = |path: &str| parameters.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    match text("/grant") {
        None | Some("client_credentials") => {}
        Some(other) => {
            return Err(error(format!("the grant {other:?} is not supported in flows; client_credentials is")));
        }
    }
    let authority =
        text("/authority").ok_or_else(|| error("oauth2 needs an `authority`, the URL of who gives tokens"))?;
    let path = text("/endpoints/token").unwrap_or("/oauth2/token");
    let url = format!("{}/{}", authority.trim_end_matches('/'), path.trim_start_matches('/'));
    let (id, secret) = (text("/client/id"), text("/client/secret"));
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(error("oauth2 needs `client.id` and `client.secret`"));
    };
    let list = |path: &str| {
        let items = parameters.pointer(path).and_then(Value::as_array);
        items
            .map(|items| items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
            .filter(|s| !s.is_empty())
    };
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    form.extend(list("/scopes").map(|scopes| ("scope", scopes)));
    form.extend(list("/audiences").map(|audiences| ("audience", audiences)));
    let mut request = Request::post(url, "", reach);
    match text("/client/authentication") {
        Some("client_secret_basic") => {
            let pair = BASE64.encode(format!("{id}:{secret}").as_bytes());
            let value =
                HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| error("the client's id is no header"))?;
            request.headers.insert(header::AUTHORIZATION, value);
        }
        None | Some("client_secret_post") => {
            form.push(("client_id", id.to_owned()));
            form.push(("client_secret", secret.to_owned()));
        }
        Some(other) => {
            return Err(error(format!(
                "client.authentication {other:?} is not supported; client_secret_basic and client_secret_post are"
            )));
        }
    }
    let mut body = String::new();
    for (name, value) in &form {
        if !body.is_empty() {
            body.push('&');
        }
        crate::uri::encode(name, &mut body);
        body.push('=');
        crate::uri::encode(value, &mut body);
    }
    request.body = body.into();
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request.keep = Some(64 << 10);
    let response = flows.inner.hub.client().send(request).await.map_err(|e| error(format!("getting a token: {e}")))?;
    if !response.status.is_success() {
        return Err(error(format!("getting a token: {authority} answered {}", response.status.as_u16())));
    }
    serde_json::from_slice(&response.body_head)
        .map_err(|_| error(format!("getting a token: the answer of {authority} has no access_token")))
}
