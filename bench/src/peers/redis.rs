//! Redis Streams with `appendfsync always`: each `XADD` is on the disk before it is answered.

use std::path::Path;

use tokio::process::Command;

use crate::{
    error::{Doing, Error, Fallible},
    http::{Answer, Protocol},
    process::{Server, free_address, installed},
    template::{Template, single_body},
};

/// Starts one of its own, empty; `None` where it is not installed.
pub(crate) async fn start(folder: &Path) -> Fallible<Option<Server>> {
    let Some(program) = installed("redis-server") else { return Ok(None) };
    let folder = folder.join("redis");
    std::fs::create_dir_all(&folder).doing(format_args!("creating {}", folder.display()))?;
    let addr = free_address()?;
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &addr.port().to_string(), "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", "--dir"]).arg(&folder);
    Server::start_at(command, addr, &folder.join("log")).await.map(Some)
}

/// `depth` times `XADD` of one event's body, sent together.
pub(crate) fn xadd(depth: usize) -> Template {
    let body = single_body(false);
    let one = format!("*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$4\r\ndata\r\n${}\r\n{body}\r\n", body.len());
    Template::plain(one.repeat(depth).into_bytes(), depth as u64)
}

/// So many replies make one answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resp(pub(crate) usize);

impl Protocol for Resp {
    fn parse(&self, bytes: &[u8]) -> Fallible<Option<Answer>> {
        let mut at = 0;
        for _ in 0..self.0 {
            match reply(&bytes[at..])? {
                Some(end) => at += end,
                None => return Ok(None),
            }
        }
        Ok(Some(Answer { status: 200, body: 0..at, chunked: false }))
    }
}

/// Where the reply at the front ends.
fn reply(bytes: &[u8]) -> Fallible<Option<usize>> {
    let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..line]).doing("reading a reply")?;
    match text.split_at_checked(1) {
        Some(("$", length)) => {
            let length: usize = length.parse().doing("reading a reply's length")?;
            let end = line + 2 + length + 2;
            Ok((bytes.len() >= end).then_some(end))
        }
        Some(("+" | ":", _)) => Ok(Some(line + 2)),
        _ => Err(Error::new(format!("the reply {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_whole() {
        let one = b"$15\r\n1763690000000-0\r\n";
        assert!(Resp(1).parse(one).unwrap().is_some());
        assert!(Resp(1).parse(&one[..one.len() - 1]).unwrap().is_none());
        assert!(Resp(2).parse(one).unwrap().is_none());
        assert!(Resp(2).parse(&[&one[..], &one[..]].concat()).unwrap().is_some());
        assert!(Resp(1).parse(b"-ERR unknown command\r\n").is_err());
    }
}
