//! A client's connection, plain or under TLS.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::HeaderMap;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::unreadable;
use crate::{answer::RequestId, gate::Gate};

/// The connection itself.
pub(super) enum Line {
    /// As it is.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection.
pub(crate) struct Wire {
    line: Line,
    gate: Arc<Gate>,
    /// What is written in place of the HTTP library's own refusal, as far as it is not written yet.
    instead: Option<Vec<u8>>,
}

impl Wire {
    pub(super) fn new(line: Line, gate: Arc<Gate>) -> Self {
        Self { line, gate, instead: None }
    }

    /// Writes the whole of another answer where `bytes` are a refusal of the library's own; `None` where they are not.
    fn poll_instead(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            let status = unreadable::own_refusal(bytes)?;
            let id = RequestId::of(&HeaderMap::new(), &self.gate.ids);
            self.instead = Some(unreadable::answer(status, &id, self.gate.hub.clock().now()));
        }
        Some(self.poll_rest(cx).map_ok(|()| bytes.len()))
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = &mut self.instead {
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            let written = ready!(self.line.poll_write(cx, rest))?;
            rest.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Line {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Line::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        match wire.poll_instead(cx, bytes) {
            Some(written) => written,
            None => wire.line.poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if let [only] = slices
            && let Some(written) = wire.poll_instead(cx, only)
        {
            return written;
        }
        match &mut wire.line {
            Line::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Line::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.line {
            Line::Plain(stream) => stream.is_write_vectored(),
            Line::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Line::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
