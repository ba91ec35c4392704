//! Every delta gives the target back, and garbage gives nothing.

use proptest::prelude::*;

use super::*;
use crate::delta_apply;

fn apply(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut target = Vec::new();
    delta_apply::apply(base, delta, &mut target).map(|()| target)
}

fn delta_of(base: &[u8], target: &[u8]) -> Vec<u8> {
    encode(&Index::new(base), base, target, usize::MAX, &mut 0).expect("there is no bound")
}

#[test]
fn a_changed_line_costs_a_few_bytes() {
    let base: Vec<u8> =
        (0..2000).flat_map(|line| format!("line {line} of the file\n").into_bytes()).collect();
    let mut target = base.clone();
    target.splice(20_000..20_000, *b"one more line\n");
    let delta = delta_of(&base, &target);
    assert_eq!(apply(&base, &delta).as_ref(), Some(&target));
    assert!(delta.len() < 50, "{} bytes", delta.len());
}

#[test]
fn long_runs_and_copies_beyond_64_kib_come_back() {
    let base = vec![7u8; 300_000];
    for length in [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 131_072, 299_999, 400_000] {
        let target = vec![7u8; length];
        assert_eq!(apply(&base, &delta_of(&base, &target)), Some(target));
    }
}

#[test]
fn a_delta_longer_than_the_bound_is_not_made() {
    let (base, target) = (vec![0u8; 1000], (0..=255u8).cycle().take(1000).collect::<Vec<_>>());
    let index = Index::new(&base);
    let length = encode(&index, &base, &target, usize::MAX, &mut 0).expect("there is no bound").len();
    assert!(encode(&index, &base, &target, length, &mut 0).is_some());
    assert_eq!(encode(&index, &base, &target, length - 1, &mut 0), None);
}

#[test]
fn the_work_of_one_delta_is_bounded_by_its_target() {
    // Blocks that all hash alike, and long matches that all end the same way.
    let base: Vec<u8> = (0..64u8).flat_map(|end| [vec![b'x'; 4000], vec![end]].concat()).collect();
    let target = vec![b'x'; 100_000];
    let mut compared = 0;
    encode(&Index::new(&base), &base, &target, usize::MAX, &mut compared).expect("there is no bound");
    assert!(compared < 40 * target.len() as u64, "{compared} bytes compared");
}

/// Bases and targets with something in common: pieces of one another, repeated and mixed with noise.
fn pairs() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let noise = || proptest::collection::vec(any::<u8>(), 0..300);
    let small = || proptest::collection::vec(0u8..3, 0..300);
    let base =
        proptest::collection::vec(prop_oneof![noise(), small()], 0..8).prop_map(|parts| parts.concat());
    (base, proptest::collection::vec((any::<u16>(), any::<u16>(), small()), 0..8)).prop_map(
        |(base, edits)| {
            let mut target = Vec::new();
            for (start, length, noise) in edits {
                let start = usize::from(start) % (base.len() + 1);
                let end = (start + usize::from(length) % 700).min(base.len());
                target.extend_from_slice(&base[start..end]);
                target.extend_from_slice(&noise);
            }
            (base, target)
        },
    )
}

fn config() -> ProptestConfig {
    let effort = if kit::is_long() { 20 } else { 1 };
    ProptestConfig {
        cases: 500 * effort,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_delta_gives_the_target_back((base, target) in pairs()) {
        prop_assert_eq!(apply(&base, &delta_of(&base, &target)), Some(target));
    }

    #[test]
    fn garbage_never_panics(base in proptest::collection::vec(any::<u8>(), 0..100), delta in proptest::collection::vec(any::<u8>(), 0..60)) {
        let announced = delta_apply::sizes(&delta).map(|sizes| sizes.result);
        if announced.is_none_or(|size| size < 1 << 20) && let Some(target) = apply(&base, &delta) {
            prop_assert_eq!(Some(target.len() as u64), announced);
        }
    }

    #[test]
    fn sizes_come_back(base in any::<u32>(), result in any::<u64>()) {
        let mut bytes = Vec::new();
        write_size(base as usize, &mut bytes);
        write_size(usize::try_from(result).expect("64 bits"), &mut bytes);
        let sizes = delta_apply::sizes(&bytes).expect("two sizes");
        prop_assert_eq!((sizes.base, sizes.result, sizes.instructions), (u64::from(base), result, bytes.len()));
    }
}
