//! Every bound of the crate, with its unit in the name.

/// How much of a hook that is there is looked at, in bytes: who has written it stands at its beginning.
pub(crate) const HOOK_BYTES_MAX: u64 = 1024 * 1024;

/// How many names are said of those from whom something waits; the others are counted.
pub(crate) const NAMES_MAX: usize = 3;

/// How much of a name is said, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 48;
