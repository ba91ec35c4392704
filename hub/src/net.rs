//! Listeners, on TCP and on Unix sockets.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::{Config, Listen, Names};
use crate::error::Error;

/// A connection that came in.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// All listeners of a hub. Dropping them closes their sockets and removes the files.
#[derive(Debug)]
pub(crate) struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Vec<UnixSocket>,
}

#[derive(Debug)]
struct UnixSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl Listeners {
    /// Binds every address of the configuration.
    pub(crate) async fn bind(config: &Config) -> Result<Self, Error> {
        let mut listeners = Self { tcp: Vec::new(), unix: Vec::new() };
        for address in &config.listen {
            let failed = |source| Error::Listen { address: address.clone(), source };
            match address {
                Listen::Tcp(socket_address) => {
                    let has_url = matches!(&config.names, Names::Urls(urls) if !urls.is_empty());
                    if !socket_address.ip().is_loopback() && !has_url {
                        return Err(Error::UrlRequired { address: address.clone() });
                    }
                    listeners.tcp.push(TcpListener::bind(socket_address).await.map_err(failed)?);
                }
                Listen::Unix(path) => listeners.unix.push(bind_unix(path).map_err(failed)?),
            }
        }
        if config.listen.is_empty() {
            return Err(Error::NoAddress);
        }
        Ok(listeners)
    }

    /// Returns where it listens, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<Listen> {
        let tcp = self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).map(Listen::Tcp);
        tcp.chain(self.unix.iter().map(|socket| Listen::Unix(socket.path.clone()))).collect()
    }

    /// Returns the origins that a login may name.
    pub(crate) fn origins(&self, names: &Names) -> Vec<String> {
        let Names::Urls(urls) = names else { return vec![LOCAL_ORIGIN.to_owned()] };
        let mut origins = urls.clone();
        for listener in &self.tcp {
            let Ok(address) = listener.local_addr() else { continue };
            let ip = address.ip();
            if ip.is_loopback() || ip.is_unspecified() {
                let names = ["127.0.0.1", "[::1]", "localhost"];
                origins.extend(names.map(|name| format!("ws://{name}:{}", address.port())));
            }
        }
        origins
    }

    /// Waits for the next connection on any listener.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        poll_fn(|cx| {
            for listener in &self.tcp {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|(stream, peer)| Socket::Tcp(stream, peer)));
                }
            }
            for socket in &self.unix {
                if let Poll::Ready(accepted) = socket.listener.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|(stream, _)| Socket::Unix(stream)));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Socket {
    /// Returns the address that is counted for the limit per address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => Some(peer.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Without the file, clients see at once that nobody listens; a file left behind is removed by the next hub.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Binds a Unix socket that only its user can connect to, over one that a dead hub left behind.
fn bind_unix(path: &Path) -> io::Result<UnixSocket> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        outcome => outcome?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(UnixSocket { path: path.to_owned(), listener })
}

fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused = std::os::unix::net::UnixStream::connect(path).err().map(|error| error.kind());
    is_socket && refused == Some(io::ErrorKind::ConnectionRefused)
}

/// The origin of the hub of one user on one machine, whatever its address.
const LOCAL_ORIGIN: &str = "local";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: Vec<Listen>, names: Names) -> Config {
        Config { names, ..Config::new("/nowhere".into(), listen) }
    }

    fn any_port(ip: [u8; 4]) -> Listen {
        Listen::Tcp((ip, 0).into())
    }

    #[tokio::test]
    async fn a_port_on_loopback_has_its_loopback_names() {
        let urls = Names::Urls(vec!["wss://hub.example:443".into()]);
        let listeners = Listeners::bind(&config(vec![any_port([127, 0, 0, 1])], urls.clone())).await.unwrap();
        let [Listen::Tcp(address)] = &listeners.addresses()[..] else { panic!("one port") };
        let port = address.port();
        let expected = [
            "wss://hub.example:443".to_owned(),
            format!("ws://127.0.0.1:{port}"),
            format!("ws://[::1]:{port}"),
            format!("ws://localhost:{port}"),
        ];
        assert_eq!(listeners.origins(&urls), expected);
        assert_eq!(listeners.origins(&Names::Local), ["local"]);
    }

    #[tokio::test]
    async fn an_address_beyond_loopback_needs_a_name() {
        let everywhere = vec![any_port([0, 0, 0, 0])];
        for names in [Names::Urls(Vec::new()), Names::Local] {
            let refused = Listeners::bind(&config(everywhere.clone(), names)).await;
            assert!(matches!(refused, Err(Error::UrlRequired { .. })), "{refused:?}");
        }
        let nowhere = Listeners::bind(&config(Vec::new(), Names::Local)).await;
        assert!(matches!(nowhere, Err(Error::NoAddress)), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_file_or_a_living_hub_in_the_place_of_the_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        let bind = async |path: &Path| {
            Listeners::bind(&config(vec![Listen::Unix(path.to_owned())], Names::Local)).await
        };
        assert!(matches!(bind(&file).await, Err(Error::Listen { .. })));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        let socket = folder.path().join("socket");
        let living = bind(&socket).await.unwrap();
        assert!(matches!(bind(&socket).await, Err(Error::Listen { .. })));
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        drop(living);
        assert!(!socket.exists());
    }
}
