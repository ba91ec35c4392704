//! Line by line: the diffstat of a change, and its patch as `git diff` writes it (without renames). The work is bounded
//! in bytes; files beyond that count as binary.

use std::io::{self, Write};

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::diff::blob::{Algorithm, Diff, InternedInput, sources::byte_lines};
use gix::objs::{Find, FindHeader};

use crate::limits::{DIFF_BLOB_BYTES_MAX, DIFF_TOTAL_BYTES_MAX};
use crate::tree_diff::{Change, DiffError, Side};

/// How many lines a file gained and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// The path, as its author wrote it: not trustworthy.
    pub path: BString,
    /// Lines added; nothing for a binary or very large file.
    pub added: Option<u64>,
    /// Lines deleted; nothing for a binary or very large file.
    pub deleted: Option<u64>,
}

/// Compares files, within a budget of bytes.
pub(crate) struct Lines<'a, F> {
    find: &'a F,
    bytes_left: u64,
}

enum Content {
    Text(Vec<u8>),
    Binary,
}

impl<'a, F: Find + FindHeader> Lines<'a, F> {
    /// Prepares to read files from `find`.
    pub(crate) fn new(find: &'a F) -> Self {
        Self { find, bytes_left: DIFF_TOTAL_BYTES_MAX }
    }

    /// Counts the lines of one change.
    pub(crate) fn stat(&mut self, change: &Change) -> Result<FileStat, DiffError> {
        let path = change.path.clone();
        if change.old.map(|side| side.id) == change.new.map(|side| side.id) {
            return Ok(FileStat { path, added: Some(0), deleted: Some(0) });
        }
        let (old, new) = (self.content(change.old)?, self.content(change.new)?);
        let (Content::Text(old), Content::Text(new)) = (old, new) else {
            return Ok(FileStat { path, added: None, deleted: None });
        };
        let diff = Diff::compute(Algorithm::Myers, &InternedInput::new(byte_lines(&old), byte_lines(&new)));
        let (added, deleted) = (diff.count_additions(), diff.count_removals());
        Ok(FileStat { path, added: Some(added.into()), deleted: Some(deleted.into()) })
    }

    /// Writes the patch of one change. What peers wrote stands in it as it is: clean it before a terminal sees it.
    pub(crate) fn patch(&mut self, change: &Change, out: &mut dyn Write) -> Result<(), DiffError> {
        match (change.old, change.new) {
            // Another type of file: one goes, the other comes, as git writes it.
            (Some(old), Some(new)) if (old.mode ^ new.mode) & 0o170_000 != 0 => {
                self.one(change.path.as_bstr(), Some(old), None, out)?;
                self.one(change.path.as_bstr(), None, Some(new), out)
            }
            (old, new) => self.one(change.path.as_bstr(), old, new, out),
        }
    }

    fn one(
        &mut self,
        path: &BStr,
        old: Option<Side>,
        new: Option<Side>,
        out: &mut dyn Write,
    ) -> Result<(), DiffError> {
        let names = Names::new(path);
        head(&names, old, new, out).map_err(DiffError::Write)?;
        if old.map(|side| side.id) == new.map(|side| side.id) {
            return Ok(());
        }
        let a = if old.is_some() { names.a.as_slice() } else { b"/dev/null" };
        let b = if new.is_some() { names.b.as_slice() } else { b"/dev/null" };
        let (old, new) = (self.content(old)?, self.content(new)?);
        let (Content::Text(old), Content::Text(new)) = (old, new) else {
            return lines(out, &[b"Binary files ", a, b" and ", b, b" differ\n"]).map_err(DiffError::Write);
        };
        let input = InternedInput::new(byte_lines(&old), byte_lines(&new));
        let mut diff = Diff::compute(Algorithm::Myers, &input);
        diff.postprocess_lines(&input);
        if diff.count_additions() + diff.count_removals() > 0 {
            lines(out, &[b"--- ", a, tab(path), b"\n+++ ", b, tab(path), b"\n"]).map_err(DiffError::Write)?;
        }
        hunks(&diff, &input, out).map_err(DiffError::Write)
    }

    fn content(&mut self, side: Option<Side>) -> Result<Content, DiffError> {
        let Some(side) = side else { return Ok(Content::Text(Vec::new())) };
        if side.is_submodule() {
            return Ok(Content::Text(format!("Subproject commit {}\n", side.id).into_bytes()));
        }
        let missing = || DiffError::Missing(side.id);
        let header = self.find.try_header(&side.id).map_err(DiffError::Read)?.ok_or_else(missing)?;
        if header.size > DIFF_BLOB_BYTES_MAX || header.size > self.bytes_left {
            return Ok(Content::Binary);
        }
        self.bytes_left -= header.size;
        let mut bytes = Vec::new();
        self.find.try_find(&side.id, &mut bytes).map_err(DiffError::Read)?.ok_or_else(missing)?;
        let is_binary = bytes.iter().take(SNIFFED_BYTES).any(|byte| *byte == 0);
        Ok(if is_binary { Content::Binary } else { Content::Text(bytes) })
    }
}

/// git looks for a NUL in as many bytes.
const SNIFFED_BYTES: usize = 8000;
const CONTEXT_LINES: u32 = 3;

struct Names {
    a: Vec<u8>,
    b: Vec<u8>,
}

impl Names {
    fn new(path: &BStr) -> Self {
        Self { a: quoted(b"a/", path), b: quoted(b"b/", path) }
    }
}

/// git ends a name that has a space with a tab, so that `patch` finds its end.
fn tab(path: &BStr) -> &'static [u8] {
    if path.contains(&b' ') { b"\t" } else { b"" }
}

/// Quotes a path as git does, if it must be.
fn quoted(prefix: &[u8], path: &BStr) -> Vec<u8> {
    let is_plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
    if path.iter().all(is_plain) {
        return [prefix, path].concat();
    }
    let mut out = vec![b'"'];
    out.extend_from_slice(prefix);
    for byte in path.iter() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0b => out.extend_from_slice(b"\\v"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x20..=0x7e => out.push(*byte),
            other => out.extend_from_slice(format!("\\{other:03o}").as_bytes()),
        }
    }
    out.push(b'"');
    out
}

fn lines(out: &mut dyn Write, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| out.write_all(part))
}

fn head(names: &Names, old: Option<Side>, new: Option<Side>, out: &mut dyn Write) -> io::Result<()> {
    lines(out, &[b"diff --git ", &names.a, b" ", &names.b, b"\n"])?;
    let null = |other: Option<Side>| other.map(|side| ObjectId::null(side.id.kind()));
    let old_id = old.map(|side| side.id).or(null(new));
    let new_id = new.map(|side| side.id).or(null(old));
    let same_mode = match (old, new) {
        (None, Some(new)) => {
            writeln!(out, "new file mode {:06o}", new.mode)?;
            None
        }
        (Some(old), None) => {
            writeln!(out, "deleted file mode {:06o}", old.mode)?;
            None
        }
        (Some(old), Some(new)) if old.mode != new.mode => {
            writeln!(out, "old mode {:06o}\nnew mode {:06o}", old.mode, new.mode)?;
            None
        }
        (old, _) => old.map(|side| side.mode),
    };
    if let (Some(old_id), Some(new_id)) = (old_id, new_id)
        && old_id != new_id
    {
        write!(out, "index {old_id}..{new_id}")?;
        if let Some(mode) = same_mode {
            write!(out, " {mode:06o}")?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn hunks(diff: &Diff, input: &InternedInput<&[u8]>, out: &mut dyn Write) -> io::Result<()> {
    let (old_len, new_len) = (to_u32(input.before.len()), to_u32(input.after.len()));
    let mut pending = diff.hunks().peekable();
    while let Some(first) = pending.next() {
        let mut group = vec![first];
        while let Some(last) = group.last()
            && let Some(next) =
                pending.next_if(|next| next.before.start - last.before.end <= 2 * CONTEXT_LINES)
        {
            group.push(next);
        }
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let lead = CONTEXT_LINES.min(first.before.start);
        let tail = CONTEXT_LINES.min(old_len - last.before.end).min(new_len - last.after.end);
        let (old_start, old_end) = (first.before.start - lead, last.before.end + tail);
        let (new_start, new_end) = (first.after.start - lead, last.after.end + tail);
        writeln!(out, "@@ -{} +{} @@", range(old_start, old_end), range(new_start, new_end))?;
        let mut at = old_start;
        for hunk in &group {
            write_lines(b" ", &input.before, at..hunk.before.start, input, out)?;
            write_lines(b"-", &input.before, hunk.before.clone(), input, out)?;
            write_lines(b"+", &input.after, hunk.after.clone(), input, out)?;
            at = hunk.before.end;
        }
        write_lines(b" ", &input.before, at..old_end, input, out)?;
    }
    Ok(())
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).expect("a compared file has fewer than 2^32 lines")
}

/// A range of lines as the head of a hunk has it: counted from 1, but the line before for an empty one.
fn range(start: u32, end: u32) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

fn write_lines(
    sign: &[u8],
    tokens: &[gix::diff::blob::Token],
    range: std::ops::Range<u32>,
    input: &InternedInput<&[u8]>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for token in &tokens[range.start as usize..range.end as usize] {
        let line: &[u8] = input.interner[*token];
        lines(out, &[sign, line])?;
        if !line.ends_with(b"\n") {
            out.write_all(b"\n\\ No newline at end of file\n")?;
        }
    }
    Ok(())
}
