//! Which subscriptions a topic concerns: a trie over filter segments, with the answers cached per topic.

use std::{collections::HashMap, sync::Arc};

use nexus_core::{
    store::SubNo,
    topic::{Segment, TopicFilter},
};

/// Topics whose answer is remembered; more, and the cache starts anew.
const CACHED_TOPICS: usize = 8_192;

#[derive(Debug, Default)]
struct Node {
    exact: HashMap<Box<str>, Node>,
    one: Option<Box<Node>>,
    /// Filters that end here.
    here: Vec<SubNo>,
    /// Filters that take the rest from here.
    rest: Vec<SubNo>,
}

/// The filters of all subscriptions.
#[derive(Debug, Default)]
pub struct Matcher {
    root: Node,
    cache: HashMap<Arc<str>, Arc<[SubNo]>>,
}

impl Matcher {
    /// Adds a filter of a subscription.
    pub fn add(&mut self, sub: SubNo, filter: &TopicFilter) {
        self.cache.clear();
        let mut node = &mut self.root;
        for segment in filter.segments() {
            node = match segment {
                Segment::Exact(text) => node.exact.entry(text.clone()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Rest => {
                    node.rest.push(sub);
                    return;
                }
            };
        }
        node.here.push(sub);
    }

    /// Removes a filter of a subscription.
    pub fn remove(&mut self, sub: SubNo, filter: &TopicFilter) {
        self.cache.clear();
        prune(&mut self.root, filter.segments(), sub);
    }

    /// The subscriptions that `topic` concerns, each once, ascending.
    pub fn matching(&mut self, topic: &Arc<str>) -> Arc<[SubNo]> {
        if let Some(found) = self.cache.get(topic) {
            return Arc::clone(found);
        }
        let segments: Vec<&str> = topic.split('.').collect();
        let mut found = Vec::new();
        collect(&self.root, &segments, &mut found);
        found.sort_unstable();
        found.dedup();
        let found: Arc<[SubNo]> = found.into();
        if self.cache.len() >= CACHED_TOPICS {
            self.cache.clear();
        }
        self.cache.insert(Arc::clone(topic), Arc::clone(&found));
        found
    }
}

fn collect(node: &Node, segments: &[&str], found: &mut Vec<SubNo>) {
    let Some((first, rest)) = segments.split_first() else {
        found.extend(&node.here);
        return;
    };
    found.extend(&node.rest);
    if let Some(next) = node.exact.get(*first) {
        collect(next, rest, found);
    }
    if let Some(next) = &node.one {
        collect(next, rest, found);
    }
}

/// Takes the filter out and cuts branches that hold nothing any more.
fn prune(node: &mut Node, segments: &[Segment], sub: SubNo) {
    let forget = |list: &mut Vec<SubNo>| {
        if let Some(at) = list.iter().position(|s| *s == sub) {
            list.swap_remove(at);
        }
    };
    match segments.split_first() {
        None => forget(&mut node.here),
        Some((Segment::Rest, _)) => forget(&mut node.rest),
        Some((Segment::One, rest)) => {
            if let Some(next) = &mut node.one {
                prune(next, rest, sub);
                if next.is_empty() {
                    node.one = None;
                }
            }
        }
        Some((Segment::Exact(text), rest)) => {
            if let Some(next) = node.exact.get_mut(text) {
                prune(next, rest, sub);
                if next.is_empty() {
                    node.exact.remove(text);
                }
            }
        }
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.one.is_none() && self.here.is_empty() && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_trie_agrees_with_each_filter_alone(
            filters in proptest::collection::vec("(a|b|\\*)(\\.(a|b|\\*)){0,2}(\\.>)?", 1..12),
            gone in proptest::collection::vec(any::<bool>(), 12),
            topic in "(a|b)(\\.(a|b)){0,3}",
        ) {
            let parsed: Vec<TopicFilter> = filters.iter().map(|f| TopicFilter::parse(f).expect("valid")).collect();
            let mut matcher = Matcher::default();
            for (no, filter) in (1u32..).zip(&parsed) {
                matcher.add(no, filter);
            }
            for ((no, filter), gone) in (1u32..).zip(&parsed).zip(&gone) {
                if *gone { matcher.remove(no, filter); }
            }
            let want: Vec<SubNo> = (1u32..).zip(&parsed).zip(&gone)
                .filter(|((_, f), gone)| !**gone && f.matches(&topic)).map(|((no, _), _)| no).collect();
            prop_assert_eq!(&*matcher.matching(&topic.as_str().into()), &want[..]);
        }
    }
}
