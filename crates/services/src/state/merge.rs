//! Three-way merges of JSON texts: what the writer had read, what stands, what the writer wants. Pure.
//!
//! Whatever a merge does not have to open keeps its text, so that large numbers and the order of keys survive.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// How two changes of one value become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeKind {
    /// Objects: the fields that the writer changed against what it had read are changed, added or removed in what
    /// stands, at every depth (as by RFC 7396, save that `null` is a value); of two changes of one field the later wins.
    #[default]
    Json,
    /// Arrays as sets: what stands, then what the writer has besides. Nothing is removed.
    Set,
    /// Numbers: what the writer added is added to what stands.
    Counter,
    /// Arrays as lists: what the writer appended is appended to what stands.
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
            Self::NoBase => "the version that the writer had read is no longer kept",
            Self::NotNumbers => "a counter needs numbers",
            Self::NotArrays => "a set or list needs arrays",
            Self::NotAppended => "the list does not begin with the one that the writer had read",
            Self::TooLarge => "the sum is no number that can be kept",
        })
    }
}

/// The merged value as JSON text.
pub(super) fn merge(kind: MergeKind, base: Option<&str>, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    match kind {
        MergeKind::Json => Ok(objects(base, current, wanted)),
        MergeKind::Set => union(current, wanted),
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

fn union(current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    let (now, new) = (items(current)?, items(wanted)?);
    let mut seen: std::collections::HashSet<String> = now.iter().map(|item| compact(item.get())).collect();
    let mut out: Vec<&str> = now.iter().map(|item| item.get()).collect();
    out.extend(new.iter().filter(|item| seen.insert(compact(item.get()))).map(|item| item.get()));
    Ok(format!("[{}]", out.join(",")))
}

fn append(base: &str, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    let (old, now, new) = (items(base)?, items(current)?, items(wanted)?);
    let begins = new.len() >= old.len() && old.iter().zip(&new).all(|(a, b)| same(a.get(), b.get()));
    if !begins {
        return Err(CanNotMerge::NotAppended);
    }
    let all: Vec<&str> = now.iter().chain(new.iter().skip(old.len())).map(|item| item.get()).collect();
    Ok(format!("[{}]", all.join(",")))
}

fn count(base: &str, current: &str, wanted: &str) -> Result<String, CanNotMerge> {
    let whole = |text: &str| text.trim().parse::<i64>().ok().map(i128::from);
    if let (Some(base), Some(now), Some(new)) = (whole(base), whole(current), whole(wanted)) {
        let sum = now + (new - base);
        return i64::try_from(sum).map(|sum| sum.to_string()).map_err(|_| CanNotMerge::TooLarge);
    }
    let float = |text: &str| serde_json::from_str::<f64>(text).map_err(|_| CanNotMerge::NotNumbers);
    let sum = float(current)? + (float(wanted)? - float(base)?);
    serde_json::Number::from_f64(sum).map(|sum| sum.to_string()).ok_or(CanNotMerge::TooLarge)
}

/// The fields of an object in their order.
#[derive(Default)]
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// `None` for what is no object.
    fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        d.deserialize_map(Reader).map(Fields)
    }
}

fn items(text: &str) -> Result<Vec<&RawValue>, CanNotMerge> {
    serde_json::from_str(text).map_err(|_| CanNotMerge::NotArrays)
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

/// Whether two texts are the same JSON, white space aside.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || compact(a) == compact(b)
}

/// A JSON text without the white space between its tokens.
fn compact(text: &str) -> String {
    let (mut within, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = within || !c.is_ascii_whitespace();
        match c {
            '"' if !escaped => within = !within,
            _ => {}
        }
        escaped = within && *c == '\\' && !escaped;
        kept
    };
    text.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn merged(base: &Value, current: &Value, wanted: &Value) -> Value {
        let text = objects(Some(&base.to_string()), &current.to_string(), &wanted.to_string());
        serde_json::from_str(&text).expect("JSON")
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

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..5i64).prop_map(Value::from),
            "[a-c\"\\\\ ]{0,3}".prop_map(Value::from)
        ]
    }

    fn tree() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
            ]
        })
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
    fn sets_unite_counters_add_and_lists_append() {
        let merge = |kind, base, current, wanted| super::merge(kind, Some(base), current, wanted);
        assert_eq!(
            merge(MergeKind::Set, "[]", "[1, {\"a\": 1}]", "[{\"a\":1},2,2]").as_deref(),
            Ok("[1,{\"a\": 1},2]")
        );
        assert_eq!(merge(MergeKind::Counter, "10", "15", "12").as_deref(), Ok("17"));
        assert_eq!(merge(MergeKind::Counter, "1", "1.5", "2").as_deref(), Ok("2.5"));
        assert_eq!(merge(MergeKind::Counter, "0", "9223372036854775807", "1"), Err(CanNotMerge::TooLarge));
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
        fn a_union_holds_each_item_of_both_once(a in proptest::collection::vec(0..6u8, 0..5), b in proptest::collection::vec(0..6u8, 0..5)) {
            let mut a = a; a.sort_unstable(); a.dedup();
            let text = union(&json!(a).to_string(), &json!(b).to_string()).expect("arrays");
            let mut found: Vec<u8> = serde_json::from_str(&text).expect("numbers");
            prop_assert_eq!(&found[..a.len()], &a[..]);
            found.sort_unstable();
            let mut both: Vec<u8> = a.iter().chain(&b).copied().collect();
            both.sort_unstable();
            both.dedup();
            prop_assert_eq!(found, both);
        }

        #[test]
        fn compact_text_is_the_same_json(value in tree()) {
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            prop_assert_eq!(compact(&pretty), value.to_string());
        }
    }
}
