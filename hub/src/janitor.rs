//! Drops what is too old, in small batches, so that nobody waits for it.

use std::time::Duration;

use protocol::limits::Limits;

use crate::fanout::Wake;
use crate::limits::{EXPIRE_ROWS_MAX, JANITOR_EVERY_SECONDS, STAGING_KEPT_SECONDS, days};
use crate::service::Service;
use crate::store::{Retention, Store, StoreError};

/// Comes by every minute until the hub ends.
pub(crate) async fn run<S: Store, W: Wake>(service: &Service<S, W>) {
    loop {
        tokio::time::sleep(Duration::from_secs(JANITOR_EVERY_SECONDS)).await;
        if let Err(error) = expire(service).await {
            tracing::warn!(%error, "what is too old could not be dropped");
        }
        let blobs = service.blobs.clone();
        let age = Duration::from_secs(STAGING_KEPT_SECONDS);
        // A panic there was reported; the next round tries again.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || blobs.remove_stale_staging(age)).await {
            tracing::warn!(%error, "abandoned uploads could not be removed");
        }
    }
}

/// Drops all that is too old now.
pub(crate) async fn expire<S: Store, W: Wake>(service: &Service<S, W>) -> Result<(), StoreError> {
    loop {
        // No blob lands between the deletion of rows and that of their files.
        let cleared = service.blobs.clear().await;
        let expired = service.store.expire(retention(&service.limits)).await?;
        let files = service.remove_files(expired.blobs).await;
        drop(cleared);
        if expired.entries + expired.bindings + expired.requests + expired.seats > 0 {
            let (entries, blobs, requests, seats) =
                (expired.entries, expired.bindings, expired.requests, expired.seats);
            tracing::info!(entries, blobs, files, requests, seats, "expired");
        }
        if !expired.more {
            return Ok(());
        }
    }
}

fn retention(limits: &Limits) -> Retention {
    Retention {
        messages_ms: days(limits.message_days),
        messages_kept_min: limits.messages_kept_min,
        blobs_idle_ms: days(limits.blob_idle_days),
        batch_rows: EXPIRE_ROWS_MAX,
    }
}
