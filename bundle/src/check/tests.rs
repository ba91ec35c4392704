//! Objects that git refuses and some that it takes, with `git fsck --strict` as the referee.

use std::collections::BTreeMap;

use gix::objs::Write as _;
use kit::{Env, Random};

use super::*;

#[derive(Default)]
struct Seen {
    links: Vec<(ObjectId, Kind)>,
    special: Vec<Special>,
    commits: Vec<(usize, i64)>,
}

impl Links for Seen {
    fn link(&mut self, id: ObjectId, kind: Kind) {
        self.links.push((id, kind));
    }
    fn special(&mut self, _id: ObjectId, special: Special) {
        self.special.push(special);
    }
    fn commit(&mut self, parents: &[ObjectId], seconds: i64) {
        self.commits.push((parents.len(), seconds));
    }
}

fn verdict(kind: Kind, bytes: &[u8]) -> Result<(), Reason> {
    object(kind, bytes, HashKind::Sha1, &mut Seen::default())
}

/// What git says of each of some objects: nothing, or its complaints.
fn git_says(objects: &[(Kind, Vec<u8>)]) -> Vec<Option<String>> {
    let env = Env::new();
    let repo = env.init("fsck");
    env.commit(&repo, "file", "content\n", "one");
    let loose = gix::odb::loose::Store::at(repo.join(".git/objects"), HashKind::Sha1);
    loose.write_buf(Kind::Tree, b"").unwrap();
    loose.write_buf(Kind::Commit, &commit_with("A <a@x> 1 +0000")).unwrap();
    let ids: Vec<_> = objects.iter().map(|(kind, bytes)| loose.write_buf(*kind, bytes).unwrap()).collect();
    let run = env.try_git(&repo, ["fsck", "--strict", "--no-dangling", "--no-progress"]);
    let mut complaints = BTreeMap::<String, String>::new();
    for line in run.stderr.lines().chain(run.stdout.lines()) {
        for id in &ids {
            // What is missing is for the check of connectivity to see.
            let is_link = line.starts_with("broken link")
                || line.starts_with("missing")
                || line.contains("              to")
                || line.ends_with("broken links");
            if line.contains(&id.to_string()) && !line.starts_with("warning") && !is_link {
                complaints.entry(id.to_string()).or_default().push_str(line);
            }
        }
    }
    ids.iter().map(|id| complaints.get(&id.to_string()).cloned()).collect()
}

fn blob() -> ObjectId {
    gix::objs::compute_hash(HashKind::Sha1, Kind::Blob, b"content\n").unwrap()
}

fn tree_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        let is_tree = mode.ends_with("40000");
        bytes.extend_from_slice(
            if is_tree { ObjectId::empty_tree(HashKind::Sha1) } else { blob() }.as_slice(),
        );
    }
    bytes
}

#[test]
fn names_in_trees_are_judged_as_git_judges_them() {
    use Reason::{DuplicateEntries, EmptyName, FullPathname, HasDot, HasDotdot, HasDotgit, LargePathname};
    let long = vec![b'x'; 4097];
    let cases: &[(&[u8], Option<Reason>)] = &[
        (b"a", None),
        (b"...", None),
        (b".gitfoo", None),
        (b"git", None),
        (b"git~2", None),
        (b".git ~1", None),
        (b"a\\b", None),
        ("\u{e4}".as_bytes(), None),
        (b"\xff\xfe", None),
        (b".", Some(HasDot)),
        (b"..", Some(HasDotdot)),
        (b"", Some(EmptyName)),
        (b"a/b", Some(FullPathname)),
        (b"/", Some(FullPathname)),
        (b".git", Some(HasDotgit)),
        (b".GIT", Some(HasDotgit)),
        (b".gIt", Some(HasDotgit)),
        (b".git ", Some(HasDotgit)),
        (b".git...", Some(HasDotgit)),
        (b".git. .", Some(HasDotgit)),
        (b".git::$INDEX_ALLOCATION", Some(HasDotgit)),
        (b".git:x", Some(HasDotgit)),
        (b"git~1", Some(HasDotgit)),
        (b"GIT~1", Some(HasDotgit)),
        (b"git~1 .", Some(HasDotgit)),
        (b".git\\config", Some(HasDotgit)),
        (b"a\\.git", Some(HasDotgit)),
        (b"a\\git~1\\b", Some(HasDotgit)),
        (".g\u{200c}it".as_bytes(), Some(HasDotgit)),
        ("\u{feff}.git".as_bytes(), Some(HasDotgit)),
        (".git\u{206f}".as_bytes(), Some(HasDotgit)),
        ("\u{202e}.GI\u{200d}T".as_bytes(), Some(HasDotgit)),
        (b".git\xff", Some(HasDotgit)),
        (".g\u{2060}it".as_bytes(), None),
        (&long, Some(LargePathname)),
    ];
    let mut objects: Vec<_> =
        cases.iter().map(|(name, _)| (Kind::Tree, tree_of(&[("100644", name)]))).collect();
    let mut expected: Vec<_> = cases.iter().map(|(_, reason)| *reason).collect();
    type Entries<'a> = &'a [(&'a str, &'a [u8])];
    let orders: &[(Entries<'_>, Option<Reason>)] = &[
        (&[("100644", b"a"), ("100644", b"b")], None),
        (&[("100644", b"a-"), ("40000", b"a"), ("100644", b"a0")], None),
        (&[("100644", b"b"), ("100644", b"a")], Some(Reason::TreeNotSorted)),
        (&[("40000", b"a"), ("100644", b"a-")], Some(Reason::TreeNotSorted)),
        (&[("100644", b"a"), ("100644", b"a")], Some(DuplicateEntries)),
        (&[("100644", b"a"), ("40000", b"a")], Some(DuplicateEntries)),
        (&[("100644", b"a"), ("100644", b"a-b"), ("100644", b"a."), ("40000", b"a")], Some(DuplicateEntries)),
        (&[("0100644", b"a")], Some(Reason::ZeroPaddedMode)),
        (&[("100664", b"a")], None),
        (&[("100644", b".gitmodules")], None),
        (&[("120000", b".gitmodules")], Some(Reason::GitmodulesSymlink)),
        (&[("120000", b".GITMODULES")], Some(Reason::GitmodulesSymlink)),
        (&[("120000", b"gitmod~1")], Some(Reason::GitmodulesSymlink)),
        (&[("120000", b"GI7EBA~1")], Some(Reason::GitmodulesSymlink)),
        (&[("120000", b"gi7eb~11")], Some(Reason::GitmodulesSymlink)),
        (&[("120000", ".gitmodule\u{200c}s".as_bytes())], Some(Reason::GitmodulesSymlink)),
        (&[("120000", b"x\\.gitmodules")], Some(Reason::GitmodulesSymlink)),
        (&[("120000", b".gitattributes")], None),
        (&[("120000", b"gitmod~5")], None),
    ];
    for (entries, reason) in orders {
        objects.push((Kind::Tree, tree_of(entries)));
        expected.push(*reason);
    }
    let mut null = tree_of(&[("100644", b"a")]);
    let start = null.len() - 20;
    null[start..].fill(0);
    objects.push((Kind::Tree, null));
    expected.push(Some(Reason::NullId));
    compare(&objects, &expected);
}

/// Sees that ours says `expected` of each object, and git something where ours does.
fn compare(objects: &[(Kind, Vec<u8>)], expected: &[Option<Reason>]) {
    for (((kind, bytes), expected), git) in objects.iter().zip(expected).zip(git_says(objects)) {
        let ours = verdict(*kind, bytes).err();
        let shown = bytes.as_bstr();
        assert_eq!(ours, *expected, "{kind} {shown:?}, of which git says {git:?}");
        assert_eq!(ours.is_some(), git.is_some(), "{kind} {shown:?}: ours says {ours:?}, git {git:?}");
    }
}

const TREE_ID: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

fn commit_with(author: &str) -> Vec<u8> {
    format!("tree {TREE_ID}\nauthor {author}\ncommitter C <c@x> 1 +0000\n\nmessage\n").into_bytes()
}

#[test]
fn identities_and_dates_are_judged_as_git_judges_them() {
    let cases = [
        ("A <a@x> 1 +0000", None),
        ("A <> 0 -1200", None),
        (" <a@x> 1 +0000", None),
        ("A <a@x>  \t1 +0000", None),
        ("<a@x> 1 +0000", Some(Reason::MissingNameBeforeEmail)),
        ("A> <a@x> 1 +0000", Some(Reason::BadName)),
        ("A 1 +0000", Some(Reason::MissingEmail)),
        ("A<a@x> 1 +0000", Some(Reason::MissingSpaceBeforeEmail)),
        ("A <a<x> 1 +0000", Some(Reason::BadEmail)),
        ("A <a@x", Some(Reason::BadEmail)),
        ("A <a@x>1 +0000", Some(Reason::MissingSpaceBeforeDate)),
        ("A <a@x> 01 +0000", Some(Reason::ZeroPaddedDate)),
        ("A <a@x> x +0000", Some(Reason::BadDate)),
        ("A <a@x> 1", Some(Reason::BadDate)),
        ("A <a@x> 18446744073709551615 +0000", Some(Reason::BadDateOverflow)),
        ("A <a@x> 99999999999999999999999 +0000", Some(Reason::BadDateOverflow)),
        ("A <a@x> 1 0000", Some(Reason::BadTimezone)),
        ("A <a@x> 1 +000", Some(Reason::BadTimezone)),
        ("A <a@x> 1 +00000", Some(Reason::BadTimezone)),
    ];
    let objects: Vec<_> = cases.iter().map(|(author, _)| (Kind::Commit, commit_with(author))).collect();
    compare(&objects, &cases.map(|(_, reason)| reason));
}

#[test]
fn headers_of_commits_and_tags_are_judged_as_git_judges_them() {
    let parent =
        gix::objs::compute_hash(HashKind::Sha1, Kind::Commit, &commit_with("A <a@x> 1 +0000")).unwrap();
    let people = "author A <a@x> 1 +0000\ncommitter C <c@x> 1 +0000\n";
    let commits = [
        (format!("tree {TREE_ID}\n{people}"), None),
        (format!("tree {TREE_ID}\nparent {parent}\n{people}\nx"), None),
        (format!("tree {TREE_ID}\n{people}gpgsig x\n y\n\nx"), None),
        (format!("tree {TREE_ID}\n{people}"), None),
        (format!("{people}\nx"), Some(Reason::MissingTree)),
        (format!("tree {}\n{people}\nx", &TREE_ID[1..]), Some(Reason::BadTreeId)),
        (format!("tree {TREE_ID}\nparent x\n{people}\nx"), Some(Reason::BadParentId)),
        (format!("tree {TREE_ID}\ncommitter C <c@x> 1 +0000\n\nx"), Some(Reason::MissingAuthor)),
        (format!("tree {TREE_ID}\nauthor A <a@x> 1 +0000\n{people}\nx"), Some(Reason::MultipleAuthors)),
        (format!("tree {TREE_ID}\nauthor A <a@x> 1 +0000\n\nx"), Some(Reason::MissingCommitter)),
        (format!("tree {TREE_ID}\n{people}x"), Some(Reason::UnterminatedHeader)),
        (format!("tree {TREE_ID}\n{people}\0\n\nx"), Some(Reason::NulInHeader)),
        (format!("tree {TREE_ID}\n{people}\nx\0"), Some(Reason::NulInCommit)),
        (String::new(), Some(Reason::UnterminatedHeader)),
    ];
    let tagger = "tagger T <t@x> 1 +0000\n";
    let tags = [
        (format!("object {parent}\ntype commit\ntag v1\n{tagger}\nx"), None),
        (format!("object {parent}\ntype commit\ntag v1\n\nx"), None),
        (format!("object {parent}\ntype commit\ntag v1\n{tagger}gpgsig x\n y\n\nx"), None),
        (format!("type commit\ntag v1\n{tagger}\nx"), Some(Reason::MissingObject)),
        (format!("object x\ntype commit\ntag v1\n{tagger}\nx"), Some(Reason::BadObjectId)),
        (format!("object {TREE_ID}\ntag v1\n{tagger}\nx"), Some(Reason::MissingTypeEntry)),
        (format!("object {TREE_ID}\ntype thing\ntag v1\n{tagger}\nx"), Some(Reason::BadType)),
        (format!("object {parent}\ntype commit\n{tagger}\nx"), Some(Reason::MissingTagEntry)),
        (format!("object {parent}\ntype commit\ntag v1\ntagger T 1\n\nx"), Some(Reason::MissingEmail)),
    ];
    let mut objects = Vec::new();
    let mut expected = Vec::new();
    for (text, reason) in commits {
        objects.push((Kind::Commit, text.into_bytes()));
        expected.push(reason);
    }
    for (text, reason) in tags {
        objects.push((Kind::Tag, text.into_bytes()));
        expected.push(reason);
    }
    compare(&objects, &expected);
}

#[test]
fn an_unknown_mode_is_refused_although_git_takes_it_for_a_file() {
    assert_eq!(verdict(Kind::Tree, &tree_of(&[("10644", b"a")])), Err(Reason::UnknownMode));
    assert_eq!(verdict(Kind::Tree, &tree_of(&[("0", b"a")])), Err(Reason::ZeroPaddedMode));
}

#[test]
fn a_tree_cut_anywhere_inside_an_entry_is_refused() {
    let whole = tree_of(&[("100644", b"a"), ("40000", b"b")]);
    let first = tree_of(&[("100644", b"a")]).len();
    for length in 1..whole.len() {
        let outcome = verdict(Kind::Tree, &whole[..length]);
        assert_eq!(outcome, if length == first { Ok(()) } else { Err(Reason::BadTree) }, "cut at {length}");
    }
}

#[test]
fn links_say_which_kind_they_need() {
    let mut seen = Seen::default();
    let entries: &[(&str, &[u8])] = &[("100644", b".gitattributes"), ("160000", b"module"), ("40000", b"z")];
    object(Kind::Tree, &tree_of(entries), HashKind::Sha1, &mut seen).unwrap();
    let text =
        format!("tree {TREE_ID}\nparent {TREE_ID}\nauthor A <a> 1 +0000\ncommitter C <c> 77 +0100\n\nx");
    object(Kind::Commit, text.as_bytes(), HashKind::Sha1, &mut seen).unwrap();
    let text = format!("object {TREE_ID}\ntype tag\ntag v1\n\nx");
    object(Kind::Tag, text.as_bytes(), HashKind::Sha1, &mut seen).unwrap();
    let kinds: Vec<_> = seen.links.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [Kind::Blob, Kind::Tree, Kind::Tree, Kind::Commit, Kind::Tag]);
    assert_eq!((seen.special, seen.commits), (vec![Special::Attributes], vec![(1, 77)]));
}

#[test]
fn whatever_is_wrong_with_an_object_ours_is_at_least_as_strict_as_git() {
    let cases = if kit::is_long() { 8000 } else { 400 };
    let mut random = Random::new(11);
    let tag = format!("object {TREE_ID}\ntype tree\ntag v1\ntagger T <t@x> 1 +0000\n\nx").into_bytes();
    let tree = tree_of(&[("100644", b".gitmodule"), ("100755", b"b.git"), ("40000", b"c"), ("120000", b"d")]);
    let seeds = [(Kind::Commit, commit_with("A <a@x> 1 +0000")), (Kind::Tag, tag), (Kind::Tree, tree)];
    let mut objects = Vec::new();
    for case in 0..cases {
        let (kind, mut bytes) = seeds[case % seeds.len()].clone();
        for _ in 0..=random.below(2) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = b" \n\0<>0./\\~:gG+-"[random.below(15)],
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b" \n\0<>0./\\~:gG+-"[random.below(15)]),
                _ => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            }
        }
        objects.push((kind, bytes));
    }
    let mut refused = 0;
    for ((kind, bytes), git) in objects.iter().zip(git_says(&objects)) {
        let ours = verdict(*kind, bytes);
        refused += usize::from(ours.is_err());
        if let Some(git) = git {
            assert!(ours.is_err(), "git says {git}, ours nothing, of {kind} {:?}", bytes.as_bstr());
        } else if let Err(reason) = ours {
            let is_stricter =
                matches!(reason, Reason::UnknownMode | Reason::NulInHeader | Reason::UnterminatedHeader);
            assert!(is_stricter, "git says nothing, ours {reason}, of {kind} {:?}", bytes.as_bstr());
        }
    }
    assert!(refused > cases / 10, "the mutations are too mild");
}

#[test]
fn dangerous_gitmodules_are_refused_as_git_refuses_them() {
    use Reason::{GitmodulesName, GitmodulesPath, GitmodulesUpdate, GitmodulesUrl};
    let cases: &[(&str, Option<Reason>)] = &[
        ("[submodule \"a\"]\n\tpath = a\n\turl = https://example.com/a.git\n", None),
        ("[submodule \"a\"]\n\turl = ../a.git\n\tupdate = rebase\n", None),
        ("[submodule \"a\"]\n\turl = git@example.com:a.git\n", None),
        ("[submodule \"a/..b\"]\n\turl = ./a\n", None),
        ("[submodule \"..\"]\n\turl = ./a\n", Some(GitmodulesName)),
        ("[submodule \"a/../b\"]\n\turl = ./a\n", Some(GitmodulesName)),
        ("[submodule \"a\\\\..\\\\b\"]\n\turl = ./a\n", Some(GitmodulesName)),
        ("[submodule \"\"]\n\turl = ./a\n", Some(GitmodulesName)),
        ("[submodule \"a\"]\n\turl = -u./payload\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = --upload-pack=x\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = git://x/%0ahost\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = https://x/%0ahost\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = ../../../:example.com/x\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = ../../..//example.com/x\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = https:///example.com/x\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = https::example.com/x\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\turl = ./\"%0a\"\n", Some(GitmodulesUrl)),
        ("[submodule \"a\"]\n\tpath = -x\n", Some(GitmodulesPath)),
        ("[submodule \"a\"]\n\tupdate = !touch x\n", Some(GitmodulesUpdate)),
        ("[Submodule \"a\"]\n\tUpdate = !touch x\n", Some(GitmodulesUpdate)),
        ("[submodule \"a\"]\n\tupdate = !x\n[broken\n", Some(GitmodulesUpdate)),
        ("[broken\n", None),
        ("[core]\n\teditor = !x\n", None),
    ];
    let env = Env::new();
    let repo = env.init("fsck");
    for (text, expected) in cases {
        assert_eq!(special::modules(text.as_bytes()).err(), *expected, "{text}");
        env.commit(&repo, ".gitmodules", text, "one");
        let run = env.try_git(&repo, ["fsck", "--strict", "--no-dangling", "--no-progress", "HEAD^{tree}"]);
        let id = env.git(&repo, ["rev-parse", "HEAD:.gitmodules"]);
        let complains = run.stderr.lines().any(|line| line.starts_with("error") && line.contains(&id));
        assert_eq!(complains, expected.is_some(), "{text}: git says {}", run.stderr);
    }
}

#[test]
fn gitattributes_with_endless_lines_are_refused() {
    let line = |length| [vec![b'a'; length], b"\n".to_vec()].concat();
    assert_eq!(special::attributes(&line(2047)), Ok(()));
    assert_eq!(special::attributes(&line(2048)), Err(Reason::GitattributesLineLength));
    assert_eq!(special::attributes(&vec![b'\n'; (100 << 20) + 1]), Err(Reason::GitattributesLarge));
}
