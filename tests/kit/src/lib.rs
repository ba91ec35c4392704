//! What the tests share: sealed environments, repositories made from a seed, snapshots of folders. Product code
//! never uses this crate. A broken environment is a broken test: everything here panics, with a sentence, where it fails.

mod env;
mod history;
mod line;
mod lying;
mod member;
mod mount;
mod part;
mod random;
mod snapshot;
mod tls;

pub use env::{Env, Run};
pub use history::{History, ObjectFormat, Shape, Times};
pub use line::Line;
pub use lying::{Asking, LyingHub};
pub use member::Member;
pub use mount::Mount;
pub use part::bundle_part;
pub use random::Random;
pub use snapshot::Snapshot;
pub use tls::{Authority, Certificate, TlsProxy};

/// Says whether the long pass runs (`TEST_EFFORT=long`), which takes 20 times the cases and every kill.
#[must_use]
pub fn is_long() -> bool {
    std::env::var_os("TEST_EFFORT").is_some_and(|effort| effort == "long")
}
