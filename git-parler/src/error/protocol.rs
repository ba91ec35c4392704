//! The codes of the protocol's errors, each a match without a wildcard.

use protocol::conn::client::{ClientFault, RequestError};
use protocol::id::ParseError;
use protocol::json::JsonError;
use protocol::part::PartError;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::RangeError;
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
            Self::Sequence { .. } | Self::Fork { .. } | Self::Head { .. } | Self::Unanchored => {
                Code::VerificationFailed
            }
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
