//! From the errors of store and blobs to the codes of the protocol: one table.

use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::ActError;

use crate::blobs::BlobError;
use crate::quota::TooOften;
use crate::store::StoreError;

/// Turns an error into what the client is told of it.
pub(super) trait Refuse<T> {
    /// Returns the value, or the refusal.
    fn refuse(self) -> Result<T, Refusal>;
}

impl<T, E: Into<RefusalOf>> Refuse<T> for Result<T, E> {
    fn refuse(self) -> Result<T, Refusal> {
        self.map_err(|error| error.into().0)
    }
}

/// A refusal on its way from an error; the orphan rule asks for a type of ours.
pub(super) struct RefusalOf(Refusal);

impl From<StoreError> for RefusalOf {
    fn from(error: StoreError) -> Self {
        Self(of_store(&error))
    }
}

impl From<BlobError> for RefusalOf {
    fn from(error: BlobError) -> Self {
        Self(of_blobs(&error))
    }
}

impl From<TooOften> for RefusalOf {
    fn from(TooOften { retry_after_ms }: TooOften) -> Self {
        let refusal = Refusal::new(RefusalCode::RateLimited, "too often");
        Self(Refusal { retry_after_ms: Some(retry_after_ms), ..refusal })
    }
}

/// Says that something is longer than it may be.
pub(super) fn too_large(what: &str, limit: u64) -> Refusal {
    let refusal = Refusal::new(RefusalCode::TooLarge, format!("{what} is longer than {limit} bytes"));
    Refusal { limit: Some(limit), ..refusal }
}

fn of_store(error: &StoreError) -> Refusal {
    let refusal = |code| Refusal::new(code, error.to_string());
    match error {
        StoreError::NotFound => Refusal::not_found(),
        StoreError::Gone => refusal(RefusalCode::Gone),
        StoreError::NotOwner => refusal(RefusalCode::NotOwner),
        // Not too many at once: no waiting helps.
        StoreError::TooManyUsers => refusal(RefusalCode::OverQuota),
        StoreError::OwnerStays => refusal(RefusalCode::BadStatement),
        StoreError::Closed => refusal(RefusalCode::Closed),
        StoreError::KeyRefused => Refusal::key_refused(),
        StoreError::ForeignKey => refusal(RefusalCode::BadStatement),
        StoreError::BrokenChain { end } => {
            Refusal { chain: Some(Box::new(*end)), ..refusal(RefusalCode::Conflict) }
        }
        StoreError::Act(act) => refusal(match act {
            ActError::Closed => RefusalCode::Closed,
            ActError::Denied => RefusalCode::Denied,
            ActError::Full(_) | ActError::TooManyDenied => RefusalCode::TooMany,
            ActError::Unknown => RefusalCode::Unsupported,
            ActError::Home | ActError::Unlawful | ActError::Member | ActError::NotMember => {
                RefusalCode::BadRequest
            }
        }),
        StoreError::Conflict { next_n } => {
            Refusal { next_n: Some(*next_n), ..refusal(RefusalCode::Conflict) }
        }
        StoreError::Stale { base } => Refusal { base: Some(Box::new(*base)), ..refusal(RefusalCode::Stale) },
        StoreError::ForeignHead => refusal(RefusalCode::Stale),
        StoreError::BeyondEnd { .. } => refusal(RefusalCode::BadRequest),
        StoreError::Pruned { base } => {
            Refusal { base: Some(Box::new(*base)), ..refusal(RefusalCode::Pruned) }
        }
        StoreError::RoomBusy { retry_after_ms } => {
            Refusal { retry_after_ms: Some(*retry_after_ms), ..refusal(RefusalCode::RateLimited) }
        }
        StoreError::TooMany { .. } => refusal(RefusalCode::TooMany),
        StoreError::DiskFull => refusal(RefusalCode::DiskFull),
        StoreError::Stopped => refusal(RefusalCode::Closing),
        StoreError::Database(source) => {
            tracing::error!(error = %source, "the database failed");
            refusal(RefusalCode::Internal)
        }
    }
}

fn of_blobs(error: &BlobError) -> Refusal {
    let refusal = |code| Refusal::new(code, error.to_string());
    match error {
        BlobError::Superseded | BlobError::Ended => refusal(RefusalCode::Superseded),
        BlobError::Overrun => refusal(RefusalCode::BadRequest),
        BlobError::HashMismatch => refusal(RefusalCode::HashMismatch),
        BlobError::DiskFull => refusal(RefusalCode::DiskFull),
        BlobError::OverQuota { bytes_max } => {
            Refusal { limit: Some(*bytes_max), ..refusal(RefusalCode::OverQuota) }
        }
        BlobError::TooMany => refusal(RefusalCode::TooMany),
        BlobError::Gone => refusal(RefusalCode::Gone),
        BlobError::Stopped => refusal(RefusalCode::Closing),
        BlobError::Io(source) => {
            tracing::error!(error = %source, "the blob directory failed");
            refusal(RefusalCode::Internal)
        }
    }
}
