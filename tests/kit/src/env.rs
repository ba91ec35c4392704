//! A sealed environment: one temporary folder that holds HOME, parler's own folder and git's settings, so that
//! nothing of the person or the machine that runs a test is read or written, and every commit id is the same.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// The first commit of [`Env::commit`] is made at this time, in seconds of the Unix clock.
const EPOCH_SECONDS: u64 = 1_700_000_000;
/// Longer roots leave too little of the 107 bytes that a Unix socket's path may have.
const ROOT_BYTES_MAX: usize = 48;

/// A sealed environment; its folder is removed, and its local hub ended, when it is dropped.
///
/// ```
/// let env = kit::Env::new();
/// let repo = env.init("one");
/// let commit = env.commit(&repo, "a.txt", "hello\n", "first");
/// assert_eq!(env.git(&repo, ["rev-parse", "HEAD"]), commit);
/// ```
#[derive(Debug)]
pub struct Env {
    root: tempfile::TempDir,
    programs: Vec<PathBuf>,
    variables: Vec<(String, String)>,
    ticks: AtomicU64,
}

/// What a finished process left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Env {
    /// Makes the folder, an empty HOME and the settings of git that every test has.
    #[must_use]
    pub fn new() -> Self {
        let usual = fs::canonicalize(std::env::temp_dir()).expect("the folder for temporary files exists");
        let short = usual.as_os_str().len() + 9 <= ROOT_BYTES_MAX;
        let parent = if short { usual } else { fs::canonicalize("/tmp").expect("/tmp exists") };
        let root = tempfile::Builder::new().prefix("gp").tempdir_in(parent).expect("a temporary folder");
        let path = root.path();
        for folder in ["home", "home/.config", "home/.local/share", "home/.cache", "run"] {
            fs::create_dir_all(path.join(folder)).expect("a folder in an own temporary folder");
        }
        let settings = "[user]\n\tname = Ada Example\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n\
                        [advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n\
                        [protocol \"file\"]\n\tallow = always\n";
        fs::write(path.join("home/.gitconfig"), settings).expect("an own settings file");
        Self { root, programs: Vec::new(), variables: Vec::new(), ticks: AtomicU64::new(0) }
    }

    /// Puts the folder of `program` first in PATH, so that git finds a `git-parler` in it as `git parler`.
    #[must_use]
    pub fn with_program(mut self, program: impl AsRef<Path>) -> Self {
        let folder = program.as_ref().parent().expect("a program lies in a folder");
        self.programs.push(folder.to_path_buf());
        self
    }

    /// Sets an environment variable for every process started from here.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the folder everything lies in, its path short and canonical.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns the path of `name` below [`Env::root`].
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Returns HOME.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Returns `PARLER_HOME`, which exists once a command has made it.
    #[must_use]
    pub fn parler_home(&self) -> PathBuf {
        self.path("p")
    }

    /// Returns a command that sees nothing but the sealed environment; its input is empty.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let folders = self.programs.iter().cloned().chain(search_path());
        let date = format!("{} +0000", EPOCH_SECONDS + self.ticks.load(Ordering::Relaxed));
        command
            .env_clear()
            .env("PATH", std::env::join_paths(folders).expect("folders of a PATH have no colon"))
            .env("HOME", self.home())
            .env("PARLER_HOME", self.parler_home())
            .env("TMPDIR", self.root())
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_DATA_HOME", self.path("home/.local/share"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.path("home/.gitconfig"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ada Example")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", "Ada Example")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_DATE", &date)
            .env("GIT_CEILING_DIRECTORIES", self.root())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("USER", "ada")
            .env("LOGNAME", "ada")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.root())
            .stdin(Stdio::null());
        command
    }

    /// Runs `program` in `dir` and returns what it left behind, whatever its exit code.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        dir: impl AsRef<Path>,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Run {
        let program = program.as_ref();
        let output = self.command(program).current_dir(dir).args(args).output();
        Run::from(output.unwrap_or_else(|error| panic_with(&format!("{}: {error}", program.display()))))
    }

    /// Runs git in `dir` and returns its standard output without the final newline.
    ///
    /// # Panics
    ///
    /// When git fails; the message holds what it wrote.
    pub fn git<A: AsRef<OsStr>>(&self, dir: impl AsRef<Path>, args: impl IntoIterator<Item = A>) -> String {
        let args: Vec<A> = args.into_iter().collect();
        let run = self.run(dir, "git", &args);
        if run.code != Some(0) {
            let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
            panic_with(&format!(
                "git {} gave {:?}:\n{}{}",
                words.join(" "),
                run.code,
                run.stdout,
                run.stderr
            ));
        }
        run.stdout.strip_suffix('\n').unwrap_or(&run.stdout).to_owned()
    }

    /// Runs git in `dir` and returns what it left behind, whatever its exit code.
    pub fn try_git<A: AsRef<OsStr>>(&self, dir: impl AsRef<Path>, args: impl IntoIterator<Item = A>) -> Run {
        self.run(dir, "git", args)
    }

    /// Returns whether `program` is installed, or `tests/frameworks/install` has brought it. With `TEST_TOOLS=all` set, as in
    /// continuous integration, a missing one is a failure instead, so that no test is left out unseen.
    ///
    /// # Panics
    ///
    /// When it is missing and `TEST_TOOLS` is `all`.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        let found = search_path().any(|folder| folder.join(program).is_file());
        let must = std::env::var_os("TEST_TOOLS").is_some_and(|value| value == "all");
        assert!(found || !must, "TEST_TOOLS=all, and {program} is not installed");
        found
    }

    /// Puts a git first in PATH that hears hooks from its configuration, as `tests/newer-git` loads it. `None` where that was not
    /// done; with `TEST_TOOLS=all` that is a failure, as in [`Env::has`].
    ///
    /// # Panics
    ///
    /// When it is missing and `TEST_TOOLS` is `all`.
    #[must_use]
    pub fn with_newer_git(self) -> Option<Self> {
        let git = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/newer-git/bin/git");
        let must = std::env::var_os("TEST_TOOLS").is_some_and(|value| value == "all");
        assert!(git.is_file() || !must, "TEST_TOOLS=all, and tests/newer-git was not run");
        git.is_file().then(|| self.with_program(git))
    }

    /// Makes an empty repository with the branch `main` at `name` and returns its path.
    pub fn init(&self, name: &str) -> PathBuf {
        self.git(self.root(), ["init", "--quiet", name]);
        self.path(name)
    }

    /// Writes `content` to `file` in `repo`, commits it a minute after the commit before, and returns the id.
    pub fn commit(
        &self,
        repo: impl AsRef<Path>,
        file: &str,
        content: impl AsRef<[u8]>,
        subject: &str,
    ) -> String {
        let repo = repo.as_ref();
        let path = repo.join(file);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("a folder of a repository");
        fs::write(path, content).expect("a file of a repository");
        self.git(repo, ["add", "--force", "--", file]);
        self.ticks.fetch_add(60, Ordering::Relaxed);
        self.git(repo, ["commit", "--quiet", "--message", subject]);
        self.git(repo, ["rev-parse", "HEAD"])
    }

    /// Ends the local hub of this environment at once, as a crash would; returns whether there was one.
    pub fn kill_hub(&self) -> bool {
        let Some(pid) = self.hub_pid() else { return false };
        match rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
            // A process that ended by itself in between is what was wanted.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => panic_with(&format!("the local hub cannot be ended: {error}")),
        }
        while self.owns(pid) {
            std::thread::yield_now();
        }
        true
    }

    /// Returns the process of this environment's local hub, if it lives.
    #[must_use]
    pub fn hub_pid(&self) -> Option<rustix::process::Pid> {
        let text = fs::read(self.parler_home().join("hub/local.json")).ok()?;
        let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let raw = i32::try_from(json.get("pid")?.as_i64()?).ok()?;
        let pid = rustix::process::Pid::from_raw(raw)?;
        self.owns(pid).then_some(pid)
    }

    /// A stale or forged address file may name any process; only one that was started from here is ours to end.
    fn owns(&self, pid: rustix::process::Pid) -> bool {
        self.started(pid) || self.names_root(pid, "cmdline")
    }

    fn started(&self, pid: rustix::process::Pid) -> bool {
        self.names_root(pid, "environ")
    }

    fn names_root(&self, pid: rustix::process::Pid, file: &str) -> bool {
        let root = self.root().as_os_str().as_encoded_bytes();
        let bytes = fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero())).unwrap_or_default();
        bytes.windows(root.len()).any(|window| window == root)
    }
}

impl Default for Env {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        self.kill_hub();
        // What a test started and did not wait for, because it failed before: found by its environment.
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for pid in numbers.filter_map(rustix::process::Pid::from_raw).filter(|pid| self.started(*pid)) {
            // It may have ended by itself in between, and there is nobody to tell.
            drop(rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(io::Error::from));
        }
    }
}

/// Returns the folders of PATH, and behind them that of the frameworks for hooks.
fn search_path() -> impl Iterator<Item = PathBuf> {
    let ambient = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let frameworks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/frameworks/bin");
    // A folder that is not there has no other name.
    let frameworks = fs::canonicalize(frameworks).ok();
    std::env::split_paths(&ambient).collect::<Vec<_>>().into_iter().chain(frameworks)
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[expect(clippy::panic, reason = "a broken environment is a broken test")]
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_environment_reads_no_setting_of_the_user() {
        let env = Env::new();
        let listed = env.git(env.root(), ["config", "--list", "--show-origin", "--name-only"]);
        let home = env.home();
        assert!(listed.lines().all(|line| line.contains(home.to_str().unwrap())), "{listed}");
    }

    #[test]
    fn the_same_commits_have_the_same_ids_everywhere() {
        let ids: Vec<_> = (0..2)
            .map(|_| {
                let env = Env::new();
                let repo = env.init("r");
                env.commit(&repo, "a", "1\n", "one");
                env.commit(&repo, "a", "2\n", "two")
            })
            .collect();
        assert_eq!(ids[0], "9594b115c461f606243b73bdd536451c59a6e7d3");
        assert_eq!(ids[0], ids[1]);
    }

    #[test]
    fn a_forged_address_file_ends_nobody() {
        let env = Env::new();
        let hub = env.parler_home().join("hub");
        fs::create_dir_all(&hub).unwrap();
        fs::write(hub.join("local.json"), format!("{{\"pid\":{}}}", std::os::unix::process::parent_id()))
            .unwrap();
        assert!(!env.kill_hub());
    }

    #[test]
    fn a_hub_started_from_here_ends_with_the_environment() {
        let env = Env::new();
        let mut child = env.command("sleep").arg("600").spawn().unwrap();
        let hub = env.parler_home().join("hub");
        fs::create_dir_all(&hub).unwrap();
        fs::write(hub.join("local.json"), format!("{{\"pid\":{}}}", child.id())).unwrap();
        drop(env);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn nothing_that_was_started_from_here_outlives_the_environment() {
        let env = Env::new();
        let mut child = env.command("sleep").arg("600").spawn().unwrap();
        drop(env);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn the_path_of_a_socket_below_parler_home_is_short_enough() {
        let env = Env::new();
        assert!(env.parler_home().join("hub/socket").as_os_str().len() <= 107);
    }
}
