//! Whom TLS trusts, and what is wrong with a certificate that is not trusted.

use std::{error::Error as StdError, fmt, io, path::PathBuf, sync::Arc, time::Duration};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
};

use crate::{Error, discover::Env};

/// Why the hub's certificate is not trusted. Its text also says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// No authority that is known here has signed it.
    UnknownIssuer,
    /// It is for other hosts.
    WrongName {
        /// As which the hub was called.
        wanted: String,
        /// The names and addresses that it is for.
        names: Vec<String>,
    },
    /// Its time is over, or that of a certificate above it.
    Expired(Option<Duration>),
    /// Its time has not begun, or that of a certificate above it.
    NotYetValid(Option<Duration>),
    /// It is made for signing others (`CA:TRUE`), not for a server.
    Authority,
    /// Anything else, in the words of the TLS library.
    Other(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str(
                "no authority that is known here has signed it; if it is one of your own, give the authority's certificate \
                 with --ca FILE or NEXUS_CA",
            ),
            Self::WrongName { wanted, names } if names.is_empty() => {
                write!(f, "it names no host (subjectAltName); have one issued for {wanted}")
            }
            Self::WrongName { wanted, names } => {
                let names = names.join(", ");
                write!(f, "it is for {names}, not for {wanted}; call the hub by that name with --url, or have one issued for {wanted}")
            }
            Self::Expired(ago) => {
                let ago = ago.map_or_else(String::new, |ago| format!(" {} ago", span(ago)));
                write!(f, "it, or one above it, expired{ago}; renew it at the hub, unless the clock of this machine is wrong")
            }
            Self::NotYetValid(to_come) => {
                let to_come = to_come.map_or_else(String::new, |ahead| format!(" for another {}", span(ahead)));
                write!(f, "it, or one above it, is not valid yet{to_come}; look at the clock of this machine")
            }
            Self::Authority => f.write_str(
                "it is made for an authority (CA:TRUE), not for a server; have one issued with basicConstraints=CA:FALSE, \
                 and give the certificate of whoever signed it with --ca FILE or NEXUS_CA",
            ),
            Self::Other(reason) => write!(f, "{reason}; give the hub another one"),
        }
    }
}

/// A time as a person says it: days, or hours, or minutes.
fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (count, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn between(earlier: UnixTime, later: UnixTime) -> Option<Duration> {
    later.as_secs().checked_sub(earlier.as_secs()).map(Duration::from_secs)
}

impl Distrust {
    /// Finds among the causes of an error what TLS said about a certificate.
    pub(crate) fn among(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
                return Some(Self::of(why));
            }
            // As a source an `io::Error` gives the source of what it wraps, never that itself.
            cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    fn of(why: &CertificateError) -> Self {
        match why {
            // Another key of the same name: an authority that was made anew is another one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::NotValidForNameContext { expected, presented } => Self::WrongName {
                wanted: expected.to_str().into_owned(),
                names: presented.iter().map(|name| bare(name)).collect(),
            },
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { time, not_after } => Self::Expired(between(*not_after, *time)),
            CertificateError::NotValidYet => Self::NotYetValid(None),
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid(between(*time, *not_before)),
            // What `openssl req -x509` makes unless it is told otherwise. There is no name for it but its text.
            CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => Self::Authority,
            other => Self::Other(other.to_string()),
        }
    }
}

/// The name in `DnsName("hub.lan")` and `IpAddress(10.0.0.7)`, which is how the TLS library tells them.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').to_owned()
}

/// The public authorities that are built in.
pub(crate) fn public() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Whom files and environment name: `SSL_CERT_FILE` instead of the public authorities, as elsewhere, and further ones
/// from `ca`, else `NEXUS_CA`.
pub(crate) fn discover(ca: Option<PathBuf>, env: Env<'_>) -> Result<RootCertStore, Error> {
    let named = |name: &str| env(name).filter(|text| !text.trim().is_empty()).map(PathBuf::from);
    let read = |file: &PathBuf, what: &str| {
        std::fs::read(file).map_err(|e| Error::Setting(format!("{what} {} can't be read: {e}", file.display())))
    };
    let mut roots = match named("SSL_CERT_FILE") {
        Some(file) => whole(&read(&file, "SSL_CERT_FILE")?, &format!("SSL_CERT_FILE {}", file.display()))?,
        None => public(),
    };
    let (file, what) = match ca {
        Some(file) => (Some(file), "--ca"),
        None => (named("NEXUS_CA"), "NEXUS_CA"),
    };
    if let Some(file) = file {
        add(&mut roots, &read(&file, what)?, &format!("{what} {}", file.display()))?;
    }
    Ok(roots)
}

/// The bundle of a system. One authority among hundreds that can't be understood here is no reason to trust none.
fn whole(pem: &[u8], what: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
    if roots.is_empty() { Err(none(what)) } else { Ok(roots) }
}

/// Adds every certificate of `pem`; one that can't be used is an error.
pub(crate) fn add(roots: &mut RootCertStore, pem: &[u8], what: &str) -> Result<(), Error> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| Error::Setting(format!("{what} is no PEM: {e}")))?;
        let added = roots.add(certificate);
        added.map_err(|e| Error::Setting(format!("{what} holds a certificate that can't be trusted: {e}")))?;
    }
    if roots.len() == before { Err(none(what)) } else { Ok(()) }
}

fn none(what: &str) -> Error {
    Error::Setting(format!("{what} holds no certificate; in PEM they begin with -----BEGIN CERTIFICATE-----"))
}

/// Connections to hubs whose certificate one of `roots` has signed, and plain ones.
pub(crate) fn connector(roots: &Arc<RootCertStore>) -> Result<HttpsConnector<HttpConnector>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Setting(format!("TLS can't be set up: {e}")))?
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: impl fmt::Display) -> String {
        error.to_string()
    }

    #[test]
    fn what_tls_said_is_found_beneath_errors_of_input_and_output() {
        let why = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, why));
        assert_eq!(Distrust::among(&wrapped), Some(Distrust::UnknownIssuer));
        assert!(text(Distrust::UnknownIssuer).contains("--ca FILE"));
        assert_eq!(Distrust::among(&io::Error::other("connection refused")), None);
    }

    #[test]
    fn a_time_is_told_in_the_unit_that_a_person_would_take() {
        let told = |secs| span(Duration::from_secs(secs));
        assert_eq!(told(61), "1 minute");
        assert_eq!(told(3 * 3600), "3 hours");
        assert_eq!(told(40 * 86_400), "40 days");
    }

    #[test]
    fn a_file_that_names_nobody_is_refused_by_its_name() {
        let folder = std::env::temp_dir().join(format!("nexus-client-trust-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        let (empty, absent) = (folder.join("empty.pem"), folder.join("absent.pem"));
        std::fs::write(&empty, "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n").expect("written");
        let empty_text = empty.display().to_string();
        let refused = text(discover(Some(empty.clone()), &|_| None).expect_err("holds none"));
        assert!(refused.contains(&format!("--ca {empty_text} holds no certificate")), "{refused}");
        let refused = text(discover(Some(absent), &|_| None).expect_err("not there"));
        assert!(refused.contains("absent.pem can't be read"), "{refused}");
        for variable in ["NEXUS_CA", "SSL_CERT_FILE"] {
            let refused = discover(None, &|name| (name == variable).then(|| empty_text.clone()));
            let refused = text(refused.expect_err("holds none"));
            assert!(refused.contains(&format!("{variable} {empty_text}")), "{refused}");
        }
        std::fs::remove_dir_all(folder).expect("removed");
        assert_eq!(discover(None, &|_| Some(" ".into())).expect("nothing is named").len(), public().len());
    }
}
