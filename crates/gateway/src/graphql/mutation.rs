//! What can be changed by GraphQL: events published, state written.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use bytes::Bytes;
use nexus_core::{json, limits::JSON_DEPTH, problem::Problem};

use super::{
    ask::{Ask, refusal},
    objects::Priority,
    scalars::Place,
};
use crate::{
    ingress::{Draft, Lineage, finish, publish::may_publish},
    rates::Caller,
};

/// Changes of the log.
#[derive(Default)]
pub(crate) struct LogMutation;

/// The answer to an event that is on disk.
#[derive(SimpleObject)]
struct Published {
    /// Always true: a refusal is an error.
    success: bool,
    /// The event's id.
    message_id: ID,
    /// Its type, as it was sent.
    topic: String,
    /// Its place in the log.
    seq: Place,
    /// It was there already: the same id came before.
    repeat: bool,
}

/// Changes of the log.
#[Object]
impl LogMutation {
    /// Publishes an event; it is on disk when this answers.
    #[graphql(complexity = "20 + child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the arguments of a field")]
    async fn publish_event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The type of the event, for example order.created")] topic: String,
        #[graphql(desc = "JSON text; what is not JSON is kept as a text")] payload: String,
        #[graphql(desc = "Its urgency; NORMAL when absent")] priority: Option<Priority>,
        #[graphql(desc = "What it is about")] subject: Option<String>,
        #[graphql(desc = "What it belongs to")] correlation_id: Option<String>,
        #[graphql(desc = "A repeat with the same id within 24 hours is stored once")] id: Option<String>,
    ) -> Result<Published> {
        let ask = Ask::may(ctx, "events:publish")?;
        let data = payload_of(payload).map_err(|p| refusal(&p))?;
        let published = async {
            let mut draft = Draft::new(&topic, data.clone(), data)?;
            draft.priority = priority.map(Into::into).unwrap_or_default();
            draft.subject = subject;
            draft.correlation = correlation_id;
            let draft = draft.identified(id);
            may_publish(&ask.who.principal, &draft)?;
            let by = &ask.who.principal.name;
            if let Some(rate) = ask.gate.config.publish_rate {
                let mono = ask.hub().clock().mono();
                ask.gate.limits.take("publish", Caller::Principal(by), rate, mono)?;
            }
            let event = finish(ask.now(), by, draft, &Lineage::default())?;
            ask.hub().publish(event).await
        };
        let stored = published.await.map_err(|p| refusal(&p))?;
        let message_id = stored.id.to_string().into();
        Ok(Published { success: true, message_id, topic, seq: Place(stored.seq), repeat: stored.repeat })
    }
}

/// JSON text as it is; any other text as a JSON string. JSON that is nested too deep or has a key twice is refused.
fn payload_of(text: String) -> Result<Bytes, Problem> {
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
        let quoted = serde_json::Value::String(text).to_string();
        return Ok(quoted.into());
    }
    json::check(text.as_bytes(), JSON_DEPTH)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> String {
        String::from_utf8(payload_of(text.to_owned()).expect("fits").to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_payload_is_json_where_it_is_and_a_text_where_not() {
        assert_eq!(payload(r#"{"data": "test"}"#), r#"{"data": "test"}"#);
        assert_eq!(payload("7"), "7");
        assert_eq!(payload("hello \"you\""), r#""hello \"you\"""#);
        assert_eq!(payload(""), r#""""#);
        assert_eq!(payload("{\"a\":"), r#""{\"a\":""#);
        assert!(payload_of(r#"{"a":1,"a":2}"#.to_owned()).is_err());
        assert!(payload_of("[".repeat(70) + &"]".repeat(70)).is_err());
    }
}
