//! Replays a corpus and tries seeded mutations of it: the same in every run of as many cases.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kit::Random;

use crate::LONG_SECONDS;

/// Runs `target` on every input of its corpus and on `cases` mutations of them, or on mutations for some seconds.
pub(crate) fn try_out(name: &str, cases: usize, target: &mut dyn FnMut(&[u8])) {
    let corpus = corpus(name);
    for (path, bytes) in &corpus {
        run(target, bytes, &path.display().to_string());
    }
    let inputs: Vec<&[u8]> = corpus.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let mut random = Random::new(SEED);
    let end = long().map(|effort| Instant::now() + effort);
    let mut tried = 0;
    while end.map_or(tried < cases, |end| Instant::now() < end) {
        let bytes = mutated(&inputs, &mut random);
        run(target, &bytes, &format!("{name}, mutation {tried}"));
        tried += 1;
    }
    println!("{name}: {} inputs, {tried} mutations", inputs.len());
}

fn run(target: &mut dyn FnMut(&[u8]), bytes: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
        let mut hex = String::new();
        for byte in bytes {
            write!(hex, "{byte:02x}").expect("a string takes all");
        }
        println!("{what} fails with {} bytes: {hex}", bytes.len());
        std::panic::resume_unwind(panic);
    }
}

/// Returns the inputs of a target, in the order of their names.
pub(crate) fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = std::fs::read_dir(&folder).expect("every target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no corpus");
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a readable file"))).collect()
}

fn long() -> Option<Duration> {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    kit::is_long().then(|| Duration::from_secs(seconds.unwrap_or(LONG_SECONDS)))
}

/// Changes one of `inputs` in one to eight places.
fn mutated(inputs: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(9) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = random.bytes(1)[0],
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            6 => {
                let other = inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..if random.chance(50) { end } else { at }, word.bytes());
            }
        }
        bytes.truncate(INPUT_BYTES_MAX);
    }
    bytes
}

/// What parsers stumble over.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "255",
    "65535",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "1e9",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "[[[[[[[[[[[[[[[[[",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\u{1b}[2J",
    "\n",
    "\0\0\0\0",
    "\u{7f}\u{7f}",
    "é",
    "..",
];
const SEED: u64 = 7419;
/// Longer inputs only take longer.
const INPUT_BYTES_MAX: usize = 64 * 1024;
