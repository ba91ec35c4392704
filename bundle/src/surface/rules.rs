//! The table of the surface report: one row for each thing that a change could run or alter beyond plain source. Codes
//! are a contract. Long lists are meant: a tool that is not named here is not seen.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The stable name.
    pub code: &'static str,
    /// What it means, for people; a colon and paths follow.
    pub sentence: &'static str,
    /// What gives it away.
    pub sign: Sign,
}

/// What gives a finding away.
#[derive(Debug)]
pub(crate) enum Sign {
    /// A path that was added, altered or deleted.
    ///
    /// Patterns are in lower case. One that begins with a slash counts from the root, another at any depth; one that ends
    /// with a slash means all below that directory; a star stands for any part of a name, once, in the last component.
    Path(&'static [&'static str]),
    /// Lines of a `.gitattributes` that choose a driver, or all of one that defines macros, differ.
    Attributes,
    /// A `.gitmodules`, as any file system spells it.
    Modules,
    /// The commit of a submodule was added or differs.
    Submodule,
    /// A symbolic link, added or altered, that leads out of the tree or into `.git`.
    Symlink,
    /// The executable bit, of a new file as well.
    Executable,
    /// Added lines, or the path of an added file, hold what does not show or reorders what shows.
    Hidden,
}

/// The table, in the order of the report.
pub(crate) static RULES: [Rule; 15] = [
    Rule { code: "git_hooks", sentence: "Git hooks, or settings of a hook manager", sign: Sign::Path(HOOKS) },
    Rule {
        code: "git_attributes",
        sentence: "Git attributes that choose filters, diff or merge drivers",
        sign: Sign::Attributes,
    },
    Rule { code: "git_modules", sentence: "Where submodules come from", sign: Sign::Modules },
    Rule { code: "submodules", sentence: "Submodules at another commit", sign: Sign::Submodule },
    Rule {
        code: "git_config",
        sentence: "Settings that git can be told to read",
        sign: Sign::Path(GIT_CONFIG),
    },
    Rule {
        code: "bare_repository",
        sentence: "May be taken for a git repository within the tree, whose settings git obeys",
        sign: Sign::Path(&["head"]),
    },
    Rule {
        code: "symlinks",
        sentence: "Symbolic links that lead out of the tree or into .git",
        sign: Sign::Symlink,
    },
    Rule {
        code: "executables",
        sentence: "Files that become executable, or are so no longer",
        sign: Sign::Executable,
    },
    Rule { code: "ci", sentence: "Runs in CI", sign: Sign::Path(CI) },
    Rule {
        code: "build",
        sentence: "Decides what runs when the project is built, installed or tested",
        sign: Sign::Path(BUILD),
    },
    Rule {
        code: "lock_files",
        sentence: "Decides which dependencies are taken",
        sign: Sign::Path(LOCK_FILES),
    },
    Rule {
        code: "agents",
        sentence: "Tells coding agents what to do, or which tools to start",
        sign: Sign::Path(AGENTS),
    },
    Rule {
        code: "environment",
        sentence: "Read when a shell enters the directory, or decides which tools it finds",
        sign: Sign::Path(ENVIRONMENT),
    },
    Rule {
        code: "editor",
        sentence: "Read by editors and debuggers, which may start what it names",
        sign: Sign::Path(EDITOR),
    },
    Rule {
        code: "hidden_characters",
        sentence: "Added lines or names with characters that do not show, or that reorder what shows",
        sign: Sign::Hidden,
    },
];

#[rustfmt::skip]
const HOOKS: &[&str] = &[
    ".husky/", ".githooks/", ".git-hooks/", "githooks/", "git-hooks/", ".hooks/", ".lefthook/", ".lefthook-local/",
    ".overcommit/", ".autohook/",
    "hooks/applypatch-msg", "hooks/pre-applypatch", "hooks/post-applypatch", "hooks/pre-commit",
    "hooks/pre-merge-commit", "hooks/prepare-commit-msg", "hooks/commit-msg", "hooks/post-commit", "hooks/pre-rebase",
    "hooks/post-checkout", "hooks/post-merge", "hooks/pre-push", "hooks/pre-receive", "hooks/update",
    "hooks/proc-receive", "hooks/post-receive", "hooks/post-update", "hooks/reference-transaction",
    "hooks/push-to-checkout", "hooks/pre-auto-gc", "hooks/post-rewrite", "hooks/sendemail-validate",
    "hooks/fsmonitor-watchman", "hooks/post-index-change",
    ".pre-commit-config.yaml", ".pre-commit-config.yml", ".pre-commit-hooks.yaml", "prek.toml",
    "lefthook.*", ".lefthook.*", "lefthook-local.*", ".lefthook-local.*", ".lefthookrc",
    ".huskyrc*", "husky.config.*", ".lintstagedrc*", "lint-staged.config.*", ".commitlintrc*", "commitlint.config.*",
    "simple-git-hooks.*", ".simple-git-hooks.*", ".overcommit.yml", "captainhook.json", "grumphp.y*", ".rusty-hook.toml",
    "hk.pkl",
];

const GIT_CONFIG: &[&str] = &[".gitconfig", ".lfsconfig"];

#[rustfmt::skip]
const CI: &[&str] = &[
    "/.github/workflows/", "/.github/actions/", "action.yml", "action.yaml", "/.github/dependabot.*", "renovate.json*",
    ".renovaterc*", "/.gitlab-ci.*", "*.gitlab-ci.yml", "/.gitlab/ci/", "/.circleci/", "jenkinsfile", "jenkinsfile.*",
    "*.jenkinsfile", "azure-pipelines*", "/.azure-pipelines/", "/.azure/pipelines/", ".vsts-ci.yml", "/.buildkite/",
    "/.woodpecker/", "/.woodpecker.*", "/.drone.*", "/.forgejo/workflows/", "/.forgejo/actions/", "/.gitea/workflows/",
    "/.gitea/actions/", "/.travis.yml", "/appveyor.yml", "/.appveyor.yml", "/bitbucket-pipelines.yml", "cloudbuild.*",
    "buildspec.yml", "buildspec.yaml", "/.cirrus.*", "/.semaphore/", "/codemagic.yaml", "/.teamcity/", "/wercker.yml",
    "/.builds/", "/.build.yml", "/.ci/", "/.tekton/", "/.zuul.*", "/zuul.*", "/zuul.d/", "/.zuul.d/",
    "/.tangled/workflows/", "/.onedev-buildspec.yml", "/.harness/", "earthfile", "/netlify.toml", "/vercel.json",
    "/render.yaml", "/fly.toml", "/.mergify.yml", "/.github/mergify.yml",
];

#[rustfmt::skip]
const BUILD: &[&str] = &[
    // Whatever the language.
    "makefile", "gnumakefile", "bsdmakefile", "makefile.*", "*.mk", "*.mak", "cmakelists.txt", "*.cmake",
    "cmakepresets.json", "cmakeuserpresets.json", "meson.build", "meson.options", "meson_options.txt", "*.ninja",
    "configure", "configure.ac", "configure.in", "*.m4", "autogen.sh", "bootstrap", "bootstrap.*", "sconstruct",
    "sconscript", "wscript", "xmake.lua", "premake5.lua", "build", "build.sh", "build.cmd", "build.bat", "build.ps1",
    "install", "install.sh", "install.ps1", "install.bat", "setup.sh", "setup.ps1", "postinstall*", "preinstall*",
    "build.bazel", "workspace", "workspace.*", "module.bazel", "*.bzl", ".bazelrc", ".bazelversion", "buck", ".buckconfig",
    "justfile", ".justfile", "*.just", "taskfile.*", "dockerfile", "dockerfile.*", "*.dockerfile", "containerfile",
    "containerfile.*", "docker-compose*", "compose.yml", "compose.yaml", "compose.*.yml", "compose.*.yaml", "docker-bake.*", "*.nix", "guix.scm", "tiltfile",
    "procfile", "vagrantfile", "pkgbuild", "snapcraft.yaml", "/debian/", "*.tf", "conanfile.*", "vcpkg.json", "dagger.json",
    // Rust, C, Zig, Swift, Go.
    "build.rs", "cargo.toml", ".cargo/config", ".cargo/config.toml", "rust-toolchain", "rust-toolchain.toml", "build.zig",
    "build.zig.zon", "package.swift", "podfile", "*.podspec", "fastfile", "cartfile", "go.mod", "go.work", "magefile.go",
    "magefiles/", ".goreleaser.*",
    // JavaScript.
    "package.json", "package.json5", "package.yaml", ".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn/", ".pnpmfile.*",
    "pnpmfile.*", "pnpm-workspace.yaml", "bunfig.toml", "binding.gyp", "deno.json", "deno.jsonc", "gulpfile.*",
    "gruntfile.*", "jakefile*", "*.config.js", "*.config.cjs", "*.config.mjs", "*.config.ts", "*.config.cts",
    "*.config.mts", ".babelrc*", ".eslintrc*", ".prettierrc*", "karma.conf.*", "nx.json", "turbo.json", "lerna.json",
    "rush.json",
    // Python, Ruby, PHP, Perl, Lua.
    "setup.py", "setup.cfg", "pyproject.toml", "requirements*.txt", "constraints*.txt", "pipfile", "pip.conf", "uv.toml",
    "hatch.toml", "hatch_build.py", "noxfile.py", "tox.ini", "pytest.ini", "conftest.py", "sitecustomize.py",
    "usercustomize.py", "*.pth", "fabfile.py", "dodo.py", "environment.yml", "environment.yaml", "gemfile", "gems.rb",
    "*.gemspec", "rakefile", "*.rake", "extconf.rb", "guardfile", "capfile", "brewfile", "composer.json", "makefile.pl",
    "build.pl", "cpanfile", "*.rockspec",
    // The JVM and .NET.
    "*.gradle", "*.gradle.kts", "gradlew", "gradlew.bat", "gradle/wrapper/", "gradle.properties", "buildsrc/", "pom.xml",
    "mvnw", "mvnw.cmd", ".mvn/", "build.xml", "*.sbt", "build.sc", "build.mill", "deps.edn", "project.clj", "bb.edn",
    "*.csproj", "*.fsproj", "*.vbproj", "*.vcxproj", "*.sln", "*.slnx", "*.props", "*.targets", "nuget.config",
    "global.json", "dotnet-tools.json", "*.cake",
    // Others.
    "dune", "dune-project", "*.opam", "mix.exs", "rebar.config", "stack.yaml", "*.cabal", "cabal.project*", "setup.hs",
    "shard.yml", "pubspec.yaml",
];

#[rustfmt::skip]
const LOCK_FILES: &[&str] = &[
    "*.lock", "*.lockfile", "*.lock.json", "*.lock.hcl", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml",
    "bun.lockb", "pylock*.toml", "conda-lock.yml", "go.sum", "go.work.sum", "package.resolved", "cartfile.resolved",
    "cabal.project.freeze", "gradle/verification-metadata.xml", "npins/sources.json", "nix/sources.json",
];

#[rustfmt::skip]
const AGENTS: &[&str] = &[
    ".mcp.json", "mcp.json", "agents.md", "agents.override.md", "agent.md", "skill.md", ".agents/", ".agent/", "claude.md",
    "claude.local.md", ".claude/", ".claude.json", "gemini.md", ".gemini/", ".codex/", ".cursor/", ".cursorrules",
    ".cursorignore", ".cursorindexingignore", "opencode.json", "opencode.jsonc", ".opencode/",
    ".github/copilot-instructions.md", ".github/instructions/", ".github/prompts/", ".github/chatmodes/",
    ".github/agents/", ".github/skills/", ".copilot/", ".windsurf/", ".windsurfrules", ".clinerules", ".clinerules/",
    ".roo/", ".roorules*", ".roomodes", ".kilocode/", ".kilocodemodes", ".aider*", ".continue/", ".continuerules",
    ".continuerc.json", ".junie/", ".kiro/", "qwen.md", ".qwen/", ".trae/", ".augment/", ".augment-guidelines", ".goose/",
    ".goosehints", ".amp/", ".factory/", "crush.md", "crush.json", ".crush.json", ".crush/", ".zencoder/", ".amazonq/",
    ".openhands/", "warp.md", ".warp/", ".rules", ".serena/", ".devin/",
];

#[rustfmt::skip]
const ENVIRONMENT: &[&str] = &[
    ".envrc", ".env", ".env.*", "mise.toml", ".mise.toml", "mise.*.toml", ".mise.*.toml", ".mise/", "mise/config.toml",
    "mise/conf.d/", ".tool-versions", ".rtx.toml", ".asdfrc", ".nvmrc", ".node-version", ".python-version",
    ".ruby-version", ".java-version", ".go-version", ".sdkmanrc", "devbox.json", "devenv.yaml", "devshell.toml",
    "pixi.toml", ".flox/", "hermit.hcl", ".autoenv", ".autoenv.zsh", ".bashrc", ".bash_profile", ".profile", ".zshrc",
    ".zshenv", ".zprofile", ".inputrc",
];

#[rustfmt::skip]
const EDITOR: &[&str] = &[
    ".vscode/", "*.code-workspace", ".idea/", "*.iml", "*.ipr", ".run/", ".fleet/", ".zed/", ".vs/", ".vim/", ".nvim/",
    ".vimrc", "_vimrc", ".gvimrc", ".exrc", ".nvimrc", ".nvim.lua", ".lvimrc", ".local.vimrc", ".helix/",
    ".dir-locals.el", ".dir-locals-2.el", ".emacs", ".emacs.d/", "*.sublime-project", "*.sublime-workspace",
    ".devcontainer/", ".devcontainer.json", ".gitpod.*", ".replit", ".idx/", ".theia/", ".lapce/", ".ycm_extra_conf.py",
    ".gdbinit", ".lldbinit", ".runsettings",
];

/// The patterns of the table by what is looked up: most paths meet none of them, and learn so quickly.
struct Index {
    /// By the last component, where it has no star.
    names: HashMap<&'static str, Vec<Pattern>>,
    /// Directories, by the first component.
    directories: HashMap<&'static str, Vec<Pattern>>,
    /// With a star: how the last component begins and how it ends.
    stars: Vec<(&'static str, &'static str, Pattern)>,
}

#[derive(Clone, Copy)]
struct Pattern {
    /// The place of its rule in the table.
    rule: usize,
    text: &'static str,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index { names: HashMap::new(), directories: HashMap::new(), stars: Vec::new() };
    for (rule, Rule { sign, .. }) in RULES.iter().enumerate() {
        let Sign::Path(patterns) = sign else { continue };
        for &text in *patterns {
            let pattern = Pattern { rule, text };
            let bare = text.strip_prefix('/').unwrap_or(text);
            let name = bare.rsplit('/').next().unwrap_or(bare);
            match (bare.strip_suffix('/'), name.split_once('*')) {
                (Some(directory), _) => {
                    let first = directory.split('/').next().unwrap_or(directory);
                    index.directories.entry(first).or_default().push(pattern);
                }
                (None, Some((begin, end))) => index.stars.push((begin, end, pattern)),
                (None, None) => index.names.entry(name).or_default().push(pattern),
            }
        }
    }
    index
});

/// Returns the rules, as places in the table, with a pattern that means `path`, which is folded.
pub(crate) fn rules_of_path(path: &str) -> Vec<usize> {
    let index = &*INDEX;
    let mut components = path.rsplit('/');
    let name = components.next().unwrap_or(path);
    let named = index.names.get(name).into_iter().flatten();
    let within = components.filter_map(|component| index.directories.get(component)).flatten();
    let has_ends = |(begin, end, _): &&(&str, &str, Pattern)| name.starts_with(begin) && name.ends_with(end);
    let starred = index.stars.iter().filter(has_ends).map(|(_, _, pattern)| pattern);
    let patterns = named.chain(within).chain(starred);
    patterns.filter(|pattern| is_meant(pattern.text, path)).map(|pattern| pattern.rule).collect()
}

/// Returns whether `pattern` (see [`Sign::Path`]) means `path`, which is folded.
pub(crate) fn is_meant(pattern: &str, path: &str) -> bool {
    let (is_from_root, pattern) = match pattern.strip_prefix('/') {
        Some(pattern) => (true, pattern),
        None => (false, pattern),
    };
    if pattern.ends_with('/') {
        let begins = |at: usize| path[at..].starts_with(pattern) && path.len() > at + pattern.len();
        return begins(0) || (!is_from_root && path.match_indices('/').any(|(at, _)| begins(at + 1)));
    }
    let slashes = pattern.bytes().filter(|byte| *byte == b'/').count();
    let mut starts = path.rmatch_indices('/').map(|(at, _)| at + 1);
    // The same number of components, counted from the end.
    let tail = match starts.nth(slashes) {
        Some(start) if !is_from_root => &path[start..],
        Some(_) => return false,
        None if path.bytes().filter(|byte| *byte == b'/').count() == slashes => path,
        None => return false,
    };
    match pattern.split_once('*') {
        None => tail == pattern,
        Some((begin, end)) => {
            tail.len() >= begin.len() + end.len() && tail.starts_with(begin) && tail.ends_with(end)
        }
    }
}

/// Returns `path` as file systems that ignore case see it: in lower case, without what HFS+ leaves out.
pub(crate) fn folded(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let seen = text.chars().filter(|char| !crate::check::names::is_ignored_by_hfs(*char));
    seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
