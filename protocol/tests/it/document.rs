//! The tables of `docs/PROTOCOL.md` against the code.
