//! Just enough HTTP/1.1 for a lean client: one request at a time on a kept-alive connection.

use std::{borrow::Cow, net::SocketAddr, ops::Range};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::error::{Doing, Error, Fallible};

/// The largest answer that is read.
const ANSWER_BYTES: usize = 64 << 20;

/// Where an answer stands in a connection's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status; other protocols use 200.
    pub(crate) status: u16,
    /// The body as sent.
    pub(crate) body: Range<usize>,
    /// The body is in chunks.
    pub(crate) chunked: bool,
}

/// Reads an answer from the front of what has arrived; `None` when more is needed.
pub(crate) trait Protocol: Clone + Send + Sync + 'static {
    /// See the trait.
    fn parse(&self, bytes: &[u8]) -> Fallible<Option<Answer>>;
}

/// HTTP/1.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http;

impl Protocol for Http {
    fn parse(&self, bytes: &[u8]) -> Fallible<Option<Answer>> {
        let Some(head_end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
        let head = &bytes[..head_end];
        let status = head
            .get(9..12)
            .filter(|_| head.starts_with(b"HTTP/1."))
            .and_then(|s| std::str::from_utf8(s).ok()?.parse().ok())
            .ok_or_else(|| Error::new("an answer that is not HTTP/1.1"))?;
        let body = head_end + 4;
        let length = match header(head, "content-length") {
            Some(text) => text.parse::<usize>().doing("reading content-length")?,
            None if matches!(status, 204 | 304) => 0,
            None if header(head, "transfer-encoding").is_some() => {
                return Ok(chunked_end(&bytes[body..])?.map(|end| Answer {
                    status,
                    body: body..body + end,
                    chunked: true,
                }));
            }
            None => return Err(Error::new("an answer with neither content-length nor chunks")),
        };
        Ok((bytes.len() >= body + length).then(|| Answer { status, body: body..body + length, chunked: false }))
    }
}

/// The value of a header, by its lower-case name.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|b| *b == b'\n').skip(1).find_map(|line| {
        let (found, value) = (line.get(..name.len())?, line.get(name.len()..)?);
        (found.eq_ignore_ascii_case(name.as_bytes()) && value.first() == Some(&b':'))
            .then(|| std::str::from_utf8(&value[1..]).ok().map(str::trim))?
    })
}

/// Length and start of the chunk at the front.
fn chunk(bytes: &[u8]) -> Fallible<Option<(usize, usize)>> {
    let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
    let digits = std::str::from_utf8(&bytes[..line]).doing("reading a chunk")?;
    let digits = digits.split(';').next().unwrap_or_default().trim();
    let length = usize::from_str_radix(digits, 16).doing("reading a chunk's length")?;
    Ok(Some((length, line + 2)))
}

/// Where a chunked body without trailers ends.
fn chunked_end(bytes: &[u8]) -> Fallible<Option<usize>> {
    let mut at = 0;
    loop {
        let Some((length, start)) = chunk(&bytes[at..])? else { return Ok(None) };
        at += start + length + 2;
        if at > bytes.len() {
            return Ok(None);
        }
        if length == 0 {
            return Ok(Some(at));
        }
    }
}

/// A client's end of one connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects without delay of small writes.
    pub(crate) async fn open(addr: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(addr).await.doing(format_args!("connecting to {addr}"))?;
        stream.set_nodelay(true).doing("setting nodelay")?;
        Ok(Self { stream, buffer: Vec::with_capacity(4 << 10) })
    }

    /// Sends one request and reads its answer, which stays readable until the next one.
    pub(crate) async fn exchange<P: Protocol>(&mut self, request: &[u8], protocol: &P) -> Fallible<Answer> {
        self.buffer.clear();
        self.stream.write_all(request).await.doing("sending a request")?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.doing("reading an answer")?;
            if read == 0 {
                return Err(Error::new("the server closed the connection before it answered"));
            }
            if let Some(answer) = protocol.parse(&self.buffer)? {
                return Ok(answer);
            }
            if self.buffer.len() > ANSWER_BYTES {
                return Err(Error::new("an answer over 64 MiB"));
            }
        }
    }

    /// The body of the last answer, put together where it came in chunks.
    pub(crate) fn body(&self, answer: &Answer) -> Cow<'_, [u8]> {
        let raw = self.buffer.get(answer.body.clone()).unwrap_or_default();
        if !answer.chunked {
            return Cow::Borrowed(raw);
        }
        let mut whole = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Ok(Some((length, start))) = chunk(rest) {
            whole.extend_from_slice(rest.get(start..start + length).unwrap_or_default());
            rest = rest.get(start + length + 2..).unwrap_or_default();
        }
        Cow::Owned(whole)
    }

    /// The stream and what has arrived beyond the answer: the connection goes on in another protocol.
    pub(crate) fn upgrade(self, answer: &Answer) -> (TcpStream, Vec<u8>) {
        let rest = self.buffer.get(answer.body.end..).unwrap_or_default().to_vec();
        (self.stream, rest)
    }
}

/// HTTP/1.1 up to the end of a `101 Switching Protocols`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upgrade;

impl Protocol for Upgrade {
    fn parse(&self, bytes: &[u8]) -> Fallible<Option<Answer>> {
        if !bytes.starts_with(b"HTTP/1.1 101") {
            return if bytes.len() < 12 { Ok(None) } else { Http.parse(bytes) };
        }
        let head = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        Ok(head.map(|end| Answer { status: 101, body: end + 4..end + 4, chunked: false }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_at_its_last_byte_only() {
        let whole = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\n\r\nhello";
        for cut in 0..whole.len() {
            assert_eq!(Http.parse(&whole[..cut]).unwrap(), None, "{cut}");
        }
        let answer = Http.parse(whole).unwrap().unwrap();
        assert_eq!((answer.status, &whole[answer.body]), (200, &b"hello"[..]));
        assert_eq!(Http.parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap().status, 204);
        assert!(Http.parse(b"SSH-2.0-x\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_are_found_whole() {
        let whole =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na;x=1\r\n0123456789\r\n0\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(Http.parse(&whole[..cut]).unwrap(), None, "{cut}");
        }
        let answer = Http.parse(whole).unwrap().unwrap();
        assert!(answer.chunked);
        assert_eq!(answer.body.end, whole.len());
    }
}
