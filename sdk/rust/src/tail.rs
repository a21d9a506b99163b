//! The log as it grows: a stream over a WebSocket that reconnects and goes on where it stopped.

use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, Error, Problem,
    socket::{Broken, Socket, backoff},
    state::Watch,
};

/// One event as the socket brings it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TailedEvent {
    /// Its name, in the form of the filter that was asked for.
    pub topic: String,
    /// Its data.
    #[serde(default)]
    pub payload: Value,
    /// Seconds since the epoch.
    #[serde(default)]
    pub timestamp: f64,
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// Its place in the log.
    #[serde(default)]
    pub seq: u64,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: crate::client::More,
}

/// What a tail brings.
#[derive(Clone, Debug)]
pub enum Tailed {
    /// An event.
    Event(TailedEvent),
    /// Events are missing here; the hub's own words.
    Gap(Value),
    /// The connection was lost and is being made again.
    Lost(String),
}

enum State {
    Begin,
    Open(Box<Socket>),
    Lost { attempt: usize },
    Done,
}

/// What a socket is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Events that match a filter.
    Topic(String),
    /// Changes of state.
    Changes(Watch),
}

impl Wanted {
    fn frame(&self) -> Value {
        match self {
            Self::Topic(filter) => serde_json::json!({"type": "subscribe", "topic": filter}),
            Self::Changes(Watch::Key(key)) => serde_json::json!({"type": "watch", "key": key}),
            Self::Changes(Watch::Prefix(prefix)) => serde_json::json!({"type": "watch", "prefix": prefix}),
        }
    }
}

struct Tail {
    client: Client,
    wanted: Wanted,
    since: Option<String>,
    state: State,
}

impl Client {
    /// Events matching `filter` (`>` = all), from now on or after `since` (a seq, or `epoch:seq`). It ends only with an
    /// error that another attempt can't mend: the first connection fails, the hub refuses,
    /// or it shows a certificate that is not trusted.
    pub fn tail(&self, filter: &str, since: Option<&str>) -> impl Stream<Item = Result<Tailed, Error>> + Send + use<> {
        self.tail_of(Wanted::Topic(filter.to_owned()), since)
    }

    pub(crate) fn tail_of(
        &self,
        wanted: Wanted,
        since: Option<&str>,
    ) -> impl Stream<Item = Result<Tailed, Error>> + Send + use<> {
        let tail = Tail { client: self.clone(), wanted, since: since.map(str::to_owned), state: State::Begin };
        stream::unfold(tail, |mut tail| async move { tail.next().await.map(|item| (item, tail)) })
    }
}

impl Tail {
    async fn next(&mut self) -> Option<Result<Tailed, Error>> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return None,
                State::Begin => match self.begin().await {
                    Ok(socket) => self.state = State::Open(Box::new(socket)),
                    Err(error) => return Some(Err(error)),
                },
                State::Lost { attempt } => {
                    tokio::time::sleep(backoff(attempt)).await;
                    match self.open().await {
                        Ok(socket) => self.state = State::Open(Box::new(socket)),
                        Err(error) if error.is_retryable() => self.state = State::Lost { attempt: attempt + 1 },
                        Err(error) => return Some(Err(error)),
                    }
                }
                State::Open(mut socket) => match self.receive(&mut socket).await {
                    Ok(None) => self.state = State::Open(socket),
                    Ok(Some(item)) => {
                        self.state = State::Open(socket);
                        return Some(Ok(item));
                    }
                    Err(Broken::Connection(reason)) => {
                        self.state = State::Lost { attempt: 0 };
                        return Some(Ok(Tailed::Lost(reason)));
                    }
                    Err(Broken::Refused(error)) => return Some(Err(error)),
                },
            }
        }
    }

    /// Notes where the log stands before the first connection: without that, what comes between the loss of a connection
    /// and the next one would be missed as long as no event was seen. Not every token may ask; then it is not known.
    async fn begin(&mut self) -> Result<Socket, Error> {
        if self.since.is_none() {
            let head = self.client.log_head().await.ok();
            self.since = head.and_then(|h| h.get("seq")?.as_u64()).map(|seq| seq.to_string());
        }
        self.open().await
    }

    async fn open(&mut self) -> Result<Socket, Error> {
        let mut socket = Socket::dial(&self.client, "/ws").await?;
        let mut subscribe = self.wanted.frame();
        if let (Some(map), Some(since)) = (subscribe.as_object_mut(), &self.since) {
            map.insert("since".into(), since.parse::<u64>().map_or_else(|_| since.as_str().into(), Value::from));
        }
        socket.say(&subscribe).await.map_err(|reason| self.client.unreachable(reason))?;
        Ok(socket)
    }

    /// The next frame of an open socket; `None` for one that says nothing to the caller.
    async fn receive(&mut self, socket: &mut Socket) -> Result<Option<Tailed>, Broken> {
        match socket.hear(&self.client).await? {
            Some(frame) => self.understand(frame),
            None => Ok(None),
        }
    }

    fn understand(&mut self, mut frame: Value) -> Result<Option<Tailed>, Broken> {
        match frame.get("type").and_then(Value::as_str).unwrap_or_default() {
            "event" => {
                if let Some(map) = frame.as_object_mut() {
                    map.remove("type");
                }
                let event: TailedEvent =
                    serde_json::from_value(frame).map_err(|e| Broken::Refused(self.client.unreadable(&e)))?;
                self.since = Some(event.seq.to_string());
                Ok(Some(Tailed::Event(event)))
            }
            "gap" => {
                if let Some(to) = frame.get("to").and_then(Value::as_u64) {
                    self.since = Some(to.to_string());
                }
                Ok(Some(Tailed::Gap(frame)))
            }
            "error" => {
                let problem = Problem::read(400, frame.to_string().as_bytes(), None, None);
                Err(Broken::Refused(Error::Refused(Box::new(problem))))
            }
            _ => Ok(None),
        }
    }
}
