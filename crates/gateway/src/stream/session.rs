//! One socket: frames in, events out, each subscription in its own dialect.
//!
//! The socket reads the log with one cursor. A subscription that begins in the past is served by a second cursor until
//! it has met the first; meanwhile the first waits, so that every subscription sees the log in order. All frames of a
//! batch are written together.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use nexus_core::{
    bucket::Bucket,
    event::Seq,
    limits::SOCKET_SUBSCRIPTIONS,
    problem::{Code, Problem},
    topic::TopicFilter,
};
use nexus_engine::tail::{Batch, Entry, Follower, Start};
use prometheus_client::metrics::counter::Counter;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    Dialect, Sight, alias,
    consuming::{About, Came, Consuming},
    frame_in::{self, Asked, Refused},
    frame_out,
};
use crate::{
    consume,
    gate::Gate,
    identity::Presented,
    ingress::{Draft, Lineage, finish, publish::may_publish},
    rates::Caller,
};

/// Frames beyond the rate in a row after which the socket is closed.
const PATIENCE: u32 = 20;
/// How long a closing socket waits for its client to have read why.
const LINGER: Duration = Duration::from_secs(1);

/// One filter in one dialect.
#[derive(Clone, Debug)]
pub(crate) struct Sub {
    /// Its language.
    pub(crate) dialect: Dialect,
    /// What it matches, and under which name.
    pub(crate) filter: TopicFilter,
}

/// A subscription that is still in the past.
struct CatchUp {
    follower: Follower,
    subs: Vec<Sub>,
    /// Where the live cursor took over.
    until: Seq,
    /// Its first batch is a notice that the position can't be served.
    gap: bool,
}

impl CatchUp {
    fn is_over(&self) -> bool {
        !self.gap && (self.follower.seq() >= self.until || self.subs.is_empty())
    }
}

/// Why a session ends.
enum End {
    /// The client closed, or the connection broke.
    Gone,
    /// We close, and say why.
    Close(CloseCode, &'static str),
    /// The client does not read: nothing can be said.
    Stuck,
}

type Socket = WebSocketStream<TcpStream>;

/// One socket.
pub(crate) struct Session {
    gate: Arc<Gate>,
    who: Presented,
    sight: Sight,
    subs: Vec<Sub>,
    live: Option<Follower>,
    past: VecDeque<CatchUp>,
    consuming: Consuming,
    bucket: Bucket,
    over_rate: u32,
    sent: Counter,
}

impl Session {
    /// Of `who`, subscribed to `subs` from `since` on.
    pub(crate) fn new(gate: Arc<Gate>, who: Presented, subs: Vec<Sub>, since: Start) -> Self {
        let sight = Sight::of(&who.principal);
        let sent = gate.metrics.frames("websocket");
        let mut session = Self {
            gate,
            who,
            sight,
            subs: Vec::new(),
            live: None,
            past: VecDeque::new(),
            consuming: Consuming::default(),
            bucket: Bucket::default(),
            over_rate: 0,
            sent,
        };
        if !subs.is_empty() {
            session.begin(subs, since);
        }
        session
    }

    /// Runs until either side ends it.
    pub(crate) async fn run(mut self, mut socket: Socket) {
        match self.serve(&mut socket).await {
            End::Gone | End::Stuck => {}
            End::Close(code, reason) => close(socket, code, reason).await,
        }
    }

    async fn serve(&mut self, socket: &mut Socket) -> End {
        let stopping = self.gate.hub.spawn().stopping();
        // Signs of life are a matter of the connection, not of the hub's time.
        let mut tick = tokio::time::interval(self.gate.config.heartbeat / 4);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut silent = 0u32;
        loop {
            let ended = tokio::select! {
                message = socket.next() => {
                    silent = 0;
                    match message {
                        Some(Ok(message)) => self.on_message(socket, message).await,
                        Some(Err(error)) => Err(ended_by(&error)),
                        None => Err(End::Gone),
                    }
                }
                batch = next_batch(&mut self.past, &mut self.live) => match batch {
                    Some(batch) => self.on_batch(socket, batch).await,
                    None => Err(End::Close(CloseCode::Away, "the hub is stopping")),
                },
                came = self.consuming.next() => self.on_delivery(socket, came).await,
                _ = tick.tick() => {
                    silent += 1;
                    self.on_tick(socket, silent).await
                }
                () = stopping.cancelled() => Err(End::Close(CloseCode::Away, "the hub is stopping")),
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    /// Four ticks are one heartbeat: after one without a frame a ping goes out, after two more the client is gone.
    async fn on_tick(&mut self, socket: &mut Socket, silent: u32) -> Result<(), End> {
        if !self.who.still_holds(&self.gate.hub) {
            return Err(End::Close(CloseCode::Policy, "the token was revoked or has expired"));
        }
        match silent {
            12.. => Err(End::Close(CloseCode::Policy, "no sign of life")),
            n if n > 0 && n % 4 == 0 => self.send(socket, vec![Message::Ping(Bytes::new())]).await,
            _ => Ok(()),
        }
    }

    async fn on_message(&mut self, socket: &mut Socket, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => Bytes::from(text),
            // Pongs are answered by the library when the next write is flushed.
            Message::Ping(_) => return self.send(socket, Vec::new()).await,
            Message::Pong(_) | Message::Frame(_) => return Ok(()),
            Message::Binary(_) => return Err(End::Close(CloseCode::Unsupported, "send text frames with JSON")),
            Message::Close(_) => return Err(End::Gone),
        };
        let asked = frame_in::parse(&text);
        // Whoever settles what it was handed is as fast as the hub is: that must not count against it.
        let settling = match &asked {
            Ok(Asked::Consumption(asked)) => asked.settles(),
            _ => false,
        };
        if !settling && let Some(refusal) = self.over_rate()? {
            return self.say(socket, refusal).await;
        }
        let reply = match asked {
            Ok(Asked::Consumption(asked)) => match self.consuming.obey(&self.gate.hub, &self.who, asked) {
                Ok(None) => return Ok(()),
                Ok(Some(reply)) => Ok(reply),
                Err((problem, what)) => {
                    self.gate.metrics.refused(problem.code);
                    if settling && let Some(refusal) = self.over_rate()? {
                        return self.say(socket, refusal).await;
                    }
                    Ok(frame_out::about(&problem, &what))
                }
            },
            Ok(asked) => self.obey(asked).await,
            Err(refused) => Err(refused),
        };
        let reply = reply.unwrap_or_else(|Refused { dialect, problem }| {
            self.gate.metrics.refused(problem.code);
            frame_out::problem(dialect, &problem)
        });
        self.say(socket, reply).await
    }

    /// Counts a frame: nothing, what to answer instead of obeying it, or the end.
    fn over_rate(&mut self) -> Result<Option<String>, End> {
        let now = self.gate.hub.clock().mono();
        if self.bucket.take(self.gate.config.frame_rate, now).is_ok() {
            self.over_rate = 0;
            return Ok(None);
        }
        self.gate.metrics.refused(Code::RateLimited);
        self.over_rate += 1;
        if self.over_rate > PATIENCE {
            return Err(End::Close(CloseCode::Policy, "too many frames"));
        }
        let message = format!("more than {} frames", self.gate.config.frame_rate);
        Ok(Some(frame_out::error(None, Code::RateLimited, &message)))
    }

    /// Hands deliveries over. What does not reach the client is given back when the session ends.
    async fn on_delivery(&mut self, socket: &mut Socket, came: Came) -> Result<(), End> {
        match came {
            Came::Taken(taken) => {
                let frames: Vec<Message> = taken.iter().map(|t| text(consume::frame(t).into())).collect();
                self.sent.inc_by(frames.len() as u64);
                self.send(socket, frames).await
            }
            Came::Gone(name) => {
                let message = format!("subscription {name:?} is gone, or its target is not a consumer any more");
                let problem = Problem::new(Code::NotFound, message);
                self.say(socket, frame_out::about(&problem, &About::Subscription(name))).await
            }
        }
    }

    /// Does what a frame asks for and gives the answer.
    async fn obey(&mut self, asked: Asked) -> Result<String, Refused> {
        match asked {
            // Consumption answers for itself.
            Asked::Ping | Asked::Consumption(_) => Ok(r#"{"type":"pong"}"#.to_owned()),
            Asked::Subscribe { dialect, filters, names, since } => {
                let subs = filters.into_iter().map(|filter| Sub { dialect, filter }).collect();
                let subscribed = self.subscribe(subs, since);
                let position = subscribed.map_err(|problem| Refused { dialect: Some(dialect), problem })?;
                Ok(frame_out::subscribed(dialect, &names, Some(&position)))
            }
            Asked::Unsubscribe { dialect, filters, names } => {
                let gone = |sub: &Sub| sub.dialect == dialect && filters.iter().any(|f| same(f, &sub.filter));
                self.subs.retain(|sub| !gone(sub));
                for past in &mut self.past {
                    past.subs.retain(|sub| !gone(sub));
                }
                Ok(frame_out::subscribed(dialect, &names, None))
            }
            Asked::Publish(draft) => {
                let name = draft.name.clone();
                let published = self.publish(*draft).await;
                published.map_err(|problem| Refused { dialect: Some(Dialect::Core), problem }).map(|(id, seq)| {
                    serde_json::json!({"type": "published", "topic": name, "message_id": id, "seq": seq}).to_string()
                })
            }
        }
    }

    /// Gives the position after which the new subscriptions begin.
    fn subscribe(&mut self, subs: Vec<Sub>, since: Option<Start>) -> Result<String, Problem> {
        if self.sight.is_blind() {
            let message = format!("{} lacks the scope events:read", self.who.principal.name);
            return Err(Problem::new(Code::Forbidden, message));
        }
        let mut all = self.subs.clone();
        for sub in &subs {
            all.retain(|held| held.dialect != sub.dialect || !same(&held.filter, &sub.filter));
            all.push(sub.clone());
        }
        if all.len() > SOCKET_SUBSCRIPTIONS || self.past.len() >= SOCKET_SUBSCRIPTIONS {
            let message = format!("one socket has at most {SOCKET_SUBSCRIPTIONS} subscriptions");
            return Err(Problem::new(Code::TooLarge, message));
        }
        self.subs = all;
        let from = self.begin(subs, since.unwrap_or(Start::Now));
        Ok(format!("{}:{from}", self.gate.hub.tail().position().0))
    }

    /// Serves `subs` from `since` on: from there to the live cursor with a cursor of their own, then with that one.
    fn begin(&mut self, subs: Vec<Sub>, since: Start) -> Seq {
        let tail = self.gate.hub.tail();
        let until = self.live.get_or_insert_with(|| tail.follow(Start::Now)).seq();
        if self.subs.is_empty() {
            self.subs.clone_from(&subs);
        }
        let (epoch, head) = tail.position();
        let gap = match since {
            Start::Now => return until,
            Start::After(seq) => seq > head,
            Start::At { epoch: of, seq } => of != epoch || seq > head,
        };
        let follower = tail.follow(since);
        let from = follower.seq();
        self.past.push_back(CatchUp { follower, subs, until, gap });
        from
    }

    async fn publish(&self, draft: Draft) -> Result<(String, Seq), Problem> {
        let principal = &self.who.principal;
        may_publish(principal, &draft)?;
        if let Some(rate) = self.gate.config.publish_rate {
            let mono = self.gate.hub.clock().mono();
            self.gate.limits.take("publish", Caller::Principal(&principal.name), rate, mono)?;
        }
        let now = self.gate.hub.clock().now();
        let event = finish(now, &principal.name, draft, &Lineage::default())?;
        let appended = self.gate.hub.publish(event).await?;
        Ok((appended.id.to_string(), appended.seq))
    }

    async fn on_batch(&mut self, socket: &mut Socket, batch: Batch) -> Result<(), End> {
        // While something is in the past only that cursor runs, and only its subscriptions are served.
        let past = self.past.front();
        let (subs, until) = past.map_or((&self.subs, Seq::MAX), |p| (&p.subs, p.until));
        let mut frames = Vec::new();
        match batch {
            Batch::Events(entries) => {
                for entry in entries.iter().filter(|e| e.event.seq <= until && self.sight.sees(&e.event)) {
                    render(entry, subs, &mut frames);
                }
            }
            Batch::Gap { from, to, reason } => {
                self.gate.metrics.gap();
                let now = self.gate.hub.clock().now();
                for dialect in [Dialect::Neo, Dialect::Core, Dialect::Kyros] {
                    if subs.iter().any(|sub| sub.dialect == dialect) {
                        frames.push(text(frame_out::gap(dialect, from, to, reason, now).into()));
                    }
                }
            }
        }
        if let Some(past) = self.past.front_mut() {
            past.gap = false;
        }
        self.past.pop_front_if(|past| past.is_over());
        if frames.is_empty() {
            return Ok(());
        }
        self.sent.inc_by(frames.len() as u64);
        self.send(socket, frames).await
    }

    async fn say(&self, socket: &mut Socket, frame: String) -> Result<(), End> {
        self.send(socket, vec![text(frame.into())]).await
    }

    /// Writes all frames, then flushes once.
    async fn send(&self, socket: &mut Socket, frames: Vec<Message>) -> Result<(), End> {
        let write = async {
            for frame in frames {
                socket.feed(frame).await?;
            }
            socket.flush().await
        };
        match tokio::time::timeout(self.gate.config.socket_write_timeout, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ended_by(&error)),
            Err(_) => Err(End::Stuck),
        }
    }
}

/// The next batch of the cursor whose turn it is; waits for ever when there is none. Cancel-safe.
async fn next_batch(past: &mut VecDeque<CatchUp>, live: &mut Option<Follower>) -> Option<Batch> {
    while past.pop_front_if(|past| past.is_over()).is_some() {}
    match (past.front_mut(), live) {
        (Some(past), _) => past.follower.next().await,
        (None, Some(live)) => live.next().await,
        (None, None) => std::future::pending().await,
    }
}

/// An event once per dialect, under the name that the first matching filter asked for.
fn render(entry: &Entry, subs: &[Sub], frames: &mut Vec<Message>) {
    let alias = alias(&entry.event);
    let mut done: [bool; 3] = [false; 3];
    for sub in subs {
        if done[sub.dialect as usize] {
            continue;
        }
        if let Some(frame) = frame_out::for_filter(entry, sub.dialect, &sub.filter, alias.as_deref()) {
            done[sub.dialect as usize] = true;
            frames.push(text(frame));
        }
    }
}

fn text(frame: Bytes) -> Message {
    // Every frame was made from a `String`; were it not, an empty one would go out rather than none.
    Message::Text(Utf8Bytes::try_from(frame).unwrap_or_default())
}

/// Whether two filters match the same topics, however they are written.
fn same(a: &TopicFilter, b: &TopicFilter) -> bool {
    a.segments() == b.segments()
}

/// How a broken stream is closed.
fn ended_by(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Close(CloseCode::Size, "the message is too large"),
        Error::Utf8(_) => End::Close(CloseCode::Invalid, "a text frame must be UTF-8"),
        Error::Protocol(_) => End::Close(CloseCode::Protocol, "not a valid WebSocket frame"),
        _ => End::Gone,
    }
}

/// Says why, then gives the client a moment to read it: closing at once would let the kernel throw the words away.
async fn close(mut socket: Socket, code: CloseCode, reason: &'static str) {
    let farewell = async {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        socket.close(Some(frame)).await.ok()?;
        let stream = socket.get_mut();
        let mut rest = [0u8; 4096];
        while stream.read(&mut rest).await.ok()? > 0 {}
        Some(())
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}
