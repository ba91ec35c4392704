//! One file per command: what it does with its arguments, and how its answer is printed.

pub(crate) mod apply;
pub(crate) mod drop;
pub(crate) mod help;
pub(crate) mod push;
pub(crate) mod setup;
