//! The line to a mail server: the judged address, and TLS where it is wanted, before a password or a mail goes over it.
//!
//! STARTTLS is spoken here and not by the mail library, for two reasons: the same authorities are trusted as for HTTPS,
//! and what the server sent before TLS can be refused instead of being taken for something said after it.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Security;
use crate::error::{Kind, SendError};

/// What a server may say in one session. More is no mail server.
const ANSWERS_BYTES: usize = 64 * 1024;
/// What is said for the server after STARTTLS, as it greets once only.
const GREETED: &[u8] = b"220 greeted before\r\n";

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A line on which the server's greeting is still to be read.
#[derive(Debug)]
pub(super) struct Line {
    wire: Wire,
    /// Read before anything that comes over the wire.
    first: &'static [u8],
    heard: usize,
}

impl Line {
    /// Makes `stream`, which leads to `host`, as safe as it is wanted to be.
    pub(super) async fn open(
        stream: TcpStream,
        host: &str,
        security: Security,
        hello: &str,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, SendError> {
        let (wire, first): (_, &[u8]) = match security {
            Security::Plain => (Wire::Plain(stream), &[]),
            Security::Tls => (encrypted(stream, host, tls).await?, &[]),
            Security::StartTls => {
                let stream = asked_for_tls(stream, hello).await?;
                (encrypted(stream, host, tls).await?, GREETED)
            }
        };
        Ok(Self { wire, first, heard: 0 })
    }
}

async fn encrypted(stream: TcpStream, host: &str, tls: Arc<ClientConfig>) -> Result<Wire, SendError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| SendError::new(Kind::Tls, format!("{host:?} is no name that a certificate could be for")))?;
    let connected = TlsConnector::from(tls).connect(name, stream).await;
    connected
        .map(|stream| Wire::Tls(Box::new(stream)))
        .map_err(|error| SendError::new(Kind::Tls, format!("no TLS session with the mail server: {error}")))
}

/// Greets in the open and asks for TLS. Nothing may lie in the line when it begins.
async fn asked_for_tls(mut stream: TcpStream, hello: &str) -> Result<TcpStream, SendError> {
    expect(reply(&mut stream).await?, 220, "greeted with")?;
    say(&mut stream, &format!("EHLO {hello}\r\n")).await?;
    let offered = reply(&mut stream).await?;
    let starttls =
        offered.lines().any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS")));
    expect(offered, 250, "answered EHLO with")?;
    if !starttls {
        let message =
            "the mail server offers no STARTTLS; set security to tls (port 465), or to plain where nobody can listen";
        return Err(SendError::new(Kind::Tls, message));
    }
    say(&mut stream, "STARTTLS\r\n").await?;
    expect(reply(&mut stream).await?, 220, "answered STARTTLS with")?;
    Ok(stream)
}

fn expect(reply: String, code: u16, what: &str) -> Result<(), SendError> {
    if reply.starts_with(&code.to_string()) {
        return Ok(());
    }
    let line: String = reply.lines().next().unwrap_or_default().chars().take(200).collect();
    Err(SendError::new(Kind::Protocol, format!("the mail server {what} {line:?}; {code} was expected")))
}

async fn say(stream: &mut TcpStream, text: &str) -> Result<(), SendError> {
    stream.write_all(text.as_bytes()).await.map_err(|error| closed(&error))
}

fn closed(error: &io::Error) -> SendError {
    SendError::new(Kind::Closed, format!("the mail server ended the connection: {error}"))
}

/// One reply: lines up to the one with a space behind its number. What follows it was sent too early.
async fn reply(stream: &mut TcpStream) -> Result<String, SendError> {
    let mut heard = Vec::new();
    loop {
        if let Some(end) = end_of_reply(&heard) {
            if end < heard.len() {
                let message =
                    "the mail server said more than it was asked before TLS began; somebody may stand between";
                return Err(SendError::new(Kind::Protocol, message));
            }
            return Ok(String::from_utf8_lossy(&heard).into_owned());
        }
        if heard.len() >= ANSWERS_BYTES {
            return Err(SendError::new(Kind::Protocol, "the mail server's reply does not end"));
        }
        let mut some = [0; 512];
        let n = stream.read(&mut some).await.map_err(|error| closed(&error))?;
        if n == 0 {
            return Err(SendError::new(Kind::Closed, "the mail server ended the connection before TLS began"));
        }
        heard.extend(some.iter().take(n));
    }
}

fn end_of_reply(heard: &[u8]) -> Option<usize> {
    let mut begin = 0;
    while let Some(length) = heard.get(begin..)?.iter().position(|b| *b == b'\n') {
        let end = begin + length + 1;
        if heard.get(begin + 3) != Some(&b'-') {
            return Some(end);
        }
        begin = end;
    }
    None
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let (now, later) = self.first.split_at(self.first.len().min(into.remaining()));
            into.put_slice(now);
            self.first = later;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let polled = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        };
        let came = into.filled().len() - before;
        if came == 0 && into.remaining() > 0 && matches!(polled, Poll::Ready(Ok(()))) {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.heard += came;
        if self.heard > ANSWERS_BYTES {
            return Poll::Ready(Err(io::Error::other("the mail server says too much")));
        }
        polled
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.wire {
            Wire::Plain(stream) => stream.peer_addr(),
            Wire::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}
