//! Streams a loose object from its file: what is too large for memory goes through a buffer, and its id is computed
//! on the way.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use gix::{ObjectId, objs::Kind};

use crate::limits;

/// A loose object that is being read.
pub(crate) struct Loose {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    content: BufReader<flate2::bufread::ZlibDecoder<BufReader<File>>>,
    hasher: gix::hash::Hasher,
    left: u64,
}

impl Loose {
    /// Opens the file of `id` in the first of `folders` that has it, and reads what it says of itself.
    pub(crate) fn open(folders: &[PathBuf], id: &gix::oid) -> Option<Self> {
        let file = folders.iter().find_map(|folder| File::open(path_of(folder, id)).ok())?;
        let mut content = BufReader::new(flate2::bufread::ZlibDecoder::new(BufReader::new(file)));
        let mut header = Vec::new();
        content.by_ref().take(limits::LOOSE_HEADER_BYTES_MAX).read_until(0, &mut header).ok()?;
        let (kind, size, length) = gix::objs::decode::loose_header(&header).ok()?;
        let mut hasher = gix::hash::hasher(id.kind());
        hasher.update(&header);
        (length == header.len()).then_some(Self { kind, size, content, hasher, left: size })
    }

    /// Reads the next bytes into `buffer` and returns how many; 0 at the end.
    ///
    /// # Errors
    ///
    /// Where the file is damaged, or ends before it should or goes on after it should.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or(io::ErrorKind::InvalidData)?;
        if count == 0 && self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }

    /// Returns true if what was read, all of it, is the object `id`.
    pub(crate) fn is(self, id: &ObjectId) -> bool {
        self.left == 0 && self.hasher.try_finalize().is_ok_and(|read| read == *id)
    }
}

fn path_of(folder: &Path, id: &gix::oid) -> PathBuf {
    let hex = id.to_hex().to_string();
    folder.join(&hex[..2]).join(&hex[2..])
}
