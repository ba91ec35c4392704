//! git-parler's protocol, version 1, without I/O, clock or randomness.
//!
//! What travels between a client and a hub, who signed it, who may read it, and in which order things may be said. Sockets,
//! disks and clocks belong to `client` and `hub`; the exact bytes stand in `docs/PROTOCOL.md`.

pub mod clean;
pub mod conn;
pub mod frame;
pub mod id;
pub mod invite;
pub mod json;
pub mod key;
pub mod limits;
pub mod part;
pub mod refusal;
pub mod room;
pub mod signed;
pub mod statement;
pub mod words;

/// Configures a property test: seeded, so that a run repeats, and 20 times as many cases with `TEST_EFFORT=long`.
#[cfg(test)]
fn cases(count: u32) -> proptest::test_runner::Config {
    let is_long = std::env::var_os("TEST_EFFORT").is_some_and(|effort| effort == "long");
    proptest::test_runner::Config {
        cases: if is_long { count * 20 } else { count },
        rng_seed: proptest::test_runner::RngSeed::Fixed(7419),
        failure_persistence: None,
        ..Default::default()
    }
}
