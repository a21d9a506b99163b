//! What a URL must look like before anything is sent to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use crate::{
    address::{Reach, judge},
    error::SendError,
};

/// Where a URL points: an address, or a name still to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A literal address.
    Address(IpAddr),
    /// A DNS name, lower case, without a trailing dot.
    Name(String),
}

/// A URL that may be used once its address is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The whole URL.
    pub uri: Uri,
    /// Its host.
    pub host: Host,
    /// Its port, or its scheme's.
    pub port: u16,
}

/// Checks form and literal address of `url`, without asking DNS: for the moment an endpoint is configured.
pub fn check_url(url: &str, reach: Reach) -> Result<(), SendError> {
    match parse(url)?.host {
        Host::Address(address) => judge(address, reach),
        // By RFC 6761 these are loopback wherever they are resolved.
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            judge(IpAddr::V4(Ipv4Addr::LOCALHOST), reach)
        }
        Host::Name(_) => Ok(()),
    }
}

/// Reads an absolute `http` or `https` URL.
pub fn parse(url: &str) -> Result<Target, SendError> {
    let uri: Uri = url.parse().map_err(|error| {
        SendError::bad_url(format!("not a URL ({error}); one such as https://example.com/hook is right"))
    })?;
    target(uri)
}

/// The target of an already read URL.
pub fn target(uri: Uri) -> Result<Target, SendError> {
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return Err(SendError::bad_url("the URL must begin with https:// or http://")),
    };
    let Some(authority) = uri.authority() else {
        return Err(SendError::bad_url("the URL names no host"));
    };
    if authority.as_str().contains('@') {
        return Err(SendError::bad_url("the URL holds a user name or password; send credentials in a header instead"));
    }
    let port = match authority.port_u16() {
        Some(0) => return Err(SendError::bad_url("port 0 can't be dialed")),
        Some(port) => port,
        None if authority.as_str().len() == authority.host().len() => default_port,
        None => return Err(SendError::bad_url("the URL's port is not a number from 1 to 65535")),
    };
    let host = host(authority.host())?;
    Ok(Target { uri, host, port })
}

fn host(text: &str) -> Result<Host, SendError> {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return inner
            .parse::<Ipv6Addr>()
            .map(|v6| Host::Address(v6.into()))
            .map_err(|_| SendError::bad_url(format!("{text} is no IPv6 address (a zone is not allowed either)")));
    }
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(v4.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    // What resolvers would read as 127.0.0.1 in another spelling: 0x7f.1, 017700000001, 2130706433, 127.1.
    if name.rsplit('.').next().is_some_and(looks_numeric) {
        return Err(SendError::bad_url(format!(
            "{text} is an odd spelling of an address; write it as four decimal numbers"
        )));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 253 || !name.chars().all(allowed) || name.split('.').any(str::is_empty) {
        return Err(SendError::bad_url(format!("{text:?} is no host name; write international names as xn--…")));
    }
    Ok(Host::Name(name))
}

/// Whether a segment of a path, percent-encoded or not, is `.` or `..`, which whoever reads a URL by the standard takes away,
/// and with it the segment before. Encoding more than once counts as well: some decode on the way.
pub fn is_dot_segment(segment: &str) -> bool {
    let mut plain = String::with_capacity(segment.len());
    for c in segment.chars() {
        plain.push(c);
        for (encoded, decoded) in [("%25", '%'), ("%2e", '.'), ("%2E", '.')] {
            if plain.ends_with(encoded) {
                plain.truncate(plain.len() - encoded.len());
                plain.push(decoded);
            }
        }
    }
    matches!(&*plain, "." | "..")
}

fn looks_numeric(label: &str) -> bool {
    label.bytes().all(|b| b.is_ascii_digit())
        || label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn odd_urls_are_refused_as_such() {
        for bad in [
            "",
            "example.com",
            "/hook",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://a/",
            "http://",
            "http:///x",
            "http://user@example.com/",
            "http://user:pw@example.com/",
            "http://@example.com/",
            "http://example.com:0/",
            "http://example.com:99999/",
            "http://example.com:/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://2130706433/",
            "http://127.1/",
            "http://127.0.1/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.01/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://127.0.0.1./",
            "http://[::1/",
            "http://[::g]/",
            "http://[fe80::1%25eth0]/",
            "http://[127.0.0.1]/",
            "http://a..b/",
            "http://exa mple.com/",
            "http://ex%61mple.com/",
            "http://\u{ff11}27.0.0.1/",
            "http://bücher.example/",
            "http://example.com\\@127.0.0.1/",
        ] {
            let seen = check_url(bad, Reach::Private).map_err(|e| e.kind);
            assert_eq!(seen, Err(Kind::BadUrl), "{bad}");
        }
    }

    #[test]
    fn a_segment_of_dots_is_seen_in_every_spelling() {
        for dots in [".", "..", "%2e", "%2E.", ".%2e", "%2e%2E", "%252e%252e", "%25252E."] {
            assert!(is_dot_segment(dots), "{dots}");
        }
        for other in ["", "...", "a", ".a", "a..", "%2e%2e%2e", "%2f..", "%", "%2", "25", "%25", "..%20"] {
            assert!(!is_dot_segment(other), "{other}");
        }
    }

    #[test]
    fn literal_addresses_are_judged_at_configuration_time() {
        for (url, public, private) in [
            ("https://example.com/hook?x=1", true, true),
            ("https://example.com.:8443/", true, true),
            ("https://EXAMPLE.com/", true, true),
            ("https://1.1.1.1/", true, true),
            ("http://127.0.0.1:8080/", false, true),
            ("http://localhost:8080/", false, true),
            ("http://LOCALHOST./", false, true),
            ("http://a.localhost/", false, true),
            ("http://[::1]:80/", false, true),
            ("http://[::ffff:7f00:1]/", false, true),
            ("http://10.1.2.3/", false, true),
            ("http://169.254.169.254/latest/meta-data/", false, false),
            ("http://[::ffff:169.254.169.254]/", false, false),
            ("http://[fd00:ec2::254]/", false, false),
            ("http://0.0.0.0/", false, false),
            ("http://[::]/", false, false),
        ] {
            for (reach, open) in [(Reach::Public, public), (Reach::Private, private)] {
                let seen = check_url(url, reach).map_err(|e| e.kind);
                assert_eq!(seen, if open { Ok(()) } else { Err(Kind::Refused) }, "{url} {reach:?}");
            }
        }
    }
}
