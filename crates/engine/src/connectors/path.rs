//! Paths of requests: what fills a segment stays in it, and leaves it a segment.

use nexus_outbound::is_dot_segment;

use super::template::{Name, Text, encode};

/// Why a value can't stand where it would.
const EMPTY: &str = "must not be empty here: a path without it would call something else";

/// Fills in a path. `find` gives what a placeholder stands for; `refuse` makes an error of a placeholder and of what is wrong
/// with its value.
pub(super) fn fill<E>(
    path: &Text,
    mut find: impl FnMut(&Name) -> Result<String, E>,
    refuse: impl Fn(&Name, String) -> E,
) -> Result<String, E> {
    let mut whole = String::new();
    let mut segment = Segment::default();
    let end = |segment: &mut Segment, whole: &mut String| {
        let Segment { text, filled } = std::mem::take(segment);
        match filled {
            Some(name) if is_dot_segment(&text) => Err(refuse(&name, leads_away(&text))),
            _ => {
                whole.push_str(&text);
                Ok(())
            }
        }
    };
    for piece in path.pieces() {
        match piece {
            Ok(name) => {
                let value = find(name)?;
                if value.is_empty() {
                    return Err(refuse(name, EMPTY.to_owned()));
                }
                segment.text.push_str(&encode(&value));
                segment.filled = Some(name.clone());
            }
            Err(text) => {
                for c in text.chars() {
                    if matches!(c, '/' | '\\' | '?' | '#') {
                        end(&mut segment, &mut whole)?;
                        whole.push(c);
                    } else {
                        segment.text.push(c);
                    }
                }
            }
        }
    }
    end(&mut segment, &mut whole)?;
    Ok(whole)
}

/// What stands between two slashes.
#[derive(Default)]
struct Segment {
    text: String,
    /// By this placeholder, the last of several.
    filled: Option<Name>,
}

fn leads_away(segment: &str) -> String {
    format!("would make a segment of the path {segment:?}, which leads to another address; give it another value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(path: &str, value: &str) -> Result<String, String> {
        let path = Text::parse(path).unwrap();
        fill(&path, |_| Ok(value.to_owned()), |name, what| format!("{name:?} {what}"))
    }

    #[test]
    fn nothing_leaves_its_segment() {
        assert_eq!(filled("/a/{b}/c", "../x?y").unwrap(), "/a/..%2Fx%3Fy/c");
        assert_eq!(filled("/a/{b}.json", "..").unwrap(), "/a/...json", "which is a name like any other");
        assert_eq!(filled("/a/{b}", "...").unwrap(), "/a/...");
        for (path, value) in [
            ("/a/{b}", "."),
            ("/a/{b}", ".."),
            ("/a/{b}/c", ".."),
            ("/a/{b}?x=1", ".."),
            ("/a/{b}{b}", "."),
            ("/a/.{b}", "."),
            ("/a/%2e{b}", "."),
            ("/a/{b}", "%2e%2E"),
            ("/a/{b}", "%252e."),
        ] {
            let refused = filled(path, value).unwrap_err();
            assert!(refused.contains("\"b\"") && refused.contains("leads to another address"), "{path}: {refused}");
        }
        let empty = filled("/a/{b}", "").unwrap_err();
        assert!(empty.contains("\"b\"") && empty.contains("must not be empty"), "{empty}");
    }
}
