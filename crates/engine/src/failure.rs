//! Why a command failed, on its way into a reply.

use roomtone_sfu::SfuError;

use crate::values::{CommandResult, ErrorCode};

/// A code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn not_found(sort: &str, id: u64) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {sort} {id}"))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub(crate) fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::WrongState, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unsupported, message)
    }
}

impl From<Failure> for CommandResult {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            code: failure.code,
            message: failure.message,
        }
    }
}

impl From<SfuError> for Failure {
    fn from(error: SfuError) -> Self {
        let code = match error {
            SfuError::NoTransport(_) | SfuError::NoProducer(_) | SfuError::NoConsumer(_) => {
                ErrorCode::NotFound
            }
            SfuError::Limit(_) => ErrorCode::Limit,
            SfuError::Duplicate => ErrorCode::Internal,
            SfuError::DuplicateSsrc(_)
            | SfuError::Empty
            | SfuError::Kind
            | SfuError::CodecKind
            | SfuError::Verbatim
            | SfuError::Range(_) => ErrorCode::Invalid,
        };
        Self::new(code, error.to_string())
    }
}
