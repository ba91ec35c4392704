//! Strict checks of objects, as `git fsck --strict` and `transfer.fsckObjects` make them: pure functions on the bytes
//! of one object, which also say what it links to. Whether the links hold is not known here.

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use crate::limits::TREE_ENTRY_NAME_BYTES_MAX;

mod ident;
pub(crate) mod names;
pub(crate) mod special;

/// An object that the strict checks refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {id} is refused: {reason}")]
pub struct CheckError {
    /// The object.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with an object. The names in backticks are those of `git fsck`'s messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// `nulInHeader`
    #[error("a NUL byte in its header")]
    NulInHeader,
    /// `unterminatedHeader`
    #[error("its header does not end")]
    UnterminatedHeader,
    /// `nulInCommit`
    #[error("a NUL byte in the commit message")]
    NulInCommit,
    /// `missingTree`
    #[error("it has no tree line")]
    MissingTree,
    /// `badTreeSha1`
    #[error("its tree line is malformed")]
    BadTreeId,
    /// `badParentSha1`
    #[error("a parent line is malformed")]
    BadParentId,
    /// `missingAuthor`
    #[error("it has no author line")]
    MissingAuthor,
    /// `multipleAuthors`
    #[error("it has several author lines")]
    MultipleAuthors,
    /// `missingCommitter`
    #[error("it has no committer line")]
    MissingCommitter,
    /// `missingNameBeforeEmail`
    #[error("an identity has no name before its email")]
    MissingNameBeforeEmail,
    /// `badName`
    #[error("an identity has a bad name")]
    BadName,
    /// `missingEmail`
    #[error("an identity has no email")]
    MissingEmail,
    /// `missingSpaceBeforeEmail`
    #[error("an identity has no space before its email")]
    MissingSpaceBeforeEmail,
    /// `badEmail`
    #[error("an identity has a bad email")]
    BadEmail,
    /// `missingSpaceBeforeDate`
    #[error("an identity has no space before its date")]
    MissingSpaceBeforeDate,
    /// `zeroPaddedDate`
    #[error("a date begins with a zero")]
    ZeroPaddedDate,
    /// `badDateOverflow`
    #[error("a date does not fit 63 bits")]
    BadDateOverflow,
    /// `badDate`
    #[error("a date is malformed")]
    BadDate,
    /// `badTimezone`
    #[error("a time zone is malformed")]
    BadTimezone,
    /// `missingObject`
    #[error("it has no object line")]
    MissingObject,
    /// `badObjectSha1`
    #[error("its object line is malformed")]
    BadObjectId,
    /// `missingTypeEntry`
    #[error("it has no type line")]
    MissingTypeEntry,
    /// `badType`
    #[error("its type line names no kind of object")]
    BadType,
    /// `missingTagEntry`
    #[error("it has no tag line")]
    MissingTagEntry,
    /// `badGpgsig`
    #[error("its signature header is malformed")]
    BadSignature,
    /// `badTree`
    #[error("it cannot be parsed as a tree")]
    BadTree,
    /// `nullSha1`
    #[error("an entry points to the null id")]
    NullId,
    /// `fullPathname`
    #[error("the name of an entry contains a slash")]
    FullPathname,
    /// `emptyName`
    #[error("an entry has an empty name")]
    EmptyName,
    /// `hasDot`
    #[error("an entry is named '.'")]
    HasDot,
    /// `hasDotdot`
    #[error("an entry is named '..'")]
    HasDotdot,
    /// `hasDotgit`
    #[error("an entry is named .git, or looks like it on NTFS or HFS+")]
    HasDotgit,
    /// `zeroPaddedFilemode`
    #[error("the mode of an entry begins with a zero")]
    ZeroPaddedMode,
    /// Stricter than git, which takes every unknown mode for a file.
    #[error("the mode of an entry is none that git has")]
    UnknownMode,
    /// `duplicateEntries`
    #[error("two entries have the same name")]
    DuplicateEntries,
    /// `treeNotSorted`
    #[error("its entries are not sorted")]
    TreeNotSorted,
    /// `largePathname`
    #[error("an entry has a name of more than {TREE_ENTRY_NAME_BYTES_MAX} bytes")]
    LargePathname,
    /// `gitmodulesSymlink`
    #[error(".gitmodules is a symbolic link")]
    GitmodulesSymlink,
    /// `gitmodulesBlob`
    #[error(".gitmodules is no file")]
    GitmodulesBlob,
    /// `gitmodulesName`
    #[error(".gitmodules names a submodule that would leave its directory")]
    GitmodulesName,
    /// `gitmodulesUrl`
    #[error(".gitmodules holds a dangerous URL")]
    GitmodulesUrl,
    /// `gitmodulesPath`
    #[error(".gitmodules holds a path that looks like an option")]
    GitmodulesPath,
    /// `gitmodulesUpdate`
    #[error(".gitmodules holds a command as the way to update a submodule")]
    GitmodulesUpdate,
    /// `gitmodulesLarge`
    #[error(".gitmodules is too large to check")]
    GitmodulesLarge,
    /// `gitattributesBlob`
    #[error(".gitattributes is no file")]
    GitattributesBlob,
    /// `gitattributesLarge`
    #[error(".gitattributes is too large")]
    GitattributesLarge,
    /// `gitattributesLineLength`
    #[error(".gitattributes has lines that are too long")]
    GitattributesLineLength,
}

/// Learns what a checked object says.
pub(crate) trait Links {
    /// The object refers to `id`, which must be of `kind`.
    fn link(&mut self, id: ObjectId, kind: Kind);
    /// A tree has `id` under a name that some file system takes for a special one.
    fn special(&mut self, id: ObjectId, special: Special);
    /// A commit with its parents (already linked) and the seconds of its committer.
    fn commit(&mut self, parents: &[ObjectId], seconds: i64);
}

/// A file whose content is checked too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Special {
    /// `.gitmodules`
    Modules,
    /// `.gitattributes`
    Attributes,
}

/// Checks one object of the given kind. A blob is always fine by itself.
pub(crate) fn object(kind: Kind, bytes: &[u8], hash: HashKind, links: &mut dyn Links) -> Result<(), Reason> {
    match kind {
        Kind::Blob => Ok(()),
        Kind::Tree => tree(bytes, hash, links),
        Kind::Commit => commit(bytes, hash, links),
        Kind::Tag => tag(bytes, hash, links),
    }
}

/// One entry of a tree, not yet checked.
pub(crate) struct TreeEntry<'a> {
    /// The mode as it stands there.
    pub mode: u32,
    /// Whether the mode is written with a zero in front.
    pub is_zero_padded: bool,
    /// The name, never empty, without NUL.
    pub name: &'a [u8],
    /// The object.
    pub id: ObjectId,
}

impl TreeEntry<'_> {
    /// Returns the kind of the object, or `None` for a commit of a submodule.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.mode & MODE_TYPE {
            MODE_DIRECTORY => Some(Kind::Tree),
            MODE_GITLINK => None,
            _ => Some(Kind::Blob),
        }
    }
}

const MODE_TYPE: u32 = 0o170_000;
const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_LINK: u32 = 0o120_000;
const MODE_GITLINK: u32 = 0o160_000;

/// Splits the first entry from a tree.
pub(crate) fn next_tree_entry<'a>(rest: &mut &'a [u8], hash: HashKind) -> Result<TreeEntry<'a>, Reason> {
    let space = rest.find_byte(b' ').ok_or(Reason::BadTree)?;
    let digits = &rest[..space];
    if digits.is_empty()
        || digits.len() > MODE_DIGITS_MAX
        || !digits.iter().all(|digit| matches!(digit, b'0'..=b'7'))
    {
        return Err(Reason::BadTree);
    }
    let mode = digits.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0'));
    let tail = &rest[space + 1..];
    let nul = tail.find_byte(0).ok_or(Reason::BadTree)?;
    let (name, tail) = (&tail[..nul], &tail[nul + 1..]);
    let (id, tail) = tail.split_at_checked(hash.len_in_bytes()).ok_or(Reason::BadTree)?;
    *rest = tail;
    Ok(TreeEntry { mode, is_zero_padded: digits[0] == b'0', name, id: ObjectId::from_bytes_or_panic(id) })
}

const MODE_DIGITS_MAX: usize = 7;

fn tree(bytes: &[u8], hash: HashKind, links: &mut dyn Links) -> Result<(), Reason> {
    let mut rest = bytes;
    let mut order = Order::default();
    while !rest.is_empty() {
        let entry = next_tree_entry(&mut rest, hash)?;
        tree_entry(&entry)?;
        order.next(entry.name, entry.mode & MODE_TYPE == MODE_DIRECTORY)?;
        let special = names::special(entry.name);
        if special == Some(Special::Modules) && entry.mode & MODE_TYPE == MODE_LINK {
            return Err(Reason::GitmodulesSymlink);
        }
        // A backslash separates paths on Windows: what follows it is a name there.
        for (at, _) in entry.name.iter().enumerate().filter(|(_, byte)| **byte == b'\\') {
            let name = &entry.name[at + 1..];
            if names::is_dotgit_on_ntfs(name) {
                return Err(Reason::HasDotgit);
            }
            if entry.mode & MODE_TYPE == MODE_LINK && names::special(name) == Some(Special::Modules) {
                return Err(Reason::GitmodulesSymlink);
            }
        }
        if let Some(kind) = entry.kind() {
            links.link(entry.id, kind);
        }
        if let Some(special) = special
            && entry.mode & MODE_TYPE != MODE_LINK
        {
            match (entry.kind(), special) {
                (Some(Kind::Blob), _) => links.special(entry.id, special),
                (_, Special::Modules) => return Err(Reason::GitmodulesBlob),
                (_, Special::Attributes) => return Err(Reason::GitattributesBlob),
            }
        }
    }
    Ok(())
}

fn tree_entry(entry: &TreeEntry<'_>) -> Result<(), Reason> {
    let name = entry.name;
    match name {
        b"" => return Err(Reason::EmptyName),
        b"." => return Err(Reason::HasDot),
        b".." => return Err(Reason::HasDotdot),
        _ => {}
    }
    if name.contains(&b'/') {
        return Err(Reason::FullPathname);
    }
    if name.len() > TREE_ENTRY_NAME_BYTES_MAX {
        return Err(Reason::LargePathname);
    }
    if names::is_dotgit(name) {
        return Err(Reason::HasDotgit);
    }
    if entry.is_zero_padded {
        return Err(Reason::ZeroPaddedMode);
    }
    if !matches!(entry.mode & MODE_TYPE, MODE_DIRECTORY | MODE_FILE | MODE_LINK | MODE_GITLINK) {
        return Err(Reason::UnknownMode);
    }
    if entry.id.is_null() { Err(Reason::NullId) } else { Ok(()) }
}

/// Holds what is needed to see that the entries of a tree are sorted, and none twice: a file `a` and a directory `a`
/// may have others between them.
#[derive(Default)]
struct Order<'a> {
    last: Option<(&'a [u8], bool)>,
    /// Files whose names begin the current one, the longest last.
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Order<'a> {
    fn next(&mut self, name: &'a [u8], is_directory: bool) -> Result<(), Reason> {
        if let Some((last, was_directory)) = self.last {
            if last == name {
                return Err(Reason::DuplicateEntries);
            }
            let key = |name: &'a [u8], slash: bool| name.iter().copied().chain(slash.then_some(b'/'));
            if key(last, was_directory).cmp(key(name, is_directory)).is_ge() {
                return Err(Reason::TreeNotSorted);
            }
        }
        while self.prefixes.pop_if(|prefix| !name.starts_with(prefix)).is_some() {}
        if is_directory && self.prefixes.last().is_some_and(|prefix| *prefix == name) {
            return Err(Reason::DuplicateEntries);
        }
        if !is_directory {
            self.prefixes.push(name);
        }
        self.last = Some((name, is_directory));
        Ok(())
    }
}

fn commit(bytes: &[u8], hash: HashKind, links: &mut dyn Links) -> Result<(), Reason> {
    check_header(bytes)?;
    let rest = bytes.strip_prefix(b"tree ").ok_or(Reason::MissingTree)?;
    let (tree, mut rest) = id_line(rest, hash).ok_or(Reason::BadTreeId)?;
    links.link(tree, Kind::Tree);
    let mut parents = Vec::new();
    while let Some(line) = rest.strip_prefix(b"parent ") {
        let (parent, tail) = id_line(line, hash).ok_or(Reason::BadParentId)?;
        links.link(parent, Kind::Commit);
        parents.push(parent);
        rest = tail;
    }
    let mut authors = 0;
    while let Some(line) = rest.strip_prefix(b"author ") {
        rest = ident::check(line)?.1;
        authors += 1;
    }
    match authors {
        0 => return Err(Reason::MissingAuthor),
        1 => {}
        _ => return Err(Reason::MultipleAuthors),
    }
    let line = rest.strip_prefix(b"committer ").ok_or(Reason::MissingCommitter)?;
    let (seconds, _) = ident::check(line)?;
    if bytes.contains(&0) {
        return Err(Reason::NulInCommit);
    }
    links.commit(&parents, seconds);
    Ok(())
}

fn tag(bytes: &[u8], hash: HashKind, links: &mut dyn Links) -> Result<(), Reason> {
    check_header(bytes)?;
    let rest = bytes.strip_prefix(b"object ").ok_or(Reason::MissingObject)?;
    let (target, rest) = id_line(rest, hash).ok_or(Reason::BadObjectId)?;
    let (kind, rest) = line(rest.strip_prefix(b"type ").ok_or(Reason::MissingTypeEntry)?);
    let kind = Kind::from_bytes(kind).map_err(|_| Reason::BadType)?;
    links.link(target, kind);
    let (_, rest) = line(rest.strip_prefix(b"tag ").ok_or(Reason::MissingTagEntry)?);
    // Early tags have no tagger; git lets them pass.
    let Some(tagger) = rest.strip_prefix(b"tagger ") else { return Ok(()) };
    let (_, mut rest) = ident::check(tagger)?;
    for name in [b"gpgsig ".as_slice(), b"gpgsig-sha256 "] {
        if let Some(signature) = rest.strip_prefix(name) {
            rest = line(signature).1;
            while rest.starts_with(b" ") {
                if !rest.contains(&b'\n') {
                    return Err(Reason::BadSignature);
                }
                rest = line(rest).1;
            }
        }
    }
    Ok(())
}

/// Sees that the header ends: in an empty line, or at least in the end of a line.
fn check_header(bytes: &[u8]) -> Result<(), Reason> {
    let end = bytes.find(b"\n\n").unwrap_or(bytes.len());
    if bytes[..end].contains(&0) {
        return Err(Reason::NulInHeader);
    }
    if end < bytes.len() || bytes.ends_with(b"\n") { Ok(()) } else { Err(Reason::UnterminatedHeader) }
}

/// Splits `<id>\n` from the front.
fn id_line(bytes: &[u8], hash: HashKind) -> Option<(ObjectId, &[u8])> {
    let (hex, rest) = bytes.split_at_checked(hash.len_in_hex())?;
    Some((ObjectId::from_hex(hex).ok()?, rest.strip_prefix(b"\n")?))
}

/// Splits a line from the front, without its end.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_once_str(b"\n").unwrap_or((bytes, b""))
}

#[cfg(test)]
mod tests;
