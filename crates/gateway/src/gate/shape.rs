//! What no request may look like: heads that two readers would read in two ways.

use http::{Version, header, request::Parts};
use nexus_core::problem::Problem;

use crate::error::malformed;

/// 400 where it is not clear which host is meant, or whose request it is.
pub(super) fn check(parts: &Parts) -> Result<(), Problem> {
    let count = |name: header::HeaderName| parts.headers.get_all(name).iter().count();
    match count(header::HOST) {
        0 if parts.version == Version::HTTP_11 => {
            return Err(malformed("the Host header is missing; HTTP/1.1 demands one"));
        }
        0 | 1 => {}
        several => return Err(malformed(format!("there are {several} Host headers; send one"))),
    }
    match count(header::AUTHORIZATION) {
        0 | 1 => Ok(()),
        several => Err(malformed(format!("there are {several} Authorization headers; which one is meant? Send one"))),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn one_host_and_at_most_one_proof_are_taken() {
        let fits = |version: Version, headers: &[(&str, &str)]| {
            let mut request = Request::builder().version(version).uri("/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            check(&request.body(()).expect("a request").into_parts().0).is_ok()
        };
        let host = ("host", "a");
        assert!(fits(Version::HTTP_11, &[host]) && fits(Version::HTTP_11, &[host, ("authorization", "Bearer x")]));
        assert!(fits(Version::HTTP_10, &[]), "it did not know the header yet");
        assert!(!fits(Version::HTTP_11, &[]));
        assert!(!fits(Version::HTTP_10, &[host, host]) && !fits(Version::HTTP_11, &[host, ("host", "b")]));
        assert!(!fits(Version::HTTP_11, &[host, ("authorization", "Bearer x"), ("authorization", "Bearer x")]));
    }
}
