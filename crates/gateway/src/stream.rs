//! Live events: WebSockets in three dialects and server-sent events, all fed by cursors over the log.

use nexus_core::{
    access::Principal,
    event::{Seq, StoredEvent},
    problem::{Code, Problem},
    topic::TopicFilter,
};
use nexus_engine::tail::Start;

mod consuming;
pub(crate) mod ending;
pub(crate) mod frame_in;
pub(crate) mod frame_out;
mod session;
pub(crate) mod socket;
pub(crate) mod sse;
pub(crate) mod watch;
pub(crate) mod wire;

/// The language of a subscription. It is chosen by the frame that makes it, so one socket may speak several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"action":"subscribe","events":[…]}` and `{event,payload,timestamp}`.
    Neo,
    /// `{"type":"subscribe","topic"}` and `{"type":"event",…}`.
    Core,
    /// Everything the token may see, as `{type,payload,correlationId?,timestamp,source,id,seq}`.
    Kyros,
}

/// A position that a client wants to go on from: `1234` in the present epoch, or `epoch:seq`.
pub(crate) fn parse_since(text: &str) -> Option<Start> {
    match text.trim().split_once(':') {
        Some((epoch, seq)) => Some(Start::At { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? }),
        None => text.trim().parse::<Seq>().ok().map(Start::After),
    }
}

/// What `since` must look like.
pub(crate) fn since_form(name: &str) -> Problem {
    Problem::field(name, "a position is a seq (1234) or epoch:seq (1:1234)")
}

/// What a principal may read of the log: events by topic, and changes of state only with the right to read their keys,
/// as they carry values.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    topics: Topics,
    principal: Principal,
    /// Every key of the state.
    all_state: bool,
}

/// The topics that a principal may read.
#[derive(Clone, Debug)]
enum Topics {
    /// All.
    All,
    /// Those that match any of these.
    Some(Vec<TopicFilter>),
}

impl Sight {
    /// Worked out once per stream, as it is asked for every event.
    pub(crate) fn of(principal: &Principal) -> Self {
        let topics = if principal.may("events:read") {
            Topics::All
        } else {
            let narrowed = principal.scopes().filter_map(|scope| scope.as_str().strip_prefix("events:read:"));
            Topics::Some(narrowed.filter_map(|filter| TopicFilter::parse(filter).ok()).collect())
        };
        Self { topics, principal: principal.clone(), all_state: principal.may("state:read") }
    }

    /// Whether it sees this event.
    pub(crate) fn sees(&self, event: &StoredEvent) -> bool {
        let topic = event.topic.as_str();
        self.covers(topic) && (!nexus_services::state::is_own_topic(topic) || self.sees_key(event))
    }

    /// 403 for a filter that names one topic which is never shown: it would wait for ever. Of a pattern that is shown
    /// which may be.
    pub(crate) fn permit<'f>(&self, filters: impl IntoIterator<Item = &'f TopicFilter>) -> Result<(), Problem> {
        for topic in filters.into_iter().filter_map(TopicFilter::exact) {
            // Events come under their own topic, whichever of their names is asked for.
            let own = topic.alias_of().unwrap_or(topic);
            let lacks = if !self.covers(own.as_str()) {
                format!("events:read for {own}")
            } else if nexus_services::state::is_own_topic(own.as_str()) && !self.may_read_some_keys() {
                "state:read".to_owned()
            } else {
                continue;
            };
            return Err(Problem::new(Code::Forbidden, format!("{} lacks the scope {lacks}", self.name())));
        }
        Ok(())
    }

    /// Whether events of this topic are its to read, as far as the topic goes.
    fn covers(&self, topic: &str) -> bool {
        match &self.topics {
            Topics::All => true,
            Topics::Some(filters) => filters.iter().any(|f| f.matches(topic)),
        }
    }

    /// Whether it may read the key that a change of state is about.
    pub(crate) fn sees_key(&self, event: &StoredEvent) -> bool {
        self.all_state || event.subject.as_deref().is_some_and(|key| self.may_read_key(key))
    }

    /// Whether it may read this key of the state.
    pub(crate) fn may_read_key(&self, key: &str) -> bool {
        self.all_state || self.principal.may_for("state:read", key)
    }

    /// Whether it may read any key of the state.
    pub(crate) fn may_read_some_keys(&self) -> bool {
        self.principal.may_some("state:read")
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> &str {
        &self.principal.name
    }

    /// It sees nothing at all.
    pub(crate) fn is_blind(&self) -> bool {
        matches!(&self.topics, Topics::Some(filters) if filters.is_empty())
    }
}

/// The second name of an event, read only where there is one: most events have no attributes at all.
pub(crate) fn alias(event: &StoredEvent) -> Option<String> {
    let text = event.attributes.as_deref()?;
    if text.contains("\"alias\"") { event.attributes().alias } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_seq_or_an_epoch_and_a_seq() {
        assert_eq!(parse_since("12"), Some(Start::After(12)));
        assert_eq!(parse_since("3:12"), Some(Start::At { epoch: 3, seq: 12 }));
        for bad in ["", "x", "1:", ":1", "-1", "1:2:3", "1.5"] {
            assert_eq!(parse_since(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_narrow_token_sees_its_topics_only() {
        let principal = Principal::new("t", ["events:read:order.*".parse().expect("valid")]);
        let Topics::Some(filters) = Sight::of(&principal).topics else { panic!("narrow") };
        assert_eq!(filters.len(), 1);
        let permits = |filter: &str| Sight::of(&principal).permit(&[TopicFilter::parse(filter).expect("valid")]);
        for good in ["order.created", "ORDER_CREATED", "order.*", "user.*", ">"] {
            assert_eq!(permits(good), Ok(()), "{good}");
        }
        let refused = permits("USER_CREATED").expect_err("never shown");
        assert_eq!(refused.message, "t lacks the scope events:read for user.created");
        let leads = Principal::new("t", ["events:read:lead.created".parse().expect("valid")]);
        let second_name = TopicFilter::parse("lead.captured").expect("valid");
        assert_eq!(Sight::of(&leads).permit(&[second_name]), Ok(()));
        assert!(Sight::of(&Principal::new("t", [])).is_blind());
        assert!(matches!(Sight::of(&Principal::admin("a")).topics, Topics::All));
    }
}
