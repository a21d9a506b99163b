//! Reading the model from plain values: every field known, every problem found, each with its place.

use serde_json::{Map, Value};

use crate::{
    pointer::Pointer,
    problem::{Problems, nearest},
};

/// What can be read from a document. `None` means that a problem was added.
pub(crate) trait Read: Sized {
    /// Reads the value that stands `at`.
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self>;
}

/// How a message calls a value it did not expect.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

pub(crate) fn expected<T>(what: &str, value: &Value, at: &Pointer, problems: &mut Problems) -> Option<T> {
    problems.add(at, format!("{what} is expected here, not {}", kind(value)));
    None
}

/// The fields of one map, taken one after the other.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    pub(crate) at: Pointer,
    pub(crate) problems: &'a mut Problems,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn open(value: &'a Value, at: &Pointer, what: &str, problems: &'a mut Problems) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self { map, at: at.clone(), problems, known: Vec::new() }),
            other => expected(&format!("{what} (a map)"), other, at, problems),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// `None`: it is missing or wrong, and said so.
    pub(crate) fn required<T: Read>(&mut self, key: &'static str) -> Option<T> {
        self.known.push(key);
        match self.map.get(key) {
            Some(value) => T::read(value, &self.at.key(key), self.problems),
            None => {
                self.problems.add(&self.at, format!("the field {key:?} is missing"));
                None
            }
        }
    }

    /// `None`: it is wrong, and said so. `Some(None)`: it is not there.
    pub(crate) fn optional<T: Read>(&mut self, key: &'static str) -> Option<Option<T>> {
        self.known.push(key);
        match self.map.get(key) {
            Some(value) => T::read(value, &self.at.key(key), self.problems).map(Some),
            None => Some(None),
        }
    }

    /// Says which fields have no place here.
    pub(crate) fn close(self) {
        for key in self.map.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let hint = nearest(key, self.known.iter().copied());
            let hint = if hint.is_empty() { format!("; known here: {}", self.known.join(", ")) } else { hint };
            self.problems.add(&self.at.key(key), format!("the field {key:?} is not known here{hint}"));
        }
    }
}

impl Read for String {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => {
                problems
                    .add(at, format!("text is expected here, not the number {number}; write it in quotes: '{number}'"));
                None
            }
            other => expected("text", other, at, problems),
        }
    }
}

impl Read for bool {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        value.as_bool().or_else(|| expected("true or false", value, at, problems))
    }
}

impl Read for u32 {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let number = value.as_u64().and_then(|n| Self::try_from(n).ok());
        number.or_else(|| expected("a whole number, not negative,", value, at, problems))
    }
}

impl Read for f64 {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        value.as_f64().or_else(|| expected("a number", value, at, problems))
    }
}

impl Read for Value {
    fn read(value: &Value, _: &Pointer, _: &mut Problems) -> Option<Self> {
        Some(value.clone())
    }
}

impl Read for Map<String, Value> {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        value.as_object().cloned().or_else(|| expected("a map", value, at, problems))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let Value::Array(items) = value else { return expected("a list", value, at, problems) };
        // Each item is read, so that all problems are found, before one of them fails the list.
        let read: Vec<Option<T>> =
            items.iter().enumerate().map(|(n, item)| T::read(item, &at.index(n), problems)).collect();
        read.into_iter().collect()
    }
}

impl<T: Read> Read for Box<T> {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        T::read(value, at, problems).map(Self::new)
    }
}

impl<T: Read> Read for std::collections::BTreeMap<String, T> {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let Value::Object(fields) = value else { return expected("a map", value, at, problems) };
        let read: Vec<Option<(String, T)>> = fields
            .iter()
            .map(|(key, field)| T::read(field, &at.key(key), problems).map(|read| (key.clone(), read)))
            .collect();
        read.into_iter().collect()
    }
}

/// Declares one map of the DSL: its Rust form, how it is written and how it is read.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident: $what:literal {
        $(required { $($(#[$rm:meta])* $rfield:ident $rkey:literal: $rty:ty),* $(,)? })?
        $(optional { $($(#[$om:meta])* $ofield:ident $okey:literal: $oty:ty),* $(,)? })?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $($($(#[$rm])* #[serde(rename = $rkey)] pub $rfield: $rty,)*)?
            $($($(#[$om])* #[serde(rename = $okey, skip_serializing_if = "Option::is_none")] pub $ofield: Option<$oty>,)*)?
        }

        impl $name {
            #[expect(clippy::allow_attributes, reason = "not every record has fields of both kinds")]
            #[allow(dead_code, reason = "maps that share their fields with others are read by this, the rest by `read`")]
            pub(crate) fn from_fields(fields: &mut $crate::model::read::Fields<'_>) -> Option<Self> {
                $($(let $rfield = fields.required($rkey);)*)?
                $($(let $ofield = fields.optional($okey);)*)?
                Some(Self { $($($rfield: $rfield?,)*)? $($($ofield: $ofield?,)*)? })
            }
        }

        impl $crate::model::read::Read for $name {
            fn read(
                value: &serde_json::Value,
                at: &$crate::pointer::Pointer,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                let mut fields = $crate::model::read::Fields::open(value, at, $what, problems)?;
                let read = Self::from_fields(&mut fields);
                fields.close();
                read
            }
        }
    };
}
pub(crate) use record;
