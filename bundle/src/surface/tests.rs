//! Every rule has a change that meets it and one that nearly does; what is not looked at is said.

mod bundles;

use std::path::PathBuf;

use kit::Env;

use super::rules::{Rule, is_meant, rules_of_path};
use super::*;
use crate::referee;

const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;

type State = Option<(u32, &'static str)>;

/// A change of one file: its rule, whether it meets it, path, what was there, what is there.
struct Vector(&'static str, bool, &'static str, State, State);

fn text(content: &'static str) -> State {
    Some((FILE, content))
}

fn vectors() -> Vec<Vector> {
    let (some, other) = (text("one\n"), text("two\n"));
    vec![
        Vector("git_hooks", true, "web/.husky/pre-push", None, some),
        Vector("git_hooks", true, ".HUSKY/pre-push", some, other),
        Vector("git_hooks", true, ".hu\u{17f}ky/pre-push", None, some),
        Vector("git_hooks", true, "lefthook.yml", some, None),
        Vector("git_hooks", true, "tools/hooks/pre-commit", None, some),
        Vector("git_hooks", false, "husky/pre-push", None, some),
        Vector("git_hooks", false, "src/hooks/pre-commit.rs", None, some),
        Vector("git_attributes", true, ".gitattributes", None, text("*.bin filter=lfs diff=lfs\n")),
        Vector("git_attributes", true, "sub/.GITATTRIBUTES", text("* text=auto\n"), text("* merge=ours\n")),
        Vector("git_attributes", true, ".gitattributes", text("* -filter\n"), None),
        Vector(
            "git_attributes",
            true,
            ".gitattributes",
            text("[attr]x filter=y\n"),
            text("[attr]x filter=y\n*.c x\n"),
        ),
        Vector("git_attributes", false, ".gitattributes", None, text("* text=auto eol=lf\n")),
        Vector("git_attributes", false, ".gitattributes", text("a diff\n"), text("a diff\n* text=auto\n")),
        Vector("git_attributes", false, "gitattributes", None, text("*.bin filter=lfs\n")),
        Vector("git_modules", true, ".gitmodules", None, some),
        Vector("git_modules", true, ".gitmodules", some, None),
        Vector("git_modules", false, "docs/gitmodules.md", None, some),
        Vector("submodules", true, "deps/lib", None, Some((SUBMODULE, ""))),
        Vector("submodules", false, "deps/lib", None, some),
        Vector("git_config", true, ".gitconfig", None, some),
        Vector("git_config", false, ".gitignore", None, some),
        Vector("bare_repository", true, "tests/fixture/HEAD", None, some),
        Vector("bare_repository", false, "tests/fixture/HEAD.txt", None, some),
        Vector("symlinks", true, "link", None, Some((LINK, "/etc/passwd"))),
        Vector("symlinks", true, "a/b/link", None, Some((LINK, "../../../x"))),
        Vector("symlinks", true, "a/b/link", Some((LINK, "x")), Some((LINK, "up/../../x"))),
        Vector("symlinks", true, "a/link", some, Some((LINK, "../.GIT/hooks"))),
        Vector("symlinks", false, "a/b/link", None, Some((LINK, "../../x/y"))),
        Vector("symlinks", false, "link", None, text("/etc/passwd")),
        Vector("symlinks", false, "link", None, Some((LINK, ".github/x"))),
        Vector("executables", true, "run", None, Some((PROGRAM, "one\n"))),
        Vector("executables", true, "run", some, Some((PROGRAM, "one\n"))),
        Vector("executables", true, "run", Some((PROGRAM, "one\n")), some),
        Vector("executables", false, "run", Some((PROGRAM, "one\n")), Some((PROGRAM, "two\n"))),
        Vector("executables", false, "run", Some((PROGRAM, "one\n")), None),
        Vector("ci", true, ".github/workflows/ci.yml", None, some),
        Vector("ci", true, ".gitlab-ci.yml", some, None),
        Vector("ci", false, "docs/.github/workflows/ci.yml", None, some),
        Vector("ci", false, ".github/workflows.md", None, some),
        Vector("build", true, "crates/x/build.rs", some, other),
        Vector("build", true, "package.json", some, other),
        Vector("build", true, "Dockerfile.release", None, some),
        Vector("build", false, "src/rebuild.rs", None, some),
        Vector("build", false, "package.json.md", None, some),
        Vector("lock_files", true, "Cargo.lock", some, other),
        Vector("lock_files", false, "src/lock.rs", some, other),
        Vector("agents", true, "docs/AGENTS.md", None, some),
        Vector("agents", true, ".claude/settings.json", some, None),
        Vector("agents", true, ".vscode/mcp.json", None, some),
        Vector("agents", false, "docs/agents/one.md", None, some),
        Vector("environment", true, "sub/.envrc", None, some),
        Vector("environment", false, "src/envrc.rs", None, some),
        Vector("editor", true, ".vscode/tasks.json", some, other),
        Vector("editor", true, ".nvim.lua", None, some),
        Vector("editor", false, "vscode/tasks.json", some, other),
        Vector("hidden_characters", true, "a.rs", some, text("one\n// \u{202e} } \u{2066}if\n")),
        Vector("hidden_characters", true, "a.rs", None, text("let a\u{200b}b = 1;\n")),
        Vector("hidden_characters", true, "a\u{202e}sr.exe", None, some),
        Vector("hidden_characters", true, "a.md", None, text("\u{1f600}\u{e0101}\u{e0102}\n")),
        Vector("hidden_characters", true, "a.rs", text("x\u{200b}\n"), text("x\u{200b}\nx\u{200b}\n")),
        Vector("hidden_characters", true, "a", None, text("\0 text \u{202e}\n")),
        Vector("hidden_characters", true, "a.sh", None, text("rm -rf /\rls    \n")),
        Vector("hidden_characters", true, "link", None, Some((LINK, "a\u{202e}b"))),
        Vector("hidden_characters", false, "a.rs", text("x\u{200b}\n"), text("new\nx\u{200b}\n")),
        Vector("hidden_characters", false, "a.rs", text("x\u{200b}\n"), text("")),
        Vector(
            "hidden_characters",
            false,
            "a.md",
            None,
            text("\u{feff}# \u{2764}\u{fe0f} \u{1f468}\u{200d}\u{1f4bb}\r\n\tb\n"),
        ),
        Vector(
            "hidden_characters",
            false,
            "\u{e4}.md",
            None,
            text("\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{6cc}\u{200c}\u{62e}\n"),
        ),
    ]
}

fn side(state: State) -> Option<FileSide<'static>> {
    state.map(|(mode, content)| FileSide { mode, content: content.as_bytes() })
}

#[test]
fn every_rule_has_a_change_that_meets_it_and_one_that_nearly_does() {
    let vectors = vectors();
    for Vector(code, is_met, path, old, new) in &vectors {
        let codes = surface_codes(path.as_bytes(), side(*old), side(*new));
        assert_eq!(codes.contains(code), *is_met, "{code}: {path:?} {old:?} {new:?}: {codes:?}");
    }
    for rule in &RULES {
        for wanted in [true, false] {
            let has = vectors.iter().any(|Vector(code, is_met, ..)| *code == rule.code && *is_met == wanted);
            assert!(has, "{} has no vector of {wanted}", rule.code);
        }
    }
    assert!(vectors.iter().all(|vector| RULES.iter().any(|rule| rule.code == vector.0)));
}

#[test]
fn every_pattern_means_its_path_and_none_that_nearly_is() {
    let of_rule = |(rule, Rule { sign, .. }): (usize, &'static Rule)| match sign {
        Sign::Path(patterns) => patterns.iter().map(|pattern| (rule, *pattern)).collect(),
        _ => Vec::new(),
    };
    for (rule, pattern) in RULES.iter().enumerate().flat_map(of_rule) {
        assert_eq!(rules::folded(pattern.as_bytes()), pattern, "patterns are in lower case");
        assert!(pattern.rsplit('/').next().unwrap().matches('*').count() == pattern.matches('*').count());
        assert!(pattern.matches('*').count() <= 1, "{pattern}");
        let path = pattern.trim_start_matches('/').replace('*', "x");
        let path = if path.ends_with('/') { format!("{path}deep/file") } else { path };
        let is_from_root = pattern.starts_with('/');
        assert!(is_meant(pattern, &path), "{pattern} {path}");
        assert!(rules_of_path(&path).contains(&rule), "{pattern} {path}");
        assert!(is_from_root || rules_of_path(&format!("sub/{path}")).contains(&rule), "{pattern}");
        assert_eq!(is_meant(pattern, &format!("sub/dir/{path}")), !is_from_root, "{pattern}");
        // A letter more before a name is another name; behind it too, unless a star or a directory takes it in.
        if !pattern.starts_with('*') {
            assert!(!is_meant(pattern, &format!("x{path}")), "{pattern}");
        }
        if !pattern.ends_with(['*', '/']) {
            assert!(!is_meant(pattern, &format!("{path}x")), "{pattern}");
            assert!(!is_meant(pattern, &format!("{path}/x")), "{pattern}");
        }
    }
}

/// A repository in which git makes trees.
struct Ground {
    env: Env,
    path: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let env = Env::new();
        let path = env.init("repo");
        Self { env, path }
    }

    /// Returns the tree that has exactly these files.
    fn tree(&self, files: &[(String, State)]) -> ObjectId {
        self.env.git(&self.path, ["read-tree", "--empty"]);
        for (path, state) in files {
            let Some((mode, content)) = state else { continue };
            let id = if *mode == SUBMODULE {
                "1234567890123456789012345678901234567890".to_owned()
            } else {
                std::fs::write(self.env.path("content"), content).unwrap();
                self.env.git(&self.path, ["hash-object", "-w", "--no-filters", "../content"])
            };
            let entry = format!("{mode:o},{id},{path}");
            self.env.git(&self.path, ["update-index", "--add", "--cacheinfo", &entry]);
        }
        referee::id(&self.env.git(&self.path, ["write-tree"]))
    }

    fn look(&self, bounds: Bounds, bases: &[ObjectId], tips: &[ObjectId]) -> Surface {
        Look::new(&referee::open(&self.path).objects, bounds).all(bases, tips)
    }
}

#[test]
fn trees_are_looked_at_as_single_files_are() {
    let ground = Ground::new();
    for (number, Vector(code, is_met, path, old, new)) in vectors().into_iter().enumerate() {
        let others = [("other".to_owned(), text("same\n"))];
        let [old, new] = [old, new].map(|state| {
            let file = [(path.to_owned(), state)];
            ground.tree(&file.into_iter().chain(others.clone()).collect::<Vec<_>>())
        });
        let surface = ground.look(Bounds::default(), &[old], &[new]);
        let found = surface.findings.iter().find(|finding| finding.code == code);
        assert_eq!(found.is_some(), is_met, "{number} {code} {path}");
        assert!(found.is_none_or(|finding| finding.paths == [path] && finding.count == 1), "{path}");
        assert!(surface.is_checked, "{path}");
    }
}

#[test]
fn without_a_base_all_of_the_tip_counts_and_with_several_what_differs_from_any() {
    let ground = Ground::new();
    let files =
        |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), text("x\n"))).collect::<Vec<_>>();
    let one = ground.tree(&files(&["Makefile"]));
    let two = ground.tree(&files(&["Makefile", ".envrc"]));
    let three = ground.tree(&files(&["Makefile", "Cargo.lock"]));
    let codes = |bases: &[ObjectId], tips: &[ObjectId]| {
        let surface = ground.look(Bounds::default(), bases, tips);
        surface.findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&[], &[two]), ["build", "environment"]);
    assert_eq!(codes(&[one], &[two]), ["environment"]);
    assert_eq!(codes(&[one], &[two, three]), ["lock_files", "environment"]);
    assert_eq!(codes(&[one, two], &[three]), ["lock_files", "environment"]);
    assert_eq!(codes(&[two], &[two]), [""; 0]);
}

#[test]
fn what_is_not_looked_at_is_said() {
    let ground = Ground::new();
    let files: Vec<_> =
        (0..20).map(|number| (format!("dir{number}/Makefile"), text("some text\n"))).collect();
    let tip = ground.tree(&files);
    let look = |bounds| ground.look(bounds, &[], &[tip]);
    let all = look(Bounds::default());
    assert!(all.is_checked);
    assert_eq!((all.findings[0].count, all.findings[0].paths.len()), (20, SURFACE_LISTED_PATHS_MAX));
    for bounds in [
        Bounds { room: Room { paths: 19, ..Bounds::default().room }, ..Bounds::default() },
        Bounds { room: Room { trees: 20, ..Bounds::default().room }, ..Bounds::default() },
        Bounds { room: Room { path_bytes: 300, ..Bounds::default().room }, ..Bounds::default() },
        Bounds { bytes: 9, ..Bounds::default() },
        Bounds { blob_bytes: 9, ..Bounds::default() },
    ] {
        assert!(!look(bounds).is_checked, "{bounds:?}");
    }
    // Names and modes need no bytes.
    assert_eq!(look(Bounds { bytes: 0, ..Bounds::default() }).findings, all.findings);
    let missing = ObjectId::from_hex(b"1234567890123456789012345678901234567890").unwrap();
    assert!(!ground.look(Bounds::default(), &[missing], &[tip]).is_checked);
}
