//! A manifest from a description in OpenAPI 3 or Swagger 2: a start that a person reads over, not the last word.

mod operation;
mod schema;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::check::Connector;
use crate::document::{
    pointer::Pointer,
    problem::{Problems, nearest},
};

/// References followed one after the other.
const REFERENCES: usize = 16;
/// Operations that are taken over.
const OPERATIONS: usize = 500;
const METHODS: [&str; 6] = ["get", "put", "post", "delete", "head", "patch"];

/// A manifest and what of the description is not in it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The manifest; it is sound.
    pub manifest: Value,
    /// What was left out or changed, and why.
    pub notes: Vec<String>,
}

/// Makes a manifest of the operations with the ids `only`, or (with none) of all. `name` is the connector's, where the
/// description's title makes no good one.
pub fn import(document: &Value, name: Option<&str>, only: &[String]) -> Result<Imported, Problems> {
    let mut import = Import { document, only, notes: Vec::new(), secrets: BTreeMap::new(), settings: BTreeMap::new() };
    let manifest = import.manifest(name)?;
    Connector::of(&manifest)?;
    Ok(Imported { manifest, notes: import.notes })
}

struct Import<'d> {
    document: &'d Value,
    only: &'d [String],
    notes: Vec<String>,
    secrets: BTreeMap<String, Value>,
    settings: BTreeMap<String, Value>,
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn wrong(at: &str, what: &str) -> Problems {
    let mut problems = Problems::default();
    problems.add(&Pointer::from_text(at), what);
    problems
}

/// The first sentence or line, shortened.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().chars().take(120).collect()
}

/// Letters, digits and single dashes.
fn slug(text: &str, between: char) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with(between) {
            out.push(between);
        }
    }
    out.trim_end_matches(between).chars().take(40).collect()
}

impl<'d> Import<'d> {
    fn manifest(&mut self, name: Option<&str>) -> Result<Value, Problems> {
        let document = self.document;
        let is_known = text(document, "openapi").is_some_and(|v| v.starts_with("3."))
            || text(document, "swagger").is_some_and(|v| v.starts_with("2."));
        if !is_known {
            return Err(wrong(
                "",
                "is neither OpenAPI 3 nor Swagger 2: it begins with openapi: 3.… or swagger: \"2.0\"",
            ));
        }
        let title = document.get("info").and_then(|info| text(info, "title")).unwrap_or("Imported");
        let about = document.get("info").and_then(|info| text(info, "description")).map(short).unwrap_or_default();
        let name = name.map_or_else(|| slug(title, '-'), str::to_owned);
        let base_url = self.base_url();
        let auth = self.auth();
        let (mut operations, mut left_out) = (Map::new(), 0);
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let id = operation_id(path, method, operation);
                if !(self.only.is_empty() || self.only.contains(&id)) {
                    continue;
                }
                if operations.len() >= OPERATIONS {
                    self.notes.push(format!("only the first {OPERATIONS} operations were taken over"));
                    break;
                }
                match self.operation(path, method, item, operation, &id) {
                    Ok(made) => drop(operations.insert(id, made)),
                    Err(why) if self.only.contains(&id) => {
                        let place = Pointer::from_text("/paths").key(path).key(method);
                        return Err(wrong(place.as_str(), &format!("{id:?} can't be taken over: {why}")));
                    }
                    Err(why) => {
                        self.notes.push(format!("{id} was left out: {why}"));
                        left_out += 1;
                    }
                }
            }
        }
        if let Some(missing) = self.only.iter().find(|id| !operations.contains_key(*id)) {
            let known: Vec<String> = ids(document).collect();
            let near = nearest(missing, known.iter().map(String::as_str));
            return Err(wrong("/paths", &format!("has no operation {missing:?}{near}")));
        }
        if operations.is_empty() {
            let what = match left_out {
                0 => "names no operation".to_owned(),
                _ => format!("has no operation that can be taken over: {}", self.notes.join("; ")),
            };
            return Err(wrong("/paths", &what));
        }
        Ok(json!({
            "connector": 1, "name": name, "title": short(title), "about": about, "checked": "reading",
            "base_url": base_url, "settings": self.settings, "secrets": self.secrets, "auth": auth,
            "operations": operations,
        }))
    }

    /// Where it is; a server with variables or without a host becomes a setting.
    fn base_url(&mut self) -> String {
        let document = self.document;
        let swagger = text(document, "host").map(|host| {
            let schemes = document.get("schemes").and_then(Value::as_array);
            let https = schemes.is_none_or(|all| all.iter().any(|s| s == "https"));
            let base = text(document, "basePath").unwrap_or_default().trim_end_matches('/');
            format!("{}://{host}{base}", if https { "https" } else { "http" })
        });
        let server = document.pointer("/servers/0/url").and_then(Value::as_str).map(str::to_owned);
        let url = swagger.or(server).unwrap_or_default();
        let whole = url.starts_with("https://") || url.starts_with("http://");
        if whole && !url.contains('{') {
            return url.trim_end_matches('/').to_owned();
        }
        if !url.is_empty() {
            self.notes.push(format!("the server {url:?} is not one address; it became the setting url"));
        }
        self.settings.insert("url".into(), json!({"title": "Base URL"}));
        "{settings.url}".into()
    }

    /// The first way of proving oneself that can be taken over.
    fn auth(&mut self) -> Value {
        let document = self.document;
        let schemes = document.pointer("/components/securitySchemes").or_else(|| document.get("securityDefinitions"));
        let schemes = schemes.and_then(Value::as_object);
        let used = document.pointer("/security/0").and_then(Value::as_object);
        let first = used.and_then(|used| used.keys().next());
        let mut names: Vec<&String> = first.into_iter().chain(schemes.into_iter().flat_map(Map::keys)).collect();
        names.dedup();
        for name in &names {
            let Some(scheme) = schemes.and_then(|all| all.get(*name)) else { continue };
            let scheme = self.resolve(scheme);
            if let Some(auth) = self.scheme(scheme) {
                let others = names.iter().filter(|other| *other != name).count();
                if others > 0 {
                    self.notes.push(format!("of several ways to prove oneself {name:?} was taken"));
                }
                return auth;
            }
            self.notes.push(format!("the security scheme {name:?} can't be taken over"));
        }
        json!("none")
    }

    fn scheme(&mut self, scheme: &Value) -> Option<Value> {
        let kind = text(scheme, "type")?;
        let http = text(scheme, "scheme").unwrap_or_default().to_ascii_lowercase();
        match (kind, http.as_str()) {
            ("apiKey", _) => {
                let place = text(scheme, "in").filter(|place| ["header", "query"].contains(place))?;
                self.secret("api_key", "API key");
                Some(json!({"api_key": {"in": place, "name": text(scheme, "name")?, "value": "{secrets.api_key}"}}))
            }
            ("basic", _) | ("http", "basic") => {
                self.settings.insert("username".into(), json!({"title": "User name"}));
                self.secret("password", "Password");
                Some(json!({"basic": {"username": "{settings.username}", "password": "{secrets.password}"}}))
            }
            ("http", "bearer") => {
                self.secret("token", "Token");
                Some(json!({"bearer": {"token": "{secrets.token}"}}))
            }
            ("oauth2", _) => self.oauth(scheme),
            _ => None,
        }
    }

    fn oauth(&mut self, scheme: &Value) -> Option<Value> {
        let flows = scheme.get("flows");
        let flow = |name: &str| flows.and_then(|flows| flows.get(name));
        let old = |name: &str| (text(scheme, "flow") == Some(name)).then_some(scheme);
        let code = flow("authorizationCode").or_else(|| old("accessCode"));
        let client = flow("clientCredentials").or_else(|| old("application"));
        let (grant, flow) =
            code.map(|f| ("authorization_code", f)).or_else(|| client.map(|f| ("client_credentials", f)))?;
        let mut oauth = json!({"grant": grant, "token_url": text(flow, "tokenUrl")?});
        if let (Some(url), Some(fields)) = (text(flow, "authorizationUrl"), oauth.as_object_mut()) {
            fields.insert("authorize_url".into(), url.into());
        }
        self.settings.insert("client_id".into(), json!({"title": "Client id"}));
        self.secret("client_secret", "Client secret");
        self.notes.push("name the scopes that are to be asked for under auth.oauth2.scopes".into());
        Some(json!({ "oauth2": oauth }))
    }

    fn secret(&mut self, name: &str, title: &str) {
        self.secrets.insert(name.into(), json!({ "title": title }));
    }

    fn resolve(&self, value: &'d Value) -> &'d Value {
        self.named(value).0
    }

    /// What a value is, references followed, and the pointer that the last of them gave.
    fn named(&self, value: &'d Value) -> (&'d Value, Option<&'d str>) {
        let mut found = (value, None);
        for _ in 0..REFERENCES {
            let Some(pointer) = text(found.0, "$ref").and_then(|r| r.strip_prefix('#')) else { break };
            match self.document.pointer(pointer) {
                Some(value) => found = (value, Some(pointer)),
                None => break,
            }
        }
        found
    }
}

/// The ids of all operations that a description has.
fn ids(document: &Value) -> impl Iterator<Item = String> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let of = |(path, item): (&String, &Value)| {
        let each = METHODS.iter().filter_map(|method| Some(operation_id(path, method, item.get(*method)?)));
        each.collect::<Vec<_>>()
    };
    paths.flat_map(of)
}

/// The id of an operation: its own, or one made from its place.
fn operation_id(path: &str, method: &str, operation: &Value) -> String {
    text(operation, "operationId").map_or_else(|| slug(&format!("{method} {path}"), '-'), tidy_id)
}

/// An id as a manifest may have it.
fn tidy_id(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    id.chars().map(|c| if fits(c) { c } else { '-' }).take(100).collect()
}

#[cfg(test)]
mod tests;
