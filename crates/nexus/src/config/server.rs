//! `[server]`: addresses, and limits of the doors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value::Period;

/// How the hub is reached.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Addresses to listen on; every one serves every route. Empty: `api_host` and `api_port`.
    pub(crate) listen: Vec<String>,
    /// Host of the first address where `listen` is empty.
    pub(crate) api_host: String,
    /// Port of the first address where `listen` is empty.
    pub(crate) api_port: u16,
    /// A second port on the host of the first address; 0 = none.
    pub(crate) compat_port: u16,
    /// Under which URL the outside reaches this hub; providers that sign the URL sign this one.
    pub(crate) public_url: Option<String>,
    /// Origins whose pages may read answers.
    pub(crate) cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or networks.
    pub(crate) trusted_proxies: Vec<String>,
    /// Open connections in all; one more is answered 503.
    pub(crate) connections: usize,
    /// Open sockets and event streams in all; one more is answered 503.
    pub(crate) sockets: usize,
    /// Time for the head of a request, and for an idle connection.
    pub(crate) header_timeout: Period,
    /// Time for the body of a request.
    pub(crate) body_timeout: Period,
    /// Silence on a socket after which it is asked for a sign of life.
    pub(crate) heartbeat: Period,
    /// How long requests and deliveries in flight may take after SIGTERM.
    pub(crate) drain: Period,
    /// Open files the process asks the system for.
    pub(crate) open_files: u64,
    /// Plain HTTP may be spoken beyond this machine.
    pub(crate) plain_http: bool,
}

impl Default for Server {
    fn default() -> Self {
        let seconds = |n| Period(Duration::from_secs(n));
        Self {
            listen: Vec::new(),
            api_host: "127.0.0.1".into(),
            api_port: 8080,
            compat_port: 0,
            public_url: None,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            connections: 10_000,
            sockets: 8_000,
            header_timeout: seconds(30),
            body_timeout: seconds(20),
            heartbeat: seconds(20),
            drain: seconds(10),
            open_files: 65_536,
            plain_http: false,
        }
    }
}

impl Server {
    /// Every address, the first one being the one that must be had.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut addresses = self.listen.clone();
        if addresses.is_empty() {
            addresses.push(join(&self.api_host, self.api_port));
        }
        if let (port @ 1.., Some((host, _))) = (self.compat_port, addresses.first().and_then(|a| a.rsplit_once(':'))) {
            addresses.push(format!("{host}:{port}"));
        }
        addresses
    }
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compat_port_stands_on_the_first_host() {
        let server = Server { api_host: "::1".into(), compat_port: 8000, ..Server::default() };
        assert_eq!(server.addresses(), ["[::1]:8080", "[::1]:8000"]);
        assert_eq!(Server::default().addresses(), ["127.0.0.1:8080"]);
    }
}
