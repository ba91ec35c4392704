//! tests/kit.
