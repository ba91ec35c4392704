//! A writer that takes no more once its call is cancelled, so that whoever writes gives up.

use std::io::{self, Write};

use tokio_util::sync::CancellationToken;

/// Writes to another until the call is over.
pub(crate) struct Stoppable<'a, W> {
    out: W,
    call: &'a CancellationToken,
}

impl<'a, W: Write> Stoppable<'a, W> {
    pub(crate) fn new(out: W, call: &'a CancellationToken) -> Self {
        Self { out, call }
    }
}

impl<W: Write> Write for Stoppable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.call.is_cancelled() {
            return Err(io::Error::other("the call was cancelled"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_once_the_call_is_over() {
        let (mut bytes, call) = (Vec::new(), CancellationToken::new());
        let mut out = Stoppable::new(&mut bytes, &call);
        out.write_all(b"one").unwrap();
        call.cancel();
        assert!(out.write_all(b"two").is_err());
        assert_eq!(bytes, b"one");
    }
}
