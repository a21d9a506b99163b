//! Three-way merges of JSON texts: what the writer had read, what stands, what the writer wants. Pure.
//!
//! Whatever a merge does not have to open keeps its text, so that large numbers and the order of keys survive.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::value::{Decimal, Fields, essence, items, quoted, same};

/// How two changes of one value become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeKind {
    /// Objects: the fields that the writer changed against what it had read are changed, added or removed in what
    /// stands, at every depth (as by RFC 7396, save that `null` is a value); of two changes of one field the later wins.
    #[default]
    Json,
    /// Arrays as sets: the members that the writer added against what it had read are added to what stands, those that it
    /// took away are taken away. Each member stands once, what stood first.
    Set,
    /// Numbers: what the writer added is added to what stands, exactly.
    Counter,
    /// Arrays as lists: what the writer appended to what it had read is appended to what stands.
    List,
}

/// Why two changes can't be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CanNotMerge {
    NoBase,
    NotNumbers,
    NotArrays,
    NotAppended,
    TooLarge,
}

impl fmt::Display for CanNotMerge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBase => {
                "the writer had read no value (version 0, or a deletion), so what it added to a counter or list can't be told"
            }
            Self::NotNumbers => "a counter needs numbers",
            Self::NotArrays => "a set or list needs arrays",
            Self::NotAppended => "the list does not begin with the one that the writer had read",
            Self::TooLarge => {
                "the sum can't be kept exactly: a counter has whole numbers of 64 bits, or fractions of up to 38 digits"
            }
        })
    }
}

/// The merged value as JSON text. Without a base the writer had read that there is no value.
pub(super) fn merge(kind: MergeKind, base: Option<&str>, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    match kind {
        MergeKind::Json => Ok(objects(base, current, wanted)),
        MergeKind::Set => members(base.unwrap_or("[]"), current, wanted),
        MergeKind::Counter => count(base.ok_or(CanNotMerge::NoBase)?, current, wanted),
        MergeKind::List => append(base.ok_or(CanNotMerge::NoBase)?, current, wanted),
    }
}

fn objects(base: Option<&str>, current: &str, wanted: &str) -> String {
    let (Some(now), Some(new)) = (Fields::read(current), Fields::read(wanted)) else {
        let untouched = base.is_some_and(|base| same(base, wanted));
        return if untouched { current.to_owned() } else { wanted.to_owned() };
    };
    let old = base.and_then(Fields::read).unwrap_or_default();
    let mut out: Vec<String> = Vec::with_capacity(now.0.len());
    for (name, value) in &now.0 {
        let merged = match (new.get(name), old.get(name)) {
            (Some(wanted), Some(base)) if same(wanted, base) => (*value).get().to_owned(),
            (Some(wanted), base) => objects(base, value.get(), wanted),
            (None, Some(_)) => continue,
            (None, None) => (*value).get().to_owned(),
        };
        out.push(format!("{}:{merged}", quoted(name)));
    }
    for (name, value) in &new.0 {
        // What others removed and the writer did not touch stays removed.
        let untouched = old.get(name).is_some_and(|base| same(base, value.get()));
        if now.get(name).is_none() && !untouched {
            out.push(format!("{}:{}", quoted(name), value.get()));
        }
    }
    format!("{{{}}}", out.join(","))
}

fn members(base: &str, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    let (old, now, new) = (array(base)?, array(current)?, array(wanted)?);
    let known = |items: &[&RawValue]| items.iter().map(|item| essence(item.get())).collect::<HashSet<_>>();
    let (old, kept) = (known(&old), known(&new));
    let mut seen = HashSet::new();
    let mut out: Vec<&str> = Vec::with_capacity(now.len());
    for (item, stands) in now.iter().map(|item| (item, true)).chain(new.iter().map(|item| (item, false))) {
        let member = essence(item.get());
        // What the writer took away goes; what others took away and the writer merely still has does not come back.
        let goes = if stands { old.contains(&member) && !kept.contains(&member) } else { old.contains(&member) };
        if !goes && seen.insert(member) {
            out.push(item.get());
        }
    }
    Ok(format!("[{}]", out.join(",")))
}

fn append(base: &str, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    let (old, now, new) = (array(base)?, array(current)?, array(wanted)?);
    let begins = new.len() >= old.len() && old.iter().zip(&new).all(|(a, b)| same(a.get(), b.get()));
    if !begins {
        return Err(CanNotMerge::NotAppended);
    }
    let all: Vec<&str> = now.iter().chain(new.iter().skip(old.len())).map(|item| item.get()).collect();
    Ok(format!("[{}]", all.join(",")))
}

fn count(base: &str, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    let number = |text: &str| {
        let is_number = text.trim_start().starts_with(|c: char| c == '-' || c.is_ascii_digit());
        Decimal::read(text).ok_or(if is_number { CanNotMerge::TooLarge } else { CanNotMerge::NotNumbers })
    };
    let terms = [number(current)?, number(wanted)?, number(base)?.negated()];
    Decimal::sum(&terms).and_then(|sum| sum.to_json()).ok_or(CanNotMerge::TooLarge)
}

fn array(text: &str) -> Result<Vec<&RawValue>, CanNotMerge> {
    items(text).ok_or(CanNotMerge::NotArrays)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{super::value::tests::tree, *};

    fn merged(base: &Value, current: &Value, wanted: &Value) -> Value {
        let text = objects(Some(&base.to_string()), &current.to_string(), &wanted.to_string());
        serde_json::from_str(&text).expect("JSON")
    }

    /// A few different small numbers in any order.
    fn small() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::hash_set(0..8_u8, 0..6).prop_map(|set| set.into_iter().collect())
    }

    /// What RFC 7396 does with a patch that has no `null` in it.
    fn patched(target: &Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut out = target.as_object().cloned().unwrap_or_default();
        for (name, value) in patch {
            let before = out.get(name).cloned().unwrap_or(Value::Null);
            out.insert(name.clone(), patched(&before, value));
        }
        Value::Object(out)
    }

    #[test]
    fn changes_of_different_fields_are_both_kept() {
        let base = json!({"a": 1, "b": {"x": 1, "y": 1}, "gone": 1});
        let current = json!({"a": 2, "b": {"x": 2, "y": 1}, "gone": 1, "new": 1});
        let wanted = json!({"a": 1, "b": {"x": 1, "y": 3}, "mine": null});
        assert_eq!(merged(&base, &current, &wanted), json!({"a": 2, "b": {"x": 2, "y": 3}, "new": 1, "mine": null}));
    }

    #[test]
    fn what_a_merge_need_not_open_keeps_its_text() {
        let text = objects(
            Some(r#"{"n":1,"z":12345678901234567890123}"#),
            r#"{"z":12345678901234567890124,"n":1, "s":"\u00e9"}"#,
            r#"{"n":2.50, "z":12345678901234567890123}"#,
        );
        assert_eq!(text, r#"{"z":12345678901234567890124,"n":2.50,"s":"\u00e9"}"#);
    }

    #[test]
    fn a_field_that_the_writer_only_wrote_another_way_is_not_changed_by_it() {
        let base = r#"{"list":[{"a":1,"b":"é"}],"n":1}"#;
        let current = r#"{"list":[2],"n":1}"#;
        let text = objects(Some(base), current, r#"{"n":5,"list":[{"b":"\u00e9","a":1.0}]}"#);
        assert_eq!(text, r#"{"list":[2],"n":5}"#);
    }

    #[test]
    fn sets_are_changed_counters_add_and_lists_append() {
        let merge = |kind, base, current, wanted| super::merge(kind, Some(base), current, wanted);
        let set = |base, current, wanted| merge(MergeKind::Set, base, current, wanted);
        assert_eq!(set("[1,2,3]", "[1,3]", "[1,2,3,4]").as_deref(), Ok("[1,3,4]"), "what others took away stays away");
        assert_eq!(set("[1,2]", "[1,2,9]", "[1]").as_deref(), Ok("[1,9]"), "what the writer took away goes");
        assert_eq!(set("[]", "[1, {\"a\": 1}]", "[{\"a\":1},2,2]").as_deref(), Ok("[1,{\"a\": 1},2]"));
        let by_value = set(r#"[1.0,{"b":2,"a":1}]"#, r#"[1,{"a":1,"b":2},"é"]"#, r#"[{"a":1e0,"b":2},"\u00e9",7]"#);
        assert_eq!(by_value.as_deref(), Ok(r#"[{"a":1,"b":2},"é",7]"#), "members are compared as values");
        assert_eq!(super::merge(MergeKind::Set, None, "[1]", "[2,1]").as_deref(), Ok("[1,2]"));
        assert_eq!(merge(MergeKind::Counter, "10", "15", "12").as_deref(), Ok("17"));
        assert_eq!(merge(MergeKind::Counter, "1", "1.5", "2").as_deref(), Ok("2.5"));
        assert_eq!(merge(MergeKind::Counter, "0", "9223372036854775807", "1"), Err(CanNotMerge::TooLarge));
        assert_eq!(merge(MergeKind::Counter, "0", "18446744073709551615", "1"), Err(CanNotMerge::TooLarge));
        assert_eq!(merge(MergeKind::Counter, "0", "1e99999999999999999999", "1"), Err(CanNotMerge::TooLarge));
        assert_eq!(merge(MergeKind::Counter, "0.1", "0.3", "0.2").as_deref(), Ok("0.4"));
        assert_eq!(merge(MergeKind::Counter, "0", "\"1\"", "1"), Err(CanNotMerge::NotNumbers));
        assert_eq!(merge(MergeKind::List, "[1]", "[1,2]", "[1,3]").as_deref(), Ok("[1,2,3]"));
        assert_eq!(merge(MergeKind::List, "[1]", "[1,2]", "[3]"), Err(CanNotMerge::NotAppended));
        assert_eq!(merge(MergeKind::List, "{}", "[1,2]", "[3]"), Err(CanNotMerge::NotArrays));
        assert_eq!(super::merge(MergeKind::List, None, "[]", "[]"), Err(CanNotMerge::NoBase));
    }

    proptest! {
        #[test]
        fn a_writer_who_read_what_stands_gets_what_it_wants(base in tree(), wanted in tree()) {
            prop_assert_eq!(merged(&base, &base, &wanted), wanted);
        }

        #[test]
        fn a_writer_who_changed_nothing_changes_nothing(base in tree(), current in tree()) {
            prop_assert_eq!(merged(&base, &current, &base), current);
        }

        #[test]
        fn without_a_base_it_is_a_merge_patch(current in tree(), wanted in tree()) {
            let text = objects(None, &current.to_string(), &wanted.to_string());
            let value: Value = serde_json::from_str(&text).expect("JSON");
            // A patch puts `{}` where there was no object; so does the writer's own value.
            prop_assert_eq!(value, patched(&current, &wanted));
        }

        #[test]
        fn counters_add_up_in_any_order(start in -1000i64..1000, a in -1000i64..1000, b in -1000i64..1000) {
            let text = |n: i64| n.to_string();
            let first = count(&text(start), &text(start + a), &text(start + b));
            let second = count(&text(start), &text(start + b), &text(start + a));
            prop_assert_eq!(first.clone(), second);
            prop_assert_eq!(first, Ok(text(start + a + b)));
        }

        #[test]
        fn a_set_gains_what_the_writer_added_and_loses_what_it_took_away(
            base in small(), current in small(), wanted in small(),
        ) {
            let text = |set: &[u8]| json!(set).to_string();
            let found = members(&text(&base), &text(&current), &text(&wanted)).expect("arrays");
            let found: Vec<u8> = serde_json::from_str(&found).expect("numbers");
            for n in 0..8 {
                // By the definition: the writer's change where there is one, else what stands.
                let changed = base.contains(&n) != wanted.contains(&n);
                let right = if changed { wanted.contains(&n) } else { current.contains(&n) };
                prop_assert_eq!(found.iter().filter(|m| **m == n).count(), usize::from(right), "{} in {:?}", n, &found);
            }
            let place = |of: &[u8], n: u8| of.iter().position(|m| *m == n);
            for pair in found.windows(2) {
                let (first, second) = (pair[0], pair[1]);
                let in_order = match (place(&current, first), place(&current, second)) {
                    (Some(a), Some(b)) => a < b,
                    (Some(_), None) => true,
                    (None, Some(_)) => false,
                    (None, None) => place(&wanted, first) < place(&wanted, second),
                };
                prop_assert!(in_order, "{:?} of {:?} and {:?}", found, current, wanted);
            }
        }

        #[test]
        fn a_list_is_what_stands_and_then_what_was_appended(
            base in small(), current in small(), tail in small(),
        ) {
            let wanted = [&base[..], &tail[..]].concat();
            let text = |list: &[u8]| json!(list).to_string();
            let found = append(&text(&base), &text(&current), &text(&wanted)).expect("arrays");
            prop_assert_eq!(found, text(&[current, tail].concat()));
        }
    }
}
