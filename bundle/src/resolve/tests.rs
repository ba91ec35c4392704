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

/// A pack of random entries, most of them sound: literals, deltas by offset and by id, some with a lie.
fn random_pack(random: &mut kit::Random) -> Pack {
    let mut pack = Pack::new();
    let mut known: Vec<(u64, Vec<u8>)> = Vec::new();
    for _ in 0..1 + random.below(12) {
        let length = random.below(40);
        let content = random.bytes(length);
        if known.is_empty() || random.chance(30) {
            let size = if random.chance(3) { random.below(50) } else { content.len() };
            let offset = pack.entry(3, size as u64, &[], &content);
            known.push((offset, content));
            continue;
        }
        let (offset, base) = known[random.below(known.len())].clone();
        let mut result = base.clone();
        result.extend_from_slice(&content);
        let mut delta = varint(base.len() as u64);
        delta.extend(varint(result.len() as u64));
        if !base.is_empty() {
            let size = u16::try_from(base.len()).unwrap().to_le_bytes();
            delta.extend_from_slice(&[0xb0, size[0], size[1]]);
        }
        if !content.is_empty() {
            delta.push(u8::try_from(content.len()).unwrap());
            delta.extend_from_slice(&content);
        }
        if random.chance(4) {
            let at = random.below(delta.len());
            delta[at] = u8::try_from(random.below(256)).unwrap();
        }
        if random.chance(50) {
            let made = pack.offset_delta(offset, &delta);
            known.push((made, result));
        } else {
            pack.id_delta(id(Kind::Blob, &base), &delta);
        }
    }
    pack
}

#[test]
fn packs_are_taken_and_refused_as_git_takes_and_refuses_them() {
    let env = kit::Env::new();
    let repo = env.init("repo");
    let (mut taken, mut refused) = (0, 0);
    for seed in crate::referee::seeds(150) {
        let bytes = random_pack(&mut kit::Random::new(seed)).finish();
        std::fs::write(repo.join("it.pack"), &bytes).unwrap();
        drop(std::fs::remove_file(repo.join("it.idx")));
        let git = env.try_git(&repo, ["index-pack", "it.pack"]);
        let ours = try_resolve(&bytes);
        // An object that comes twice is refused later, whatever git thinks of the case at hand.
        if let Ok(ids) = &ours
            && ids.iter().collect::<std::collections::BTreeSet<_>>().len() < ids.len()
        {
            continue;
        }
        assert_eq!(ours.is_ok(), git.code == Some(0), "seed {seed}: ours {ours:?}, git {}", git.stderr);
        if let Ok(ids) = ours {
            taken += 1;
            let shown = env.git(&repo, ["verify-pack", "-v", "it.idx"]);
            for id in ids {
                assert!(shown.contains(&id.to_string()), "seed {seed}: git has no {id}");
            }
        } else {
            refused += 1;
        }
    }
    assert!(taken > 20 && refused > 5, "{taken} taken, {refused} refused");
}

fn try_resolve(bytes: &[u8]) -> Result<Vec<ObjectId>, Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.pack");
    std::fs::write(&path, bytes).unwrap();
    let budgets = Budgets::default();
    let scan = crate::scan::scan(bytes, bytes.len() as u64, Sha1, &budgets, &mut |_, _| true)?;
    let (interrupt, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pack = gix_pack::data::File::at(&path, Sha1)?;
    let (pack, scan, delta_depth, base_bytes_max) = (&pack, &scan, budgets.delta_depth, 1 << 20);
    let task =
        Task { pack, scan, hash: Sha1, delta_depth, base_bytes_max, interrupt: &interrupt, done: &done };
    let (resolved, _) = resolve(&task, vec![Ids(Vec::new())])?;
    match resolved.missing_bases.first() {
        Some(id) => Err(ResolveError::MissingBase(*id).into()),
        None => Ok(resolved.ids),
    }
}
