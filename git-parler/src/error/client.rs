//! The codes of the client's errors, each a match without a wildcard; what to do, the client says itself.

use client::files::FileError;
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
        Some("name a hub as in `--hub wss://hub.example:443` or `git config parler.hub <url>`".to_owned())
    }
}
