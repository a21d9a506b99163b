//! Where a request comes from: the client's address behind trusted proxies, and whether it is this very machine.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, Uri, header};

use crate::config::Network;

/// Bytes of a header that a refusal repeats.
const SHOWN_BYTES: usize = 80;

/// The client's address: the peer's, or behind trusted proxies the last address of `X-Forwarded-For` that is not one.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|n| n.contains(address));
    if trusted.is_empty() || !is_trusted(peer) {
        return peer;
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut found = peer;
    for hop in hops.iter().rev() {
        // An unreadable hop ends the walk: what stands before it is not to be believed.
        let Some(address) = parse_hop(hop) else { break };
        found = address;
        if !is_trusted(address) {
            break;
        }
    }
    found
}

/// `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711` or `2001:db8::1`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(host, _)| host);
    bare.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip())).map(|a| a.to_canonical())
}

/// The address under which requests are counted: an IPv6 client counts by its /64, which is what one household has.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Why a request does not come from this machine, by a program of this machine; `None` where it does: loopback peer, no
/// proxy's header, and a `Host` and `Origin` that are loopback too (so that a page of another site can't borrow the browser).
pub(crate) fn foreign(peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if !peer.to_canonical().is_loopback() {
        return Some(format!("it comes from another machine, {}", peer.to_canonical()));
    }
    let of_proxy = |name: &&http::HeaderName| *name == header::FORWARDED || name.as_str().starts_with("x-forwarded-");
    if let Some(name) = headers.keys().find(of_proxy) {
        return Some(format!("it has the header {name}, which proxies add"));
    }
    let wrong = |name: &header::HeaderName, fits: fn(&str) -> bool| {
        let values = headers.get_all(name).iter();
        let wrong = values.map(|value| value.to_str().unwrap_or("unreadable")).find(|text| !fits(text))?;
        Some(format!("its {name} {:?} does not name this machine as localhost, 127.0.0.1 or [::1] does", shown(wrong)))
    };
    if uri.host().is_none() && !headers.contains_key(header::HOST) {
        return Some("it has no host header".to_owned());
    }
    if let Some(host) = uri.host().filter(|host| !is_loopback_host(host)) {
        return Some(format!("it asks for the host {:?}", shown(host)));
    }
    wrong(&header::HOST, is_loopback_authority).or_else(|| wrong(&header::ORIGIN, is_loopback_origin))
}

/// The beginning of what was sent: a refusal is no place for all of it.
fn shown(text: &str) -> &str {
    text.get(..text.len().min(SHOWN_BYTES)).unwrap_or("unreadable")
}

/// Whether an `Origin` names this machine.
pub(crate) fn is_loopback_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(is_loopback_authority)
}

fn is_loopback_authority(text: &str) -> bool {
    text.parse::<http::uri::Authority>().is_ok_and(|a| !text.contains('@') && is_loopback_host(a.host()))
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (http::HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("valid")
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let trusted = ["10.0.0.0/8".parse().expect("valid")];
        let sent = headers(&[("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.2")]);
        assert_eq!(client(ip("198.51.100.1"), &sent, &trusted), ip("198.51.100.1"));
        assert_eq!(client(ip("10.0.0.1"), &sent, &trusted), ip("203.0.113.9"));
        assert_eq!(client(ip("10.0.0.1"), &sent, &[]), ip("10.0.0.1"));
        let odd = headers(&[("x-forwarded-for", "1.1.1.1, nonsense, [2001:db8::1]:99")]);
        assert_eq!(client(ip("::ffff:10.0.0.1"), &odd, &trusted), ip("2001:db8::1"));
    }

    #[test]
    fn local_means_loopback_peer_host_and_origin_without_a_proxy() {
        let uri: Uri = "/x".parse().expect("valid");
        let local =
            |peer: &str, pairs: &[(&'static str, &'static str)]| foreign(ip(peer), &uri, &headers(pairs)).is_none();
        assert!(local("127.0.0.1", &[("host", "localhost:8080")]));
        assert!(local("::1", &[("host", "[::1]:8080"), ("origin", "http://127.0.0.1:5173")]));
        assert!(!local("127.0.0.1", &[]));
        assert!(!local("10.0.0.1", &[("host", "localhost")]));
        assert!(!local("127.0.0.1", &[("host", "evil.example")]));
        assert!(!local("127.0.0.1", &[("host", "localhost"), ("origin", "http://evil.example")]));
        assert!(!local("127.0.0.1", &[("host", "localhost"), ("origin", "null")]));
        assert!(!local("127.0.0.1", &[("host", "localhost"), ("origin", "http://localhost@evil.example")]));
        assert!(!local("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "1.1.1.1")]));
        assert!(!local("127.0.0.1", &[("host", "localhost"), ("forwarded", "for=1.1.1.1")]));
        assert!(!local("127.0.0.1", &[("host", "localhost.evil.example")]));
        let why = |peer: &str, pairs: &[(&'static str, &'static str)]| foreign(ip(peer), &uri, &headers(pairs));
        for (peer, pairs, word) in [
            ("10.0.0.1", &[("host", "localhost")][..], "10.0.0.1"),
            ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-proto", "https")], "x-forwarded-proto"),
            ("127.0.0.1", &[("host", "evil.example")], "host \"evil.example\""),
            (
                "127.0.0.1",
                &[("host", "localhost"), ("origin", "http://evil.example")],
                "origin \"http://evil.example\"",
            ),
            ("127.0.0.1", &[], "no host"),
        ] {
            assert!(why(peer, pairs).is_some_and(|why| why.contains(word)), "{word}: {:?}", why(peer, pairs));
        }
    }

    #[test]
    fn ipv6_clients_are_counted_by_their_network() {
        assert_eq!(counted(ip("2001:db8::1")), counted(ip("2001:db8::2")));
        assert_ne!(counted(ip("2001:db8:0:1::1")), counted(ip("2001:db8::1")));
        assert_ne!(counted(ip("192.0.2.1")), counted(ip("192.0.2.2")));
    }
}
