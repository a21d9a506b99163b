//! `nexus.dev/budget`: how many runs events may begin.

use std::sync::Arc;

use serde_json::Value;

use super::Validator;
use crate::{
    expression::Place,
    plan::{BUDGET_AT_MOST, Budget},
    pointer::Pointer,
};

impl Validator<'_> {
    pub(super) fn budget(&mut self, value: &Value, at: &Pointer) -> Option<Budget> {
        let known = value.as_object().is_some_and(|map| map.keys().all(|key| key == "runs" || key == "key"));
        let runs = value.get("runs").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let key = value.get("key").map(Value::as_str);
        let (Some(runs @ 1..=BUDGET_AT_MOST), true, None | Some(Some(_))) = (runs, known, key) else {
            let what = format!(
                "`runs` (1 to {BUDGET_AT_MOST}, in one minute) and perhaps `key` (an expression over the input) are expected here"
            );
            self.problems.add(at, what);
            return None;
        };
        let key = match key.flatten() {
            Some(key) => Some(Arc::new(self.expression(key, &at.key("key"), Place::Trigger)?)),
            None => None,
        };
        Some(Budget { runs, key })
    }
}
