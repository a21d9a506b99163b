//! TLS to endpoints: an authority of one's own is trusted when it is named, and nobody else is.
//!
//! `tests/tls` was made once by openssl, for a hundred years; the authority's key was thrown away:
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 36500 \
//!   -subj "/CN=nexus test authority" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
//! openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj "/CN=hooks.example"
//! printf 'subjectAltName=DNS:hooks.example,DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' > ext
//! openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -extfile ext -out server.pem
//! ```

use std::{io, net::IpAddr, sync::Arc};

use nexus_core::time::Pending;
use nexus_outbound::{Client, ClientOptions, Kind, Reach, Request, dial::Resolve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::server::{Server, options};

pub(crate) const AUTHORITY: &[u8] = include_bytes!("../tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../tls/server.pem");
const KEY: &[u8] = include_bytes!("../tls/server.key");

/// Every name is here.
pub(crate) struct Here;

impl Resolve for Here {
    fn resolve(&self, _: &str) -> Pending<io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) })
    }
}

/// The server's side of TLS.
pub(crate) fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit");
    TlsAcceptor::from(Arc::new(config))
}

/// A server that answers each request over TLS with its protocol version.
async fn server() -> Server {
    let acceptor = acceptor();
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let version = format!("{:?}", stream.get_ref().1.protocol_version().expect("agreed"));
            let mut seen = Vec::new();
            loop {
                while !seen.ends_with(b"\r\n\r\n{}") {
                    if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                seen.clear();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{version}", version.len());
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

fn trusting(extra: &[u8]) -> Client {
    let options = ClientOptions { extra_ca: extra.to_vec(), ..options() };
    Client::with_resolver(options, Arc::new(Here)).expect("a client")
}

fn post(server: &Server, host: &str) -> Request {
    Request::post(format!("https://{host}:{}/hook", server.address.port()), "{}", Reach::Private)
}

#[tokio::test]
async fn an_endpoint_of_a_named_authority_is_reached_over_tls_and_its_connection_is_kept() {
    let server = server().await;
    let client = trusting(AUTHORITY);
    for _ in 0..20 {
        let answer = client.send(post(&server, "hooks.example")).await.expect("an answer");
        assert_eq!((answer.status.as_u16(), &answer.body_head[..]), (200, b"TLSv1_3".as_slice()));
    }
    assert_eq!(server.accepted(), 1, "one connection for all requests");
    let answer = client.send(post(&server, "127.0.0.1")).await.expect("its certificate names the address, too");
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn a_certificate_of_nobody_or_for_another_name_is_a_tls_error() {
    let server = server().await;
    let unknown = trusting(b"").send(post(&server, "hooks.example")).await.expect_err("nobody vouches for it");
    assert_eq!(unknown.kind, Kind::Tls, "{unknown}");
    let other = trusting(AUTHORITY).send(post(&server, "other.example")).await.expect_err("not its name");
    assert_eq!(other.kind, Kind::Tls, "{other}");
}

#[test]
fn what_is_no_certificate_is_refused_at_the_start() {
    for wrong in [b"nothing of the kind".as_slice(), KEY] {
        let options = ClientOptions { extra_ca: wrong.to_vec(), ..options() };
        let error = Client::new(options).map(drop).expect_err("refused");
        assert!(error.message.contains("BEGIN CERTIFICATE"), "{error}");
    }
}
