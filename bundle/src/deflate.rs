//! Deflates entries, always at the same level, so that the same content gives the same bytes.

use crate::limits;

/// A deflate state that is used again and again.
pub(crate) struct Deflate(flate2::Compress);

impl Deflate {
    /// Returns a state at the level of this crate.
    pub(crate) fn new() -> Self {
        Self(flate2::Compress::new(flate2::Compression::new(limits::DEFLATE_LEVEL), true))
    }

    /// Returns `bytes` as a zlib stream.
    pub(crate) fn deflate(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.reset();
        let mut stream = Vec::with_capacity(bytes.len() / 2 + 64);
        loop {
            let consumed = usize::try_from(self.0.total_in()).expect("it is within a slice");
            let status = self.0.compress_vec(&bytes[consumed..], &mut stream, flate2::FlushCompress::Finish);
            if status.expect("deflating has no bad input") == flate2::Status::StreamEnd {
                return stream;
            }
            stream.reserve(stream.capacity() / 2 + 64);
        }
    }
}
