//! Making bundles against `git bundle create`, and taking them against `git fetch`, with and without its checks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::cost::{Cost, measure};
use crate::ground::{Ground, text};
use crate::table::{Measure, Table};

/// One range of one repository, and the most that ours may be of git's.
struct Case {
    name: String,
    repository: PathBuf,
    base: Option<String>,
    bytes_max: f64,
    cpu_max: Option<f64>,
    peak_max: Option<f64>,
}

fn cases(ground: &Ground) -> Outcome<Vec<Case>> {
    let mut cases = Vec::new();
    let fresh: &[usize] = if ground.is_smallest { &[1] } else { &[1, 5, 30] };
    for count in fresh {
        let repository = ground.env.path(format!("agent-{count}"));
        cases.push(Case {
            name: format!("{count} fresh"),
            repository: if repository.exists() {
                repository
            } else {
                ground.agent(&format!("agent-{count}"), *count)?
            },
            base: Some(format!("HEAD~{count}")),
            bytes_max: 1.02,
            cpu_max: Some(1.5),
            peak_max: None,
        });
    }
    for count in ground.counts(&[1, 5, 50, 500]) {
        let is_largest = count == 500;
        cases.push(Case {
            name: format!("{count} packed"),
            repository: ground.packed.clone(),
            base: Some(format!("HEAD~{count}")),
            bytes_max: 1.02,
            cpu_max: is_largest.then_some(1.5),
            peak_max: is_largest.then_some(2.0),
        });
    }
    cases.push(Case {
        name: "all".to_owned(),
        repository: ground.packed.clone(),
        base: None,
        bytes_max: 1.0,
        cpu_max: Some(4.0),
        peak_max: None,
    });
    Ok(cases)
}

/// Writes the bundle of a case to `out` with git-parler.
fn ours(ground: &Ground, case: &Case, out: &Path) -> Outcome<Cost> {
    let mut arguments = vec!["push", "--quiet", "--force", "-o", text(out)];
    if let Some(base) = &case.base {
        arguments.extend(["--base", base]);
    }
    measure(&ground.env, &case.repository, &ground.program, arguments)
}

/// Compares making bundles.
pub(crate) fn create(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let (our_file, git_file) = (ground.env.path("ours.bundle"), ground.env.path("git.bundle"));
    for case in cases(ground)? {
        let excluded = case.base.as_ref().map(|base| format!("^{base}"));
        let results = ground.interleave(vec![
            ("ours", Box::new(|_| ours(ground, &case, &our_file))),
            (
                "git bundle",
                Box::new(|_| {
                    let arguments = ["bundle", "create", "--quiet", text(&git_file), "HEAD"];
                    let arguments = arguments.into_iter().chain(excluded.as_deref());
                    measure(&ground.env, &case.repository, "git", arguments)
                }),
            ),
        ])?;
        let [(_, ours), (name, git)] = &results[..] else { unreachable!("two ways give two results") };
        let name_of = format!("create, {}", case.name);
        let sizes = [&our_file, &git_file].map(|file| fs::metadata(file).map(|file| file.len()));
        let [our_size, git_size] = sizes;
        table.bytes(&name_of, our_size?, (name, git_size?), case.bytes_max);
        table.compare(&name_of, Measure::Cpu, ours, (name, git), case.cpu_max);
        table.compare(&name_of, Measure::Peak, ours, (name, git), case.peak_max);
    }
    Ok(())
}

/// Compares taking the bundles that git-parler makes.
pub(crate) fn apply(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let bundle = ground.env.path("ours.bundle");
    for (number, case) in cases(ground)?.iter().enumerate() {
        ours(ground, case, &bundle)?;
        let base = case.base.as_ref();
        let base = base.map(|base| ground.env.git(&case.repository, ["rev-parse", base.as_str()]));
        let template = ground.receiver(&format!("template-{number}"), base.as_deref(), false);
        let heads = ground.env.git(&template, ["bundle", "list-heads", text(&bundle)]);
        let name = heads.split(' ').nth(1).ok_or("a bundle without a head")?.to_owned();
        let copy = ground.env.path("receiver");
        let take = |program: &Path, arguments: &[&str]| {
            ground.renew(&template, &copy)?;
            measure(&ground.env, &copy, program, arguments)
        };
        let spec = format!("{name}:refs/incoming/main");
        let git = Path::new("git");
        let results = ground.interleave(vec![
            ("ours", Box::new(|_| take(&ground.program, &["apply", "--quiet", text(&bundle)]))),
            ("git fetch", Box::new(|_| take(git, &["fetch", "--quiet", text(&bundle), &spec]))),
            (
                "git fetch, fsck",
                Box::new(|_| {
                    take(git, &["-c", "transfer.fsckObjects=true", "fetch", "--quiet", text(&bundle), &spec])
                }),
            ),
        ])?;
        let [(_, ours), (plain_name, plain), (checked_name, checked)] = &results[..] else {
            unreachable!("three ways give three results")
        };
        let name = format!("apply, {}", case.name);
        table.compare(&name, Measure::Cpu, ours, (plain_name, plain), Some(0.8));
        table.compare(&name, Measure::Cpu, ours, (checked_name, checked), Some(0.75));
        table.compare(&name, Measure::Wall, ours, (checked_name, checked), None);
        table.compare(&name, Measure::Peak, ours, (plain_name, plain), Some(1.2));
    }
    Ok(())
}
