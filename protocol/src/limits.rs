//! Every limit of the protocol.

/// How deep JSON may nest.
pub const JSON_DEPTH_MAX: usize = 16;
/// The largest integer, in either direction: what every JSON reader holds exactly.
pub const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;
