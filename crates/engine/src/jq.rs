//! Screened jq: expressions from configuration over events, without the parts that could stall or sink the process.
//!
//! jq has no fuel and its stack overflow can't be caught, so the text is capped before it is parsed and its syntax tree
//! is held against an allow-list: no definitions, no folds, no assignment, no unbounded iteration, no environment.

use std::sync::LazyLock;

use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::Val;

mod screen;

use screen::{NESTING, TEXT_BYTES, screen};

/// Bytes of an expression's result.
const RESULT_BYTES: usize = 1 << 20;

/// Why an expression is refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// Over the byte cap.
    #[error("the expression has {0} bytes; at most {TEXT_BYTES} are allowed")]
    TooLong(usize),
    /// Over the nesting cap.
    #[error("the expression nests deeper than {NESTING} brackets")]
    TooDeep,
    /// Not jq.
    #[error("not a jq expression: {0}")]
    Syntax(String),
    /// Outside the allowed part of jq.
    #[error("{0}")]
    Refused(String),
    /// It failed on its input.
    #[error("the expression failed: {0}")]
    Failed(String),
    /// It gave none or several results where one is needed.
    #[error("the expression gave {0} results; exactly one is needed")]
    Results(&'static str),
}

/// A compiled expression.
pub struct Jq {
    text: String,
    filter: Filter<data::JustLut<Val>>,
}

impl std::fmt::Debug for Jq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "jq({:?})", self.text)
    }
}

/// `env`, `halt`, `debug` and the like are not even known to the compiler.
static HIDDEN: LazyLock<Vec<&str>> = LazyLock::new(|| {
    vec!["env", "halt", "debug_empty", "stderr_empty", "debug", "stderr", "halt_error", "input", "inputs", "now"]
});

impl Jq {
    /// Screens and compiles `text`.
    pub fn compile(text: &str) -> Result<Self, JqError> {
        screen(text)?;
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs::<data::JustLut<Val>>().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs.filter(|d| !HIDDEN.contains(&d.name)))
            .load(&arena, File { code: text, path: () })
            .map_err(|_| JqError::Syntax(format!("{text:?} does not parse")))?;
        let filter = Compiler::default()
            .with_funs(funs.filter(|(name, ..)| !HIDDEN.contains(name)))
            .compile(modules)
            .map_err(|e| {
            let names: Vec<String> =
                e.iter().flat_map(|(_, undefined)| undefined.iter().map(|(name, _)| (*name).to_owned())).collect();
            JqError::Refused(format!("not known here: {}", names.join(", ")))
        })?;
        Ok(Self { text: text.to_owned(), filter })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Runs it over one JSON text; the result is JSON text too.
    pub fn run_text(&self, input: &[u8]) -> Result<String, JqError> {
        let input = jaq_json::read::parse_single(input).map_err(|e| JqError::Failed(e.to_string()))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut results = self.filter.id.run((context, input)).map(unwrap_valr);
        let first = results.next().ok_or(JqError::Results("no"))?.map_err(|e| JqError::Failed(e.to_string()))?;
        if results.next().is_some() {
            return Err(JqError::Results("several"));
        }
        let text = first.to_string();
        if text.len() > RESULT_BYTES {
            return Err(JqError::Failed(format!(
                "its result has {} bytes; at most {RESULT_BYTES} are allowed",
                text.len()
            )));
        }
        Ok(text)
    }

    /// Runs it over one JSON text.
    pub fn run(&self, input: &[u8]) -> Result<serde_json::Value, JqError> {
        let text = self.run_text(input)?;
        serde_json::from_str(&text)
            .map_err(|_| JqError::Failed("its result is no JSON (NaN, or a binary string)".into()))
    }

    /// Runs it as a predicate: `false` and `null` are false, everything else is true; a failure is false.
    pub fn holds(&self, input: &[u8]) -> bool {
        !matches!(self.run_text(input).as_deref(), Err(_) | Ok("false" | "null"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(text: &str, input: &str) -> String {
        Jq::compile(text).and_then(|jq| jq.run_text(input.as_bytes())).unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn plain_expressions_work() {
        assert_eq!(
            run("{address: .payload.payerId, amount: .payload.amount}", r#"{"payload":{"payerId":"p","amount":5}}"#),
            r#"{"address":"p","amount":5}"#
        );
        assert_eq!(run("(.amount | tonumber) * 100 > 500", r#"{"amount":"6"}"#), "true");
        assert_eq!(run(r#".items | map(.name) | join(",")"#, r#"{"items":[{"name":"a"},{"name":"b"}]}"#), r#""a,b""#);
        assert_eq!(run(r#"if .x then "y" else "n" end"#, r#"{"x":1}"#), r#""y""#);
        assert!(run(".[]", "[1,2]").contains("several"));
        assert!(run("empty", "1").contains("no results"));
    }

    #[test]
    fn what_could_hang_or_sink_the_process_is_refused() {
        let deep = "(".repeat(50_000) + "1" + &")".repeat(50_000);
        let minus = "-".repeat(4000) + "1";
        for bad in [
            "def f: f; f",
            "env.HOME",
            "$ENV",
            "input",
            "repeat(1)",
            "range(1000000000)",
            "last(range(1e9))",
            "until(false;.)",
            "reduce range(1000000) as $i (0; [.])",
            r#""x" * 1000000000"#,
            ".a * .b",
            "halt",
            "..",
            "[limit(10; repeat(1))]",
            ".[1000000000] = 1",
            "debug",
            "now",
            "import \"a\" as a; 1",
            "\"\\(range(9))\"",
            &deep,
            &minus,
            "recurse",
            "combinations",
            "[.[] | .[] | .[] | .[] | .[] | .[] | .[]]",
        ] {
            assert!(Jq::compile(bad).is_err(), "{bad:.60}");
        }
    }

    proptest! {
        #[test]
        fn no_expression_panics(text in "[.a-z0-9|\\[\\]{}()\" ,:*+-]{0,60}", input in "[0-9a\"\\[\\]{},:]{0,20}") {
            if let Ok(jq) = Jq::compile(&text) {
                let _ = jq.run(input.as_bytes());
            }
        }
    }
}
