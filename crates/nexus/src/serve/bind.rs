//! Takes the addresses, before anything else is done.

use std::net::{TcpListener, ToSocketAddrs};

use crate::output::Failure;

/// An address with its listener.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) url: String,
    pub(crate) listener: TcpListener,
}

/// Binds every address. The first one must be had; of the others, one that is taken is only a warning.
pub(crate) fn bind(addresses: &[String]) -> Result<Vec<Bound>, Failure> {
    let mut bound = Vec::new();
    for address in addresses {
        match bind_one(address) {
            Ok(one) => bound.push(one),
            Err(reason) if bound.is_empty() => {
                return Err(Failure::failed(format!(
                    "{address} can't be listened on: {reason}; choose another address with --listen"
                )));
            }
            Err(reason) => {
                tracing::warn!(%address, %reason, "a further address can't be listened on; going on without it");
            }
        }
    }
    Ok(bound)
}

fn bind_one(address: &str) -> Result<Bound, String> {
    let mut candidates =
        address.to_socket_addrs().map_err(|e| format!("{e} (write HOST:PORT, for example 127.0.0.1:8080)"))?;
    let candidate = candidates.next().ok_or("it names no address")?;
    let listener = TcpListener::bind(candidate).map_err(|e| e.to_string())?;
    let local = listener.local_addr().map_err(|e| e.to_string())?;
    Ok(Bound { url: format!("http://{local}"), listener })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_second_address_is_no_reason_to_stop_but_a_taken_first_one_is() {
        let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
        let held = holder.local_addr().expect("an address").to_string();
        let bound = bind(&["127.0.0.1:0".into(), held.clone()]).expect("the first is free");
        assert_eq!(bound.len(), 1);
        assert!(bind(&[held]).is_err());
        assert!(bind(&["nonsense".into()]).is_err());
    }
}
