//! Authorities and certificates made on the spot, and a proxy that terminates TLS in front of a hub.

use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    key: Vec<u8>,
}

impl Authority {
    /// Makes an authority that nobody knows.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key()).expect("a lawful certificate"))
    }

    /// Returns its own certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a certificate for `names`, which may be addresses.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Certificate {
        self.certify_for_years(names, 1975..=4000)
    }

    /// Makes a certificate for `names` that is valid from the beginning of the first year to that of the last.
    #[must_use]
    pub fn certify_for_years(&self, names: &[&str], years: RangeInclusive<i32>) -> Certificate {
        let mut params = params(names);
        params.not_before = date_time_ymd(*years.start(), 1, 1);
        params.not_after = date_time_ymd(*years.end(), 1, 1);
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a lawful certificate");
        Certificate::of(&certificate, &key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificate {
    /// Makes a certificate for `names` that is signed with its own key; `is_authority` says whether it may sign others.
    #[must_use]
    pub fn signed_by_itself(names: &[&str], is_authority: bool) -> Self {
        let mut params = params(names);
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = key();
        Self::of(&params.self_signed(&key).expect("a lawful certificate"), &key)
    }

    /// Returns it as PEM, without the key.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self { der: certificate.der().clone(), pem: certificate.pem(), key: key.serialize_der() }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names that a certificate can be for")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has random bytes")
}

/// A TCP port on loopback that ends TLS and hands what was in it to another port, until it is dropped.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
    /// Its end tells the thread to end.
    _running: oneshot::Sender<()>,
}

impl TlsProxy {
    /// Listens, and shows `certificate`.
    #[must_use]
    pub fn new(certificate: &Certificate) -> Self {
        Self::with(certificate, None)
    }

    /// Listens, shows `certificate`, and wants one that `authority` has signed from whoever comes.
    #[must_use]
    pub fn for_clients_of(authority: &Authority, certificate: &Certificate) -> Self {
        Self::with(certificate, Some(authority))
    }

    fn with(certificate: &Certificate, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider's cipher suites fit");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).expect("an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("there is an authority"))
            }
        };
        let key = PrivatePkcs8KeyDer::from(certificate.key.clone());
        let config = builder.with_single_cert(vec![certificate.der.clone()], key.into());
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("the key is the certificate's")));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let target = Arc::default();
        let (running, end) = oneshot::channel();
        let aimed = Arc::clone(&target);
        thread::spawn(move || serve(listener, &acceptor, &aimed, end));
        Self { address, target, _running: running }
    }

    /// Hands every connection from now on to `target`.
    #[must_use]
    pub fn to(self, target: SocketAddr) -> Self {
        self.aim(target);
        self
    }

    /// Hands every connection from now on to `target`.
    pub fn aim(&self, target: SocketAddr) {
        *self.target.lock().expect("no thread of a test has failed") = Some(target);
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn serve(
    listener: TcpListener,
    acceptor: &TlsAcceptor,
    target: &Arc<Mutex<Option<SocketAddr>>>,
    end: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        listener.set_nonblocking(true).expect("a socket of ours");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket of ours");
        let accept = async {
            while let Ok((near, _)) = listener.accept().await {
                let target = *target.lock().expect("no thread of a test has failed");
                tokio::spawn(join(acceptor.clone(), near, target));
            }
        };
        tokio::select! {
            () = accept => {}
            _ = end => {}
        }
    });
}

/// Carries bytes both ways; whatever goes wrong ends both connections, as it should.
async fn join(acceptor: TlsAcceptor, near: TcpStream, target: Option<SocketAddr>) -> Option<()> {
    let mut near = acceptor.accept(near).await.ok()?;
    let mut far = TcpStream::connect(target?).await.ok()?;
    near.get_ref().0.set_nodelay(true).ok()?;
    far.set_nodelay(true).ok()?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok()?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_answers_in_tls_only() {
        use std::io::{Read as _, Write as _};
        let authority = Authority::new();
        let proxy = TlsProxy::new(&authority.certify(&["localhost"]));
        let mut plain = std::net::TcpStream::connect(proxy.address()).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        plain.read_to_end(&mut answer).unwrap();
        // An alert of TLS.
        assert_eq!(answer.first(), Some(&21));
        drop(proxy);
    }

    #[test]
    fn certificates_are_pem() {
        let authority = Authority::new();
        for pem in [authority.pem(), authority.certify(&["127.0.0.1"]).pem().to_owned()] {
            assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
        }
    }
}
