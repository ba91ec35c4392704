//! Deltas in every order and shape give the same objects, within the memory that is allowed.

use gix::hash::Kind::Sha1;

use super::*;
use crate::Budgets;
use crate::hostile::pack::{Pack, id, varint};

/// Takes the ids of objects.
struct Ids(Vec<ObjectId>);

impl Visitor for Ids {
    fn object(&mut self, _kind: Kind, id: &oid, _bytes: &[u8]) -> Result<(), ResolveError> {
        self.0.push(id.to_owned());
        Ok(())
    }

    fn base(&mut self, _id: &oid, _out: &mut Vec<u8>) -> Result<Option<Kind>, ResolveError> {
        Ok(None)
    }
}

/// Resolves a pack with so many threads and so much memory for bases.
fn resolved(pack: Pack, threads: usize, base_bytes_max: u64) -> Result<Vec<ObjectId>, ResolveError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.pack");
    let bytes = pack.finish();
    std::fs::write(&path, &bytes).unwrap();
    let budgets = Budgets::default();
    let size = bytes.len() as u64;
    let scan = crate::scan::scan(bytes.as_slice(), size, Sha1, &budgets, &mut |_, _| true).unwrap();
    let (interrupt, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pack = gix_pack::data::File::at(&path, Sha1).unwrap();
    let (pack, scan, delta_depth) = (&pack, &scan, budgets.delta_depth);
    let task =
        Task { pack, scan, hash: Sha1, delta_depth, base_bytes_max, interrupt: &interrupt, done: &done };
    let (resolved, visitors) = resolve(&task, (0..threads).map(|_| Ids(Vec::new())).collect())?;
    let mut seen: Vec<_> = visitors.into_iter().flat_map(|visitor| visitor.0).collect();
    let mut ids = resolved.ids.clone();
    seen.sort_unstable();
    ids.sort_unstable();
    assert_eq!(seen, ids, "each object is seen once");
    Ok(resolved.ids)
}

const SIZE: usize = 1000;

/// A delta that replaces the first four bytes of an object.
fn replaces(first: [u8; 4]) -> Vec<u8> {
    let mut delta = varint(SIZE as u64);
    delta.extend(varint(SIZE as u64));
    delta.push(4);
    delta.extend_from_slice(&first);
    let rest = u16::try_from(SIZE - 4).unwrap().to_le_bytes();
    delta.extend_from_slice(&[0xb1, 4, rest[0], rest[1]]);
    delta
}

/// A chain in which every link has a leaf of its own as well.
fn caterpillar(links: u32) -> (Pack, Vec<ObjectId>) {
    let mut pack = Pack::new();
    let mut content = vec![b'x'; SIZE];
    let mut offset = pack.entry(3, SIZE as u64, &[], &content);
    let mut ids = vec![id(Kind::Blob, &content)];
    for link in 0..links {
        for (first, is_leaf) in [((link | 1 << 30).to_be_bytes(), true), (link.to_be_bytes(), false)] {
            let made = pack.offset_delta(offset, &replaces(first));
            content[..4].copy_from_slice(&first);
            ids.push(id(Kind::Blob, &content));
            if !is_leaf {
                offset = made;
            }
        }
    }
    (pack, ids)
}

#[test]
fn a_caterpillar_of_deltas_holds_two_bases_at_once() {
    // Whoever keeps all bases on the way down holds a thousand.
    let (pack, ids) = caterpillar(1000);
    assert_eq!(resolved(pack, 1, 2 * SIZE as u64).unwrap(), ids);
}

#[test]
fn more_memory_than_allowed_is_refused() {
    let (pack, _) = caterpillar(3);
    assert!(matches!(resolved(pack, 1, SIZE as u64 - 1), Err(ResolveError::DeltaMemory)));
}

#[test]
fn any_number_of_threads_finds_the_same() {
    for threads in [1, 2, 5] {
        let mut pack = Pack::new();
        let mut expected = Vec::new();
        for number in 0..200_u32 {
            let mut content = vec![b'x'; SIZE];
            content[..4].copy_from_slice(&number.to_be_bytes());
            let base = id(Kind::Blob, &content);
            // One delta before its base, by id, and one after, by offset.
            pack.id_delta(base, &replaces([1, 1, 1, 1]));
            let offset = pack.entry(3, SIZE as u64, &[], &content);
            pack.offset_delta(offset, &replaces([2, 2, 2, 2]));
            let made = |first: u8| {
                let mut content = content.clone();
                content[..4].fill(first);
                id(Kind::Blob, &content)
            };
            expected.extend([made(1), base, made(2)]);
        }
        assert_eq!(resolved(pack, threads, 1 << 20).unwrap(), expected, "{threads} threads");
    }
}
