//! Many subscribers in one thread: raw sockets whose frames are counted, not decoded.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Upgrade},
};

/// Messages on their way at most: more would overrun the queues of a server that drops.
pub(crate) const OUTSTANDING: usize = 64;
/// Slots of the ring; more than can be outstanding.
const RING: usize = 256;
/// The client's key of every handshake; the server's answer to it is not checked.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Follows each message until every subscriber has it. All see the same order, so a subscriber's n-th is the n-th.
pub(crate) struct Tracker {
    missing: Vec<AtomicU32>,
    subscribers: u32,
    frames: AtomicU64,
    /// A permit per message that may be sent now.
    pub(crate) room: Semaphore,
}

impl Tracker {
    /// For so many subscribers.
    pub(crate) fn new(subscribers: u32) -> Arc<Self> {
        Arc::new(Self {
            missing: (0..RING).map(|_| AtomicU32::new(subscribers)).collect(),
            subscribers,
            frames: AtomicU64::new(0),
            room: Semaphore::new(OUTSTANDING),
        })
    }

    /// Frames that have arrived at any subscriber.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    fn arrived(&self, number: u64) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let Some(missing) = self.missing.get(number as usize % RING) else { return };
        if missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            missing.store(self.subscribers, Ordering::Relaxed);
            self.room.add_permits(1);
        }
    }
}

/// One unit of a subscriber's input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unit<'a> {
    /// A message.
    Message(&'a [u8]),
    /// To be answered with these bytes.
    Ping(Vec<u8>),
    /// Nothing to count.
    Other,
}

/// Splits a subscriber's input: the unit at the front and where it ends, or `None` when more is needed.
pub(crate) type Split = fn(&[u8]) -> Fallible<Option<(Unit<'_>, usize)>>;

/// Server frames of RFC 6455: unmasked.
pub(crate) fn websocket(bytes: &[u8]) -> Fallible<Option<(Unit<'_>, usize)>> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(length) = bytes.get(2..2 + extended) else { return Ok(None) };
    let length = match extended {
        0 => usize::from(second & 0x7f),
        _ => length.iter().fold(0_usize, |sum, b| sum << 8 | usize::from(*b)),
    };
    let start = 2 + extended;
    let Some(payload) = bytes.get(start..start + length) else { return Ok(None) };
    let unit = match first & 0x0f {
        1 | 2 => Unit::Message(payload),
        8 => return Err(Error::new(format!("the server closed a socket: {}", String::from_utf8_lossy(payload)))),
        9 => Unit::Ping(masked(0x8a, payload)),
        _ => Unit::Other,
    };
    Ok(Some((unit, start + length)))
}

/// A client's frame. Its mask is zero: this guards proxies against scripts, and here is neither.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Opens a WebSocket, subscribes with `frame` and waits for the confirmation.
pub(crate) async fn subscribe(
    addr: SocketAddr,
    path: &str,
    token: &str,
    frame: &str,
) -> Fallible<(TcpStream, Vec<u8>)> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
    );
    let mut connection = Connection::open(addr).await?;
    let answer = connection.exchange(request.as_bytes(), &Upgrade).await?;
    if answer.status != 101 {
        let body = connection.body(&answer);
        return Err(Error::new(format!("{path} was answered {}: {}", answer.status, String::from_utf8_lossy(&body))));
    }
    let (mut stream, mut buffer) = connection.upgrade(&answer);
    stream.write_all(&masked(0x81, frame.as_bytes())).await.doing("subscribing")?;
    loop {
        if let Some((unit, end)) = websocket(&buffer)? {
            match unit {
                Unit::Message(text) if text.windows(10).any(|w| w == b"subscribed") => {
                    buffer.drain(..end);
                    return Ok((stream, buffer));
                }
                Unit::Message(text) => return Err(Error::new(String::from_utf8_lossy(text))),
                Unit::Ping(_) | Unit::Other => drop(buffer.drain(..end)),
            }
        } else if stream.read_buf(&mut buffer).await.doing("waiting for the subscription")? == 0 {
            return Err(Error::new("the server closed a socket before it was subscribed"));
        }
    }
}

/// Counts what arrives on every stream until the tasks are dropped; ends only with an error.
pub(crate) fn follow(
    streams: Vec<(TcpStream, Vec<u8>)>,
    split: Split,
    tracker: &Arc<Tracker>,
) -> JoinSet<Fallible<()>> {
    let mut tasks = JoinSet::new();
    for (stream, buffer) in streams {
        tasks.spawn(follow_one(stream, buffer, split, tracker.clone()));
    }
    tasks
}

async fn follow_one(mut stream: TcpStream, mut buffer: Vec<u8>, split: Split, tracker: Arc<Tracker>) -> Fallible<()> {
    buffer.reserve(32 << 10);
    let mut number = 0;
    loop {
        let mut at = 0;
        while let Some((unit, end)) = split(&buffer[at..])? {
            match unit {
                Unit::Message(_) => {
                    tracker.arrived(number);
                    number += 1;
                }
                Unit::Ping(pong) => stream.write_all(&pong).await.doing("answering a ping")?,
                Unit::Other => {}
            }
            at += end;
        }
        buffer.drain(..at);
        if stream.read_buf(&mut buffer).await.doing("reading a socket")? == 0 {
            return Err(Error::new("the server closed a socket"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_at_their_last_byte() {
        for length in [0_usize, 5, 125, 126, 600, 70_000] {
            let mut frame = vec![0x81];
            match length {
                0..=125 => frame.push(length as u8),
                126..=65_535 => frame.extend([126, (length >> 8) as u8, length as u8]),
                _ => frame.extend([127, 0, 0, 0, 0, 0, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
            }
            frame.resize(frame.len() + length, b'x');
            assert_eq!(websocket(&frame[..frame.len() - 1]).unwrap(), None, "{length}");
            let (unit, end) = websocket(&frame).unwrap().unwrap();
            assert_eq!(end, frame.len());
            assert!(matches!(unit, Unit::Message(text) if text.len() == length));
        }
        assert!(websocket(&[0x88, 0]).is_err());
        let (pong, _) = websocket(&[0x89, 2, b'h', b'i']).unwrap().unwrap();
        assert_eq!(pong, Unit::Ping(vec![0x8a, 0x82, 0, 0, 0, 0, b'h', b'i']));
    }

    #[test]
    fn a_message_makes_room_when_the_last_subscriber_has_it() {
        let tracker = Tracker::new(2);
        let free = tracker.room.available_permits();
        tracker.arrived(0);
        assert_eq!(tracker.room.available_permits(), free);
        tracker.arrived(1);
        tracker.arrived(0);
        assert_eq!(tracker.room.available_permits(), free + 1);
        assert_eq!(tracker.frames(), 3);
    }
}
