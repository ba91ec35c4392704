//! Every limit of this crate, with its unit in the name. [`Budgets`] holds those that a user may set
//! (`parler.import.*`); the others are part of the format as this crate reads and writes it.

/// How many bytes a size at the start of a delta may take: 64 bits, seven in a byte.
pub(crate) const DELTA_SIZE_BYTES_MAX: usize = 10;
/// Decoded pack entries that are kept while reading; more costs memory, less costs time.
pub(crate) const BASE_CACHE_BYTES_MAX: usize = 48 << 20;
/// The longest chain of deltas that is followed in a pack of the repository; git writes 4,095 at most.
pub(crate) const STORED_CHAIN_LENGTH_MAX: usize = 5000;
/// How many hidden commits in a row, older than everything wanted and none older than its parents, are walked where no
/// commit-graph has them.
pub(crate) const OLDER_HIDDEN_COMMITS_MAX: usize = 256;
/// How much of a prerequisite's subject stands in the header.
pub(crate) const SUBJECT_BYTES_MAX: usize = 512;
/// How many tags may name one another before a commit comes.
pub(crate) const TAG_CHAIN_LENGTH_MAX: usize = 16;
/// The zlib level of everything that is deflated here.
pub(crate) const DEFLATE_LEVEL: u32 = 6;
/// How many objects an object is tried against.
pub(crate) const DELTA_WINDOW_OBJECTS: usize = 10;
/// How many packed objects of a path are tried as bases of what is not packed there.
pub(crate) const SETTLED_BASES_MAX: usize = 3;
/// The longest chain that new deltas form; chains taken from a pack may stand on top.
pub(crate) const DELTA_CHAIN_LENGTH_MAX: usize = 50;
/// The same for commits and tags.
pub(crate) const COMMIT_CHAIN_LENGTH_MAX: usize = 8;
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
/// What a deflated byte can become at most: 1,032, and a little more for short streams.
pub(crate) const DEFLATE_RATIO_MAX: usize = 1100;
/// How far the kind and the size of a loose object are looked for.
pub(crate) const LOOSE_HEADER_BYTES_MAX: u64 = 64;
/// How many bytes of a large object are in memory at once.
pub(crate) const STREAM_BUFFER_BYTES: usize = 64 << 10;
/// How many bytes the objects together may have that an object is tried against.
pub(crate) const DELTA_WINDOW_BYTES_MAX: u64 = 64 << 20;

/// Longest header of a bundle, from the signature to the empty line that ends it.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Most references that the header of a bundle may name.
pub const HEADER_REFS_MAX: usize = 64;

/// Most prerequisites that the header of a bundle may name.
pub const HEADER_PREREQUISITES_MAX: usize = 256;

/// Most memory, in bytes, that bases of deltas may hold at once while a pack is resolved.
pub const DELTA_BASE_BYTES_MAX: u64 = 1 << 30;

/// Most commits that an answer lists; those beyond are counted only.
pub const LISTED_COMMITS_MAX: usize = 1000;

/// Most changed paths that the diffstat of a preview lists; those beyond are counted only.
pub const LISTED_PATHS_MAX: usize = 10_000;

/// Most trees that one comparison reads.
pub const COMPARED_TREES_MAX: usize = 200_000;

/// Most bytes that the paths met in one comparison may have together.
pub const COMPARED_PATHS_BYTES_MAX: usize = 32 << 20;

/// Longest path of a directory that a comparison enters.
pub const PATH_BYTES_MAX: usize = 32 * 1024;

/// Most bytes of blobs that one diffstat or patch compares; what is beyond counts as binary.
pub const DIFF_TOTAL_BYTES_MAX: u64 = 512 << 20;

/// Largest blob that is compared line by line; a larger one counts as binary.
pub const DIFF_BLOB_BYTES_MAX: u64 = 8 << 20;

/// Most changed paths that the surface report looks at, in all comparisons of one handoff together.
pub const SURFACE_PATHS_MAX: usize = 100_000;

/// Most bytes of files that the surface report reads.
pub const SURFACE_TOTAL_BYTES_MAX: u64 = 128 << 20;

/// Largest file that the surface report reads; of a larger one only path and mode are looked at.
pub const SURFACE_BLOB_BYTES_MAX: u64 = 16 << 20;

/// Longest target of a symbolic link that is read; a longer one leads nowhere that a system would go.
pub const SURFACE_TARGET_BYTES_MAX: u64 = 4096;

/// Most paths that a finding of the surface report lists; those beyond are counted only.
pub const SURFACE_LISTED_PATHS_MAX: usize = 10;

/// Most commits that an outline lists.
pub const OUTLINE_COMMITS_MAX: usize = 256;

/// Most changed paths that an outline looks at.
pub const OUTLINE_PATHS_MAX: usize = 1000;

/// Most bytes that these paths may have together.
pub const OUTLINE_PATHS_BYTES_MAX: usize = 1 << 20;

/// Most trees that an outline compares.
pub const OUTLINE_TREES_MAX: usize = 4000;

/// Most bytes of files, before and after, that an outline compares.
pub const OUTLINE_TOTAL_BYTES_MAX: u64 = 2 << 20;

/// Longest name of a tree entry, as `git fsck` has it.
pub const TREE_ENTRY_NAME_BYTES_MAX: usize = 4096;

/// Largest `.gitattributes` file, as `git fsck` has it.
pub const GITATTRIBUTES_BYTES_MAX: usize = 100 << 20;

/// First length at which a line of `.gitattributes` is too long, as `git fsck` has it.
pub const GITATTRIBUTES_LINE_BYTES: usize = 2048;

/// Pack entries below which they become loose objects, unless the repository's configuration says otherwise.
pub const UNPACK_OBJECTS_LIMIT: u64 = 100;

/// Inflated bytes above which even a small pack stays a pack.
pub const UNPACK_BYTES_MAX: u64 = 32 << 20;

/// What one import may cost. The defaults are those of the design; each can be set by the user.
///
/// ```
/// let budgets = bundle::Budgets { object_bytes: 1 << 20, ..Default::default() };
/// assert_eq!(budgets.objects, 1_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Most objects in the pack (`parler.import.maxObjects`).
    pub objects: u64,
    /// Most bytes of one inflated object (`parler.import.maxObjectSize`).
    pub object_bytes: u64,
    /// Most bytes of all inflated objects together (`parler.import.maxTotalSize`).
    pub total_bytes: u64,
    /// Most inflated bytes per byte of the pack (`parler.import.maxRatio`), beyond [`Budgets::ratio_free_bytes`].
    pub ratio: u64,
    /// Inflated bytes that are free of the ratio (fixed).
    pub ratio_free_bytes: u64,
    /// Longest chain of deltas (`parler.import.maxDeltaDepth`).
    pub delta_depth: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            objects: 1_000_000,
            object_bytes: 256 << 20,
            total_bytes: 4 << 30,
            ratio: 1000,
            ratio_free_bytes: 64 << 20,
            delta_depth: 4096,
        }
    }
}

/// One of the [`Budgets`], for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// [`Budgets::objects`]
    Objects,
    /// [`Budgets::object_bytes`]
    ObjectBytes,
    /// [`Budgets::total_bytes`]
    TotalBytes,
    /// [`Budgets::ratio`]
    Ratio,
    /// [`Budgets::delta_depth`]
    DeltaDepth,
}

impl Budget {
    /// Returns the configuration key that sets this budget.
    pub fn option(self) -> &'static str {
        match self {
            Budget::Objects => "parler.import.maxObjects",
            Budget::ObjectBytes => "parler.import.maxObjectSize",
            Budget::TotalBytes => "parler.import.maxTotalSize",
            Budget::Ratio => "parler.import.maxRatio",
            Budget::DeltaDepth => "parler.import.maxDeltaDepth",
        }
    }

    /// Returns what is counted, as it reads in an error.
    pub fn noun(self) -> &'static str {
        match self {
            Budget::Objects => "objects",
            Budget::ObjectBytes => "bytes in one object",
            Budget::TotalBytes | Budget::Ratio => "inflated bytes",
            Budget::DeltaDepth => "deltas in one chain",
        }
    }
}
/// The largest buffer that is kept to be used again, in bytes.
pub(crate) const SPARE_BYTES_MAX: usize = 64 << 10;
/// Buffers that are kept to be used again.
pub(crate) const SPARE_BUFFERS_MAX: usize = 4;
/// Threads that check a pack.
pub(crate) const THREADS_MAX: usize = 8;
/// How many blocks of a bucket are compared.
pub(crate) const CANDIDATES_MAX: usize = 32;
/// How often an import starts over because others made its references meanwhile.
pub(crate) const RACES_MAX: usize = 3;
