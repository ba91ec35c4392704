//! `git parler send`: say something in the room.

use std::io::{self, Read};
use std::path::Path;

use crate::cli::Send;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::limits::TEXT_BYTES_MAX;
use crate::network;

pub(crate) fn run(context: &Context, arguments: &Send) -> Result<(), Failure> {
    let text = match arguments.text.as_str() {
        "-" => text_of(Path::new("-"), TEXT_BYTES_MAX)?,
        text => text.to_owned(),
    };
    if text.trim().is_empty() {
        return Err(Failure::new(Code::Usage, "there is nothing to say")
            .hint("give a text, or `-` to read one from standard input"));
    }
    let sent = network::with_client(context, async |client| Ok(client.send(&text).await?))?;
    if context.ui.is_json() {
        context.ui.answer(&sent);
    } else {
        context.ui.line(format_args!("Sent as {}", sent.seq));
    }
    Ok(())
}

/// Reads a text from a file, or from standard input for `-`: at most one byte more than `bytes_max`, so that who looks at
/// its length sees that it is too long.
pub(crate) fn text_of(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    let failed =
        |error: &io::Error| Failure::new(Code::Io, format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| failed(&error))?;
    if bytes.len() > bytes_max {
        // Its end may lie within a character, which is no fault of the text.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Code::Usage, format!("{} is no text in UTF-8", path.display())))
}
