//! What the client is told: every setting comes in here, since this crate reads neither environment nor configuration.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use protocol::invite::SessionKey;

/// Everything the client needs to know about its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder of keys and states (`<data>`).
    pub data: PathBuf,
    /// Folder of blobs that can be fetched again (`<cache>`).
    pub cache: PathBuf,
    /// The hub to talk to.
    pub hub: HubAddress,
    /// The name of this seat, shown to others.
    pub name: String,
    /// The worktree's own git directory; `None` outside a repository.
    pub seat_dir: Option<PathBuf>,
    /// The join secret of a closed hub. The local hub's is read from its own file.
    pub join_secret: Option<JoinSecret>,
    /// Whether `ws://` beyond loopback is allowed (`parler.insecure`). The certificate of a `wss://` hub is always checked.
    pub insecure: bool,
    /// A PEM file whose authorities count for `wss://` instead of the bundled ones (`parler.caFile`).
    pub ca_file: Option<PathBuf>,
    /// The room in which to work (`--room`, `parler.session`).
    pub room: RoomChoice,
    /// The key of the session that is to be joined, by which a closed hub lets the seat ask where it has no join secret.
    pub invite: Option<SessionKey>,
    /// How long an operation that waits for nobody tries to reach a hub again that it has lost; `None` for as long as transfers and
    /// who waits do, 30 seconds.
    pub reconnect_max: Option<Duration>,
    /// This program's version, `major.minor.patch`; a newer client has an older local hub hand over.
    pub version: String,
}

/// The room in which a command works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RoomChoice {
    /// The session in use by the seat at this hub, else the home.
    #[default]
    InUse,
    /// The user's home, whatever is in use.
    Home,
    /// The room whose id begins with these digits, at least four, or the session with this topic.
    Named(String),
}

/// A join secret; never shown, not even in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret(String);

impl JoinSecret {
    /// Takes the text of a secret file; white space around it is not part of it.
    ///
    /// ```
    /// let secret = client::settings::JoinSecret::new("gpj1-aaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    /// assert_eq!(format!("{secret:?}"), "JoinSecret");
    /// ```
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the secret's text, of which the join key is made.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret")
    }
}

/// Where a hub is reached.
///
/// ```
/// use client::settings::HubAddress;
/// let hub: HubAddress = "ws://LocalHost:7419/".parse()?;
/// assert_eq!(hub.origin(), "ws://localhost:7419");
/// assert_eq!("local".parse::<HubAddress>()?.origin(), "local");
/// # Ok::<(), client::settings::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAddress {
    /// The user's own hub on this machine, started when it is needed.
    Local,
    /// A hub under a URL.
    Url {
        /// Whether the URL says `wss`.
        tls: bool,
        /// Host name in lower case, or an address; IPv6 in brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// Why a text is no hub's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The scheme is another one.
    #[error("{0:?} is no hub address: it begins with neither ws:// nor wss://, and is not `local`")]
    Scheme(String),
    /// Host or port do not parse, or more than a host and a port stands there.
    #[error("{0:?} is no hub address: host and port expected, as in ws://127.0.0.1:7419")]
    HostPort(String),
}

impl HubAddress {
    /// Returns the origin as it is signed: scheme, host in lower case, port always, no path; or the word `local`.
    pub fn origin(&self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::Url { tls, host, port } => format!("{}://{host}:{port}", if *tls { "wss" } else { "ws" }),
        }
    }

    /// Tells whether the address stays on this machine.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Local => true,
            Self::Url { host, .. } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl FromStr for HubAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let wrong = || AddressError::HostPort(text.to_owned());
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => (true, rest),
            _ => return Err(AddressError::Scheme(text.to_owned())),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = port.bytes().all(|b| b.is_ascii_digit());
                (host, port.parse().ok().filter(|_| is_number).ok_or_else(wrong)?)
            }
            _ => (rest, if tls { 443 } else { 80 }),
        };
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            // Signed as part of the origin, so an address that can be written in many ways is written in one.
            Some(address) => address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]")),
            None => {
                let is_name =
                    host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
                (is_name && !host.is_empty()).then(|| host.to_ascii_lowercase())
            }
        };
        let host = host.filter(|_| port != 0).ok_or_else(wrong)?;
        Ok(Self::Url { tls, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_lower_case_with_a_port_and_without_a_path() {
        for (text, origin) in [
            ("ws://127.0.0.1:7419", "ws://127.0.0.1:7419"),
            ("WS://Hub.Example:80/", "ws://hub.example:80"),
            ("wss://hub.example", "wss://hub.example:443"),
            ("ws://[::1]:9", "ws://[::1]:9"),
            ("ws://[::1]", "ws://[::1]:80"),
            ("wss://[2001:DB8:0:0::1]/", "wss://[2001:db8::1]:443"),
            ("wss://hub.example:0080", "wss://hub.example:80"),
        ] {
            assert_eq!(text.parse::<HubAddress>().unwrap().origin(), origin);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "http://a:1",
            "ws://",
            "ws://a:b",
            "ws://a:0",
            "ws://a:1/x",
            "ws://u@h:1",
            "ws://[::g]:1",
            "ws://::1:7",
            "ws://a:70000",
            "ws://a:+80",
            "ws://a:",
            "wss://[::1%eth0]",
            "LOCAL",
        ] {
            assert!(text.parse::<HubAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_addresses_are_loopback() {
        for (text, is_loopback) in [
            ("local", true),
            ("ws://localhost:1", true),
            ("ws://127.9.9.9:1", true),
            ("ws://[::1]:1", true),
            ("ws://localhost.evil.example:1", false),
            ("ws://10.0.0.1:1", false),
            ("ws://127.0.0.1.evil.example:1", false),
        ] {
            assert_eq!(text.parse::<HubAddress>().unwrap().is_loopback(), is_loopback, "{text}");
        }
    }
}
