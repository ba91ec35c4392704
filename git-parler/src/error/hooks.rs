//! The codes of the errors of `hooks`, a match without a wildcard.

use ::hooks::Error;

use super::{Code, Report};

impl Report for Error {
    fn code(&self) -> Code {
        match self {
            Self::Managed { .. } => Code::PolicyRefused,
            Self::InTheWay { .. } => Code::FileExists,
            Self::File { .. } => Code::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::InTheWay { .. } => Some("look at it and move it away".to_owned()),
            Self::Managed { .. } | Self::File { .. } => None,
        }
    }
}
