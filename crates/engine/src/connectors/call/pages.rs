//! Long lists, page after page.

use http::Uri;
use serde_json::{Value, json};

use super::attempt::Under;
use crate::connectors::error::CallError;

/// Items that one call gives.
const ITEMS: usize = 10_000;
/// Bytes of all pages of one call.
const PAGES_BYTES: usize = 16 << 20;

impl Under<'_> {
    /// Page after page.
    pub(super) async fn pages(&mut self) -> Result<Value, CallError> {
        let Some(paging) = &self.call.paging else { return Ok(Value::Null) };
        let from = paging.said.from.as_ref().and_then(|field| self.input.get(field));
        let mut page = from.cloned().unwrap_or(Value::Null);
        let mut follow = if paging.said.follow { page.as_str().map(str::to_owned) } else { None };
        let (mut items, mut bytes) = (Vec::new(), 0);
        for _ in 0..paging.said.pages {
            let (_, answer) = self.attempts(&page, follow.as_deref()).await?;
            let body = answer.body;
            let given = [("input", self.input), ("settings", &self.settings)];
            let failed = |what: &str, error: String| CallError::Answer {
                operation: self.operation.to_owned(),
                message: self.hider.text(&format!("pagination.{what}: {error}")),
            };
            match paging.items.eval(&body, &given).map_err(|e| failed("items", e.to_string()))? {
                Value::Array(found) => items.extend(found),
                Value::Null => {}
                _ => return Err(failed("items", "it gave no list".into())),
            }
            bytes += body.to_string().len();
            page = paging.next.eval(&body, &given).map_err(|e| failed("next", e.to_string()))?;
            if page.is_null() || page == Value::Bool(false) || page == Value::String(String::new()) {
                page = Value::Null;
                break;
            }
            if paging.said.follow {
                follow = Some(page.as_str().ok_or_else(|| failed("next", "it gave no URL".into()))?.to_owned());
            }
            if items.len() >= ITEMS || bytes >= PAGES_BYTES {
                break;
            }
        }
        Ok(json!({"items": items, "next": page}))
    }
}

/// The next page's URL, if it lies where the first one did: a proof is for that host only.
pub(super) fn same_host(first: &str, next: &str) -> Result<String, CallError> {
    let place = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
    };
    match (place(first), place(next)) {
        (Some(one), Some(other)) if one == other => Ok(next.to_owned()),
        _ => Err(CallError::Request("the next page lies on another host; its URL is not followed".into())),
    }
}
