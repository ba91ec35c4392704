//! What a message says of a bundle, for tests in which the bundle is any bytes.

use protocol::id::BlobId;
use protocol::part::{BundlePart, PartTip};

/// Returns the part that hands `bundle` over as one commit `tip` on `main` that needs nothing.
#[must_use]
pub fn bundle_part(bundle: &[u8], tip: &str, summary: &str) -> BundlePart {
    BundlePart {
        blob: BlobId::of(bundle),
        vcs: BundlePart::VCS.to_owned(),
        tip: tip.to_owned(),
        base: None,
        summary: summary.to_owned(),
        size: bundle.len() as u64,
        media_type: BundlePart::MEDIA_TYPE.to_owned(),
        tips: vec![PartTip { branch: "main".to_owned(), commit: tip.to_owned() }],
        prerequisites: Vec::new(),
        commits: 1,
        object_format: "sha1".to_owned(),
        repo: String::new(),
        supersedes: None,
        log: None,
        stat: None,
        surface: None,
    }
}
