//! Where a bundle is written to: counts, bounds and hashes all of it for the id, and the pack for its checksum.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::{limits, write::CreateError};

/// Takes the bytes of a bundle in order and hands them on in larger pieces.
pub(crate) struct Sink<'a, W> {
    out: &'a mut W,
    pending: Vec<u8>,
    written: u64,
    size_max: Option<u64>,
    id: Sha256,
    pack: Option<gix::hash::Hasher>,
    hash: gix::hash::Kind,
}

impl<'a, W: Write> Sink<'a, W> {
    /// Returns a sink that hands on to `out`, and no more than `size_max` bytes.
    pub(crate) fn new(out: &'a mut W, size_max: Option<u64>, hash: gix::hash::Kind) -> Self {
        let pending = Vec::with_capacity(limits::STREAM_BUFFER_BYTES);
        Self { out, pending, written: 0, size_max, id: Sha256::new(), pack: None, hash }
    }

    /// Returns how many bytes are written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Says that what follows is the pack.
    pub(crate) fn begin_pack(&mut self) -> Result<(), CreateError> {
        self.hand_on()?;
        self.pack = Some(gix::hash::hasher(self.hash));
        Ok(())
    }

    /// Writes `bytes`, unless the bundle would be larger than wanted.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CreateError> {
        self.written += bytes.len() as u64;
        if let Some(size_max) = self.size_max
            && self.written > size_max
        {
            return Err(CreateError::BundleTooLarge { size_max });
        }
        if self.pending.len() + bytes.len() > limits::STREAM_BUFFER_BYTES {
            self.hand_on()?;
        }
        if bytes.len() > limits::STREAM_BUFFER_BYTES {
            return self.take(bytes);
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the checksum of the pack and all that is pending; returns the SHA-256 of the bundle and its size.
    pub(crate) fn finish(mut self) -> Result<([u8; 32], u64), CreateError> {
        self.hand_on()?;
        if let Some(pack) = self.pack.take() {
            let checksum =
                pack.try_finalize().map_err(|error| CreateError::Write(io::Error::other(error)))?;
            self.write(checksum.as_slice())?;
            self.hand_on()?;
        }
        self.out.flush().map_err(CreateError::Write)?;
        Ok((self.id.finalize().into(), self.written))
    }

    fn hand_on(&mut self) -> Result<(), CreateError> {
        let mut pending = std::mem::take(&mut self.pending);
        let taken = self.take(&pending);
        pending.clear();
        self.pending = pending;
        taken
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), CreateError> {
        self.id.update(bytes);
        if let Some(pack) = &mut self.pack {
            pack.update(bytes);
        }
        self.out.write_all(bytes).map_err(CreateError::Write)
    }
}
