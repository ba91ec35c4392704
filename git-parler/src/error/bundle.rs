//! The codes of the bundle engine's errors, each a match without a wildcard.

use bundle::{
    CheckError, CreateError, DiffError, HeaderError, ImportError, ObjectError, OpenError, PlanError, Reason,
    RefsError, ResolveError, ScanError,
};

use super::{Code, Report};

impl Report for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::NotARepository { .. } => Code::NotARepository,
            Self::ForeignOwner { .. } | Self::UnsupportedExtension { .. } | Self::UnsupportedVersion(_) => {
                Code::RepositoryUnsupported
            }
            Self::Other { .. } => Code::Io,
        }
    }

    fn has_the_rows_sentence(&self) -> bool {
        matches!(self, Self::NotARepository { .. })
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ForeignOwner { path } => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                Some(format!("if you trust it: git config --global --add safe.directory {}", path.display()))
            }
            Self::UnsupportedExtension { extension, .. } if extension.ends_with("refstorage") => {
                Some("`git refs migrate --ref-format=files` turns it into one that is".to_owned())
            }
            Self::NotARepository { .. }
            | Self::UnsupportedExtension { .. }
            | Self::UnsupportedVersion(_)
            | Self::Other { .. } => None,
        }
    }
}

impl Report for PlanError {
    fn code(&self) -> Code {
        match self {
            Self::Empty => Code::EmptyRange,
            Self::Shallow { .. } => Code::ShallowBoundary,
            Self::NotACommit { .. } | Self::TagChain { .. } => Code::UnknownRevision,
            Self::ShallowFile(_) => Code::Io,
            Self::Object(error) => error.code(),
        }
    }
}

impl Report for ObjectError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::UnknownRevision,
            Self::Corrupt { .. } | Self::Kind { .. } | Self::Store { .. } | Self::List(_) => Code::Io,
        }
    }
}

impl Report for CreateError {
    fn code(&self) -> Code {
        match self {
            Self::Object(error) => error.code(),
            Self::MissingAt { .. } => Code::UnknownRevision,
            Self::ObjectTooLarge { .. } => Code::OverBudget,
            Self::BundleTooLarge { .. } | Self::TooManyObjects => Code::TooLarge,
            Self::Header(error) => error.code(),
            Self::Write(_) => Code::Io,
        }
    }
}

impl Report for HeaderError {
    fn code(&self) -> Code {
        match self {
            Self::NotABundle
            | Self::UnknownVersion
            | Self::Truncated
            | Self::TooLong
            | Self::TooManyRefs
            | Self::TooManyPrerequisites
            | Self::UnknownCapability(_)
            | Self::Filtered(_)
            | Self::Malformed { .. }
            | Self::RefName(_)
            | Self::RepeatedRef(_)
            | Self::RepeatedPrerequisite(_)
            | Self::NoRefs => Code::Corrupt,
            Self::UnknownObjectFormat(_) => Code::ObjectFormat,
            Self::Io(_) => Code::Io,
        }
    }
}

impl Report for ScanError {
    fn code(&self) -> Code {
        match self {
            Self::OverBudget { .. } => Code::OverBudget,
            Self::NotAPack
            | Self::UnknownPackVersion(_)
            | Self::Truncated
            | Self::TrailingBytes
            | Self::Checksum
            | Self::Corrupt { .. } => Code::Corrupt,
            Self::Io(_) => Code::Io,
            Self::Interrupted => Code::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::OverBudget { budget, size, .. } => {
                Some(format!("if you trust its author: git config {} {size}", budget.option()))
            }
            _ => None,
        }
    }
}

impl Report for ResolveError {
    fn code(&self) -> Code {
        match self {
            Self::Corrupt { .. } | Self::MissingBase(_) | Self::Collision(_) => Code::Corrupt,
            Self::DeltaDepth { .. } | Self::DeltaMemory => Code::OverBudget,
            Self::Check(error) => error.code(),
            Self::Repository(_) => Code::Io,
            Self::Interrupted => Code::Interrupted,
        }
    }
}

impl Report for CheckError {
    fn code(&self) -> Code {
        Code::Corrupt
    }
}

impl Report for RefsError {
    fn code(&self) -> Code {
        match self {
            Self::Read(_) | Self::Io(_) => Code::Io,
            Self::Write(_) | Self::Exists(_) | Self::Locked(_) | Self::Name(_) => Code::RefConflict,
        }
    }
}

impl Report for DiffError {
    fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::Corrupt,
            Self::Read(_) | Self::Write(_) => Code::Io,
        }
    }
}

impl Report for Reason {
    fn code(&self) -> Code {
        Code::Corrupt
    }
}

impl Report for ImportError {
    fn code(&self) -> Code {
        match self {
            Self::Header(error) => error.code(),
            Self::ObjectFormat { .. } => Code::ObjectFormat,
            Self::NotAsAnnounced { .. } => Code::VerificationFailed,
            Self::Scan(error) => error.code(),
            Self::MissingPrerequisites(_) | Self::UnreachablePrerequisites(_) => Code::PrerequisiteMissing,
            Self::PrerequisiteKind { .. }
            | Self::RepeatedObject(_)
            | Self::MissingObject { .. }
            | Self::WrongKind { .. }
            | Self::TipKind { .. } => Code::Corrupt,
            Self::Resolve(error) => error.code(),
            Self::Object(error) => error.code(),
            Self::Diff(error) => error.code(),
            Self::Unrelated => Code::Unrelated,
            Self::Surface(_) => Code::PolicyRefused,
            Self::Refs(error) => error.code(),
            Self::Quarantine(_) | Self::Install(_) | Self::Repository(_) => Code::Io,
            Self::Interrupted => Code::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            _ if self.is_disk_full() => Some("free some space, then run the same command again".to_owned()),
            Self::Scan(error) => error.hint(),
            _ => None,
        }
    }
}
