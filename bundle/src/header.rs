//! The header of a git bundle, versions 2 and 3, as `gitformat-bundle(5)` has it: a pure, bounded parser and
//! its writer. What follows the header (a pack) is not looked at here.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::hash::Kind;

use crate::limits::{HEADER_BYTES_MAX, HEADER_PREREQUISITES_MAX, HEADER_REFS_MAX};
use crate::range::{Prerequisite, Tip};

/// Version of the format: it decides whether capabilities, and so SHA-256, are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// No capabilities, always SHA-1.
    V2,
    /// Capabilities; `@object-format` is the one that is understood here.
    V3,
}

impl Tip {
    /// Returns the short name for people: without `refs/heads/` for a branch, the full name otherwise.
    pub fn branch(&self) -> &BStr {
        let name = self.name.as_bstr();
        name.strip_prefix(b"refs/heads/").map_or(name, ByteSlice::as_bstr)
    }
}

/// The header of a bundle.
///
/// ```
/// use bundle::Header;
/// let bytes = b"# v2 git bundle\n\
///     -1111111111111111111111111111111111111111 base\n\
///     2222222222222222222222222222222222222222 refs/heads/main\n\nPACK";
/// let (header, pack_offset) = Header::parse(bytes)?;
/// assert_eq!(header.prerequisites[0].comment, "base");
/// assert_eq!(header.refs[0].branch(), "main");
/// assert_eq!(&bytes[pack_offset..], b"PACK");
/// # Ok::<(), bundle::HeaderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version of the format.
    pub version: Version,
    /// The hash that names objects.
    pub object_format: Kind,
    /// Commits that the receiver must have, without repetition.
    pub prerequisites: Vec<Prerequisite>,
    /// References in the order of the file, at least one, without repetition of a name.
    pub refs: Vec<Tip>,
}

/// Why some bytes are not the header of a bundle that can be read here.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The signature is missing.
    #[error("this is not a git bundle")]
    NotABundle,
    /// The signature names a version other than 2 and 3.
    #[error("this git bundle has a version that is not known here")]
    UnknownVersion,
    /// The bytes end inside the header.
    #[error("the bundle ends inside its header")]
    Truncated,
    /// The header is longer than [`HEADER_BYTES_MAX`].
    #[error("the header of the bundle is longer than {HEADER_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`HEADER_REFS_MAX`] references.
    #[error("the bundle carries more than {HEADER_REFS_MAX} references")]
    TooManyRefs,
    /// More than [`HEADER_PREREQUISITES_MAX`] prerequisites.
    #[error("the bundle has more than {HEADER_PREREQUISITES_MAX} prerequisites")]
    TooManyPrerequisites,
    /// A capability that is not known; it may change the meaning of the rest.
    #[error("the bundle needs a capability that is not known here: {0}")]
    UnknownCapability(BString),
    /// `@object-format` names a hash that is not known.
    #[error("the bundle uses an object format that is not known here: {0}")]
    UnknownObjectFormat(BString),
    /// The objects of the bundle were filtered; it is not complete.
    #[error("the bundle leaves objects out (filter {0}), so it cannot be imported")]
    Filtered(BString),
    /// A line that is none of those that a header has, counted from 1.
    #[error("line {line} of the bundle's header is malformed")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
    },
    /// A reference name that git itself would refuse.
    #[error("the bundle carries a reference with an invalid name: {0:?}")]
    RefName(BString),
    /// The same reference twice.
    #[error("the bundle carries the reference {0} twice")]
    RepeatedRef(BString),
    /// The same prerequisite twice.
    #[error("the bundle names the prerequisite {0} twice")]
    RepeatedPrerequisite(ObjectId),
    /// No reference at all: nothing to import.
    #[error("the bundle carries no reference")]
    NoRefs,
    /// Reading failed.
    #[error("could not read the bundle")]
    Io(#[from] io::Error),
}

const V2: &[u8] = b"# v2 git bundle\n";
const V3: &[u8] = b"# v3 git bundle\n";

impl Header {
    /// Parses the header at the start of `bytes`; returns it and the offset of the pack behind it.
    ///
    /// `bytes` may go on after the header. If they end before it does, the error is [`HeaderError::Truncated`],
    /// or [`HeaderError::TooLong`] once there are [`HEADER_BYTES_MAX`] of them.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let bytes = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
        let version = signature(bytes)?;
        let mut parser = Parser {
            header: Header {
                version,
                object_format: Kind::Sha1,
                prerequisites: Vec::new(),
                refs: Vec::new(),
            },
            capabilities: version == Version::V3,
            line: 1,
        };
        let mut at = V2.len();
        loop {
            parser.line += 1;
            let Some(length) = bytes[at..].find_byte(b'\n') else {
                return Err(if bytes.len() == HEADER_BYTES_MAX {
                    HeaderError::TooLong
                } else {
                    HeaderError::Truncated
                });
            };
            let line = &bytes[at..at + length];
            at += length + 1;
            if line.is_empty() {
                break;
            }
            parser.line(line)?;
        }
        let header = parser.header;
        if header.refs.is_empty() { Err(HeaderError::NoRefs) } else { Ok((header, at)) }
    }

    /// Reads the header from the start of `file`, and leaves `file` at the first byte of the pack; returns that offset too.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<(Self, u64), HeaderError> {
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.by_ref().take(HEADER_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        let (header, offset) = Self::parse(&bytes)?;
        let offset = offset as u64;
        file.seek(SeekFrom::Start(offset))?;
        Ok((header, offset))
    }

    /// Writes the header with the empty line that ends it.
    ///
    /// Version 3 states `@object-format` always, as git does.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        match self.version {
            Version::V2 => out.write_all(V2)?,
            Version::V3 => {
                out.write_all(V3)?;
                writeln!(out, "@object-format={}", self.object_format)?;
            }
        }
        for Prerequisite { id, comment } in &self.prerequisites {
            write!(out, "-{id}")?;
            if !comment.is_empty() {
                out.write_all(b" ")?;
                out.write_all(comment)?;
            }
            out.write_all(b"\n")?;
        }
        for Tip { name, id } in &self.refs {
            write!(out, "{id} ")?;
            out.write_all(name)?;
            out.write_all(b"\n")?;
        }
        out.write_all(b"\n")
    }
}

fn signature(bytes: &[u8]) -> Result<Version, HeaderError> {
    if bytes.starts_with(V2) {
        Ok(Version::V2)
    } else if bytes.starts_with(V3) {
        Ok(Version::V3)
    } else if V2.starts_with(bytes) || V3.starts_with(bytes) {
        Err(if bytes.is_empty() { HeaderError::NotABundle } else { HeaderError::Truncated })
    } else if bytes.starts_with(b"# v")
        && bytes.lines().next().is_some_and(|line| line.ends_with(b" git bundle"))
    {
        Err(HeaderError::UnknownVersion)
    } else {
        Err(HeaderError::NotABundle)
    }
}

struct Parser {
    header: Header,
    capabilities: bool,
    line: usize,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<(), HeaderError> {
        if let Some(capability) = line.strip_prefix(b"@") {
            if !self.capabilities {
                return Err(HeaderError::Malformed { line: self.line });
            }
            return self.capability(capability.as_bstr());
        }
        self.capabilities = false;
        match line.strip_prefix(b"-") {
            Some(rest) => self.prerequisite(rest),
            None => self.reference(line),
        }
    }

    fn capability(&mut self, capability: &BStr) -> Result<(), HeaderError> {
        if let Some(format) = capability.strip_prefix(b"object-format=") {
            self.header.object_format = match format {
                b"sha1" => Kind::Sha1,
                b"sha256" => Kind::Sha256,
                _ => return Err(HeaderError::UnknownObjectFormat(format.into())),
            };
            Ok(())
        } else if let Some(filter) = capability.strip_prefix(b"filter=") {
            Err(HeaderError::Filtered(filter.into()))
        } else {
            Err(HeaderError::UnknownCapability(capability.into()))
        }
    }

    fn prerequisite(&mut self, rest: &[u8]) -> Result<(), HeaderError> {
        let header = &mut self.header;
        let (id, comment) =
            split_id(rest, header.object_format).ok_or(HeaderError::Malformed { line: self.line })?;
        // git writes all prerequisites before the first reference.
        if !header.refs.is_empty() {
            return Err(HeaderError::Malformed { line: self.line });
        }
        if header.prerequisites.iter().any(|known| known.id == id) {
            return Err(HeaderError::RepeatedPrerequisite(id));
        }
        if header.prerequisites.len() == HEADER_PREREQUISITES_MAX {
            return Err(HeaderError::TooManyPrerequisites);
        }
        header.prerequisites.push(Prerequisite { id, comment: comment.unwrap_or_default().into() });
        Ok(())
    }

    fn reference(&mut self, line: &[u8]) -> Result<(), HeaderError> {
        let header = &mut self.header;
        let (id, name) =
            split_id(line, header.object_format).ok_or(HeaderError::Malformed { line: self.line })?;
        let name: BString = name.ok_or(HeaderError::Malformed { line: self.line })?.into();
        if name != "HEAD"
            && (!name.starts_with(b"refs/") || gix::validate::reference::name(name.as_bstr()).is_err())
        {
            return Err(HeaderError::RefName(name));
        }
        if header.refs.iter().any(|known| known.name == name) {
            return Err(HeaderError::RepeatedRef(name));
        }
        if header.refs.len() == HEADER_REFS_MAX {
            return Err(HeaderError::TooManyRefs);
        }
        header.refs.push(Tip { name, id });
        Ok(())
    }
}

/// Splits `<id>[ <rest>]`; an id has lower-case digits and exactly the length of its hash.
fn split_id(line: &[u8], kind: Kind) -> Option<(ObjectId, Option<&[u8]>)> {
    let (hex, rest) = line.split_at_checked(kind.len_in_hex())?;
    if hex.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let id = ObjectId::from_hex(hex).ok()?;
    match rest {
        [] => Some((id, None)),
        [b' ', rest @ ..] => Some((id, Some(rest))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
