//! Stock git as the referee of the tests: ranges, bundles and receivers that hold just the prerequisites.

use std::{collections::BTreeSet, path::PathBuf};

use gix::ObjectId;
use kit::{Env, History, Random, Shape, Times};

use crate::{CreateError, CreateOptions, Created, ImportOptions, Plan, PlanError, Tip};

/// A repository under test.
pub(crate) struct Source {
    pub(crate) env: Env,
    pub(crate) path: PathBuf,
}

impl Source {
    /// Returns the history of `seed` and `shape`.
    pub(crate) fn seeded(seed: u64, shape: &Shape) -> (Self, Vec<String>) {
        let env = Env::new();
        let history = History::seeded(&env, "source", seed, shape);
        (Self { path: history.path, env }, history.commits)
    }

    /// Returns an empty repository.
    pub(crate) fn empty() -> Self {
        let env = Env::new();
        Self { path: env.init("source"), env }
    }

    /// Runs git in the repository.
    pub(crate) fn git<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.env.git(&self.path, args)
    }

    /// Returns the id of `spec`.
    pub(crate) fn id(&self, spec: &str) -> ObjectId {
        id(&self.git(["rev-parse", spec]))
    }

    pub(crate) fn open(&self) -> gix::Repository {
        open(&self.path)
    }

    /// Plans a bundle of `tips`, given as names of references, without what `bases` reach.
    pub(crate) fn plan(&self, tips: &[&str], bases: &[&str]) -> Result<Plan, PlanError> {
        let tips: Vec<Tip> = tips.iter().map(|&name| Tip { name: name.into(), id: self.id(name) }).collect();
        let bases: Vec<ObjectId> = bases.iter().map(|base| self.id(base)).collect();
        crate::plan(&self.open(), &tips, &bases, &mut |_| ())
    }

    pub(crate) fn create(&self, plan: &Plan) -> (Created, Vec<u8>) {
        self.try_create(plan, CreateOptions::default()).expect("the bundle is made")
    }

    pub(crate) fn try_create(
        &self,
        plan: &Plan,
        options: CreateOptions,
    ) -> Result<(Created, Vec<u8>), CreateError> {
        let mut bytes = Vec::new();
        let created = crate::create(&self.open(), plan, options, &mut bytes, &mut |_| ())?;
        Ok((created, bytes))
    }

    /// Has stock git and our own import check the bundle and git fetch it into a repository that holds the
    /// prerequisites and nothing else, then compares all that the tips reach there with what they reach here.
    pub(crate) fn check_with_git(&self, created: &Created, bytes: &[u8], name: &str) {
        let format = self.git(["rev-parse", "--show-object-format"]);
        let format = format!("--object-format={format}");
        self.env.git(self.env.root(), ["init", "--quiet", "--bare", &format, name]);
        let receiver = self.env.path(name);
        let file = receiver.join("it.bundle");
        std::fs::write(&file, bytes).expect("a file of the test");
        let file = file.to_str().expect("a path of the test");
        let git = |args: &[&str]| self.env.git(&receiver, args);
        if !created.prerequisites.is_empty() {
            self.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
            let ids: Vec<String> = created.prerequisites.iter().map(|it| it.id.to_string()).collect();
            let source = self.path.to_str().expect("a path of the test");
            let mut args = vec!["fetch", "--quiet", "--no-tags", source];
            let specs: Vec<String> = ids.iter().map(|id| format!("{id}:refs/prerequisite/{id}")).collect();
            args.extend(specs.iter().map(String::as_str));
            git(&args);
        }
        git(&["bundle", "verify", "--quiet", file]);
        let options =
            ImportOptions { allow_unrelated: true, dry_run: true, ..ImportOptions::new(created.id) };
        let mut bundle = std::fs::File::open(file).expect("just written");
        let imported = crate::import(&open(&receiver), &mut bundle, &options, &mut |_| ());
        assert_eq!(imported.expect("our own import takes it").commit_count, created.commits, "{name}");
        for tip in &created.tips {
            let spec = format!("{}:refs/fetched/{}", tip.name, tip.id);
            git(&["-c", "transfer.fsckObjects=true", "fetch", "--quiet", "--no-tags", file, &spec]);
            let id = tip.id.to_string();
            let here = ["rev-list", "--objects", "--no-object-names", &id];
            assert_eq!(sorted(&git(&here)), sorted(&self.git(here)), "what {} reaches", tip.name);
        }
        git(&["fsck", "--strict", "--connectivity-only"]);
    }
}

/// Opens a repository without the settings of whoever runs the tests.
pub(crate) fn open(path: &std::path::Path) -> gix::Repository {
    gix::open_opts(path, gix::open::Options::isolated()).expect("a repository of the test")
}

pub(crate) fn id(hex: &str) -> ObjectId {
    ObjectId::from_hex(hex.as_bytes()).expect("git prints ids")
}

/// Returns the lines of `text` as a set.
pub(crate) fn sorted(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Returns `cases`, or twenty times as many where `TEST_EFFORT=long` asks for them.
pub(crate) fn seeds(cases: u64) -> std::ops::Range<u64> {
    0..if kit::is_long() { 20 * cases } else { cases }
}

/// Returns a branchy history of a few dozen commits whose clocks were right, equal or wrong.
pub(crate) fn branchy(seed: u64, random: &mut Random) -> Shape {
    Shape {
        commits: 2 + random.below(40),
        branch_percent: random.below(60),
        merge_percent: random.below(60),
        rename_percent: random.below(30),
        times: [Times::Rising, Times::Equal, Times::Skewed][usize::try_from(seed % 3).expect("small")],
        files: 4,
        lines: 30,
        ..Shape::default()
    }
}
