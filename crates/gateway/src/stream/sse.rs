//! `GET /api/v1/events/stream`: server-sent events, resumable with `Last-Event-ID` or `?since=`.

use std::{io, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, header};
use nexus_core::{
    problem::{Code, Problem},
    topic::TopicFilter,
};
use nexus_engine::tail::{Batch, Entry, Follower, Start};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use super::{
    Sight, alias, ending::Ending, frame_out, parse_since, since_form, socket::filters, watch::Keys, wire::End,
};
use crate::{
    answer::{Answer, Body},
    call::Call,
    gate::Gate,
    identity::Presented,
    metrics::Held,
    query::Query,
};

/// What a stream is to bring.
pub(crate) enum Wants {
    /// Events of these topics; all where there is none.
    Topics(Vec<TopicFilter>),
    /// Changes of state.
    Changes(Keys),
}

/// What a stream needs from one chunk to the next.
struct Feed {
    gate: Arc<Gate>,
    who: Presented,
    ending: Ending,
    sight: Sight,
    wants: Wants,
    follower: Follower,
    checked: Duration,
    changes: watch::Receiver<u64>,
    opened: bool,
    sent: Counter,
    _counted: Held,
    ended: Ended,
}

/// Counts why the stream ended, also when its client just goes.
struct Ended {
    gate: Arc<Gate>,
    why: End,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.gate.metrics.closed("sse", &self.why);
    }
}

/// `GET /api/v1/events/stream`.
pub(crate) async fn open(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let wants = Wants::Topics(filters(&query)?);
    start(call, &query, wants)
}

/// Begins a stream where the request says.
pub(crate) fn start(call: Call, query: &Query, wants: Wants) -> Result<Answer, Problem> {
    let since = match (call.header("last-event-id").filter(|id| !id.is_empty()), query.text("since")) {
        (Some(id), _) => parse_since(id).ok_or_else(|| since_form("Last-Event-ID"))?,
        (None, Some(text)) => parse_since(text).ok_or_else(|| since_form("since"))?,
        (None, None) => Start::Now,
    };
    let who = call.who.clone().ok_or_else(|| Problem::new(Code::Unauthenticated, "a token is needed"))?;
    let sight = Sight::of(&who.principal);
    match &wants {
        Wants::Changes(keys) => keys.permit(&sight)?,
        Wants::Topics(_) if sight.is_blind() => {
            let message = format!("{} lacks the scope events:read", who.principal.name);
            return Err(Problem::new(Code::Forbidden, message));
        }
        Wants::Topics(filters) => sight.permit(filters)?,
    }
    let Some(counted) = call.gate.metrics.stream("sse", call.gate.config.sockets) else {
        return Err(Problem::new(Code::Unavailable, "too many streams are open; try again later"));
    };
    let tail = call.hub().tail();
    let mut changes = call.hub().tokens().changes();
    // The token may have been changed since the door looked at it.
    changes.mark_changed();
    let feed = Feed {
        ending: Ending::of(call.hub(), Some(&who)),
        who,
        sight,
        wants,
        follower: tail.follow(since),
        checked: call.hub().clock().mono(),
        opened: false,
        changes,
        sent: call.gate.metrics.frames("sse"),
        gate: Arc::clone(&call.gate),
        ended: Ended { gate: Arc::clone(&call.gate), why: End::Closed },
        _counted: counted,
    };
    let chunks = futures_util::stream::unfold(feed, |mut feed| async move {
        feed.next().await.map(|chunk| (Ok::<Bytes, io::Error>(chunk), feed))
    });
    let answer = Answer::raw("text/event-stream", Body::chunks(Box::pin(chunks)));
    let answer = answer.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    Ok(answer.header(header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")))
}

impl Feed {
    /// The next chunk: all events that are ready, a gap, or a comment as a sign of life. `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.opened {
            self.opened = true;
            return Some(Bytes::from_static(b"retry: 2000\n: connected\n\n"));
        }
        let stopping = self.gate.hub.spawn().stopping();
        let heartbeat = self.gate.config.heartbeat;
        loop {
            let now = self.gate.hub.clock().mono();
            if now.saturating_sub(self.checked) >= heartbeat / 4 {
                self.checked = now;
                if !self.who.still_holds(&self.gate.hub) {
                    return self.end(End::TokenEnded);
                }
            }
            let batch = tokio::select! {
                batch = tokio::time::timeout(heartbeat / 4, self.follower.next()) => batch,
                Ok(()) = self.changes.changed() => {
                    if !self.who.renew(&self.gate.hub) {
                        return self.end(End::TokenEnded);
                    }
                    self.ending.renew(&self.gate.hub, Some(&self.who));
                    // One that may read state only never saw events; what it may not see any more is left out.
                    let saw = !self.sight.is_blind();
                    self.sight = Sight::of(&self.who.principal);
                    if saw && self.sight.is_blind() {
                        return self.end(End::ScopeLost);
                    }
                    continue;
                }
                ended = self.ending.passed() => return self.end(ended),
                () = stopping.cancelled() => return self.end(End::Stopping),
            };
            if let Err(ended) = self.ending.check() {
                return self.end(ended);
            }
            let Ok(batch) = batch else { return Some(Bytes::from_static(b": alive\n\n")) };
            if let Some(chunk) = self.render(&batch?) {
                return Some(chunk);
            }
        }
    }

    fn end(&mut self, why: End) -> Option<Bytes> {
        self.ended.why = why;
        None
    }

    fn render(&self, batch: &Batch) -> Option<Bytes> {
        // Not that of the beginning: an import may have begun a new one.
        let epoch = self.gate.hub.tail().position().0;
        match batch {
            Batch::Events(entries) => {
                let mut chunk = BytesMut::new();
                let mut count = 0;
                for entry in entries.iter().filter(|e| self.wants(e)) {
                    chunk.put_slice(format!("id: {epoch}:{}\ndata: ", entry.event.seq).as_bytes());
                    chunk.put_slice(&frame_out::shared_record(entry));
                    chunk.put_slice(b"\n\n");
                    count += 1;
                }
                self.sent.inc_by(count);
                (count > 0).then(|| chunk.freeze())
            }
            Batch::Gap { from, to, reason } => {
                self.gate.metrics.gap();
                let data = serde_json::json!({"from": from, "to": to, "reason": reason});
                Some(format!("event: gap\nid: {epoch}:{to}\ndata: {data}\n\n").into())
            }
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        let filters = match &self.wants {
            Wants::Topics(filters) => filters,
            Wants::Changes(keys) => return keys.matches(event) && self.sight.sees_key(event),
        };
        let alias = alias(event);
        let asked = |f: &TopicFilter| f.name_for(event.topic.as_str(), alias.as_deref()).is_some();
        self.sight.sees(event) && (filters.is_empty() || filters.iter().any(asked))
    }
}
