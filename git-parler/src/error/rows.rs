//! Which error has which code: one `impl Report` per error of every crate, each a match without a wildcard, so
//! that a new way to fail does not compile before it has a row.

use super::{Code, Report};
use crate::connect::NotEditable;
use crate::{config, connect, file_error, setup};

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

impl Report for file_error::FileError {
    fn code(&self) -> Code {
        match self {
            Self::NoProgram(_) | Self::NoHome | Self::File { .. } => Code::Io,
        }
    }
}

impl Report for setup::Error {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Foreign { .. } => Code::FileExists,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(file_error::FileError::NoProgram(_) | file_error::FileError::NoHome) => {
                Some("name a folder with `--prefix <dir>`".to_owned())
            }
            Self::File(file_error::FileError::File { .. }) => None,
            Self::Foreign { .. } => Some("move it away, then run `git parler setup` again".to_owned()),
        }
    }
}

impl Report for connect::Error {
    fn code(&self) -> Code {
        match self {
            Self::NoHost => Code::NotFound,
            Self::NotEditable { why: NotEditable::Foreign, .. } => Code::FileExists,
            Self::NotEditable {
                why: NotEditable::Syntax { .. } | NotEditable::Duplicate { .. } | NotEditable::Shape(_),
                ..
            }
            | Self::TooLarge { .. }
            | Self::NotText { .. } => Code::BadConfig,
            Self::Changed { .. } => Code::Conflict,
            Self::File(error) => error.code(),
            Self::NamelessProgram { .. }
            | Self::LeadsNowhere { .. }
            | Self::NoFile { .. }
            | Self::Owner { .. } => Code::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(file_error::FileError::NoProgram(_)) | Self::NamelessProgram { .. } => {
                "install git-parler in a folder with a plain name, in PATH".to_owned()
            }
            Self::File(file_error::FileError::NoHome) => "set HOME".to_owned(),
            Self::NoHost => "name the host with `--host <host>`".to_owned(),
            Self::LeadsNowhere { .. } => "make what the link leads to, or remove the link".to_owned(),
            Self::NoFile { .. } => "move it away".to_owned(),
            Self::TooLarge { .. } => "edit it by hand".to_owned(),
            Self::NotText { .. } => "save it as UTF-8".to_owned(),
            Self::NotEditable { why: NotEditable::Syntax { .. }, .. } => {
                "mend it, or edit it by hand".to_owned()
            }
            Self::NotEditable { why: NotEditable::Duplicate { .. }, .. } => "leave one of both".to_owned(),
            Self::NotEditable { why: NotEditable::Shape(_), .. } => "edit it by hand".to_owned(),
            Self::NotEditable { why: NotEditable::Foreign, .. } => {
                "if it is not wanted, take it out or give it another name; it is not touched".to_owned()
            }
            Self::Changed { .. } => "run the same command again".to_owned(),
            Self::Owner { .. } => "run the same command as that user, or edit it by hand".to_owned(),
            Self::File(file_error::FileError::File { path, source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                format!("see to it that you may write to {} and its folder", path.display())
            }
            Self::File(file_error::FileError::File { .. }) => return None,
        };
        Some(hint)
    }
}
