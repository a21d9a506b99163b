//! What the operator decides about the doors. Every limit has its default here and says what happens at it.

use std::{net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use nexus_core::bucket::Rate;

use crate::server::Tls;

/// Settings of the doors.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// A request from loopback without a token acts as admin (see [`crate::serve`]); never on a public address.
    pub dev: bool,
    /// `POST /__clock` moves the hub's time; only together with `dev`.
    pub test_clock: bool,
    /// Under which URL the outside reaches this hub. Providers that sign the URL (Twilio, HubSpot) sign this one; without
    /// it the `Host` header of the request is used.
    pub public_url: Option<String>,
    /// Origins whose pages may read answers, as browsers send them (`https://app.example.com`).
    pub cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed. Empty: the peer's address is the client's.
    pub trusted_proxies: Vec<Network>,
    /// How fast one address may post signed events (429 above) unless the source says otherwise; `None` = no limit.
    pub ingress_rate: Option<Rate>,
    /// How fast one token may publish over HTTP; `None` = no limit.
    pub publish_rate: Option<Rate>,
    /// How fast one token may use the administration routes; `None` = no limit.
    pub api_rate: Option<Rate>,
    /// How fast one address may open sockets and streams; `None` = no limit.
    pub stream_rate: Option<Rate>,
    /// How fast one socket may send frames (an error frame above, close 1008 when it goes on).
    pub frame_rate: Rate,
    /// Open connections in all; one more is answered 503 and closed.
    pub connections: usize,
    /// Open sockets and event streams in all; one more is answered 503.
    pub sockets: usize,
    /// Waiting connections that the kernel keeps for each listener.
    pub backlog: u32,
    /// Time for the head of a request, and how long a connection may idle between two requests; then it is closed.
    pub header_timeout: Duration,
    /// Time for the body of a request; then 408 is not sent, the answer is 400.
    pub body_timeout: Duration,
    /// Bytes of a request's head; above: 431.
    pub header_bytes: usize,
    /// Headers of a request; above: 431.
    pub header_count: usize,
    /// Silence on a socket or stream after which a ping (or a comment) is sent; twice as long without any answer closes it.
    pub heartbeat: Duration,
    /// Time for one write to a socket; then it is closed: its client does not read.
    pub socket_write_timeout: Duration,
    /// Where a backup is written before it is sent.
    pub scratch: PathBuf,
    /// Every listener speaks TLS with this; `None` = plain HTTP.
    pub tls: Option<Tls>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        let per_second = |count| Rate { count, per: Duration::from_secs(1) };
        Self {
            dev: false,
            test_clock: false,
            public_url: None,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            ingress_rate: Some(per_second(10)),
            publish_rate: None,
            api_rate: Some(per_second(1_000)),
            stream_rate: Some(per_second(2_000)),
            frame_rate: per_second(200),
            connections: 10_000,
            sockets: 8_000,
            backlog: 1_024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(20),
            header_bytes: 32 << 10,
            header_count: 64,
            heartbeat: Duration::from_secs(20),
            socket_write_timeout: Duration::from_secs(20),
            scratch: std::env::temp_dir(),
            tls: None,
        }
    }
}

/// A network of addresses, `10.0.0.0/8` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let cut = |bits: u128, width: u32| match width - u32::from(self.prefix) {
            n if n >= width => 0,
            n => bits >> n,
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => cut(u128::from(a.to_bits()), 32) == cut(u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => cut(a.to_bits(), 128) == cut(b.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network; write for example 10.0.0.0/8, 192.0.2.7 or fd00::/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = address.trim().parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(text) => text.trim().parse().ok().filter(|p| *p <= width).ok_or_else(wrong)?,
        };
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(network: &str, address: &str) -> bool {
        network.parse::<Network>().expect("valid").contains(address.parse().expect("valid"))
    }

    #[test]
    fn a_network_holds_its_addresses_in_either_notation() {
        assert!(inside("10.0.0.0/8", "10.200.3.4"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(inside("192.0.2.7", "192.0.2.7") && !inside("192.0.2.7", "192.0.2.8"));
        assert!(inside("fd00::/8", "fd12::1") && !inside("fd00::/8", "fe80::1"));
        assert!(inside("0.0.0.0/0", "8.8.8.8") && !inside("0.0.0.0/0", "::1"));
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
