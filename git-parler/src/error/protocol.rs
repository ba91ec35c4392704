//! The codes of the protocol's errors, each a match without a wildcard.

use protocol::conn::client::{ClientFault, RequestError};
use protocol::id::ParseError;
use protocol::invite::SessionKeyError;
use protocol::json::JsonError;
use protocol::part::PartError;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::{ActError, AdmissionError, ChainError, RangeError, RequestFault};
use protocol::signed::StatementError;

use super::{Code, Report};

impl Report for Refusal {
    fn code(&self) -> Code {
        match self.code {
            RefusalCode::BadFrame => Code::BadFrame,
            RefusalCode::BadRequest => Code::BadRequest,
            RefusalCode::BadStatement => Code::BadStatement,
            RefusalCode::Unsupported | RefusalCode::Unknown => Code::Unsupported,
            RefusalCode::Internal => Code::Internal,
            RefusalCode::LoginRefused => Code::LoginRefused,
            RefusalCode::NotFound => Code::NotFound,
            RefusalCode::Gone => Code::Gone,
            RefusalCode::KeyRefused => Code::KeyRefused,
            RefusalCode::Denied => Code::Denied,
            RefusalCode::NotOwner => Code::NotOwner,
            RefusalCode::Closed => Code::Closed,
            RefusalCode::Conflict => Code::Conflict,
            RefusalCode::Stale => Code::Stale,
            RefusalCode::Superseded => Code::Superseded,
            RefusalCode::Pruned => Code::Pruned,
            RefusalCode::HashMismatch => Code::HashMismatch,
            RefusalCode::TooLarge => Code::TooLarge,
            RefusalCode::OverQuota => Code::OverQuota,
            RefusalCode::RateLimited => Code::RateLimited,
            RefusalCode::TooMany => Code::TooMany,
            RefusalCode::DiskFull => Code::DiskFull,
            RefusalCode::Closing => Code::Closing,
        }
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl Report for ClientFault {
    fn code(&self) -> Code {
        match self {
            Self::HubKeyChanged { .. } => Code::HubKeyChanged,
            Self::ProtocolLevel { .. } | Self::WrongHub => Code::WrongHub,
            Self::NoPass => Code::LoginRefused,
            Self::Refused(refusal) => Report::code(refusal),
            Self::BadFrame => Code::BadFrame,
            Self::Silent | Self::Disconnected => Code::HubUnreachable,
        }
    }
}

impl Report for RequestError {
    fn code(&self) -> Code {
        match self {
            Self::NotReady => Code::Internal,
            Self::TooMany => Code::TooMany,
        }
    }
}

impl Report for ParseError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } => Code::Usage,
        }
    }
}

impl Report for JsonError {
    fn code(&self) -> Code {
        match self {
            Self::NotStrict(_) | Self::Shape(_) => Code::BadFrame,
        }
    }
}

impl Report for StatementError {
    fn code(&self) -> Code {
        match self {
            Self::BadSignature(_) | Self::BadShape { .. } | Self::TooLong(_) => Code::BadStatement,
            Self::NeedsNewer { .. } => Code::Unsupported,
        }
    }
}

impl Report for PartError {
    fn code(&self) -> Code {
        match self {
            Self::NoGitBundle
            | Self::ObjectFormat
            | Self::Tips
            | Self::Prerequisites
            | Self::NotRepeated
            | Self::ObjectId
            | Self::StatedTooLong => Code::BadStatement,
        }
    }
}

impl Report for RangeError {
    fn code(&self) -> Code {
        match self {
            Self::Sequence { .. }
            | Self::Fork { .. }
            | Self::Head { .. }
            | Self::Act { .. }
            | Self::Chain { .. }
            | Self::Unanchored { .. }
            | Self::Closed { .. } => Code::VerificationFailed,
        }
    }
}

impl Report for SessionKeyError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed | Self::Mistyped | Self::Origin => Code::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed | Self::Mistyped => Some("copy the whole key, from gp1- to its end".to_owned()),
            Self::Origin => None,
        }
    }
}

impl Report for ChainError {
    fn code(&self) -> Code {
        match self {
            Self::OtherRoom
            | Self::NotOwner
            | Self::Broken { .. }
            | Self::Fork { .. }
            | Self::Order { .. }
            | Self::Full => Code::VerificationFailed,
        }
    }
}

impl Report for ActError {
    fn code(&self) -> Code {
        match self {
            Self::Closed => Code::Closed,
            Self::Denied => Code::Denied,
            Self::Full(_) | Self::TooManyDenied => Code::TooMany,
            Self::Home | Self::Unlawful | Self::Member | Self::NotMember => Code::Usage,
            Self::Unknown => Code::Unsupported,
        }
    }
}

impl Report for RequestFault {
    fn code(&self) -> Code {
        match self {
            Self::Statement(error) => Report::code(error),
            Self::OtherRoom | Self::NotCountersigned | Self::OtherSeat | Self::Name | Self::ForeignKey => {
                Code::VerificationFailed
            }
            Self::Expired => Code::KeyRefused,
        }
    }
}

impl Report for AdmissionError {
    fn code(&self) -> Code {
        match self {
            Self::Genesis(_)
            | Self::OtherRoom
            | Self::NotHere
            | Self::Entry { .. }
            | Self::Chain(_)
            | Self::NotAdmitted => Code::VerificationFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_row_of_its_own_name() {
        for code in RefusalCode::ALL {
            let row = Report::code(&Refusal::new(*code, "no")).row();
            assert_eq!(row.name, code.as_str());
        }
    }
}
