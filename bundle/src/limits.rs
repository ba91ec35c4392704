//! Every limit of this crate, with its unit in the name.

/// How many bytes a size at the start of a delta may take: 64 bits, seven in a byte.
pub(crate) const DELTA_SIZE_BYTES_MAX: usize = 10;
/// Decoded pack entries that are kept while reading; more costs memory, less costs time.
pub(crate) const BASE_CACHE_BYTES_MAX: usize = 48 << 20;
/// The longest chain of deltas that is followed in a pack of the repository; git writes 4,095 at most.
pub(crate) const STORED_CHAIN_LENGTH_MAX: usize = 5000;
/// How many hidden commits older than everything wanted are walked where no commit-graph has them.
pub(crate) const OLDER_HIDDEN_COMMITS_MAX: usize = 1024;
/// How much of a prerequisite's subject stands in the header.
pub(crate) const SUBJECT_BYTES_MAX: usize = 512;
/// How many tags may name one another before a commit comes.
pub(crate) const TAG_CHAIN_LENGTH_MAX: usize = 16;
