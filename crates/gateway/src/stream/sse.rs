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

use super::{Sight, alias, frame_out, parse_since, since_form, socket::filters};
use crate::{
    answer::{Answer, Body},
    call::Call,
    gate::Gate,
    identity::Presented,
    metrics::Held,
};

/// What a stream needs from one chunk to the next.
struct Feed {
    gate: Arc<Gate>,
    who: Presented,
    sight: Sight,
    filters: Vec<TopicFilter>,
    follower: Follower,
    checked: Duration,
    opened: bool,
    sent: Counter,
    _counted: Held,
}

/// `GET /api/v1/events/stream`.
pub(crate) async fn open(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let since = match (call.header("last-event-id").filter(|id| !id.is_empty()), query.text("since")) {
        (Some(id), _) => parse_since(id).ok_or_else(|| since_form("Last-Event-ID"))?,
        (None, Some(text)) => parse_since(text).ok_or_else(|| since_form("since"))?,
        (None, None) => Start::Now,
    };
    let who = call.who.clone().ok_or_else(|| Problem::new(Code::Unauthenticated, "a token is needed"))?;
    let sight = Sight::of(&who.principal);
    if sight.is_blind() {
        let message = format!("{} lacks the scope events:read", who.principal.name);
        return Err(Problem::new(Code::Forbidden, message));
    }
    let Some(counted) = call.gate.metrics.stream("sse", call.gate.config.sockets) else {
        return Err(Problem::new(Code::Unavailable, "too many streams are open; try again later"));
    };
    let tail = call.hub().tail();
    let feed = Feed {
        who,
        sight,
        filters: filters(&query)?,
        follower: tail.follow(since),
        checked: call.hub().clock().mono(),
        opened: false,
        sent: call.gate.metrics.frames("sse"),
        gate: Arc::clone(&call.gate),
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
                    return None;
                }
            }
            let batch = tokio::select! {
                batch = tokio::time::timeout(heartbeat / 4, self.follower.next()) => batch,
                () = stopping.cancelled() => return None,
            };
            let Ok(batch) = batch else { return Some(Bytes::from_static(b": alive\n\n")) };
            if let Some(chunk) = self.render(&batch?) {
                return Some(chunk);
            }
        }
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
        let topic = entry.event.topic.as_str();
        let alias = alias(&entry.event);
        let asked = |f: &TopicFilter| f.name_for(topic, alias.as_deref()).is_some();
        self.sight.sees(&entry.event) && (self.filters.is_empty() || self.filters.iter().any(asked))
    }
}
