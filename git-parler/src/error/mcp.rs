//! The codes of the MCP server's errors, each a match without a wildcard.

use mcp::{Problem, ServeError};

use super::{Code, Report};

impl Report for ServeError {
    fn code(&self) -> Code {
        match self {
            Self::Protocol(_) => Code::BadFrame,
            Self::Random(_) | Self::Io(_) => Code::Io,
        }
    }
}

impl Report for Problem {
    fn code(&self) -> Code {
        Code::named(self.code).unwrap_or(Code::Internal)
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}
