//! Keys: which are legal, and the ranges of those that begin alike.

use nexus_core::{limits::ID_BYTES, problem::Problem};

/// Bytes of a key; it is also the subject of its events. Longer is refused (422).
pub const KEY_BYTES: usize = ID_BYTES;
/// Stands between a key and a version in the key of a history record. No key can hold it.
const SEPARATOR: char = '\u{1f}';

/// 422 unless `key` can be a key: 1 to 256 bytes of any characters but control characters.
pub fn check_key(key: &str) -> Result<(), Problem> {
    let reason = if key.is_empty() {
        format!("a key has 1 to {KEY_BYTES} bytes, this one is empty")
    } else if key.len() > KEY_BYTES {
        format!("a key has 1 to {KEY_BYTES} bytes, this one has {}", key.len())
    } else if let Some(c) = key.chars().find(|c| c.is_control()) {
        format!("a key has no control characters, this one has {c:?}")
    } else {
        return Ok(());
    };
    Err(Problem::field("key", reason))
}

/// The smallest text above all that begin with `prefix`; none where there is no such text.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Text sorts by bytes, which for UTF-8 is the order of code points; the surrogates are a hole in it.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// The smallest text above `key` itself that a key can't be below: keys have no control characters.
pub(super) fn just_after(key: &str) -> String {
    format!("{key}\u{1}")
}

/// Where a version of a key lies in the history.
pub(super) fn history_key(key: &str, version: u64) -> String {
    format!("{key}{SEPARATOR}{version:020}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_text_is_a_key_but_the_empty_the_long_and_control_characters() {
        for good in ["a", "a/b/c", "ключ 🗝", "..", " ", "%2F", &"x".repeat(KEY_BYTES)] {
            assert_eq!(check_key(good), Ok(()), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{7f}", "\u{85}", &"x".repeat(KEY_BYTES + 1)] {
            assert!(check_key(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_range_holds_exactly_what_begins_with_it(prefix in "\\PC{0,4}", key in "\\PC{0,6}") {
            let inside = key >= prefix && after_prefix(&prefix).is_none_or(|until| key < until);
            prop_assert_eq!(inside, key.starts_with(&prefix));
        }

        #[test]
        fn nothing_lies_between_a_key_and_what_comes_just_after(key in "[^\\pC]{1,5}", other in "[^\\pC]{1,6}") {
            prop_assert!(!(other > key && other < just_after(&key)));
        }

        #[test]
        fn history_sorts_by_version_within_its_key_only(key in "[^\\pC]{1,4}", other in "[^\\pC]{1,4}", a: u64, b: u64) {
            prop_assert_eq!(history_key(&key, a) < history_key(&key, b), a < b);
            let inside = history_key(&other, a);
            let within = inside >= history_key(&key, 0) && inside <= history_key(&key, u64::MAX);
            prop_assert_eq!(within, key == other);
        }
    }
}
