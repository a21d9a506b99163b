//! Mail through a server with a certificate of one's own authority, which the configuration names.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::hub::{Hub, text};

/// `\0hub\0s3cret-password` in base64.
const LOGIN: &str = "AUTH PLAIN AGh1YgBzM2NyZXQtcGFzc3dvcmQ=";

/// A post office; its lines end with it.
struct Office {
    port: u16,
    /// What it heard over TLS.
    heard: Arc<Mutex<Vec<String>>>,
    _lines: JoinSet<()>,
}

impl Office {
    /// With TLS from the first byte, or after STARTTLS.
    async fn open(certificate: &(String, String), implicit: bool) -> Self {
        let acceptor = acceptor(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let keeps = Arc::clone(&heard);
        let mut lines = JoinSet::new();
        lines.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut open = BufReader::new(stream);
                if !implicit && speak(&mut open, None, true).await.is_none() {
                    continue;
                }
                let Ok(stream) = acceptor.accept(open.into_inner()).await else { continue };
                speak(&mut BufReader::new(stream), Some(&keeps), implicit).await;
            }
        });
        Self { port, heard, _lines: lines }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("unpoisoned").clone()
    }
}

/// Speaks SMTP to the end; `Some` when TLS was asked for. In the open it offers nothing else.
async fn speak<S>(line: &mut BufReader<S>, heard: Option<&Mutex<Vec<String>>>, greets: bool) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if greets {
        line.write_all(b"220 office\r\n").await.ok()?;
    }
    loop {
        let mut command = String::new();
        line.read_line(&mut command).await.ok().filter(|n| *n > 0)?;
        let command = command.trim_end().to_owned();
        let answer = match (command.split(' ').next().unwrap_or_default(), heard) {
            ("EHLO", None) => "250-office\r\n250 STARTTLS",
            ("STARTTLS", None) => "220 go",
            ("QUIT", _) => "221 bye",
            (_, None) => "530 5.7.0 must issue a STARTTLS command first",
            ("EHLO", _) => "250-office\r\n250 AUTH PLAIN LOGIN",
            ("AUTH", _) if command == LOGIN => "235 welcome",
            ("AUTH", _) => "535 5.7.8 wrong user or password",
            ("DATA", _) => "354 go on",
            _ => "250 yes",
        };
        if let Some(heard) = heard {
            heard.lock().expect("unpoisoned").push(command.clone());
        }
        line.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        if heard.is_none() && command == "STARTTLS" {
            return Some(());
        }
        if let Some(heard) = heard.filter(|_| command == "DATA") {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                line.read_line(&mut mail).await.ok().filter(|n| *n > 0)?;
            }
            heard.lock().expect("unpoisoned").push(mail);
            line.write_all(b"250 2.0.0 queued\r\n").await.ok()?;
        }
    }
}

fn acceptor((certificate, key): &(String, String)) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit");
    TlsAcceptor::from(Arc::new(config))
}

/// A certificate for this name and address that nobody else vouches for.
fn certificate() -> (String, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

async fn connect(hub: &Hub, name: &str, security: &str, port: u16, password: &str) {
    let (port, security) = (format!("port={port}"), format!("security={security}"));
    let set = ["--set", "host=127.0.0.1", "--set", "username=hub", "--set", "from=Hub <hub@example.com>"];
    let own = ["--set", &port, "--set", &security];
    hub.json(&[&["connections", "add", name, "--connector", "smtp"][..], &set, &own].concat()).await;
    hub.json(&["connections", "set-secret", name, "password", password]).await;
}

const LETTER: &str = r#"{"to": ["lead@example.com"], "subject": "Tomorrow", "text": "At 10:00."}"#;

async fn started(dir: &Path, ca: Option<&str>) -> Hub {
    let file = dir.join("authority.pem");
    let Some(ca) = ca else { return Hub::start(dir, &[]).await };
    std::fs::write(&file, ca).expect("written");
    Hub::start_with(dir, &[], &[("NEXUS_DELIVERY_CA_FILE", &file.display().to_string())]).await
}

#[tokio::test]
async fn a_mail_is_sent_with_a_login_over_each_kind_of_tls_to_a_server_of_a_named_authority() {
    let certificate = certificate();
    let dir = tempfile::tempdir().expect("a folder");
    let hub = started(dir.path(), Some(&certificate.0)).await;
    for (security, implicit) in [("starttls", false), ("tls", true)] {
        let office = Office::open(&certificate, implicit).await;
        connect(&hub, security, security, office.port, "s3cret-password").await;
        let called = hub.json(&["connectors", "call", "smtp", "send", LETTER, "--connection", security]).await;
        assert_eq!((&called["output"]["code"], &called["output"]["text"]), (&250.into(), &"2.0.0 queued".into()));
        let heard = office.heard();
        let place = |wanted: &str| heard.iter().position(|line| line.starts_with(wanted));
        assert!(place(LOGIN).is_some() && place(LOGIN) < place("MAIL FROM:<hub@example.com>"), "{security}: {heard:?}");
        let mail = heard.iter().find(|line| line.contains("Subject: Tomorrow")).expect("the mail");
        assert!(mail.contains("To: lead@example.com") && mail.contains("At 10:00."), "{mail}");
        // A login that is not taken is the connection's, and says so.
        let wrong = format!("{security}-wrong");
        connect(&hub, &wrong, security, office.port, "another-password").await;
        let refused = hub.cli(&["connectors", "call", "smtp", "send", LETTER, "--connection", &wrong]).await;
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("wrong user or password"), "{said}");
        assert!(said.contains("set-secret") && !said.contains("another-password"), "{said}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn without_the_authority_no_login_is_sent() {
    let certificate = certificate();
    let dir = tempfile::tempdir().expect("a folder");
    let hub = started(dir.path(), None).await;
    let office = Office::open(&certificate, true).await;
    connect(&hub, "post", "tls", office.port, "s3cret-password").await;
    let refused = hub.cli(&["connectors", "call", "smtp", "send", LETTER]).await;
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("TLS"), "{said}");
    assert!(office.heard().is_empty(), "{:?}", office.heard());
    hub.stop().await;
}
