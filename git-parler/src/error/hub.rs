//! The codes of what keeps a hub from starting or running on, each a match without a wildcard.

use hub::{OpenError, Unsafe};

use super::{Code, Report};

impl Report for hub::Error {
    fn code(&self) -> Code {
        match self {
            Self::AlreadyRuns { .. } => Code::HubRuns,
            Self::KeyChanged { .. } => Code::Conflict,
            Self::Files { .. }
            | Self::BadKey { .. }
            | Self::Random(_)
            | Self::Start(_)
            | Self::Listen { .. } => Code::Io,
            Self::Open(error) => error.code(),
            Self::NoAddress | Self::UrlRequired { .. } => Code::Usage,
            Self::Unsafe(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::AlreadyRuns { .. } => {
                Some("end that one first, or name another folder with `--data <dir>`".to_owned())
            }
            Self::KeyChanged { .. } => {
                Some("put the key and the database of the same hub together".to_owned())
            }
            Self::BadKey { path, .. } => Some(format!(
                "put the right file back from a backup; without one, move {} away: clients then see another hub",
                path.display()
            )),
            Self::Listen { .. } => Some("name another address with `--listen <addr>`".to_owned()),
            Self::UrlRequired { .. } => Some("add `--url <url>`, once for each name".to_owned()),
            Self::Open(error) => Report::hint(error),
            Self::Files { .. } | Self::Random(_) | Self::Start(_) | Self::NoAddress | Self::Unsafe(_) => None,
        }
    }
}

impl Report for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::Newer { .. } => Code::Unsupported,
            Self::Foreign { .. } | Self::File { .. } | Self::Sqlite { .. } | Self::Thread(_) => Code::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Newer { .. } => Some("run the newer git-parler".to_owned()),
            Self::Foreign { .. } => Some("name another folder with `--data <dir>`".to_owned()),
            Self::File { .. } | Self::Sqlite { .. } | Self::Thread(_) => None,
        }
    }
}

impl Report for Unsafe {
    fn code(&self) -> Code {
        Code::Io
    }

    fn hint(&self) -> Option<String> {
        Some("look after the disk, then start the hub again: it finds everything that it answered".to_owned())
    }
}
