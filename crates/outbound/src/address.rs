//! Which addresses may be dialed, and by whom.
//!
//! An address is judged by what it reaches in the end: an IPv4 address inside an IPv6 one (mapped, translated, tunnelled)
//! is taken out and judged itself. What is in no list of known good is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::error::{Kind, SendError};

/// How far an endpoint's owner may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Global addresses only.
    #[default]
    Public,
    /// Also loopback and private ranges: for owners with the scope `endpoints:private`.
    Private,
}

/// What an address is, mildest first: the order is used to take the worst of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Reachable from everywhere.
    Global,
    /// Inside; the text says which range.
    Inside(&'static str),
    /// Nobody's to dial; the text says what it is.
    Never(&'static str),
}

use Class::{Global, Inside, Never};

const METADATA: Class = Never("a cloud metadata address");
const LINK_LOCAL: Class = Never("a link-local address, where cloud metadata lives");

/// Judges `address` for `reach`; the error says why and what would be right.
pub fn judge(address: IpAddr, reach: Reach) -> Result<(), SendError> {
    match (classify(address), reach) {
        (Global, _) | (Inside(_), Reach::Private) => Ok(()),
        (Inside(what), Reach::Public) => Err(SendError::new(
            Kind::Refused,
            format!("{address} is {what}; give a public address, or an owner with the scope endpoints:private"),
        )),
        (Never(what), reach) => {
            let right = match reach {
                Reach::Public => "a public address",
                Reach::Private => "a public, private or loopback address",
            };
            Err(SendError::new(
                Kind::Refused,
                format!("{address} is {what}; nothing may be reached there, give {right}"),
            ))
        }
    }
}

/// What `address` is.
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(v4: Ipv4Addr) -> Class {
    match v4.octets() {
        [0, ..] => Never("an unspecified address"),
        [169, 254, ..] => LINK_LOCAL,
        // Alibaba Cloud, Oracle Cloud, Azure: outside 169.254.0.0/16.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => METADATA,
        [127, ..] => Inside("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Inside("a private address"),
        [100, 64..=127, ..] => Inside("a carrier-grade NAT address"),
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Never("a reserved address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Never("a documentation address"),
        [224..=239, ..] => Never("a multicast address"),
        [255, 255, 255, 255] => Never("the broadcast address"),
        [240..=255, ..] => Never("a reserved address"),
        _ => Global,
    }
}

fn classify_v6(v6: Ipv6Addr) -> Class {
    let octets = v6.octets();
    let v4_at = |i: usize| classify_v4(Ipv4Addr::new(octets[i], octets[i + 1], octets[i + 2], octets[i + 3]));
    if v6.is_loopback() {
        return Inside("a loopback address");
    }
    if v6.is_unspecified() {
        return Never("an unspecified address");
    }
    match v6.segments() {
        // Compatible, mapped, translated (RFC 2765), NAT64.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4_at(12),
        [0x64, 0xff9b, 1, ..] => nat64_of_a_network(octets),
        // Teredo: the server, and the client with its bits turned over.
        [0x2001, 0, ..] => {
            let client = classify_v4(Ipv4Addr::new(!octets[12], !octets[13], !octets[14], !octets[15]));
            v4_at(4).max(client)
        }
        // 6to4.
        [0x2002, ..] => v4_at(2),
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        [0xfec0..=0xfeff, ..] => Never("a deprecated site-local address"),
        [0xff00..=0xffff, ..] => Never("a multicast address"),
        // AWS, Google Cloud, Oracle Cloud: in the private range, but never an endpoint.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] | [0xfd00, 0xc1, ..] => METADATA,
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => v4_at(12).max(native_v6(v6)),
        _ => native_v6(v6),
    }
}

/// An address without another one inside.
fn native_v6(v6: Ipv6Addr) -> Class {
    match v6.segments() {
        [0xfc00..=0xfdff, ..] => Inside("a private address"),
        [0x2001, 0..=0x1ff, ..] | [0x3ffe, ..] => Never("a reserved address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Never("a documentation address"),
        [0x2000..=0x3fff, ..] => Global,
        _ => Never("a reserved address"),
    }
}

/// 64:ff9b:1::/48 belongs to a network of its own; where the IPv4 address stands depends on the prefix that it chose
/// (RFC 6052, 2.2), so every place that holds one counts, and the worst decides.
fn nat64_of_a_network(octets: [u8; 16]) -> Class {
    const PLACES: [[usize; 4]; 4] = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    PLACES
        .into_iter()
        .map(|at| at.map(|i| octets[i]))
        .filter(|v4| v4[0] != 0)
        .map(|[a, b, c, d]| classify_v4(Ipv4Addr::new(a, b, c, d)))
        .max()
        .map_or(Never("a reserved address"), |worst| worst.max(Inside("an address of a network's own NAT64")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        classify(text.parse().unwrap_or_else(|_| panic!("{text} is no address")))
    }

    #[test]
    fn global_addresses_are_open_to_all() {
        for open in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "169.253.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(class(open), Global, "{open}");
        }
    }

    #[test]
    fn inside_addresses_need_the_private_reach() {
        for inside in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1::10.0.0.1",
            "2606:4700::5efe:10.0.0.1",
            "::ffff:0:127.0.0.1",
        ] {
            assert!(matches!(class(inside), Inside(_)), "{inside} {:?}", class(inside));
            let address = inside.parse().expect("an address");
            assert!(judge(address, Reach::Private).is_ok());
            let refused = judge(address, Reach::Public).expect_err("refused");
            assert_eq!(refused.kind, Kind::Refused);
            assert!(refused.message.contains("endpoints:private"), "{refused}");
        }
    }

    #[test]
    fn some_addresses_are_refused_to_everyone() {
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.1.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "2001:20::1",
            "4000::1",
            "5f00::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1::",
            "2002:a9fe:a9fe::",
            "2002:6464:64c8::1",
            // Teredo with the metadata address as server, then as (turned over) client.
            "2001:0:a9fe:a9fe::",
            "2001:0:808:808:0:0:5601:5601",
            "2606:4700::5efe:169.254.169.254",
            "::2",
            "::ffff:0:169.254.169.254",
        ] {
            assert!(matches!(class(never), Never(_)), "{never} {:?}", class(never));
            let address = never.parse().expect("an address");
            for reach in [Reach::Public, Reach::Private] {
                assert_eq!(judge(address, reach).map_err(|e| e.kind), Err(Kind::Refused), "{never}");
            }
        }
    }
}
