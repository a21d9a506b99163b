//! Takes the addresses, before anything else is done.

use std::{
    io::ErrorKind,
    net::{TcpListener, ToSocketAddrs},
};

use crate::output::Failure;

/// An address with its listener.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) url: String,
    pub(crate) listener: TcpListener,
}

/// Binds every address. The first one must be had; of the others, one that is taken is only a warning.
pub(crate) fn bind(addresses: &[String], tls: bool) -> Result<Vec<Bound>, Failure> {
    let mut bound = Vec::new();
    for address in addresses {
        match bind_one(address, tls) {
            Ok(one) => bound.push(one),
            Err(Unbound::Nonsense(reason)) => {
                return Err(Failure::usage(format!("{address:?} is no address to listen on: {reason}")));
            }
            Err(Unbound::Taken(reason)) if bound.is_empty() => {
                return Err(Failure::failed(format!(
                    "{address} can't be listened on: {reason}; choose another address with --listen"
                )));
            }
            Err(Unbound::Taken(reason)) => {
                tracing::warn!(%address, %reason, "a further address can't be listened on; going on without it");
            }
        }
    }
    Ok(bound)
}

/// Why an address was not bound.
enum Unbound {
    /// It is none, however often it is tried.
    Nonsense(String),
    /// It can't be had, or not now.
    Taken(String),
}

fn bind_one(address: &str, tls: bool) -> Result<Bound, Unbound> {
    let taken = |e: std::io::Error| Unbound::Taken(e.to_string());
    let mut candidates = address.to_socket_addrs().map_err(|e| match e.kind() {
        ErrorKind::InvalidInput => Unbound::Nonsense(format!("{e} (write HOST:PORT, for example 127.0.0.1:8080)")),
        _ => taken(e),
    })?;
    let candidate = candidates.next().ok_or_else(|| Unbound::Taken("it names no address".to_owned()))?;
    let listener = TcpListener::bind(candidate).map_err(taken)?;
    let local = listener.local_addr().map_err(taken)?;
    let scheme = if tls { "https" } else { "http" };
    Ok(Bound { url: format!("{scheme}://{local}"), listener })
}

/// Ends the start when an address can be reached from elsewhere: whoever sits on the way could read every token.
pub(crate) fn refuse_plain(bound: &[Bound]) -> Result<(), Failure> {
    let open = bound.iter().filter_map(|b| b.listener.local_addr().ok()).find(|a| !a.ip().to_canonical().is_loopback());
    let Some(address) = open else { return Ok(()) };
    Err(Failure::usage(format!(
        "{address} can be reached from other machines, and without TLS everything sent there can be read on the way; set \
         --tls-cert and --tls-key, or list the proxy in front under [server] trusted_proxies, or say --plain-http"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_second_address_is_no_reason_to_stop_but_a_taken_first_one_is() {
        let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
        let held = holder.local_addr().expect("an address").to_string();
        let bound = bind(&["127.0.0.1:0".into(), held.clone()], false).expect("the first is free");
        assert_eq!(bound.len(), 1);
        assert!(bind(&[held], false).is_err());
        for nonsense in ["nonsense", "127.0.0.1:99999", "127.0.0.1:x"] {
            let refused = bind(&["127.0.0.1:0".into(), nonsense.into()], false).expect_err("no address");
            assert_eq!(refused.exit_code(), 2, "{nonsense}: {refused}");
        }
    }

    #[test]
    fn plain_http_beyond_this_machine_is_refused_with_what_to_do() {
        let local = bind(&["127.0.0.1:0".into(), "[::1]:0".into()], false).expect("bound");
        assert!(refuse_plain(&local).is_ok());
        let open = bind(&["127.0.0.1:0".into(), "0.0.0.0:0".into()], false).expect("bound");
        let refused = refuse_plain(&open).expect_err("refused");
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--plain-http"));
    }
}
