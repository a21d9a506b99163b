//! One socket: frames in, events out, each subscription in its own dialect.
//!
//! The socket reads the log with one cursor. A subscription that begins in the past is served by a second cursor until
//! it has met the first; meanwhile the first waits, so that every subscription sees the log in order. All frames of a
//! batch are written together.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt;
use nexus_core::{
    bucket::Bucket,
    event::Seq,
    limits::SOCKET_SUBSCRIPTIONS,
    problem::{Code, Problem},
    topic::TopicFilter,
};
use nexus_engine::tail::{Batch, Entry, Follower, Start};
use nexus_services::state::CHANGED;
use prometheus_client::metrics::counter::Counter;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{
    Dialect, Sight, alias,
    consuming::{About, Came, Consuming},
    ending::Ending,
    frame_in::{self, Asked, Refused},
    frame_out,
    watch::Keys,
    wire::{End, Heard, Pulse, Socket, close, heard, send},
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

/// One filter in one dialect.
#[derive(Clone, Debug)]
pub(crate) struct Sub {
    /// Its language.
    pub(crate) dialect: Dialect,
    /// What it matches, and under which name.
    pub(crate) filter: TopicFilter,
    /// Only changes of these keys of the state: a watch.
    pub(crate) keys: Option<Keys>,
}

impl Sub {
    /// Everything that a filter matches.
    pub(crate) fn topics(dialect: Dialect, filter: TopicFilter) -> Self {
        Self { dialect, filter, keys: None }
    }

    fn watch(keys: Keys) -> Result<Self, Problem> {
        let filter = TopicFilter::parse(CHANGED).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        Ok(Self { dialect: Dialect::Core, filter, keys: Some(keys) })
    }

    /// Whether they bring the same, however they are written.
    fn is_like(&self, other: &Self) -> bool {
        self.dialect == other.dialect && self.keys == other.keys && same(&self.filter, &other.filter)
    }

    /// Whether it is to bring this event to whoever has this sight.
    fn shows(&self, entry: &Entry, sight: &Sight) -> bool {
        match &self.keys {
            Some(keys) => keys.matches(&entry.event) && sight.sees_key(&entry.event),
            None => sight.sees(&entry.event),
        }
    }
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

/// One socket.
pub(crate) struct Session {
    gate: Arc<Gate>,
    who: Presented,
    ending: Ending,
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
        let ending = Ending::of(&gate.hub, Some(&who));
        let mut session = Self {
            gate,
            ending,
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
        let end = self.serve(&mut socket).await;
        self.gate.metrics.closed("websocket", &end);
        close(socket, &end).await;
    }

    async fn serve(&mut self, socket: &mut Socket) -> End {
        let stopping = self.gate.hub.spawn().stopping();
        let mut pulse = Pulse::new(self.gate.config.heartbeat);
        let mut changes = self.gate.hub.tokens().changes();
        // The token may have been changed since the door looked at it.
        changes.mark_changed();
        loop {
            let ended = tokio::select! {
                message = socket.next() => {
                    pulse.felt();
                    match heard(message) {
                        Ok(Heard::Text(text)) => self.on_text(socket, text).await,
                        Ok(Heard::Ping) => self.send(socket, Vec::new()).await,
                        Ok(Heard::Nothing) => Ok(()),
                        Err(end) => Err(end),
                    }
                }
                batch = next_batch(&mut self.past, &mut self.live) => match batch {
                    Some(batch) => self.on_batch(socket, batch).await,
                    None => Err(End::Stopping),
                },
                came = self.consuming.next() => self.on_delivery(socket, came).await,
                ping = pulse.next() => self.on_tick(socket, ping).await,
                ended = self.ending.passed() => Err(ended),
                Ok(()) = changes.changed() => self.on_change(),
                () = stopping.cancelled() => Err(End::Stopping),
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    async fn on_tick(&mut self, socket: &mut Socket, ping: Result<bool, End>) -> Result<(), End> {
        if !self.who.still_holds(&self.gate.hub) {
            return Err(End::TokenEnded);
        }
        if ping? { self.send(socket, vec![Message::Ping(Bytes::new())]).await } else { Ok(()) }
    }

    /// Someone's token was changed or has ended; it may be this one's.
    fn on_change(&mut self) -> Result<(), End> {
        if !self.who.renew(&self.gate.hub) {
            return Err(End::TokenEnded);
        }
        self.ending.renew(&self.gate.hub, Some(&self.who));
        let saw = !self.sight.is_blind();
        self.sight = Sight::of(&self.who.principal);
        let lost = saw && self.sight.is_blind();
        if lost || !self.consuming.may_go_on(&self.who) { Err(End::ScopeLost) } else { Ok(()) }
    }

    async fn on_text(&mut self, socket: &mut Socket, text: Bytes) -> Result<(), End> {
        self.ending.check()?;
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
            return Err(End::TooFast);
        }
        let message = format!("more than {} frames", self.gate.config.frame_rate);
        Ok(Some(frame_out::error(None, Code::RateLimited, &message)))
    }

    /// Hands deliveries over. What does not reach the client is given back when the session ends.
    async fn on_delivery(&mut self, socket: &mut Socket, came: Came) -> Result<(), End> {
        self.ending.check()?;
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
                let subs = filters.into_iter().map(|filter| Sub::topics(dialect, filter)).collect();
                let subscribed = self.subscribe(subs, since);
                let position = subscribed.map_err(|problem| Refused { dialect: Some(dialect), problem })?;
                Ok(frame_out::subscribed(dialect, &names, Some(&position)))
            }
            Asked::Unsubscribe { dialect, filters, names } => {
                self.end(&filters.into_iter().map(|filter| Sub::topics(dialect, filter)).collect::<Vec<_>>());
                Ok(frame_out::subscribed(dialect, &names, None))
            }
            Asked::Watch { keys, since } => {
                let refused = |problem| Refused { dialect: Some(Dialect::Core), problem };
                keys.permit(&self.sight).map_err(refused)?;
                let subs = vec![Sub::watch(keys.clone()).map_err(refused)?];
                let position = self.add(subs, since).map_err(refused)?;
                Ok(frame_out::watched(&keys, Some(&position)))
            }
            Asked::Unwatch(keys) => {
                let refused = |problem| Refused { dialect: Some(Dialect::Core), problem };
                self.end(&[Sub::watch(keys.clone()).map_err(refused)?]);
                Ok(frame_out::watched(&keys, None))
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
        self.sight.permit(subs.iter().map(|sub| &sub.filter))?;
        self.add(subs, since)
    }

    /// No more of these.
    fn end(&mut self, gone: &[Sub]) {
        let stays = |sub: &Sub| !gone.iter().any(|g| g.is_like(sub));
        self.subs.retain(stays);
        for past in &mut self.past {
            past.subs.retain(stays);
        }
    }

    fn add(&mut self, subs: Vec<Sub>, since: Option<Start>) -> Result<String, Problem> {
        let mut all = self.subs.clone();
        for sub in &subs {
            all.retain(|held| !held.is_like(sub));
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
        self.ending.check()?;
        // While something is in the past only that cursor runs, and only its subscriptions are served.
        let past = self.past.front();
        let (subs, until) = past.map_or((&self.subs, Seq::MAX), |p| (&p.subs, p.until));
        let mut frames = Vec::new();
        match batch {
            Batch::Events(entries) => {
                for entry in entries.iter().filter(|e| e.event.seq <= until) {
                    render(entry, subs, &self.sight, &mut frames);
                }
            }
            Batch::Gap { from, to, reason } => {
                self.gate.metrics.gap();
                let now = self.gate.hub.clock().now();
                for dialect in [Dialect::Neo, Dialect::Core, Dialect::Kyros] {
                    if subs.iter().any(|sub| sub.dialect == dialect) {
                        frames.push(text(frame_out::gap(dialect, from, to, &reason, now).into()));
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

    async fn send(&self, socket: &mut Socket, frames: Vec<Message>) -> Result<(), End> {
        send(socket, self.gate.config.socket_write_timeout, frames).await
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
fn render(entry: &Entry, subs: &[Sub], sight: &Sight, frames: &mut Vec<Message>) {
    let alias = alias(&entry.event);
    let mut done: [bool; 3] = [false; 3];
    for sub in subs {
        if done[sub.dialect as usize] || !sub.shows(entry, sight) {
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
