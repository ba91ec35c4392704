//! Resolves the objects of a scanned pack: every one is inflated once, hashed and shown to a [`Visitor`].
//!
//! A base is held only while its deltas are made, the largest subtree of deltas last and without it, so that even
//! hostile shapes hold few objects at once; what bases may hold together is bounded as well.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};
use gix::ObjectId;
use gix::hash::{Kind as HashKind, oid};
use gix::objs::Kind;

use crate::check::CheckError;
use crate::delta_apply;
use crate::limits::{Budget, DELTA_BASE_BYTES_MAX, SPARE_BUFFERS_MAX, SPARE_BYTES_MAX};
use crate::scan::{Entry, Scan, Source};

/// Why the objects of a pack could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// An entry that does not make an object.
    #[error("the entry at offset {pack_offset} of the pack is damaged: {reason}")]
    Corrupt {
        /// The offset in the pack.
        pack_offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The chain of deltas at an entry is too long.
    #[error("the bundle is over budget: {depth} {}, allowed are {limit}", Budget::DeltaDepth.noun())]
    DeltaDepth {
        /// How long it is at least.
        depth: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The bases of deltas need more memory than [`DELTA_BASE_BYTES_MAX`].
    #[error("the deltas of the pack need more than {DELTA_BASE_BYTES_MAX} bytes of memory at once")]
    DeltaMemory,
    /// Deltas against objects that are neither in the pack nor here.
    #[error("the pack has deltas against {} that is not here", .0)]
    MissingBase(ObjectId),
    /// An object is malformed.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// An object with the same id and other bytes is here: a collision of the hash, or damage.
    #[error("the bundle brings {0} with other bytes than the object of that id that is here")]
    Collision(ObjectId),
    /// The repository could not be read.
    #[error("could not read an object of this repository")]
    Repository(#[source] gix::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What is done with each object, on one of several threads.
pub(crate) trait Visitor: Send {
    /// Is shown each object of the pack once.
    fn object(&mut self, kind: Kind, id: &oid, bytes: &[u8]) -> Result<(), ResolveError>;
    /// Finds a base that is not in the pack; puts it into `out`.
    fn base(&mut self, id: &oid, out: &mut Vec<u8>) -> Result<Option<Kind>, ResolveError>;
}

/// The outcome of [`resolve`].
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The id of each entry, in the order of the pack; null where its base is missing.
    pub ids: Vec<ObjectId>,
    /// Bases from outside the pack, in the order of their ids, and not in the pack as well.
    pub outer_bases: Vec<ObjectId>,
    /// Bases that are nowhere.
    pub missing_bases: Vec<ObjectId>,
}

/// What one call works with.
pub(crate) struct Task<'a> {
    /// The pack, as it was scanned.
    pub pack: &'a gix_pack::data::File,
    /// The outcome of the scan.
    pub scan: &'a Scan,
    /// The hash that names objects.
    pub hash: HashKind,
    /// Longest chain of deltas.
    pub delta_depth: u64,
    /// Most bytes that bases of deltas may hold at once.
    pub base_bytes_max: u64,
    /// Turns true when the caller wants to stop.
    pub interrupt: &'a AtomicBool,
    /// Counts the objects that are done.
    pub done: &'a AtomicUsize,
}

/// Resolves all objects, on one thread per visitor; returns the ids and the visitors.
pub(crate) fn resolve<V: Visitor>(
    task: &Task<'_>,
    visitors: Vec<V>,
) -> Result<(Resolved, Vec<V>), ResolveError> {
    let forest = Forest::new(task.scan);
    let mut waiting = BTreeMap::<ObjectId, Vec<u32>>::new();
    for (index, entry) in task.scan.entries.iter().enumerate() {
        if let Source::Id(base) = entry.source {
            waiting.entry(task.scan.base_ids[base as usize]).or_default().push(to_u32(index));
        }
    }
    let shared =
        Shared { task, forest, waiting: Mutex::new(waiting), live_limit: live_limit(task, visitors.len()) };
    let roots = task.scan.entries.iter().enumerate();
    let roots = roots.filter(|(_, entry)| matches!(entry.source, Source::Whole(_)));
    let roots: Vec<_> = roots.map(|(index, _)| Root::Entry(to_u32(index))).collect();
    let mut found = Vec::with_capacity(task.scan.entries.len());
    let mut outer_bases = Vec::new();
    let visitors = run(&shared, &roots, visitors, &mut found, &mut outer_bases)?;

    let outside: Vec<_> = lock(&shared.waiting).keys().copied().map(Root::Base).collect();
    let visitors = run(&shared, &outside, visitors, &mut found, &mut outer_bases)?;

    let missing_bases: Vec<_> = lock(&shared.waiting).keys().copied().collect();
    let mut ids = vec![task.hash.null(); task.scan.entries.len()];
    for (index, id) in found {
        ids[index as usize] = id;
    }
    if !outer_bases.is_empty() {
        let inside: gix::hashtable::HashSet<ObjectId> = ids.iter().copied().collect();
        outer_bases.retain(|id| !inside.contains(id));
        outer_bases.sort_unstable();
    }
    Ok((Resolved { ids, outer_bases, missing_bases }, visitors))
}

fn live_limit(task: &Task<'_>, threads: usize) -> u64 {
    task.base_bytes_max / u64::try_from(threads.max(1)).unwrap_or(1)
}

fn to_u32(index: usize) -> u32 {
    u32::try_from(index).expect("a pack has at most 2^32 - 1 entries")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
enum Root {
    Entry(u32),
    Base(ObjectId),
}

/// The deltas below each entry, known from offsets alone.
struct Forest {
    /// Where the children of entry `i` are in `children`: from `starts[i]` to `starts[i + 1]`.
    starts: Vec<u32>,
    /// Largest subtree first.
    children: Vec<u32>,
    /// Entries in the subtree of each entry, itself included.
    sizes: Vec<u32>,
}

impl Forest {
    fn new(scan: &Scan) -> Self {
        let count = scan.entries.len();
        let mut starts = vec![0_u32; count + 1];
        let mut sizes = vec![1_u32; count];
        for (index, entry) in scan.entries.iter().enumerate().rev() {
            if let Source::Entry(base) = entry.source {
                starts[base as usize + 1] += 1;
                sizes[base as usize] += sizes[index];
            }
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut children = vec![0; starts[count] as usize];
        for (index, entry) in scan.entries.iter().enumerate() {
            if let Source::Entry(base) = entry.source {
                children[next[base as usize] as usize] = to_u32(index);
                next[base as usize] += 1;
            }
        }
        for index in 0..count {
            let (from, to) = (starts[index] as usize, starts[index + 1] as usize);
            children[from..to].sort_by_key(|&child| std::cmp::Reverse(sizes[child as usize]));
        }
        Self { starts, children, sizes }
    }

    fn children(&self, index: u32) -> &[u32] {
        let index = index as usize;
        &self.children[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

struct Shared<'a> {
    task: &'a Task<'a>,
    forest: Forest,
    /// Deltas whose base is named by an id that was not seen yet.
    waiting: Mutex<BTreeMap<ObjectId, Vec<u32>>>,
    live_limit: u64,
}

fn run<V: Visitor>(
    shared: &Shared<'_>,
    roots: &[Root],
    visitors: Vec<V>,
    found: &mut Vec<(u32, ObjectId)>,
    outer_bases: &mut Vec<ObjectId>,
) -> Result<Vec<V>, ResolveError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = |visitor: V| {
        let mut worker = Worker::new(shared, visitor);
        let result = worker.all(roots, &next, &failed);
        if result.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        result.map(|()| worker)
    };
    let mut finished = Vec::with_capacity(visitors.len());
    if visitors.len() == 1 {
        finished.extend(visitors.into_iter().map(work));
    } else {
        std::thread::scope(|scope| {
            let threads: Vec<_> = visitors.into_iter().map(|visitor| scope.spawn(|| work(visitor))).collect();
            finished.extend(
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            );
        });
    }
    let mut visitors = Vec::with_capacity(finished.len());
    for worker in finished {
        let worker = worker?;
        found.extend(worker.found);
        outer_bases.extend(worker.outer_bases);
        visitors.push(worker.visitor);
    }
    Ok(visitors)
}

/// A resolved object whose deltas are being made.
struct Frame {
    bytes: Vec<u8>,
    kind: Kind,
    depth: u64,
    /// Deltas that are still to make; the last is the next.
    children: Vec<u32>,
}

struct Worker<'a, V> {
    shared: &'a Shared<'a>,
    visitor: V,
    inflate: Decompress,
    delta: Vec<u8>,
    spare: Vec<Vec<u8>>,
    live_bytes: u64,
    found: Vec<(u32, ObjectId)>,
    outer_bases: Vec<ObjectId>,
}

impl<'a, V: Visitor> Worker<'a, V> {
    fn new(shared: &'a Shared<'a>, visitor: V) -> Self {
        Self {
            shared,
            visitor,
            inflate: Decompress::new(true),
            delta: Vec::new(),
            spare: Vec::new(),
            live_bytes: 0,
            found: Vec::new(),
            outer_bases: Vec::new(),
        }
    }

    fn all(&mut self, roots: &[Root], next: &AtomicUsize, failed: &AtomicBool) -> Result<(), ResolveError> {
        loop {
            let start = next.fetch_add(ROOTS_AT_ONCE, Ordering::Relaxed);
            let Some(roots) = roots.get(start..roots.len().min(start + ROOTS_AT_ONCE)) else { return Ok(()) };
            if roots.is_empty() || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            for root in roots {
                self.root(*root)?;
            }
        }
    }

    fn root(&mut self, root: Root) -> Result<(), ResolveError> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        match root {
            Root::Entry(index) => {
                let entry = &self.shared.task.scan.entries[index as usize];
                let Source::Whole(kind) = entry.source else { unreachable!("roots are whole objects") };
                self.inflate_entry(index, &mut bytes)?;
                let children = self.object(index, kind, &bytes)?;
                self.grow(Frame { bytes, kind, depth: 0, children })
            }
            Root::Base(id) => {
                let Some(kind) = self.visitor.base(&id, &mut bytes)? else { return Ok(()) };
                // Gone if it turned up in the pack meanwhile.
                let Some(mut children) = lock(&self.shared.waiting).remove(&id) else { return Ok(()) };
                self.outer_bases.push(id);
                self.sort(&mut children);
                self.grow(Frame { bytes, kind, depth: 0, children })
            }
        }
    }

    /// Makes all deltas above one object.
    fn grow(&mut self, root: Frame) -> Result<(), ResolveError> {
        let mut stack = Vec::new();
        self.push(&mut stack, root)?;
        while let Some(frame) = stack.last_mut() {
            let Some(child) = frame.children.pop() else {
                self.pop(&mut stack);
                continue;
            };
            let mut delta = std::mem::take(&mut self.delta);
            self.inflate_entry(child, &mut delta)?;
            let mut bytes = self.spare.pop().unwrap_or_default();
            delta_apply::apply(&frame.bytes, &delta, &mut bytes)
                .ok_or_else(|| self.corrupt(child, "its delta does not fit its base"))?;
            self.delta = delta;
            let (kind, depth) = (frame.kind, frame.depth + 1);
            if frame.children.is_empty() {
                self.pop(&mut stack);
            }
            let limit = self.shared.task.delta_depth;
            if depth > limit {
                return Err(ResolveError::DeltaDepth { depth, limit });
            }
            let children = self.object(child, kind, &bytes)?;
            self.push(&mut stack, Frame { bytes, kind, depth, children })?;
        }
        Ok(())
    }

    fn push(&mut self, stack: &mut Vec<Frame>, frame: Frame) -> Result<(), ResolveError> {
        if frame.children.is_empty() {
            self.recycle(frame.bytes);
            return Ok(());
        }
        self.live_bytes += frame.bytes.len() as u64;
        stack.push(frame);
        if self.live_bytes > self.shared.live_limit { Err(ResolveError::DeltaMemory) } else { Ok(()) }
    }

    fn pop(&mut self, stack: &mut Vec<Frame>) {
        if let Some(frame) = stack.pop() {
            self.live_bytes -= frame.bytes.len() as u64;
            self.recycle(frame.bytes);
        }
    }

    fn recycle(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() <= SPARE_BYTES_MAX && self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(bytes);
        }
    }

    /// Hashes one object and shows it; returns the deltas against it.
    fn object(&mut self, index: u32, kind: Kind, bytes: &[u8]) -> Result<Vec<u32>, ResolveError> {
        let task = self.shared.task;
        if task.interrupt.load(Ordering::Relaxed) {
            return Err(ResolveError::Interrupted);
        }
        let id = gix::objs::compute_hash(task.hash, kind, bytes)
            .map_err(|_| self.corrupt(index, "it is one half of a collision attack on SHA-1"))?;
        self.visitor.object(kind, &id, bytes)?;
        task.done.fetch_add(1, Ordering::Relaxed);
        self.found.push((index, id));
        let known = self.shared.forest.children(index);
        let waiting =
            if task.scan.base_ids.is_empty() { None } else { lock(&self.shared.waiting).remove(&id) };
        let mut children = known.to_vec();
        if let Some(waiting) = waiting {
            children.extend(waiting);
            self.sort(&mut children);
        }
        Ok(children)
    }

    fn sort(&self, children: &mut [u32]) {
        children.sort_by_key(|&child| std::cmp::Reverse(self.shared.forest.sizes[child as usize]));
    }

    fn inflate_entry(&mut self, index: u32, out: &mut Vec<u8>) -> Result<(), ResolveError> {
        let task = self.shared.task;
        let Entry { header_len, stream_bytes, .. } = task.scan.entries[index as usize];
        let range = task.scan.range(index as usize);
        let raw = task.pack.entry_slice(range).and_then(|raw| raw.get(usize::from(header_len)..));
        let raw = raw.ok_or_else(|| self.corrupt(index, "it lies beyond the pack"))?;
        let expected = usize::try_from(stream_bytes).map_err(|_| self.corrupt(index, "it is too large"))?;
        out.clear();
        // One byte more than needed: an empty object wants room too.
        out.reserve_exact(expected + 1);
        self.inflate.reset(true);
        let status = self.inflate.decompress_vec(raw, out, FlushDecompress::Finish);
        if matches!(status, Ok(Status::StreamEnd)) && out.len() == expected {
            Ok(())
        } else {
            Err(self.corrupt(index, "it does not inflate"))
        }
    }

    fn corrupt(&self, index: u32, reason: &'static str) -> ResolveError {
        ResolveError::Corrupt { pack_offset: self.shared.task.scan.entries[index as usize].offset, reason }
    }
}

const ROOTS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests;
