//! The repositories that everything is measured on: an ordinary packed clone, senders with fresh commits, receivers
//! that have the history up to a base and nothing else.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use kit::{Env, History, Shape};

use crate::{Options, Outcome};

/// The repositories, in a sealed environment whose local hub ends with it.
pub(crate) struct Ground {
    pub(crate) env: Env,
    pub(crate) program: PathBuf,
    /// The program that measures others.
    pub(crate) cost: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) is_smallest: bool,
    /// An ordinary clone, repacked, without a bitmap.
    pub(crate) packed: PathBuf,
    /// How many copies have been moved out of the way.
    moved: Cell<usize>,
}

/// A way to run something, and what it cost in each round.
pub(crate) type Way<'a, T> = (&'static str, Box<dyn FnMut(usize) -> Outcome<T> + 'a>);

impl Ground {
    /// Makes the clone of the repository that `options` name, or of a seeded one.
    pub(crate) fn prepare(options: &Options) -> Outcome<Self> {
        let env = Env::new();
        let source = match &options.repository {
            Some(path) => path.clone(),
            None => {
                let commits = if options.is_smallest { 40 } else { 600 };
                let shape = Shape { commits, files: 60, lines: 200, ..Shape::default() };
                History::seeded(&env, "seeded", 1, &shape).path
            }
        };
        env.git(env.root(), ["clone", "--quiet", "--no-hardlinks", text(&source), "packed"]);
        let packed = env.path("packed");
        env.git(&packed, ["repack", "-adq"]);
        Ok(Self {
            program: options.program.clone(),
            cost: crate::cost::build(&env)?,
            rounds: options.rounds,
            is_smallest: options.is_smallest,
            packed,
            moved: Cell::new(0),
            env,
        })
    }

    /// Returns those of `counts` that the history is long enough for, or only the smallest.
    pub(crate) fn counts(&self, counts: &[usize]) -> Vec<usize> {
        let is_there = |count: &&usize| {
            let base = format!("HEAD~{count}^{{commit}}");
            self.env.try_git(&self.packed, ["rev-parse", "--quiet", "--verify", base.as_str()]).code
                == Some(0)
        };
        counts
            .iter()
            .filter(is_there)
            .take(if self.is_smallest { 1 } else { counts.len() })
            .copied()
            .collect()
    }

    /// Makes a clone with `count` fresh commits on top, loose, as an agent leaves them.
    pub(crate) fn agent(&self, name: &str, count: usize) -> Outcome<PathBuf> {
        let path = self.env.path(name);
        self.env.git(self.env.root(), ["clone", "--quiet", "--no-hardlinks", "packed", name]);
        for number in 0..count {
            self.work(&path, number)?;
        }
        Ok(path)
    }

    /// Commits a small change of three files; another `number`, another change.
    pub(crate) fn work(&self, repository: &Path, number: usize) -> Outcome<()> {
        let listed = self.env.git(repository, ["ls-files", "--eol"]);
        let files: Vec<_> = listed
            .lines()
            .filter(|line| line.starts_with("i/lf"))
            .filter_map(|line| Some(repository.join(line.split_once('\t')?.1)))
            .filter(|path| fs::symlink_metadata(path).is_ok_and(|is| is.is_file()))
            .collect();
        for change in 0..3 {
            let path = files.get((number * 7 + change * 31) % files.len().max(1)).ok_or("no file of text")?;
            let mut lines: Vec<String> = fs::read_to_string(path)?.lines().map(str::to_owned).collect();
            let at = (number * 13) % lines.len().max(1);
            lines.insert(
                at,
                format!("    let fresh_{number} = attempt({change}, \"line of work {number}\");"),
            );
            fs::write(path, lines.join("\n") + "\n")?;
        }
        let subject = format!("work: take step {number}");
        self.env.git(repository, ["commit", "--quiet", "--all", "--message", subject.as_str()]);
        Ok(())
    }

    /// Makes a repository that has what `base` of the packed clone reaches and nothing else; an empty one without.
    pub(crate) fn receiver(&self, name: &str, base: Option<&str>, is_bare: bool) -> PathBuf {
        let path = self.env.path(name);
        let kind = if is_bare { "--bare" } else { "--initial-branch=main" };
        self.env.git(self.env.root(), ["init", "--quiet", kind, name]);
        if let Some(base) = base {
            let spec = format!("{base}:refs/heads/main");
            self.env.git(&path, ["fetch", "--quiet", "--update-head-ok", text(&self.packed), spec.as_str()]);
            self.env.git(&path, ["repack", "-adq"]);
        }
        for folder in [path.clone(), path.join(".git")] {
            // It names the packed clone and is written in place, which the copies below share.
            fs::remove_file(folder.join("FETCH_HEAD")).ok();
        }
        path
    }

    /// Makes `copy` anew from `template`. Files are shared: git and git-parler replace files and never write into them.
    pub(crate) fn renew(&self, template: &Path, copy: &Path) -> Outcome<()> {
        // Moved and not removed: ext4 searches long for a new inode where many were freed in the last half minute.
        if copy.exists() {
            self.moved.set(self.moved.get() + 1);
            fs::rename(copy, self.env.path(format!("moved-{}", self.moved.get())))?;
        }
        let run = self.env.run(self.env.root(), "cp", ["-al", text(template), text(copy)]);
        if run.code == Some(0) { Ok(()) } else { Err(run.stderr.into()) }
    }

    /// Runs every way in every round, each round beginning with another one, after one round that does not count.
    pub(crate) fn interleave<T>(&self, mut ways: Vec<Way<'_, T>>) -> Outcome<Vec<(&'static str, Vec<T>)>> {
        let mut results: Vec<(&'static str, Vec<T>)> =
            ways.iter().map(|(name, _)| (*name, Vec::new())).collect();
        let first = usize::from(self.is_smallest);
        for round in first..=self.rounds {
            for turn in 0..ways.len() {
                let which = (round + turn) % ways.len();
                let result = (ways[which].1)(round)?;
                if round > 0 {
                    results[which].1.push(result);
                }
            }
        }
        Ok(results)
    }
}

/// Returns a path as text, which all paths of a sealed environment are.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of a bench are text")
}
