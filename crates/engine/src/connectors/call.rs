//! One call: checked, sent by itself or together with others, and noted.

mod attempt;
mod pages;
mod together;

use std::sync::Arc;

use nexus_core::{limits::EVENT_DEPTH, problem::Problem};
use ring::digest;
use serde_json::{Value, json};

use self::attempt::{Under, What};
pub(super) use self::together::Groups;
use super::{
    Called, ConnectorCall, Connectors, check::Connector, connection::Connection, error::CallError,
    grant::demand_usable, operation::Call,
};

/// Calls of all connectors at once.
pub(super) const CALLS_AT_ONCE: usize = 512;
/// Bytes of an idempotency key.
const KEY_BYTES: usize = 256;

impl Connectors {
    /// Calls an operation.
    pub async fn call(&self, asked: ConnectorCall) -> Result<Called, CallError> {
        if asked.depth >= EVENT_DEPTH {
            return Err(CallError::Loop(u16::from(asked.depth) + 1));
        }
        let Ok(_place) = self.0.calls.try_acquire() else { return Err(CallError::Busy(CALLS_AT_ONCE)) };
        let unknown = |problem: Problem| CallError::Unknown(problem.message);
        let connector = self.0.connections.connector(&asked.connector).map_err(unknown)?;
        let call = self.operation(&connector, &asked.operation)?;
        call.accept(&asked.operation, &asked.input)?;
        let account = self.0.connections.pick(&connector, asked.connection.as_deref())?;
        let connection = account.connection();
        demand_usable(&connection)?;
        if let Some(scope) = missing(call, &connection) {
            let (operation, connection) = (asked.operation, connection.name);
            return Err(CallError::Scope { connection, operation, scope });
        }
        let key = self.key(asked.key.as_deref())?;
        let lineage = asked.lineage();
        let what = What {
            connector: &connector,
            account: &account,
            operation: &asked.operation,
            call,
            input: &asked.input,
            priority: asked.priority,
            deadline: self.0.desk.clock.mono() + asked.patience,
            lineage: &lineage,
        };
        let result = match &call.together {
            Some(together) if self.may_wait(&what, together)? => self.together(&what, together, key, &asked).await,
            _ => self.alone(what, key).await,
        };
        self.0.metrics.called(&connector.manifest.name, result.as_ref().err());
        match &result {
            Err(error) if !error.is_of_provider() => {}
            done => account.note(done.as_ref().err().map(ToString::to_string), self.0.desk.now()),
        }
        let (output, requests) = result?;
        Ok(Called { output, connection: connection.name, requests })
    }

    /// Sends one call by itself; gives the output and how many requests that took.
    async fn alone(&self, what: What<'_>, key: Value) -> Result<(Value, u32), CallError> {
        let mut under = Under::new(self, what, key)?;
        let output = match &what.call.paging {
            None => under.attempts(&Value::Null, None).await.map(|(output, _)| output),
            Some(_) => under.pages().await,
        };
        Ok((under.hider.value(output?), under.requests))
    }

    fn operation<'c>(&self, connector: &'c Arc<Connector>, id: &str) -> Result<&'c Call, CallError> {
        connector.operations.get(id).ok_or_else(|| {
            let near = crate::document::problem::nearest(id, connector.operations());
            CallError::Unknown(format!("{} has no operation {id:?}{near}", connector.manifest.name))
        })
    }

    /// A key and what else is made from it.
    fn key(&self, given: Option<&str>) -> Result<Value, CallError> {
        let raw = match given {
            Some(key) if key.is_empty() || key.len() > KEY_BYTES || !key.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
                let message = format!("an idempotency key has 1 to {KEY_BYTES} visible ASCII characters");
                return Err(CallError::Request(message));
            }
            Some(key) => key.to_owned(),
            None => {
                let random = self.0.desk.random::<16>().map_err(CallError::Hub)?;
                format!("nxc-{}", data_encoding::HEXLOWER.encode(&random))
            }
        };
        Ok(made_of(&raw))
    }
}

/// A key and what else is made from it.
fn made_of(raw: &str) -> Value {
    let digest = digest::digest(&digest::SHA256, raw.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(digest.as_ref());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    // Version 8: made by a rule of our own.
    let uuid = format!("{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32));
    json!({"raw": raw, "hex": hex, "uuid": uuid})
}

/// The key of a batch: the same for the same calls.
fn derived(keys: &str) -> Value {
    let digest = digest::digest(&digest::SHA256, keys.as_bytes());
    let raw = format!("nxb-{}", data_encoding::HEXLOWER.encode(digest.as_ref()));
    made_of(&raw)
}

/// The first scope that the connection was not granted.
fn missing(call: &Call, connection: &Connection) -> Option<String> {
    let granted = connection.scopes()?;
    call.scopes.iter().find(|scope| !granted.contains(scope)).cloned()
}
