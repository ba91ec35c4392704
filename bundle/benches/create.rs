//! Compares this crate with `git bundle create`, interleaved, on a repository given by path (an ordinary clone,
//! repacked): `cargo bench -p bundle --bench create -- <repository>`. Without one, a seeded repository serves.
//!
//! CPU time is user and system together: ours that of this process, git's that of its children.

use std::{error::Error, path::Path, process::Command};

const ROUNDS: u32 = 5;

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn main() -> Result<(), Box<dyn Error>> {
    let env = kit::Env::new();
    let given = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let repository = match given {
        Some(path) => path.into(),
        None => {
            let shape = kit::Shape { commits: 600, files: 60, lines: 200, ..kit::Shape::default() };
            let history = kit::History::seeded(&env, "seeded", 1, &shape);
            env.git(&history.path, ["repack", "-adq"]);
            history.path
        }
    };
    let out = env.path("git.bundle");
    println!(
        "{:>8} {:>12} {:>12} {:>6} {:>9} {:>9} {:>6}",
        "commits", "git B", "ours B", "", "git ms", "ours ms", ""
    );
    for count in [Some(1), Some(5), Some(30), Some(100), Some(500), None] {
        let base = count.map(|count| format!("HEAD~{count}"));
        let repo = gix::open(&repository)?;
        if base.as_deref().is_some_and(|base| repo.rev_parse_single(base).is_err()) {
            continue;
        }
        let (mut ours, mut cpu) = (0, [0, 0]);
        for _ in 0..ROUNDS {
            let before = cpu_milliseconds();
            ours = create(&repository, base.as_deref())?;
            let mut git = Command::new("git");
            git.current_dir(&repository).args(["bundle", "create", "--quiet"]).arg(&out).arg("HEAD");
            git.args(base.as_deref().map(|base| format!("^{base}")));
            if !git.status()?.success() {
                return Err("git made no bundle".into());
            }
            let after = cpu_milliseconds();
            cpu = [cpu[0] + after[0] - before[0], cpu[1] + after[1] - before[1]];
        }
        let git = std::fs::metadata(&out)?.len();
        println!(
            "{:>8} {git:>12} {ours:>12} {:>6.3} {:>9.1} {:>9.1} {:>6.2}",
            count.map_or("all".into(), |count| count.to_string()),
            ratio(ours, git),
            ratio(cpu[1], u64::from(ROUNDS)),
            ratio(cpu[0], u64::from(ROUNDS)),
            ratio(cpu[0], cpu[1].max(1)),
        );
    }
    Ok(())
}

fn create(repository: &Path, base: Option<&str>) -> Result<u64, Box<dyn Error>> {
    let repo = gix::open(repository)?;
    let bases = base.map(|base| repo.rev_parse_single(base)).transpose()?;
    let bases: Vec<_> = bases.into_iter().map(gix::Id::detach).collect();
    let tip = bundle::Tip { name: "HEAD".into(), id: repo.head_id()?.detach() };
    let plan = bundle::plan(&repo, &[tip], &bases, &mut |_| ())?;
    let options = bundle::CreateOptions::default();
    Ok(bundle::create(&repo, &plan, options, &mut std::io::sink(), &mut |_| ())?.size)
}

/// Returns the CPU time of this process and of its children so far, both 0 where there is no `/proc`.
fn cpu_milliseconds() -> [u64; 2] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .map(|rest| {
            rest.split_whitespace().skip(11).take(4).map(|field| field.parse().unwrap_or(0)).collect()
        })
        .unwrap_or_default();
    // In clock ticks, of which Linux has had a hundred in a second for as long as it tells.
    match fields[..] {
        [user, system, children_user, children_system] => {
            [10 * (user + system), 10 * (children_user + children_system)]
        }
        _ => [0, 0],
    }
}

fn ratio(one: u64, two: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a ratio is shown with three digits")]
    let ratio = one as f64 / two as f64;
    ratio
}
