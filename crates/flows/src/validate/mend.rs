//! A document with faults of its shape, made whole, so that what else is wrong with it is found in the same look.
//!
//! What could not be read is taken out, or something harmless put in its place; names and positions stay as they are. What is
//! found about such a place, or about what lies around it, says nothing of the document.

use serde_json::{Map, Value, json};

use crate::{model::Workflow, pointer::Pointer, problem::Problems};

/// How often what was mended is read again.
const ROUNDS: usize = 40;
/// Lists of tasks.
const LISTS: [&str; 5] = ["do", "try", "branches", "before", "after"];

/// A document made whole.
pub(super) struct Mended {
    pub(super) workflow: Workflow,
    /// Where something was taken out or put in.
    pub(super) places: Places,
}

/// Places that say nothing of the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Vec<String>);

impl Places {
    /// Whether what is found here may come from the mending.
    pub(super) fn touch(&self, path: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
        };
        path == "/" && !self.0.is_empty() || self.0.iter().any(|place| within(place, path) || within(path, place))
    }

    /// Whether something below this place was mended.
    pub(super) fn any_in(&self, path: &str) -> bool {
        self.0.iter().any(|place| place.starts_with(path))
    }

    /// Whether a list around this place has an item whose name is not known.
    pub(super) fn unnamed_beside(&self, at: &Pointer) -> bool {
        self.0.iter().any(|place| {
            let list = place.rsplit_once('/').filter(|(_, n)| n.parse::<usize>().is_ok()).map(|(list, _)| list);
            list.is_some_and(|list| at.as_str().strip_prefix(list).is_some_and(|rest| rest.starts_with('/')))
        })
    }
}

/// `None`: too little of it is there.
pub(super) fn mend(source: &Value, found: &Problems) -> Option<Mended> {
    let mut value = source.clone();
    let mut places = Places::default();
    let mut found = found.clone();
    for _ in 0..ROUNDS {
        for problem in found.list() {
            places.0.push(repair(&mut value, &problem.path)?);
        }
        let mut again = Problems::default();
        match Workflow::from_value(&value, &mut again) {
            Some(workflow) if again.is_empty() => return Some(Mended { workflow, places }),
            _ if again.is_empty() => return None,
            _ => found = again,
        }
    }
    None
}

/// Takes out what stands at `path`, or the nearest around it that can be taken out; says where that was.
fn repair(value: &mut Value, path: &str) -> Option<String> {
    let path = if path == "/" { "" } else { path };
    if path.is_empty() || path == "/document" || REQUIRED.iter().any(|(name, _)| path == format!("/document/{name}")) {
        return head(value, path);
    }
    let mut at = path;
    loop {
        // An earlier problem took it out already.
        if value.pointer(at).is_none() {
            return Some(at.to_owned());
        }
        if let Some(list) = item_of(at)
            && let Some(item) = value.pointer_mut(at)
        {
            let name = item.as_object().and_then(|map| map.keys().next().cloned()).unwrap_or_else(|| "_".to_owned());
            *item = Value::Object(Map::from_iter([(name, harmless(list))]));
            return Some(at.to_owned());
        }
        let (parent, key) = at.rsplit_once('/')?;
        if let Some(list) = item_of(parent)
            && let Some(task) = value.pointer_mut(at)
        {
            *task = harmless(list);
            return Some(at.to_owned());
        }
        if let Some(Value::Object(fields)) = value.pointer_mut(parent) {
            fields.remove(&key.replace("~1", "/").replace("~0", "~"));
            return Some(at.to_owned());
        }
        at = parent;
    }
}

/// What a document can't be without.
const REQUIRED: [(&str, &str); 4] =
    [("dsl", "1.0.3"), ("namespace", "unnamed"), ("name", "unnamed"), ("version", "0.0.0")];

fn head(value: &mut Value, path: &str) -> Option<String> {
    let root = value.as_object_mut()?;
    if !root.get("document").is_some_and(Value::is_object) {
        root.insert("document".to_owned(), json!({}));
    }
    if !root.contains_key("do") {
        root.insert("do".to_owned(), json!([{"_": harmless("do")}]));
    }
    let document = root.get_mut("document")?.as_object_mut()?;
    for (name, text) in REQUIRED {
        if !document.get(name).is_some_and(Value::is_string) {
            document.insert(name.to_owned(), text.into());
        }
    }
    Some(if path.is_empty() { "/document".to_owned() } else { path.to_owned() })
}

/// The list in which an item of this place stands, where such items have a name each.
fn item_of(at: &str) -> Option<&str> {
    let (rest, index) = at.rsplit_once('/')?;
    let (_, list) = rest.rsplit_once('/')?;
    let named = LISTS.contains(&list) || list == "switch" || rest == "/use/extensions";
    (named && index.parse::<usize>().is_ok()).then_some(list)
}

/// What stands in such a list and does nothing.
fn harmless(list: &str) -> Value {
    match list {
        "switch" => json!({"then": "continue"}),
        "extensions" => json!({"extend": "set"}),
        _ => json!({"set": {"_": null}}),
    }
}
