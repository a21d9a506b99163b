//! One GraphQL socket: operations in, their answers out, in turns.
//!
//! Answers are pulled: a client that reads slowly holds back its own operations, which read the log at their own pace
//! and are told of a gap when they fall too far behind. Nothing is queued for it but what one round of turns gave.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_graphql::{Response, Value};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::poll_fn};
use nexus_core::{
    bucket::Bucket,
    limits::GRAPHQL_OPERATIONS,
    problem::{Code, Problem},
};
use prometheus_client::metrics::counter::Counter;
use tokio_tungstenite::tungstenite;

use super::{
    protocol::{self, Message},
    run::{Answers, Asked, answers, are_gap},
};
use crate::{
    gate::Gate,
    identity::{self, Presented},
    stream::{
        ending::Ending,
        wire::{End, Heard, Pulse, Socket, close, heard, send},
    },
};

/// Time for `connection_init`; then the socket is closed.
const INIT_TIME: Duration = Duration::from_secs(10);
/// Answers that are written together.
const ROUND: usize = 64;
/// Frames beyond the rate in a row after which the socket is closed.
const PATIENCE: u32 = 20;

/// An operation that runs.
struct Operation {
    id: String,
    answers: Answers,
    began: bool,
}

/// One socket.
pub(super) struct Session {
    gate: Arc<Gate>,
    who: Option<Presented>,
    ending: Ending,
    ready: bool,
    operations: Vec<Operation>,
    turn: usize,
    bucket: Bucket,
    over_rate: u32,
    sent: Counter,
}

impl Session {
    /// Of `who`, if the upgrade told.
    pub(super) fn new(gate: Arc<Gate>, who: Option<Presented>) -> Self {
        let sent = gate.metrics.frames("graphql");
        let (operations, bucket) = (Vec::new(), Bucket::default());
        let ending = Ending::of(&gate.hub, who.as_ref());
        Self { gate, who, ending, ready: false, operations, turn: 0, bucket, over_rate: 0, sent }
    }

    /// Runs until either side ends it.
    pub(super) async fn run(mut self, mut socket: Socket) {
        let end = self.serve(&mut socket).await;
        self.gate.metrics.closed("graphql", &end);
        self.operations.clear();
        close(socket, &end).await;
    }

    async fn serve(&mut self, socket: &mut Socket) -> End {
        let stopping = self.gate.hub.spawn().stopping();
        let mut pulse = Pulse::new(self.gate.config.heartbeat);
        let init = tokio::time::sleep(INIT_TIME);
        tokio::pin!(init);
        let mut changes = self.gate.hub.tokens().changes();
        // A change between the upgrade and here is one too.
        changes.mark_changed();
        loop {
            let done = tokio::select! {
                message = socket.next() => {
                    pulse.felt();
                    match heard(message) {
                        Ok(Heard::Text(text)) => self.on_text(socket, text).await,
                        Ok(Heard::Ping) => self.send(socket, Vec::new()).await,
                        Ok(Heard::Nothing) => Ok(()),
                        Err(end) => Err(end),
                    }
                }
                answer = next(&mut self.operations, &mut self.turn) => self.on_answer(socket, answer).await,
                ping = pulse.next() => self.on_tick(socket, ping).await,
                ended = self.ending.passed() => Err(ended),
                Ok(()) = changes.changed() => self.on_change(),
                () = init.as_mut(), if !self.ready => Err(self.no_init()),
                () = stopping.cancelled() => Err(End::Stopping),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn no_init(&self) -> End {
        let waited = INIT_TIME.as_secs();
        if self.who.is_some() {
            return End::Breach(4408, "Connection initialisation timeout".to_owned());
        }
        End::Breach(4401, format!("Unauthorized: no connection_init with a token within {waited} s"))
    }

    /// Someone's token was changed or has ended; it may be this one's. What runs was permitted by what it allowed before,
    /// so a client whose token allows something else now has to come again.
    fn on_change(&mut self) -> Result<(), End> {
        let Some(who) = &mut self.who else { return Ok(()) };
        let before = Arc::clone(&who.principal);
        if !who.renew(&self.gate.hub) {
            return Err(End::TokenEnded);
        }
        self.ending.renew(&self.gate.hub, self.who.as_ref());
        let who = self.who.as_ref().map(|who| &who.principal);
        if Some(&before) == who { Ok(()) } else { Err(End::ScopeLost) }
    }

    async fn on_tick(&mut self, socket: &mut Socket, ping: Result<bool, End>) -> Result<(), End> {
        self.on_change()?;
        if ping? { self.send(socket, vec![tungstenite::Message::Ping(Bytes::new())]).await } else { Ok(()) }
    }

    async fn on_text(&mut self, socket: &mut Socket, text: Bytes) -> Result<(), End> {
        self.ending.check()?;
        let over = self.bucket.take(self.gate.config.frame_rate, self.gate.hub.clock().mono()).is_err();
        match protocol::parse(&text)? {
            _ if over && self.over_rate >= PATIENCE => Err(End::TooFast),
            Message::Subscribe { id, .. } if over => {
                self.over_rate += 1;
                self.gate.metrics.refused(Code::RateLimited);
                let message = format!("more than {} frames", self.gate.config.frame_rate);
                self.say(socket, protocol::refusal(&id, &Problem::new(Code::RateLimited, message).into())).await
            }
            message => {
                self.over_rate = if over { self.over_rate + 1 } else { 0 };
                self.obey(socket, message).await
            }
        }
    }

    async fn obey(&mut self, socket: &mut Socket, message: Message) -> Result<(), End> {
        match message {
            Message::Init { .. } if self.ready => Err(End::Breach(4429, "Too many initialisation requests".to_owned())),
            Message::Init { token } => {
                self.init(token.as_deref()).await?;
                self.say(socket, protocol::ack()).await
            }
            Message::Ping(payload) => self.say(socket, protocol::pong(&payload)).await,
            Message::Pong => Ok(()),
            Message::Complete { id } => {
                self.operations.retain(|operation| operation.id != id);
                Ok(())
            }
            Message::Subscribe { id, asked } => match self.subscribe(id, asked)? {
                Some(refusal) => self.say(socket, refusal).await,
                None => Ok(()),
            },
        }
    }

    async fn init(&mut self, token: Option<&str>) -> Result<(), End> {
        if let Some(token) = token {
            let found = identity::later(&self.gate.hub, token).await;
            self.who = Some(found.map_err(|problem| {
                self.gate.metrics.refused(problem.code);
                End::Breach(4401, format!("Unauthorized: {}", problem.message))
            })?);
            self.ending.renew(&self.gate.hub, self.who.as_ref());
        }
        if self.who.is_none() {
            return Err(End::Breach(4401, "Unauthorized: send {\"token\"} with connection_init".to_owned()));
        }
        self.ready = true;
        Ok(())
    }

    /// Begins an operation, or gives the frame that refuses it.
    fn subscribe(&mut self, id: String, asked: Asked) -> Result<Option<String>, End> {
        let (true, Some(who)) = (self.ready, &self.who) else {
            return Err(End::Breach(4401, "Unauthorized".to_owned()));
        };
        if self.operations.iter().any(|operation| operation.id == id) {
            return Err(End::Breach(4409, format!("Subscriber for {id} already exists")));
        }
        let ready = if self.operations.len() < GRAPHQL_OPERATIONS {
            asked.prepare()
        } else {
            let message = format!("one socket has at most {GRAPHQL_OPERATIONS} operations at once");
            Err(Problem::new(Code::TooLarge, message).into())
        };
        match ready {
            Ok(ready) => {
                let answers = answers(&self.gate, who.clone(), ready);
                self.operations.push(Operation { id, answers, began: false });
                Ok(None)
            }
            Err(unfit) => {
                self.gate.metrics.refused(unfit.problem.code);
                Ok(Some(protocol::refusal(&id, &unfit)))
            }
        }
    }

    /// Writes an answer, and with it what else is ready in this round.
    async fn on_answer(&mut self, socket: &mut Socket, first: (usize, Option<Response>)) -> Result<(), End> {
        self.ending.check()?;
        let mut frames = Vec::new();
        self.take(first, &mut frames);
        while frames.len() < ROUND {
            let Some(answer) = next(&mut self.operations, &mut self.turn).now_or_never() else { break };
            self.take(answer, &mut frames);
        }
        self.sent.inc_by(frames.len() as u64);
        self.send(socket, frames.into_iter().map(tungstenite::Message::text).collect()).await
    }

    fn take(&mut self, (at, answer): (usize, Option<Response>), frames: &mut Vec<String>) {
        let Some(operation) = self.operations.get_mut(at) else { return };
        match answer {
            None => {
                frames.push(protocol::complete(&operation.id));
                self.operations.remove(at);
            }
            // Nothing came before: the operation itself is refused, and ends with this.
            Some(response)
                if !operation.began
                    && response.data == Value::Null
                    && !response.errors.is_empty()
                    && !are_gap(&response.errors) =>
            {
                frames.push(protocol::error(&operation.id, &response.errors));
                self.operations.remove(at);
            }
            Some(response) => {
                operation.began = true;
                frames.push(protocol::next(&operation.id, &response));
            }
        }
    }

    async fn say(&mut self, socket: &mut Socket, frame: String) -> Result<(), End> {
        self.send(socket, vec![tungstenite::Message::text(frame)]).await
    }

    async fn send(&mut self, socket: &mut Socket, frames: Vec<tungstenite::Message>) -> Result<(), End> {
        send(socket, self.gate.config.socket_write_timeout, frames).await
    }
}

/// The next answer of whichever operation has one, in turns; waits for ever when none runs. Cancel-safe.
async fn next(operations: &mut [Operation], turn: &mut usize) -> (usize, Option<Response>) {
    poll_fn(|cx| poll(operations, turn, cx)).await
}

fn poll(operations: &mut [Operation], turn: &mut usize, cx: &mut Context<'_>) -> Poll<(usize, Option<Response>)> {
    for step in 0..operations.len() {
        let at = (*turn + step) % operations.len();
        let Some(operation) = operations.get_mut(at) else { continue };
        if let Poll::Ready(answer) = operation.answers.as_mut().poll_next(cx) {
            *turn = at + 1;
            return Poll::Ready((at, answer));
        }
    }
    Poll::Pending
}
