//! A vendor's specification as a judge: what it refuses of a request, and of an answer.
//!
//! An OpenAPI document of 3.0 or 3.1 is read as it is published. Only the operation that is asked for is compiled.

use std::path::PathBuf;

use serde_json::Value;

use super::{schema, text};

/// A request as it came over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query, with the path of the vendor's server in front.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn media_type(&self) -> &str {
        self.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default().trim()
    }
}

/// What a specification says against a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has no such path.
    Path(String),
    /// The path has no such method.
    Method(String),
    /// The proof is missing, or is not of the kind that is wanted.
    Proof(String),
    /// A parameter is missing, unknown or off its schema.
    Parameter(String),
    /// The body is of a kind that is not taken.
    MediaType(String),
    /// The body is missing or off its schema.
    Body(String),
}

/// The operation that a request is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// The body as JSON; a form as the object that its schema describes.
    pub(crate) body: Value,
    pointer: String,
}

/// A path's template and item, and what stands in the template's places.
type Item<'d> = (&'d str, &'d Value, Vec<(String, String)>);

/// A published file; `None`, and a line that says so, where it is not at hand.
pub(crate) fn published(name: &str) -> Option<Value> {
    let folder = std::env::var_os("NEXUS_SPECS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/specs")), PathBuf::from);
    let file = folder.join(name);
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!(
            "skipped: {} is not there; NEXUS_SPECS names the folder of the vendors' specifications",
            file.display()
        );
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// A specification.
#[derive(Debug)]
pub(crate) struct Spec {
    document: Value,
    base: String,
    lax: bool,
}

impl Spec {
    /// The vendor's document of this name; `None`, and a line that says so, where there is none.
    pub(crate) fn published(name: &str) -> Option<Self> {
        published(name).map(Self::new)
    }

    /// A document at hand.
    pub(crate) fn new(document: Value) -> Self {
        let server = document["servers"][0]["url"].as_str().unwrap_or_default();
        let after_host = server.split_once("://").map_or(server, |(_, rest)| rest);
        let base = after_host.find('/').map_or("", |at| &after_host[at..]).trim_end_matches('/').to_owned();
        Self { document, base, lax: false }
    }

    /// One that refuses nothing.
    pub(crate) fn anything() -> Self {
        Self { lax: true, ..Self::new(Value::Null) }
    }

    /// The specification's own example of a success.
    pub(crate) fn sample(&self, operation: &Operation) -> Option<(u16, Value)> {
        let responses = self.document.pointer(&operation.pointer)?["responses"].as_object()?;
        let (status, response) = responses.iter().find(|(status, _)| status.starts_with('2'))?;
        let content = schema::resolve(&self.document, response).get("content")?.get("application/json")?;
        let body = content["examples"].as_object()?.values().next()?.get("value")?;
        Some((status.parse().ok()?, body.clone()))
    }

    /// What the specification calls this answer.
    pub(crate) fn said_of(&self, operation: &Operation, status: u16) -> Option<String> {
        let responses = &self.document.pointer(&operation.pointer)?["responses"];
        Some(responses.get(status.to_string())?["description"].as_str()?.to_owned())
    }

    /// The first thing that the specification has against `asked`.
    pub(crate) fn check(&self, asked: &Asked) -> Result<Operation, Refusal> {
        if self.lax {
            return Ok(Operation { id: String::new(), body: Value::Null, pointer: String::new() });
        }
        let (path, item, named) = self.path(asked.path())?;
        let method = asked.method.to_ascii_lowercase();
        let operation =
            item.get(&method).ok_or_else(|| Refusal::Method(format!("{} has no {}", path, asked.method)))?;
        self.proof(operation, asked)?;
        self.parameters(item, operation, asked, &named)?;
        let body = self.body(operation, asked)?;
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let pointer = format!("/paths/{}/{method}", path.replace('~', "~0").replace('/', "~1"));
        Ok(Operation { id, body, pointer })
    }

    /// What the specification has against this answer to `operation`.
    pub(crate) fn check_answer(&self, operation: &Operation, status: u16, body: &Value) -> Result<(), String> {
        if self.lax {
            return Ok(());
        }
        let responses = &self.document.pointer(&operation.pointer).expect("found before")["responses"];
        let exact = responses.get(status.to_string()).or_else(|| responses.get(format!("{}XX", status / 100)));
        let response = exact.or_else(|| responses.get("default")).map(|r| schema::resolve(&self.document, r));
        let response = response.ok_or_else(|| format!("{} knows no answer {status}", operation.id))?;
        let Some(kinds) = response.get("content").and_then(Value::as_object) else { return Ok(()) };
        let Some(schema) = kinds.values().find_map(|kind| kind.get("schema")) else { return Ok(()) };
        first(&schema::compile(&self.document, schema, false), body)
    }

    /// The path item whose template fits, those with more plain text first, and what stands in its places.
    fn path(&self, path: &str) -> Result<Item<'_>, Refusal> {
        let unknown = || Refusal::Path(format!("there is no {path}"));
        let path = path.strip_prefix(&self.base).ok_or_else(unknown)?;
        let items = self.document["paths"].as_object().expect("paths");
        let mut fitting: Vec<_> =
            items.iter().filter_map(|(template, item)| Some((template.as_str(), item, fit(template, path)?))).collect();
        fitting.sort_by_key(|(_, _, named)| named.len());
        fitting.into_iter().next().ok_or_else(unknown)
    }

    fn proof(&self, operation: &Value, asked: &Asked) -> Result<(), Refusal> {
        let wanted = operation.get("security").or_else(|| self.document.get("security")).and_then(Value::as_array);
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Ok(()) };
        let given = asked.header("authorization").unwrap_or_default();
        let brought = |scheme: &str| {
            let scheme = schema::resolve(&self.document, &self.document["components"]["securitySchemes"][scheme]);
            let begins =
                |word: &str| given.len() > word.len() + 1 && given.get(..=word.len()) == Some(&format!("{word} "));
            match (scheme["type"].as_str(), scheme["scheme"].as_str().map(str::to_ascii_lowercase).as_deref()) {
                (Some("http"), Some("basic")) => begins("Basic"),
                (Some("http"), Some("oauth")) => begins("OAuth"),
                (Some("http" | "oauth2" | "openIdConnect"), _) => begins("Bearer"),
                (Some("apiKey"), _) => {
                    let name = scheme["name"].as_str().unwrap_or_default();
                    let query = asked.target.split_once('?').map_or("", |(_, query)| query);
                    match scheme["in"].as_str() {
                        Some("query") => {
                            text::pairs(query).iter().any(|(given, value)| given == name && !value.is_empty())
                        }
                        _ => asked.header(&name.to_ascii_lowercase()).is_some_and(|value| !value.is_empty()),
                    }
                }
                _ => false,
            }
        };
        let enough = |way: &Value| way.as_object().is_some_and(|way| way.keys().all(|scheme| brought(scheme)));
        let names =
            || wanted.iter().filter_map(Value::as_object).flat_map(|way| way.keys()).cloned().collect::<Vec<_>>();
        if wanted.iter().any(enough) { Ok(()) } else { Err(Refusal::Proof(format!("one of {:?} is wanted", names()))) }
    }

    fn parameters(
        &self,
        item: &Value,
        operation: &Value,
        asked: &Asked,
        named: &[(String, String)],
    ) -> Result<(), Refusal> {
        let list = |of: &'_ Value| of.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        let own = list(operation);
        let mut declared: Vec<&Value> = own.iter().map(|p| schema::resolve(&self.document, p)).collect();
        let shared = list(item);
        for parameter in shared.iter().map(|p| schema::resolve(&self.document, p)) {
            let same = |p: &&Value| p["name"] == parameter["name"] && p["in"] == parameter["in"];
            if !declared.iter().any(same) {
                declared.push(parameter);
            }
        }
        let query = text::pairs(asked.target.split_once('?').map_or("", |(_, query)| query));
        for parameter in &declared {
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = parameter["in"].as_str().unwrap_or_default();
            let given: Vec<String> = match place {
                "path" => named.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect(),
                "query" => query.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect(),
                "header" => asked.header(&name.to_ascii_lowercase()).map(ToOwned::to_owned).into_iter().collect(),
                _ => continue,
            };
            self.parameter(parameter, place, name, given)?;
        }
        let known = |name: &str| declared.iter().any(|p| p["in"] == "query" && p["name"] == name);
        match query.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(Refusal::Parameter(format!("there is no query parameter {name}"))),
            None => Ok(()),
        }
    }

    fn parameter(&self, declared: &Value, place: &str, name: &str, mut given: Vec<String>) -> Result<(), Refusal> {
        if given.is_empty() {
            let needed = place == "path" || declared["required"] == true;
            return if needed {
                Err(Refusal::Parameter(format!("the {place} parameter {name} is missing")))
            } else {
                Ok(())
            };
        }
        let Some(schema) = declared.get("schema") else { return Ok(()) };
        if place != "query" || declared["explode"] == false {
            let list = schema::resolve(&self.document, schema)["type"] == "array";
            given = if list { given.iter().flat_map(|v| v.split(',')).map(ToOwned::to_owned).collect() } else { given };
        }
        let value = text::typed(&self.document, schema, &given);
        first(&schema::compile(&self.document, schema, false), &value)
            .map_err(|why| Refusal::Parameter(format!("the {place} parameter {name}: {why}")))
    }

    fn body(&self, operation: &Value, asked: &Asked) -> Result<Value, Refusal> {
        let declared = operation.get("requestBody").map(|body| schema::resolve(&self.document, body));
        let Some(declared) = declared else {
            return if asked.body.is_empty() { Ok(Value::Null) } else { Err(Refusal::Body("none is taken".into())) };
        };
        if asked.body.is_empty() {
            let needed = declared["required"] == true;
            return if needed { Err(Refusal::Body("it is missing".into())) } else { Ok(Value::Null) };
        }
        let kind = asked.media_type();
        let Some(content) = declared["content"].get(kind) else {
            return Err(Refusal::MediaType(format!("{kind:?} is not taken")));
        };
        let schema = content.get("schema").unwrap_or(&Value::Bool(true));
        let body = if kind == "application/x-www-form-urlencoded" {
            let nested = content.get("encoding").is_some_and(|e| e.to_string().contains("deepObject"));
            text::form(&self.document, schema, &asked.body, nested)
        } else {
            serde_json::from_str(&asked.body).map_err(|error| Refusal::Body(format!("it is no JSON: {error}")))?
        };
        first(&schema::compile(&self.document, schema, body.is_object()), &body).map_err(Refusal::Body)?;
        Ok(body)
    }
}

/// What stands in the places of `template`, if `path` fits it.
fn fit(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut named = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(named),
            (Some(wanted), Some(given)) => match wanted.split_once('{') {
                Some((before, rest)) => {
                    let (name, after) = rest.split_once('}')?;
                    let value = given.strip_prefix(before)?.strip_suffix(after)?;
                    if value.is_empty() {
                        return None;
                    }
                    named.push((name.to_owned(), text::plain(value)));
                }
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

/// The first thing that is wrong with `value`, with its place.
fn first(validator: &jsonschema::Validator, value: &Value) -> Result<(), String> {
    match validator.iter_errors(value).next() {
        None => Ok(()),
        Some(error) => Err(format!("{}: {error}", error.instance_path())),
    }
}
