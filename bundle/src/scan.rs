//! The first look at a pack: reads every entry header, inflates every stream into a small bounded buffer, and stops
//! at the first thing over budget. No delta is resolved and no object is kept here.

use std::io::{self, BufRead, BufReader, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use crate::limits::{Budget, Budgets};

/// Why a pack was refused before any object of it was looked at.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Something is larger than the user allows.
    #[error("the bundle is over budget: {} {}, allowed are {limit}", size, budget.noun())]
    OverBudget {
        /// Which budget.
        budget: Budget,
        /// What the pack has or declares.
        size: u64,
        /// What is allowed.
        limit: u64,
        /// The offset in the pack of the entry that went over, if it was one.
        pack_offset: Option<u64>,
    },
    /// There is no pack behind the header.
    #[error("the bundle holds no pack")]
    NotAPack,
    /// A pack version other than 2 and 3.
    #[error("the pack in the bundle has version {0}, which is not known here")]
    UnknownPackVersion(u32),
    /// The bytes end too early.
    #[error("the bundle is cut off inside its pack")]
    Truncated,
    /// There are bytes behind the end of the pack.
    #[error("there are bytes behind the end of the bundle")]
    TrailingBytes,
    /// The checksum at the end is not that of the bytes.
    #[error("the checksum of the pack is wrong: the bundle is damaged")]
    Checksum,
    /// An entry that cannot be read.
    #[error("the entry at offset {pack_offset} of the pack is damaged: {reason}")]
    Corrupt {
        /// The offset in the pack.
        pack_offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Reading failed.
    #[error("could not read the pack")]
    Io(#[source] io::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What an entry of a pack is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A whole object.
    Whole(Kind),
    /// A delta against the entry with this (smaller) index.
    Entry(u32),
    /// A delta against the object `Scan::base_ids[_]`.
    Id(u32),
}

/// One entry of a pack.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where it starts in the pack.
    pub offset: u64,
    /// Where its deflate stream starts, beyond `offset`.
    pub header_len: u8,
    /// Bytes of the inflated stream.
    pub stream_bytes: u64,
    /// Bytes of the object.
    pub object_bytes: u64,
    /// Checksum of the raw entry, for the index.
    pub crc32: u32,
    /// What it is made of.
    pub source: Source,
}

/// The outcome: where everything is, and that it is all within the budgets.
#[derive(Debug)]
pub(crate) struct Scan {
    /// All entries in the order of the pack.
    pub entries: Vec<Entry>,
    /// Bases that are named by id, in the order of their first mention.
    pub base_ids: Vec<ObjectId>,
    /// The checksum that ends the pack.
    pub checksum: ObjectId,
    /// Offset of that checksum.
    pub entries_end: u64,
    /// Sum of `object_bytes`.
    pub inflated_bytes: u64,
}

impl Scan {
    /// Returns the range of the raw bytes of entry `index` in the pack.
    pub(crate) fn range(&self, index: usize) -> std::ops::Range<u64> {
        let end = self.entries.get(index + 1).map_or(self.entries_end, |next| next.offset);
        self.entries[index].offset..end
    }
}

/// Scans the pack in `input` to the end of file, which must be the end of the pack.
///
/// `wire_bytes` is the size of the pack; `step` is called with the number of entries done and of all, and returns
/// whether to go on.
pub(crate) fn scan(
    input: impl Read,
    wire_bytes: u64,
    hash: HashKind,
    budgets: &Budgets,
    step: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Scan, ScanError> {
    let mut reader = Reader {
        inner: BufReader::with_capacity(READ_BYTES, input),
        hasher: gix::hash::hasher(hash),
        crc: Crc::new(),
        offset: 0,
    };
    let total = pack_header(&mut reader)?;
    within(Budget::Objects, total, budgets.objects, None)?;
    // A pack entry takes at least two bytes: a lying count reserves no memory.
    let reserve = total.min(wire_bytes / 2);
    let mut scanner = Scanner {
        budgets,
        total_limit: total_limit(budgets, wire_bytes),
        hash,
        scan: Scan {
            entries: Vec::with_capacity(usize::try_from(reserve).unwrap_or(0)),
            base_ids: Vec::new(),
            checksum: hash.null(),
            entries_end: 0,
            inflated_bytes: 0,
        },
        known_bases: gix::hashtable::HashMap::default(),
        depths: Vec::new(),
        inflate: Decompress::new(true),
        sink: vec![0; SINK_BYTES],
    };
    for done in 0..total {
        if done % STEP_ENTRIES == 0 && !step(done, total) {
            return Err(ScanError::Interrupted);
        }
        scanner.entry(&mut reader)?;
    }
    scanner.scan.entries_end = reader.offset;
    scanner.scan.checksum = trailer(&mut reader, hash)?;
    step(total, total);
    Ok(scanner.scan)
}

const READ_BYTES: usize = 64 * 1024;
const SINK_BYTES: usize = 32 * 1024;
const STEP_ENTRIES: u64 = 256;

fn within(budget: Budget, size: u64, limit: u64, pack_offset: Option<u64>) -> Result<(), ScanError> {
    if size > limit { Err(ScanError::OverBudget { budget, size, limit, pack_offset }) } else { Ok(()) }
}

/// Returns the budget that binds the inflated size, and how much it allows.
fn total_limit(budgets: &Budgets, wire_bytes: u64) -> (Budget, u64) {
    let by_ratio = wire_bytes.saturating_mul(budgets.ratio).saturating_add(budgets.ratio_free_bytes);
    if by_ratio < budgets.total_bytes {
        (Budget::Ratio, by_ratio)
    } else {
        (Budget::TotalBytes, budgets.total_bytes)
    }
}

fn pack_header<R: Read>(reader: &mut Reader<R>) -> Result<u64, ScanError> {
    let mut header = [0; 12];
    reader.exact(&mut header).map_err(|error| match error {
        ScanError::Truncated if reader.offset == 0 => ScanError::NotAPack,
        other => other,
    })?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if &header[..4] != b"PACK" {
        return Err(ScanError::NotAPack);
    }
    match word(4) {
        2 | 3 => Ok(u64::from(word(8))),
        other => Err(ScanError::UnknownPackVersion(other)),
    }
}

fn trailer<R: Read>(reader: &mut Reader<R>, hash: HashKind) -> Result<ObjectId, ScanError> {
    let hasher = std::mem::replace(&mut reader.hasher, gix::hash::hasher(hash));
    let actual = hasher.try_finalize().map_err(|_| ScanError::Checksum)?;
    let mut stated = [0; HASH_BYTES_MAX];
    let stated = &mut stated[..hash.len_in_bytes()];
    reader.exact(stated)?;
    if actual.as_slice() != stated {
        return Err(ScanError::Checksum);
    }
    if !reader.inner.fill_buf().map_err(ScanError::Io)?.is_empty() {
        return Err(ScanError::TrailingBytes);
    }
    Ok(actual)
}

const HASH_BYTES_MAX: usize = 32;

struct Scanner<'a> {
    budgets: &'a Budgets,
    total_limit: (Budget, u64),
    hash: HashKind,
    scan: Scan,
    known_bases: gix::hashtable::HashMap<ObjectId, u32>,
    /// Deltas below each entry, as far as the pack's own offsets tell.
    depths: Vec<u32>,
    inflate: Decompress,
    sink: Vec<u8>,
}

impl Scanner<'_> {
    fn entry<R: Read>(&mut self, reader: &mut Reader<R>) -> Result<(), ScanError> {
        let offset = reader.offset;
        reader.crc.reset();
        let (type_id, stream_bytes) = type_and_size(reader, offset)?;
        within(Budget::ObjectBytes, stream_bytes, self.budgets.object_bytes, Some(offset))?;
        let source = self.source(reader, type_id, offset)?;
        let depth = match source {
            Source::Whole(_) => 0,
            Source::Entry(base) => self.depths[base as usize] + 1,
            Source::Id(_) => 1,
        };
        within(Budget::DeltaDepth, u64::from(depth), self.budgets.delta_depth, Some(offset))?;
        let header_len =
            u8::try_from(reader.offset - offset).map_err(|_| corrupt(offset, "its header is too long"))?;

        let mut start = Vec::with_capacity(DELTA_SIZES_BYTES_MAX);
        let is_delta = !matches!(source, Source::Whole(_));
        let mut object_bytes = stream_bytes;
        if !is_delta {
            self.count(object_bytes, offset)?;
        }
        self.inflate_stream(reader, stream_bytes, offset, is_delta.then_some(&mut start))?;
        if is_delta {
            object_bytes = self.delta_size(&start, source, offset)?;
            self.count(object_bytes, offset)?;
        }
        let crc32 = reader.crc.sum();
        self.depths.push(depth);
        self.scan.entries.push(Entry { offset, header_len, stream_bytes, object_bytes, crc32, source });
        Ok(())
    }

    fn count(&mut self, object_bytes: u64, offset: u64) -> Result<(), ScanError> {
        let (budget, limit) = self.total_limit;
        self.scan.inflated_bytes += object_bytes;
        within(budget, self.scan.inflated_bytes, limit, Some(offset))
    }

    fn source<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        type_id: u8,
        offset: u64,
    ) -> Result<Source, ScanError> {
        Ok(match type_id {
            1 => Source::Whole(Kind::Commit),
            2 => Source::Whole(Kind::Tree),
            3 => Source::Whole(Kind::Blob),
            4 => Source::Whole(Kind::Tag),
            6 => {
                let distance = base_distance(reader, offset)?;
                let base = offset.checked_sub(distance).ok_or(corrupt(offset, BAD_BASE))?;
                let entries = &self.scan.entries;
                let index = entries.binary_search_by_key(&base, |entry| entry.offset);
                let index = index.map_err(|_| corrupt(offset, BAD_BASE))?;
                Source::Entry(u32::try_from(index).map_err(|_| corrupt(offset, BAD_BASE))?)
            }
            7 => {
                let mut id = [0; HASH_BYTES_MAX];
                let id = &mut id[..self.hash.len_in_bytes()];
                reader.exact(id)?;
                let id = ObjectId::from_bytes_or_panic(id);
                let next = u32::try_from(self.scan.base_ids.len()).map_err(|_| corrupt(offset, BAD_BASE))?;
                let index = *self.known_bases.entry(id).or_insert(next);
                if index == next {
                    self.scan.base_ids.push(id);
                }
                Source::Id(index)
            }
            _ => return Err(corrupt(offset, "it has an unknown type")),
        })
    }

    /// Checks the two sizes that a delta begins with, and returns that of its result.
    fn delta_size(&self, start: &[u8], source: Source, offset: u64) -> Result<u64, ScanError> {
        let sizes = crate::delta_apply::sizes(start).ok_or(corrupt(offset, "its delta has no sizes"))?;
        within(Budget::ObjectBytes, sizes.base, self.budgets.object_bytes, Some(offset))?;
        within(Budget::ObjectBytes, sizes.result, self.budgets.object_bytes, Some(offset))?;
        if let Source::Entry(base) = source
            && self.scan.entries[base as usize].object_bytes != sizes.base
        {
            return Err(corrupt(offset, "its delta was made for a base of another size"));
        }
        Ok(sizes.result)
    }

    /// Inflates one stream of exactly `expected` bytes and throws it away but for the first bytes, which go to `start`.
    fn inflate_stream<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        expected: u64,
        offset: u64,
        mut start: Option<&mut Vec<u8>>,
    ) -> Result<(), ScanError> {
        self.inflate.reset(true);
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let available = reader.inner.fill_buf().map_err(ScanError::Io)?;
            let at_end = available.is_empty();
            let status = self
                .inflate
                .decompress(available, &mut self.sink, FlushDecompress::None)
                .map_err(|_| corrupt(offset, "it does not inflate"))?;
            let taken = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(usize::MAX);
            let produced = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(usize::MAX);
            reader.take(taken);
            if let Some(start) = start.as_deref_mut() {
                let room = DELTA_SIZES_BYTES_MAX - start.len();
                start.extend_from_slice(&self.sink[..produced.min(room)]);
            }
            if self.inflate.total_out() > expected {
                return Err(corrupt(offset, "it inflates to more bytes than it declares"));
            }
            if status == Status::StreamEnd {
                break;
            }
            if at_end && produced == 0 {
                return Err(ScanError::Truncated);
            }
            if taken == 0 && produced == 0 {
                return Err(corrupt(offset, "it does not inflate"));
            }
        }
        if self.inflate.total_out() == expected {
            Ok(())
        } else {
            Err(corrupt(offset, "it inflates to fewer bytes than it declares"))
        }
    }
}

/// Two numbers of seven bits a byte, of at most 64 bits each.
const DELTA_SIZES_BYTES_MAX: usize = 20;
const BAD_BASE: &str = "the base of its delta is no entry before it";

fn corrupt(pack_offset: u64, reason: &'static str) -> ScanError {
    ScanError::Corrupt { pack_offset, reason }
}

fn type_and_size<R: Read>(reader: &mut Reader<R>, offset: u64) -> Result<(u8, u64), ScanError> {
    let first = reader.byte()?;
    let mut size = u64::from(first & 0x0f);
    let mut shift = 4;
    let mut more = first & 0x80 != 0;
    while more {
        let byte = reader.byte()?;
        let bits = u64::from(byte & 0x7f);
        if shift > 57 && (shift >= 64 || bits >> (64 - shift) != 0) {
            return Err(corrupt(offset, "its size does not fit 64 bits"));
        }
        size |= bits << shift;
        shift += 7;
        more = byte & 0x80 != 0;
    }
    Ok(((first >> 4) & 7, size))
}

fn base_distance<R: Read>(reader: &mut Reader<R>, offset: u64) -> Result<u64, ScanError> {
    let mut byte = reader.byte()?;
    let mut distance = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = reader.byte()?;
        if distance >= 1 << 56 {
            return Err(corrupt(offset, BAD_BASE));
        }
        distance = ((distance + 1) << 7) | u64::from(byte & 0x7f);
    }
    Ok(distance)
}

struct Reader<R> {
    inner: BufReader<R>,
    hasher: gix::hash::Hasher,
    crc: Crc,
    offset: u64,
}

impl<R: Read> Reader<R> {
    /// Moves past `length` bytes of the buffer: they are hashed and summed.
    fn take(&mut self, length: usize) {
        let bytes = &self.inner.buffer()[..length];
        self.hasher.update(bytes);
        self.crc.update(bytes);
        self.offset += length as u64;
        self.inner.consume(length);
    }

    fn byte(&mut self) -> Result<u8, ScanError> {
        let byte = *self.inner.fill_buf().map_err(ScanError::Io)?.first().ok_or(ScanError::Truncated)?;
        self.take(1);
        Ok(byte)
    }

    fn exact(&mut self, mut out: &mut [u8]) -> Result<(), ScanError> {
        while !out.is_empty() {
            let available = self.inner.fill_buf().map_err(ScanError::Io)?;
            if available.is_empty() {
                return Err(ScanError::Truncated);
            }
            let length = available.len().min(out.len());
            out[..length].copy_from_slice(&available[..length]);
            out = &mut out[length..];
            self.take(length);
        }
        Ok(())
    }
}
