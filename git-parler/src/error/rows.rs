//! Which error has which code: one `impl Report` per error of every crate, each a match without a wildcard, so
//! that a new way to fail does not compile before it has a row.

use super::{Code, Report};
use crate::{config, setup};

impl Report for config::Error {
    fn code(&self) -> Code {
        match self {
            Self::BadValue { .. } | Self::BadParameters { .. } | Self::Unreadable { .. } => Code::BadConfig,
            Self::NoHome => Code::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome => Some("set HOME or PARLER_HOME".to_owned()),
            Self::BadValue { .. } | Self::BadParameters { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl Report for setup::Error {
    fn code(&self) -> Code {
        match self {
            Self::NoProgram(_) | Self::NoHome | Self::File { .. } => Code::Io,
            Self::Foreign { .. } => Code::FileExists,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram(_) | Self::NoHome => Some("name a folder with `--prefix <dir>`".to_owned()),
            Self::Foreign { .. } => Some("move it away, then run `git parler setup` again".to_owned()),
            Self::File { .. } => None,
        }
    }
}
