//! JSON Schema for everyone above: compiled here, checked here.
//!
//! The library is generic over how JSON is held, so that every crate that calls it gets a copy of all keywords, a megabyte
//! and more of code. The functions here are not generic and never inlined: one copy serves all.

use std::fmt;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// A compiled schema.
pub struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// Where a value departs from its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the value; empty for the value itself.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Whether a reason may quote what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// With the value: for whoever wrote it.
    Values,
    /// Without: it may be long, and a person's.
    Masked,
}

impl Schema {
    /// Compiles it, formats included. References to other documents are refused: nothing is fetched.
    #[inline(never)]
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let built = jsonschema::options().should_validate_formats(true).build(schema);
        built.map(Self).map_err(|error| error.to_string())
    }

    /// Whether the value is as the schema says.
    #[inline(never)]
    pub fn fits(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }

    /// The first `most` places where it is not.
    #[inline(never)]
    pub fn violations(&self, value: &Value, most: usize, tell: Tell) -> Vec<Violation> {
        self.0.iter_errors(value).take(most).map(|error| violation(&error, tell)).collect()
    }
}

fn violation(error: &ValidationError<'_>, tell: Tell) -> Violation {
    let reason = match tell {
        Tell::Values => error.to_string(),
        Tell::Masked => error.masked().to_string(),
    };
    Violation { path: error.instance_path().as_str().to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_departs_from_its_schema_is_named_by_place_with_or_without_the_value() {
        let schema = json!({"properties": {"at": {"format": "date"}, "n": {"maximum": 3}}});
        let schema = Schema::compile(&schema).expect("a schema");
        assert!(schema.fits(&json!({"at": "2026-01-31", "n": 3})));
        let wrong = json!({"at": "the 31st", "n": 4711});
        assert!(!schema.fits(&wrong));
        let all = schema.violations(&wrong, 9, Tell::Masked);
        let mut paths: Vec<&str> = all.iter().map(|v| v.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/at", "/n"]);
        assert!(all.iter().all(|v| !v.reason.contains("4711") && !v.reason.contains("31st")), "{all:?}");
        let told = schema.violations(&wrong, 9, Tell::Values);
        assert!(told.iter().any(|v| v.reason.contains("4711")), "{told:?}");
        assert_eq!(schema.violations(&wrong, 1, Tell::Masked).len(), 1);
    }

    #[test]
    fn a_schema_may_refer_to_itself_also_in_place() {
        let tree = json!({"$defs": {"t": {"required": ["n"], "properties": {"next": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"});
        let tree = Schema::compile(&tree).expect("a schema");
        assert!(tree.fits(&json!({"n": 1, "next": {"n": 2}})));
        assert_eq!(tree.violations(&json!({"n": 1, "next": {}}), 9, Tell::Masked)[0].path, "/next");
        for circle in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
        ] {
            let circle = Schema::compile(&circle).expect("a schema");
            // Whatever it says, it says it.
            let _ = (circle.fits(&json!({"x": 1})), circle.violations(&json!({"x": 1}), 9, Tell::Masked));
        }
    }

    #[test]
    fn a_schema_that_points_elsewhere_or_is_none_is_refused() {
        for bad in [
            json!({"type": "nonsense"}),
            json!({"$ref": "http://127.0.0.1:1/x.json"}),
            json!({"$ref": "file:///etc/passwd"}),
        ] {
            assert!(Schema::compile(&bad).is_err(), "{bad}");
        }
    }
}
