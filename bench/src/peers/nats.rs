//! Core NATS: fan-out without a log, as a mark for how fast frames can leave.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::{
    error::{Doing, Error, Fallible},
    process::{Server, free_address, installed},
    sockets::{OUTSTANDING, Tracker, Unit},
    template::{Template, single_body},
};

/// Starts one of its own; `None` where it is not installed.
pub(crate) async fn start(folder: &Path) -> Fallible<Option<Server>> {
    let Some(program) = installed("nats-server") else { return Ok(None) };
    let addr = free_address()?;
    let mut command = Command::new(program);
    command.args(["--addr", "127.0.0.1", "--port", &addr.port().to_string()]);
    Server::start_at(command, addr, &folder.join("nats.log")).await.map(Some)
}

/// A connection that has said hello; with `subscribed` it gets every message.
pub(crate) async fn connect(addr: SocketAddr, subscribed: bool) -> Fallible<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(addr).await.doing("connecting to NATS")?;
    stream.set_nodelay(true).doing("setting nodelay")?;
    let subscribe = if subscribed { "SUB bench 1\r\n" } else { "" };
    let hello = format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":false}}\r\n{subscribe}PING\r\n");
    stream.write_all(hello.as_bytes()).await.doing("greeting NATS")?;
    let mut buffer = Vec::new();
    while !buffer.windows(6).any(|w| w == b"PONG\r\n") {
        if stream.read_buf(&mut buffer).await.doing("greeting NATS")? == 0 {
            return Err(Error::new(String::from_utf8_lossy(&buffer)));
        }
    }
    Ok((stream, Vec::new()))
}

/// Splits a subscriber's input.
pub(crate) fn split(bytes: &[u8]) -> Fallible<Option<(Unit<'_>, usize)>> {
    let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..line]).doing("reading from NATS")?;
    let end = line + 2;
    if text.starts_with("MSG ") {
        let length = text.rsplit(' ').next().and_then(|l| l.parse::<usize>().ok());
        let length = length.ok_or_else(|| Error::new(format!("NATS said {text:?}")))?;
        return Ok(bytes.get(end..end + length + 2).map(|m| (Unit::Message(&m[..length]), end + length + 2)));
    }
    match text {
        "PING" => Ok(Some((Unit::Ping(b"PONG\r\n".to_vec()), end))),
        _ if text.starts_with("-ERR") => Err(Error::new(format!("NATS said {text:?}"))),
        _ => Ok(Some((Unit::Other, end))),
    }
}

/// Publishes whenever there is room, in one write for all that there is room for. Ends only with an error.
pub(crate) async fn publish(mut stream: TcpStream, tracker: Arc<Tracker>) -> Fallible<()> {
    let body = single_body(false);
    let mut template = Template::plain(format!("PUB bench {}\r\n{body}\r\n", body.len()).into_bytes(), 1);
    let mut block = Vec::new();
    loop {
        tracker.room.acquire().await.doing("waiting for room")?.forget();
        block.clear();
        block.extend_from_slice(template.stamp());
        for _ in 1..OUTSTANDING {
            let Ok(permit) = tracker.room.try_acquire() else { break };
            permit.forget();
            block.extend_from_slice(template.stamp());
        }
        stream.write_all(&block).await.doing("publishing to NATS")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_at_their_last_byte() {
        let bytes = b"MSG bench 1 5\r\nhello\r\nPING\r\n";
        assert_eq!(split(&bytes[..21]).unwrap(), None);
        assert_eq!(split(bytes).unwrap(), Some((Unit::Message(&b"hello"[..]), 22)));
        assert!(matches!(split(&bytes[22..]).unwrap(), Some((Unit::Ping(_), 6))));
        assert!(split(b"-ERR 'x'\r\n").is_err());
    }
}
