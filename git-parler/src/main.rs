//! git-parler.
fn main() {}
