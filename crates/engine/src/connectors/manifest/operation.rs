//! How a manifest describes what can be called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Quota, Span};

/// How answers are read: jq over the body, with `$status`, `$headers`, `$input` and `$settings`. What an operation does
/// not say holds as the connector says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseRules {
    /// Whether a 2xx did what was asked; absent = it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
    /// What a refusal says, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the call gives; absent = the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Whether a refusal may be tried again, whatever its status says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// Whether a refusal is final, whatever its status says.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Seconds after which to come back, where no `Retry-After` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// Whether the connection's proof is no longer taken; absent = status 401.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<String>,
    /// The scope that is missing, where a refusal names it; `null` = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_scope: Option<String>,
}

impl ResponseRules {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// For people.
    pub title: String,
    /// What it does and what to mind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// Behind the base URL, with `{field}` of the input, `{settings.x}` and `{secrets.x}`.
    pub path: String,
    /// Another base URL for this operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Parameters of the query; templates. `null` is left out, a list repeats the parameter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Value>,
    /// Headers; templates. `null` is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
    /// The body as JSON; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The body as `application/x-www-form-urlencoded`; templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    /// How lists in a form are written.
    #[serde(default, skip_serializing_if = "FormLists::is_default")]
    pub form_lists: FormLists,
    /// The body as text; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The type of `text`; absent = `text/plain; charset=utf-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What it is called with, as JSON Schema; absent = anything.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub input: Map<String, Value>,
    /// An input that it takes; checked against the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// Scopes that the connection must have been granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// How its answers are read.
    #[serde(default, skip_serializing_if = "ResponseRules::is_default")]
    pub response: ResponseRules,
    /// Why a repeat does no harm; absent = by its method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// How a long list is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// How several calls go out as one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// For one request; absent = 20 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Further limits of this operation alone, per connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Quota>,
}

/// How a list in a form is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormLists {
    /// `a=1&a=2`.
    #[default]
    Repeat,
    /// `a[]=1&a[]=2`.
    Brackets,
    /// `a[0]=1&a[1]=2`.
    Index,
}

impl FormLists {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a repeat does no harm, or that it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Idempotency {
    /// It does: what may have been done is not repeated.
    None,
    /// The operation is such.
    Natural,
    /// The provider knows a repeat by this header, in which the key is sent.
    Header(String),
    /// The provider knows a repeat by what the template makes of `$key`.
    Key,
    /// The provider refuses a repeat: jq that is true of that refusal (with `$status`, `$headers`).
    Refused(String),
}

/// How a long list is fetched, page by page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// jq over the body: what `$page` is for the next request, or (with `follow`) its URL; `null` = there is none.
    pub next: String,
    /// jq over the body: the items of this page.
    pub items: String,
    /// `next` is a URL on the same host, which is fetched as it is.
    #[serde(default)]
    pub follow: bool,
    /// Field of the input that `$page` begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Pages fetched by one call at most.
    #[serde(default = "pages")]
    pub pages: u16,
}

const fn pages() -> u16 {
    10
}

/// How several calls of one operation, over one connection, go out as one request. Its templates are made from a list
/// with `{input, key}` of each call; `$key` is the batch's own, made from theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Calls in one request at most.
    pub calls: u16,
    /// Bytes of their inputs, as JSON, in one request at most.
    #[serde(default = "batch_bytes")]
    pub bytes: u32,
    /// How long the first call waits for others; absent = only calls that wait for their turn anyway go together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// jq over an input: whether that call may go with others; absent = each may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// jq over an input: only calls for which it gives the same go together; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<String>,
    /// Absent = the operation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Behind the base URL, with `{settings.x}` and `{secrets.x}`; absent = the operation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// As the operation's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Value>,
    /// As the operation's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
    /// As the operation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// As the operation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    /// As the operation's.
    #[serde(default, skip_serializing_if = "FormLists::is_default")]
    pub form_lists: FormLists,
    /// jq over the answer's body, for each call, with `$input`, `$index`, `$key`, `$status`, `$headers` and `$settings`:
    /// the body as the call alone would have got it. `null` = the answer says nothing of this call.
    pub split: String,
}

const fn batch_bytes() -> u32 {
    1 << 20
}
