//! Completes a resolved pack into one that stands alone, and writes its index (version 2, `gitformat-pack(5)`).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use gix::ObjectId;
use gix::hash::{Hasher, Kind as HashKind};
use gix::objs::Kind;

/// One line of an index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexEntry {
    /// The object.
    pub id: ObjectId,
    /// Checksum of the raw entry.
    pub crc32: u32,
    /// Where the entry starts in the pack.
    pub offset: u64,
}

/// A base that a thin pack lacks.
pub(crate) struct Base {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Appends `bases` to the pack in `file` as whole objects, and corrects count and checksum; returns the new checksum.
///
/// `entries_end` is where the old checksum stands and `count` the number of objects before. One index entry per base goes to `entries`.
pub(crate) fn complete(
    file: &mut File,
    hash: HashKind,
    (entries_end, count): (u64, u32),
    bases: impl Iterator<Item = io::Result<Base>>,
    entries: &mut Vec<IndexEntry>,
) -> io::Result<ObjectId> {
    let mut offset = entries_end;
    let mut added = 0_u32;
    file.set_len(entries_end)?;
    file.seek(SeekFrom::Start(entries_end))?;
    for base in bases {
        let base = base?;
        let mut raw = Vec::new();
        gix_pack::data::entry::Header::write_to(&whole(base.kind), base.bytes.len() as u64, &mut raw)?;
        let mut deflate = ZlibEncoder::new(raw, Compression::fast());
        deflate.write_all(&base.bytes)?;
        let raw = deflate.finish()?;
        file.write_all(&raw)?;
        let mut crc = Crc::new();
        crc.update(&raw);
        entries.push(IndexEntry { id: base.id, crc32: crc.sum(), offset });
        offset += raw.len() as u64;
        added += 1;
    }
    let count = count.checked_add(added).ok_or(io::ErrorKind::InvalidData)?;
    file.seek(SeekFrom::Start(8))?;
    file.write_all(&count.to_be_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = gix::hash::hasher(hash);
    let mut reader = BufReader::with_capacity(COPY_BYTES, &mut *file);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let checksum = finish(hasher)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(checksum.as_slice())?;
    Ok(checksum)
}

const COPY_BYTES: usize = 64 * 1024;

fn whole(kind: Kind) -> gix_pack::data::entry::Header {
    use gix_pack::data::entry::Header;
    match kind {
        Kind::Commit => Header::Commit,
        Kind::Tree => Header::Tree,
        Kind::Blob => Header::Blob,
        Kind::Tag => Header::Tag,
    }
}

/// Writes the index of a pack to `path`, which must not exist. `entries` are sorted by id, each id once.
pub(crate) fn write(
    path: &Path,
    hash: HashKind,
    entries: &[IndexEntry],
    checksum: &ObjectId,
) -> io::Result<File> {
    let file = crate::quarantine::object_file(path)?;
    let mut out =
        Hashed { inner: BufWriter::with_capacity(COPY_BYTES, file), hasher: gix::hash::hasher(hash) };
    out.write(&[0xff, b't', b'O', b'c', 0, 0, 0, 2])?;
    let mut fanout = [0_u32; 256];
    for entry in entries {
        fanout[usize::from(entry.id.first_byte())] += 1;
    }
    let mut sum = 0_u32;
    for count in fanout {
        sum += count;
        out.write(&sum.to_be_bytes())?;
    }
    for entry in entries {
        out.write(entry.id.as_slice())?;
    }
    for entry in entries {
        out.write(&entry.crc32.to_be_bytes())?;
    }
    let mut large = Vec::new();
    for entry in entries {
        let word = match u32::try_from(entry.offset) {
            Ok(offset) if offset < LARGE_OFFSET => offset,
            _ => {
                let index = u32::try_from(large.len()).map_err(|_| io::ErrorKind::InvalidData)?;
                large.push(entry.offset);
                LARGE_OFFSET | index
            }
        };
        out.write(&word.to_be_bytes())?;
    }
    for offset in large {
        out.write(&offset.to_be_bytes())?;
    }
    out.write(checksum.as_slice())?;
    let Hashed { mut inner, hasher } = out;
    inner.write_all(finish(hasher)?.as_slice())?;
    inner.into_inner().map_err(io::IntoInnerError::into_error)
}

/// The bit that says that an offset stands in the table of 64-bit offsets.
const LARGE_OFFSET: u32 = 1 << 31;

struct Hashed {
    inner: BufWriter<File>,
    hasher: Hasher,
}

impl Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}

fn finish(hasher: Hasher) -> io::Result<ObjectId> {
    hasher.try_finalize().map_err(io::Error::other)
}
