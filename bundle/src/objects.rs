//! Reads objects for packing: a snapshot of the packs with their entries as they are, a bounded cache of delta
//! bases, and gix for what no pack of the snapshot holds. Nothing is ever fetched.

use std::{path::PathBuf, rc::Rc};

use gix::{
    ObjectId,
    objs::{FindHeader as _, Kind},
};
use gix_pack::data::entry::Header;

use crate::{cache::BaseCache, delta_apply, limits, loose::Loose};

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It is not here: a partial clone, or a damaged repository.
    #[error("object {id} is not in this repository")]
    Missing {
        /// The object that was asked for.
        id: ObjectId,
    },
    /// It is here, but what is here is not an object.
    #[error("object {id} is damaged")]
    Corrupt {
        /// The object that was asked for.
        id: ObjectId,
    },
    /// It is here, but of another kind than the place that names it says.
    #[error("object {id} is a {actual}, not a {expected}")]
    Kind {
        /// The object that was asked for.
        id: ObjectId,
        /// What it is.
        actual: Kind,
        /// What it should be.
        expected: Kind,
    },
    /// The object store itself failed.
    #[error("the object store cannot read {id}")]
    Store {
        /// The object that was asked for.
        id: ObjectId,
        /// What the store said.
        #[source]
        source: gix::Error,
    },
    /// The folder of the packs cannot be listed.
    #[error("the object store cannot be listed")]
    List(#[source] gix::Error),
}

/// An object in memory; cheap to clone.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) bytes: Rc<Vec<u8>>,
}

/// Where an entry stands in a pack of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    pub(crate) pack: u32,
    pub(crate) offset: u64,
}

/// What a pack says of an object without resolving its deltas.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EntryKind {
    Whole,
    OfsDelta(Location),
    RefDelta(ObjectId),
}

/// A pack entry as it stands on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    /// Inflated size of what the entry holds, which for a delta is the delta's.
    pub(crate) size: u64,
    /// Where its deflated stream begins.
    pub(crate) stream_offset: u64,
}

struct Pack {
    index: gix_pack::index::File,
    entries: gix_pack::data::File,
    /// Where the entries begin, in order; empty until it is worth sorting them.
    offsets: Vec<u64>,
}

impl Pack {
    /// Returns where the entry of `id` ends, if the offsets are sorted and its sum is right.
    fn end_of_entry(&self, id: &gix::oid, offset: u64) -> Option<u64> {
        let position = self.offsets.binary_search(&offset).ok()?;
        let end = self.offsets.get(position + 1).copied().unwrap_or(self.entries.pack_end() as u64);
        let size = usize::try_from(end.checked_sub(offset)?).ok()?;
        let sum = self.index.crc32_at_index(self.index.lookup(id)?)?;
        self.entries.entry_slice(offset..end)?;
        (self.entries.entry_crc32(offset, size) == sum).then_some(end)
    }
}

/// The object store of one repository, as one plan or one bundle sees it.
pub(crate) struct Objects {
    hash: gix::hash::Kind,
    store: gix::OdbHandle,
    folders: Vec<PathBuf>,
    packs: Vec<Pack>,
    recent_pack: usize,
    cache: BaseCache,
    inflate: gix::zlib::Inflate,
    scratch: Vec<u8>,
}

impl Objects {
    /// Opens the packs that the repository and its alternates hold now. Packs that appear later are found
    /// through the store, packs that vanish stay mapped.
    pub(crate) fn open(repo: &gix::Repository) -> Result<Self, ObjectError> {
        let mut store = repo.objects.clone();
        store.ignore_replacements = true;
        let mut folders = vec![store.store_ref().path().to_owned()];
        folders.extend(store.store_ref().alternate_db_paths().map_err(ObjectError::List)?);
        let hash = repo.object_hash();
        let mut packs = Vec::new();
        for folder in &folders {
            packs.extend(open_packs(&folder.join("pack"), hash));
        }
        Ok(Self {
            hash,
            store,
            folders,
            packs,
            recent_pack: 0,
            cache: BaseCache::new(limits::BASE_CACHE_BYTES_MAX),
            inflate: gix::zlib::Inflate::default(),
            scratch: Vec::new(),
        })
    }

    /// Returns the hash that names objects here.
    pub(crate) fn hash(&self) -> gix::hash::Kind {
        self.hash
    }

    /// Returns where a pack of the snapshot holds `id`.
    pub(crate) fn locate(&mut self, id: &gix::oid) -> Option<Location> {
        let count = self.packs.len();
        for step in 0..count {
            let position = (self.recent_pack + step) % count;
            let pack = &self.packs[position];
            if let Some(index) = pack.index.lookup(id) {
                self.recent_pack = position;
                return Some(Location {
                    pack: u32::try_from(position).ok()?,
                    offset: pack.index.pack_offset_at_index(index),
                });
            }
        }
        None
    }

    /// Returns the entry at `location`, or nothing where the pack is damaged there.
    pub(crate) fn entry(&self, location: Location) -> Option<Entry> {
        let entry = self.packs[location.pack as usize].entries.entry(location.offset).ok()?;
        let kind = match entry.header {
            Header::OfsDelta { base_distance } => EntryKind::OfsDelta(Location {
                pack: location.pack,
                offset: Header::verified_base_pack_offset(location.offset, base_distance)?,
            }),
            Header::RefDelta { base_id } => EntryKind::RefDelta(base_id),
            Header::Commit | Header::Tree | Header::Blob | Header::Tag => EntryKind::Whole,
        };
        Some(Entry { kind, size: entry.decompressed_size, stream_offset: entry.data_offset })
    }

    /// Returns the deflated stream of the entry at `location`, checked by inflating it or by the sum in the index;
    /// nothing where the pack is damaged there.
    pub(crate) fn stream(&mut self, id: &gix::oid, location: Location, entry: &Entry) -> Option<&[u8]> {
        let end = match self.packs[location.pack as usize].end_of_entry(id, location.offset) {
            Some(end) => end,
            None => {
                let mut inflated = std::mem::take(&mut self.scratch);
                let length = self.inflate_at(location.pack, entry, &mut inflated);
                self.scratch = inflated;
                entry.stream_offset + length?
            }
        };
        self.packs[location.pack as usize].entries.entry_slice(entry.stream_offset..end)
    }

    /// Opens the loose file of `id`, for what is too large to be read.
    pub(crate) fn loose(&self, id: &gix::oid) -> Option<Loose> {
        Loose::open(&self.folders, id)
    }

    /// Prepares to take these streams, with the sizes of their objects, out of the packs. Where they are many or one is
    /// large, it is quicker to sort all offsets of a pack than to inflate each entry to find its end.
    pub(crate) fn expect_streams(&mut self, streams: impl Iterator<Item = (Location, u64)>) {
        let mut expected = vec![(0usize, 0u64); self.packs.len()];
        for (location, size) in streams {
            let (count, largest) = &mut expected[location.pack as usize];
            (*count, *largest) = (*count + 1, size.max(*largest));
        }
        for (pack, (count, largest)) in self.packs.iter_mut().zip(expected) {
            let is_worth_it = largest > limits::DELTA_OBJECT_BYTES_MAX
                || count >= pack.index.num_objects() as usize / limits::SORTED_OFFSETS_FRACTION;
            if pack.offsets.is_empty() && is_worth_it {
                pack.offsets = pack.index.sorted_offsets();
            }
        }
    }

    /// Returns the size in bytes of `id`, which stands at `location` if it is packed, without reading all of it.
    pub(crate) fn size(&mut self, id: &gix::oid, location: Option<Location>) -> Result<u64, ObjectError> {
        if let Some(size) = location.and_then(|location| self.size_at(location)) {
            return Ok(size);
        }
        match self.store.try_header(id) {
            Ok(Some(header)) => Ok(header.size),
            Ok(None) => Err(ObjectError::Missing { id: id.to_owned() }),
            Err(source) => Err(ObjectError::Store { id: id.to_owned(), source }),
        }
    }

    fn size_at(&mut self, location: Location) -> Option<u64> {
        let entry = self.entry(location)?;
        if matches!(entry.kind, EntryKind::Whole) {
            return Some(entry.size);
        }
        let entries = &self.packs[location.pack as usize].entries;
        let end = (entry.stream_offset + 64).min(entries.pack_end() as u64);
        let head = entries.entry_slice(entry.stream_offset..end)?;
        let mut start = [0; 2 * limits::DELTA_SIZE_BYTES_MAX];
        self.inflate.reset();
        let (_, _, written) = self.inflate.once(head, &mut start).ok()?;
        delta_apply::sizes(&start[..written]).map(|sizes| sizes.result)
    }

    /// Returns the kind and the size of `id` without reading all of it; nothing if it is not here.
    pub(crate) fn header(&mut self, id: &gix::oid) -> Result<Option<gix::objs::Header>, gix::Error> {
        let packed = self.locate(id).and_then(|location| {
            let kind = self.kind_of_chain(location)?;
            Some(gix::objs::Header { kind, size: self.size_at(location)? })
        });
        match packed {
            Some(header) => Ok(Some(header)),
            None => self.store.try_header(id),
        }
    }

    /// Follows the deltas at `location` down to what they build on; nothing where that is named by its id.
    fn kind_of_chain(&self, mut location: Location) -> Option<Kind> {
        for _ in 0..=limits::STORED_CHAIN_LENGTH_MAX {
            match self.entry(location)?.kind {
                EntryKind::Whole => return self.kind_at(location),
                EntryKind::OfsDelta(base) => location = base,
                EntryKind::RefDelta(_) => return None,
            }
        }
        None
    }

    /// Reads `id`.
    pub(crate) fn read(&mut self, id: &gix::oid) -> Result<Object, ObjectError> {
        if let Some(location) = self.locate(id)
            && let Some(object) = self.read_at(location)
        {
            return Ok(object);
        }
        let mut bytes = Vec::new();
        match gix::objs::Find::try_find(&self.store, id, &mut bytes) {
            Ok(Some(found)) => Ok(Object { kind: found.kind, bytes: Rc::new(bytes) }),
            Ok(None) => Err(ObjectError::Missing { id: id.to_owned() }),
            Err(source) => Err(ObjectError::Store { id: id.to_owned(), source }),
        }
    }

    /// Reads `id`, which has to be of `kind`.
    pub(crate) fn read_kind(&mut self, id: &gix::oid, kind: Kind) -> Result<Object, ObjectError> {
        let object = self.read(id)?;
        if object.kind != kind {
            return Err(ObjectError::Kind { id: id.to_owned(), actual: object.kind, expected: kind });
        }
        Ok(object)
    }

    /// Resolves the delta chain at `location`; nothing where the pack is damaged there, so that another copy
    /// may serve.
    fn read_at(&mut self, location: Location) -> Option<Object> {
        let mut chain: Vec<(Location, Entry)> = Vec::new();
        let mut at = location;
        let mut object = loop {
            if let Some(object) = self.cache.find(at) {
                break object;
            }
            let entry = self.entry(at)?;
            match entry.kind {
                EntryKind::Whole => {
                    let mut bytes = Vec::new();
                    self.inflate_at(at.pack, &entry, &mut bytes)?;
                    let object = Object { kind: self.kind_at(at)?, bytes: Rc::new(bytes) };
                    self.cache.insert(at, object.clone());
                    break object;
                }
                EntryKind::OfsDelta(base) => {
                    chain.push((at, entry));
                    at = base;
                }
                EntryKind::RefDelta(base) => {
                    chain.push((at, entry));
                    let index = self.packs[at.pack as usize].index.lookup(base)?;
                    at.offset = self.packs[at.pack as usize].index.pack_offset_at_index(index);
                }
            }
            if chain.len() > limits::STORED_CHAIN_LENGTH_MAX {
                return None;
            }
        };
        let mut delta = std::mem::take(&mut self.scratch);
        while let Some((at, entry)) = chain.pop() {
            self.inflate_at(at.pack, &entry, &mut delta)?;
            let mut bytes = Vec::new();
            delta_apply::apply(&object.bytes, &delta, &mut bytes)?;
            object = Object { kind: object.kind, bytes: Rc::new(bytes) };
            self.cache.insert(at, object.clone());
        }
        self.scratch = delta;
        Some(object)
    }

    fn kind_at(&self, location: Location) -> Option<Kind> {
        self.packs[location.pack as usize].entries.entry(location.offset).ok()?.header.as_kind()
    }

    /// Inflates the stream of `entry` into `out` and returns its deflated length.
    fn inflate_at(&mut self, pack: u32, entry: &Entry, out: &mut Vec<u8>) -> Option<u64> {
        let entries = &self.packs[pack as usize].entries;
        let input = entries.entry_slice(entry.stream_offset..entries.pack_end() as u64)?;
        let size = usize::try_from(entry.size).ok()?;
        out.clear();
        // A damaged size may be any number; no stream inflates to more than this.
        if size / limits::DEFLATE_RATIO_MAX > input.len() {
            return None;
        }
        // One byte more than announced: a longer stream shows itself, and an empty one can end.
        out.try_reserve_exact(size + 1).ok()?;
        out.resize(size + 1, 0);
        self.inflate.reset();
        let (status, consumed, written) = self.inflate.once(input, out).ok()?;
        if status != gix::zlib::Status::StreamEnd || written != size {
            return None;
        }
        out.truncate(size);
        Some(consumed as u64)
    }
}

/// Opens what can be opened in `folder`, in the order of the names: the same store gives the same bundle.
fn open_packs(folder: &std::path::Path, hash: gix::hash::Kind) -> Vec<Pack> {
    let Ok(listing) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<PathBuf> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .collect();
    names.sort();
    let open = |path: PathBuf| {
        let index = gix_pack::index::File::at(&path, hash).ok()?;
        let entries = gix_pack::data::File::at(path.with_extension("pack"), hash).ok()?;
        Some(Pack { index, entries, offsets: Vec::new() })
    };
    names.into_iter().filter_map(open).collect()
}
