//! Every bound of the crate, with its unit in the name.

/// How much of a hook that is there is looked at, in bytes: who has written it stands at its beginning.
pub(crate) const HOOK_BYTES_MAX: u64 = 1024 * 1024;
