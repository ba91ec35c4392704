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
/// The zlib level of everything that is deflated here.
pub(crate) const DEFLATE_LEVEL: u32 = 6;
/// How many objects an object is tried against.
pub(crate) const DELTA_WINDOW_OBJECTS: usize = 10;
/// The longest chain that new deltas form; chains taken from a pack may stand on top.
pub(crate) const DELTA_CHAIN_LENGTH_MAX: usize = 50;
/// Below this a delta saves nothing.
pub(crate) const DELTA_OBJECT_BYTES_MIN: u64 = 50;
/// Above this an object takes no part in the search.
pub(crate) const DELTA_OBJECT_BYTES_MAX: u64 = 16 << 20;
/// How many bytes the search of one bundle compares; what is left then is stored whole.
pub(crate) const DELTA_WORK_BYTES_MAX: u64 = 8 << 30;
/// How many bytes of deltas are kept until they are written; the others are made twice.
pub(crate) const KEPT_DELTA_BYTES_MAX: usize = 64 << 20;
/// From this part of a pack's entries on, its offsets are sorted to find where each ends.
pub(crate) const SORTED_OFFSETS_FRACTION: usize = 16;
