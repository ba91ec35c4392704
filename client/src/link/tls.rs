//! TLS below the WebSocket of a `wss://` hub: which authorities count, the handshake, and why it failed.
//!
//! There is no way to leave the check of a certificate out: `parler.insecure` is about `ws://` alone.

use std::error::Error as StdError;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::clean;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as RustlsError, PeerIncompatible, RootCertStore,
};

use crate::limits::CA_FILE_BYTES_MAX;

/// Why there is no TLS with a hub.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of `parler.caFile` cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file of `parler.caFile` holds none.
    #[error("there is no certificate in {}", path.display())]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in the file of `parler.caFile` cannot be read.
    #[error("certificate {number} in {} is damaged", path.display())]
    DamagedCertificate {
        /// The file.
        path: PathBuf,
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No certificate can be for such a host.
    #[error("{host:?} is no name that a certificate can be for")]
    HostName {
        /// The host as in the address.
        host: String,
    },
    /// No authority that counts has signed the hub's certificate.
    #[error("no authority that is trusted here has signed its certificate")]
    Untrusted {
        /// The file of `parler.caFile`, if only its authorities count.
        ca_file: Option<PathBuf>,
    },
    /// The certificate is for other hosts.
    #[error("its certificate is {}", listed(names))]
    WrongName {
        /// The names in it, cleaned.
        names: Vec<String>,
    },
    /// The certificate's time is over.
    #[error("its certificate has expired{}", how_long(*seconds, "ago"))]
    Expired {
        /// For how many seconds, where that is known.
        seconds: Option<u64>,
    },
    /// The certificate's time has not begun.
    #[error("its certificate is not valid yet{}", how_long(*seconds, "too early"))]
    NotYetValid {
        /// For how many seconds more, where that is known.
        seconds: Option<u64>,
    },
    /// The certificate is an authority's, which vouches for others and cannot be a server's own.
    #[error("its certificate is that of an authority, which cannot be a hub's own")]
    IsAuthority,
    /// Something else is wrong with the certificate.
    #[error("its certificate does not hold")]
    BadCertificate(#[source] Box<RustlsError>),
    /// What answers speaks something else.
    #[error("what answers speaks no TLS")]
    NotTls,
    /// What answers speaks nothing that counts as safe.
    #[error("what answers speaks no TLS from version 1.2 on")]
    TooOld,
    /// What answers ends the handshake, or breaks its rules.
    #[error("the TLS handshake fails")]
    Failed(#[source] Box<RustlsError>),
    /// The socket ended within the handshake.
    #[error("it hangs up within the TLS handshake")]
    HungUp(#[source] io::Error),
    /// No answer in time.
    #[error("it does not answer the TLS handshake within {0:?}")]
    TimedOut(Duration),
}

impl TlsError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CaFile { .. } => "io",
            Self::NoCertificates { .. } | Self::DamagedCertificate { .. } => "bad_config",
            Self::HostName { .. } => "usage",
            Self::Untrusted { .. }
            | Self::WrongName { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::IsAuthority
            | Self::BadCertificate(_) => "bad_certificate",
            Self::NotTls | Self::TooOld | Self::Failed(_) => "wrong_hub",
            Self::HungUp(_) | Self::TimedOut(_) => "hub_unreachable",
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CaFile { .. } | Self::NoCertificates { .. } | Self::DamagedCertificate { .. } => {
                "name a file of PEM certificates: `git config --global parler.caFile <file>`"
            }
            Self::HostName { .. } => "name the hub as its certificate does",
            Self::Untrusted { ca_file: None } => {
                "if its authority is your own, name its certificate: `git config --global parler.caFile <file>`"
            }
            Self::Untrusted { ca_file: Some(path) } => {
                return Some(format!(
                    "only the authorities in {} count (parler.caFile): add the hub's, or unset it if the hub has a public one",
                    path.display()
                ));
            }
            Self::WrongName { .. } => {
                "reach the hub by a name of its certificate, or have who runs it get one for this name"
            }
            Self::Expired { .. } | Self::NotYetValid { .. } => {
                "look at this machine's clock; if it is right, who runs the hub has to renew the certificate"
            }
            Self::IsAuthority => {
                "have who runs the hub make it one without `CA:TRUE`; signed by itself is enough, with parler.caFile"
            }
            Self::BadCertificate(_) => "ask who runs the hub for another certificate",
            Self::NotTls | Self::HungUp(_) | Self::TimedOut(_) => MAYBE_PLAIN,
            Self::TooOld | Self::Failed(_) => "ask who runs the hub to look at its proxy",
        };
        Some(hint.to_owned())
    }

    /// Says whether another attempt soon may do better.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::HungUp(_) | Self::TimedOut(_))
    }

    /// Returns what TLS has against the peer, if that is what an error of its stream is about.
    pub(super) fn of(error: &io::Error, ca_file: Option<&Path>) -> Option<Self> {
        let rustls = error.get_ref()?.downcast_ref::<RustlsError>()?;
        Some(match rustls {
            RustlsError::InvalidCertificate(error) => certificate(error, ca_file),
            RustlsError::NoCertificatesPresented => Self::Failed(Box::new(rustls.clone())),
            RustlsError::InvalidMessage(_) => Self::NotTls,
            RustlsError::AlertReceived(AlertDescription::ProtocolVersion)
            | RustlsError::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::TooOld,
            _ => Self::Failed(Box::new(rustls.clone())),
        })
    }
}

fn certificate(error: &CertificateError, ca_file: Option<&Path>) -> TlsError {
    match error {
        // An authority of a trusted one's name, with another key, is no trusted one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsError::Untrusted { ca_file: ca_file.map(Path::to_owned) }
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            TlsError::WrongName { names: presented.iter().map(|name| bare(name)).collect() }
        }
        CertificateError::NotValidForName => TlsError::WrongName { names: Vec::new() },
        CertificateError::ExpiredContext { time, not_after } => {
            TlsError::Expired { seconds: Some(time.as_secs().saturating_sub(not_after.as_secs())) }
        }
        CertificateError::Expired => TlsError::Expired { seconds: None },
        CertificateError::NotValidYetContext { time, not_before } => {
            TlsError::NotYetValid { seconds: Some(not_before.as_secs().saturating_sub(time.as_secs())) }
        }
        CertificateError::NotValidYet => TlsError::NotYetValid { seconds: None },
        // Has no variant of rustls's own, and is what most home-made certificates are.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsError::IsAuthority
        }
        other => TlsError::BadCertificate(Box::new(RustlsError::InvalidCertificate(other.clone()))),
    }
}

/// Takes `DnsName("a.example")`, as the library shows a name, out of its wrapping.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    clean::line(inner.trim_matches('"')).into_owned()
}

fn listed(names: &[String]) -> String {
    match names.len() {
        // Whatever its common name says: rustls, like every browser, does not look at that.
        0 => "for no name at all: it has no subjectAltName".to_owned(),
        1..=NAMES_SHOWN => format!("not for this name but for {}", names.join(", ")),
        more => {
            let shown = names[..NAMES_SHOWN].join(", ");
            format!("not for this name but for {shown} and {} more", more - NAMES_SHOWN)
        }
    }
}

fn how_long(seconds: Option<u64>, word: &str) -> String {
    let Some(seconds) = seconds else { return String::new() };
    let steps = [(24 * 3600, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let step = steps.iter().find(|(length, _)| seconds >= *length);
    let (length, unit) = step.copied().unwrap_or((1, "second"));
    let count = seconds / length;
    format!(", {count} {unit}{} {word}", if count == 1 { "" } else { "s" })
}

/// The client's end of TLS: whom it trusts and what it offers.
#[derive(Debug)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    ca_file: Option<PathBuf>,
}

impl Tls {
    /// Trusts the authorities in `ca_file` and no others, as git does with `http.sslCAInfo`; without a file, the bundled ones.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let roots = match ca_file {
            Some(path) => authorities(path)?,
            None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has cipher suites for both versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        // A proxy that also speaks HTTP/2 is told that this does not; nor can a server of another protocol be meant.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_file: ca_file.map(Path::to_owned) })
    }

    /// Returns the file whose authorities count instead of the bundled ones.
    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Shakes hands with `host`, which has to prove that it is the one.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_no_name| TlsError::HostName { host: host.to_owned() })?;
        let connected = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await;
        connected
            .map_err(|error| TlsError::of(&error, self.ca_file()).unwrap_or_else(|| TlsError::HungUp(error)))
    }
}

/// Reads the certificates in a PEM file: all of them or none, as git's own library does.
fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |source| TlsError::CaFile { path: path.to_owned(), source };
    let mut pem = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut pem).map_err(failed)?;
    if pem.len() as u64 > CA_FILE_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let damaged = |source| TlsError::DamagedCertificate { path: path.to_owned(), number, source };
        let certificate = certificate.map_err(|error| damaged(error.into()))?;
        roots.add(certificate).map_err(|error| damaged(error.into()))?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificates { path: path.to_owned() });
    }
    Ok(roots)
}

const NAMES_SHOWN: usize = 5;
const MAYBE_PLAIN: &str =
    "if the hub speaks no TLS there, its URL begins with ws://; look at `git config parler.hub`";

#[cfg(test)]
mod tests;
