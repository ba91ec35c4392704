//! The codes of the client's errors: matches without a wildcard, here or in the client, which names the codes of
//! its own operations and says what to do.

use client::files::FileError;
use client::link::transfer::TransferError;
use client::link::{DialError, LinkError, TlsError};
use client::local_hub::LocalHubError;
use client::seat::{CacheError, SeatError};
use client::settings::AddressError;

use super::{Code, Report};

impl Report for FileError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. }
            | Self::LaxMode { .. }
            | Self::ForeignOwner { .. }
            | Self::WrongKind { .. }
            | Self::TooLarge { .. } => Code::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

impl Report for SeatError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::DamagedKey { .. }
            | Self::KeyVanished { .. }
            | Self::DamagedState { .. }
            | Self::DamagedStatement { .. }
            | Self::StatementExpired { .. }
            | Self::Random(_) => Code::Io,
            Self::OtherUser { .. } | Self::Exists { .. } => Code::FileExists,
            Self::NoUserKey { .. } => Code::NotOwner,
        }
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

impl Report for CacheError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Mismatch { .. } | Self::Length { .. } => Code::HashMismatch,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Mismatch { .. } | Self::Length { .. } => None,
        }
    }
}

impl Report for AddressError {
    fn code(&self) -> Code {
        match self {
            Self::Scheme(_) | Self::HostPort(_) => Code::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some("name a hub as in `--hub ws://127.0.0.1:7419` or `git config parler.hub <url>`".to_owned())
    }
}

impl Report for client::Error {
    fn code(&self) -> Code {
        Code::named(self.code()).unwrap_or(Code::Internal)
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

impl Report for client::SessionError {
    fn code(&self) -> Code {
        Code::named(self.code()).unwrap_or(Code::Internal)
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

impl Report for LinkError {
    fn code(&self) -> Code {
        Code::named(self.code()).unwrap_or(Code::Internal)
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

impl Report for TransferError {
    fn code(&self) -> Code {
        match self {
            Self::Link(error) => Report::code(error),
            Self::Read { .. } => Code::Io,
            Self::Cache(error) => error.code(),
            Self::Size { .. } => Code::VerificationFailed,
            Self::OutOfTurn { .. } => Code::BadFrame,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Link(error) => error.hint(),
            Self::Cache(error) => Report::hint(error),
            Self::Read { .. } | Self::Size { .. } | Self::OutOfTurn { .. } => None,
        }
    }
}

impl Report for DialError {
    fn code(&self) -> Code {
        match self {
            Self::Socket(_) | Self::Upgrade(_) | Self::TimedOut(_) => Code::HubUnreachable,
            Self::Tls(error) => Report::code(error),
            Self::Fault(fault) => fault.code(),
            Self::LocalHub(error) => error.code(),
        }
    }
}

impl Report for TlsError {
    fn code(&self) -> Code {
        Code::named(self.code()).unwrap_or(Code::Internal)
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

impl Report for LocalHubError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::NoStarter | Self::CannotStart(_) | Self::NotAnswering { .. } | Self::Forged(_) => {
                Code::HubUnreachable
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) | Self::Forged(error) => error.hint(),
            Self::NoStarter | Self::CannotStart(_) | Self::NotAnswering { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_the_client_names_has_a_row() {
        let sources = [
            include_str!("../../../client/src/error.rs"),
            include_str!("../../../client/src/link/mod.rs"),
            include_str!("../../../client/src/link/tls.rs"),
            include_str!("../../../client/src/session/error.rs"),
        ];
        let mut count = 0;
        for source in sources {
            let body =
                source.split("pub fn code(&self)").nth(1).and_then(|after| after.split("pub fn").next());
            for name in body.unwrap_or_default().split('"').skip(1).step_by(2) {
                assert!(Code::named(name).is_some(), "{name}");
                count += 1;
            }
        }
        assert!(count > 10);
    }
}
