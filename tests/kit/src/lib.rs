//! What the tests share: sealed environments and repositories made from a seed. Product code never uses this
//! crate. A broken environment is a broken test, so everything here panics, with a sentence, where it fails.

mod env;
mod history;
mod line;
mod random;

pub use env::{Env, Run};
pub use history::{History, ObjectFormat, Shape, Times};
pub use line::Line;
pub use random::Random;
