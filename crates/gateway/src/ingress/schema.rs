//! JSON Schemas of event types: compiled once per source in force, checked before anything is stored.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use nexus_core::{
    problem::{Code, Problem},
    topic::Topic,
};
use nexus_engine::{
    schema::{Schema, Tell, Violation as Broken},
    source::ActiveSource,
};
use serde_json::Value;

/// Compiled schemas kept at once; beyond it all are compiled anew as they are needed.
const COMPILED: usize = 4_096;

/// Where a payload departs from its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// JSON pointer into the payload; `/` alone for the payload itself.
    pub(crate) path: String,
    /// Why.
    pub(crate) reason: String,
}

/// A compiled schema and the text it was made of.
struct Compiled {
    schema: Value,
    validator: Arc<Schema>,
}

/// Compiled schemas by source and type.
pub(crate) struct Schemas(RwLock<HashMap<(Arc<str>, Topic), Compiled>>);

impl Schemas {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(RwLock::default())
    }

    /// Checks `data` (valid JSON) against the source's schema of `topic`.
    pub(crate) fn check(
        &self,
        source: &ActiveSource,
        topic: &Topic,
        data: &[u8],
    ) -> Result<Option<Violation>, Problem> {
        let Some(schema) = source.source.schemas.get(topic) else { return Ok(None) };
        let validator = self.compiled(source, topic, schema)?;
        let value: Value = serde_json::from_slice(data)
            .map_err(|error| Problem::new(Code::Malformed, format!("the payload can't be read: {error}")))?;
        let first = validator.violations(&value, 1, Tell::Masked).pop();
        Ok(first.map(|Broken { path, reason }| {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            Violation { path, reason }
        }))
    }

    fn compiled(&self, source: &ActiveSource, topic: &Topic, schema: &Value) -> Result<Arc<Schema>, Problem> {
        let key = (Arc::clone(&source.id), topic.clone());
        {
            let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = held.get(&key).filter(|c| c.schema == *schema) {
                return Ok(Arc::clone(&found.validator));
            }
        }
        let validator = Arc::new(compile(schema).map_err(|reason| {
            tracing::error!(source = %source.id, %topic, %reason, "a stored schema does not compile");
            Problem::new(Code::Internal, format!("the schema of {topic} does not compile"))
        })?);
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= COMPILED {
            held.clear();
        }
        held.insert(key, Compiled { schema: schema.clone(), validator: Arc::clone(&validator) });
        Ok(validator)
    }
}

/// Compiles a schema; references to other documents are refused, nothing is fetched.
pub(crate) fn compile(schema: &Value) -> Result<Schema, String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("a JSON Schema is an object (or true or false)".to_owned());
    }
    Schema::compile(schema)
}

/// 422 that names the type whose schema is no schema.
pub(crate) fn demand_schemas<'a>(schemas: impl Iterator<Item = (&'a Topic, &'a Value)>) -> Result<(), Problem> {
    for (topic, schema) in schemas {
        compile(schema).map_err(|reason| Problem::field(&format!("schemas.{topic}"), reason))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_points_elsewhere_or_is_none_is_refused() {
        assert!(compile(&json!({"type": "object", "required": ["a"]})).is_ok());
        assert!(compile(&json!({"type": "nonsense"})).is_err());
        assert!(compile(&json!([1])).is_err());
        assert!(compile(&json!({"$ref": "http://127.0.0.1:1/x.json"})).is_err());
        assert!(compile(&json!({"$ref": "file:///etc/passwd"})).is_err());
    }
}
