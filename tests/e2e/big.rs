//! Handoffs that take their time: over a line that breaks, and larger than what a hub may hold in memory.

use std::fs;

use kit::{Line, Random};
use serde_json::json;

use crate::served::Served;
use crate::two::{Two, answer};

#[test]
fn twenty_megabytes_get_through_a_line_that_breaks_and_are_not_sent_twice() {
    let two = Two::new();
    // A connection lives for half of this on average.
    let bytes_max = if kit::is_long() { 160 << 10 } else { 3 << 20 };
    let line = Line::new(11, bytes_max);
    let origin = line.origin();
    let _hub = Served::behind(&line, &two.env, "hub", &[]);
    two.env.git(two.env.root(), ["config", "--global", "parler.hub", &origin]);
    let tip = two.env.commit(&two.ahead, "big.bin", Random::new(12).bytes(20 << 20), "big");
    let pushed = two.push(&["--base", &two.base]);
    let size = pushed["size"].as_u64().unwrap();
    let (cuts, up) = (line.cuts(), line.bytes_up());
    assert!(cuts >= size / bytes_max, "the line was cut {cuts} times only");
    // What a cut leaves on the way is lost: at most what both ends and the line buffer.
    let lost_max = cuts * LOST_BYTES_MAX;
    assert!(up < size + size / 10 + lost_max, "{up} bytes were sent of {size}, with {cuts} cuts");
    let file = two.file("got.bundle");
    let fetched = answer(&two.env, &two.behind, "fetch", &[pushed["id"].as_str().unwrap(), "-o", &file]);
    assert_eq!(fetched["size"], pushed["size"]);
    let (cuts, down) = (line.cuts() - cuts, line.bytes_down());
    assert!(cuts >= size / bytes_max, "the line was cut {cuts} times only");
    assert!(down < size + size / 10 + line.cuts() * LOST_BYTES_MAX, "{down} bytes came of {size}");
    two.env.git(&two.behind, ["bundle", "verify", "--quiet", &file]);
    assert_eq!(two.apply(&[&file])["tip"], json!(tip));
}

/// A chunk of a blob, and what stands in the buffers of sockets.
const LOST_BYTES_MAX: u64 = 512 << 10;

#[test]
fn a_large_handoff_leaves_the_hubs_memory_as_it_was() {
    let two = Two::new();
    let (files, size) = if kit::is_long() { (10, 30 << 20) } else { (3, 8 << 20) };
    let hub = Served::start(&two.env, &two.env.path("hub"), &["--blob-bytes-max", "400m"]);
    two.env.git(two.env.root(), ["config", "--global", "parler.hub", &hub.url()]);
    // A small one first, so that everything that is made once is there.
    let small = two.push(&["--base", &two.base]);
    answer(&two.env, &two.behind, "apply", &[small["id"].as_str().unwrap()]);
    let Some(rest) = hub.peak_kib() else { return };
    let mut random = Random::new(13);
    for number in 0..files {
        fs::write(two.ahead.join(format!("big{number}.bin")), random.bytes(size)).unwrap();
    }
    let tip = two.env.commit(&two.ahead, "small", "small\n", "small");
    two.env.git(&two.ahead, ["add", "."]);
    two.env.git(&two.ahead, ["commit", "--quiet", "--amend", "--no-edit"]);
    let amended = two.env.git(&two.ahead, ["rev-parse", "HEAD"]);
    assert_ne!(tip, amended);
    let pushed = two.push(&["--base", &two.tip]);
    assert!(pushed["size"].as_u64().unwrap() > (files * size) as u64);
    let applied = answer(&two.env, &two.behind, "apply", &[pushed["id"].as_str().unwrap()]);
    assert_eq!(applied["tip"], json!(amended));
    two.env.git(&two.behind, ["fsck", "--strict"]);
    let peak = hub.peak_kib().unwrap();
    assert!(peak <= rest + (8 << 10), "the hub went from {rest} to {peak} KiB");
}
