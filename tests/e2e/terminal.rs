//! What every command has in common: exit codes, streams, JSON, color, pager.

use std::fs;

use kit::Snapshot;

use crate::environment;
use crate::strace;
use crate::two::Two;

#[test]
fn a_wrong_command_line_exits_with_129_and_says_so_on_standard_error() {
    let env = environment();
    let run = env.try_git(env.root(), ["parler", "no-such-command"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(129), ""));
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
}

#[test]
fn a_wrong_command_line_with_json_is_one_object_on_standard_output() {
    let env = environment();
    let run = env.try_git(env.root(), ["parler", "--json", "no-such-command"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(129), ""));
    let expected = "{\"error\":{\"code\":\"usage\",\"message\":\"unrecognized subcommand 'no-such-command'\",\
                    \"hint\":\"`git parler help` shows the commands\"}}\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn version_and_help_go_to_standard_output() {
    let env = environment();
    let run = env.try_git(env.root(), ["parler", "--version"]);
    assert_eq!(run.stdout, format!("git-parler {}\n", env!("CARGO_PKG_VERSION")));
    let run = env.try_git(env.root(), ["parler", "help", "setup"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.contains("\nDESCRIPTION\n"), "{}", run.stdout);
}

#[test]
fn a_wrong_setting_is_named_with_the_place_to_look() {
    let env = environment();
    let run = env.try_git(env.root(), ["-c", "parler.insecure=perhaps", "parler", "help"]);
    assert_eq!(run.code, Some(128));
    assert_eq!(
        run.stderr,
        "error: `parler.insecure` is `perhaps`, which is not a boolean\n\
         hint: `git config --show-origin --get-regexp '^parler'` shows where it stands\n"
    );
}

#[test]
fn advice_can_be_switched_off() {
    let env = environment();
    let run = env.try_git(env.root(), ["-c", "advice.parler=false", "parler", "help", "nothing"]);
    assert_eq!(run.stderr, "error: there is no command `nothing`\n");
}

#[test]
fn a_reader_that_has_left_is_no_failure() {
    let env = environment();
    let script = "git parler help; echo $? >&2";
    let run = env.run(env.root(), "bash", ["-c", &format!("({script}) | true; wait")]);
    assert_eq!(run.stderr, "0\n");
}

#[test]
fn a_full_disk_under_a_result_is_a_failure() {
    let env = environment();
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let run = env.run(env.root(), "bash", ["-c", "git parler help >/dev/full"]);
    assert_eq!(run.code, Some(128));
    assert!(run.stderr.starts_with("error: cannot write the result: "), "{}", run.stderr);
}

#[test]
fn always_means_color_also_into_a_file() {
    let env = environment();
    let run = env.try_git(env.root(), ["-c", "color.parler=always", "parler", "help", "nothing"]);
    assert!(run.stderr.starts_with("\x1b[1;31merror:\x1b[m there is no command"), "{}", run.stderr);
}

#[test]
fn progress_is_shown_where_it_is_wanted_and_only_after_its_delay() {
    let env = environment();
    let repo = env.init("r");
    env.commit(&repo, "a", "1", "one");
    let progress = |options: &[&str], delay: &str| {
        let mut command = env.command("git");
        command.current_dir(&repo).args([
            "-c",
            "advice.parler=false",
            "parler",
            "push",
            "-o",
            "../x.bundle",
            "--force",
        ]);
        let output = command.args(options).env("GIT_PROGRESS_DELAY", delay).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(progress(&["--progress"], "0").contains("Writing objects: 100% (3/3), done.\n"));
    let remark = progress(&["--progress"], "60");
    assert!(!remark.contains("objects: "), "{remark}");
    assert_eq!(progress(&[], "0"), remark, "standard error is no terminal");
    assert_eq!(progress(&["--progress", "--no-progress"], "0"), remark);
    assert_eq!(progress(&["--quiet"], "0"), "");
}

#[test]
fn long_results_go_through_gits_pager_on_a_terminal() {
    let env = environment();
    if !env.has("script") {
        return;
    }
    let on_a_terminal = |variable: &str, command: &str| {
        let mut script = env.command("timeout");
        script
            .args(["60", "script", "-qec", command, "/dev/null"])
            .env("GIT_PAGER", variable)
            .env("TERM", "xterm");
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    let paged = on_a_terminal("sed s/^/paged:/", "git-parler help setup");
    assert!(paged.lines().all(|line| line.starts_with("paged:")), "{paged}");
    let plain = on_a_terminal("", "git-parler help setup");
    assert!(plain.starts_with("Install the manual pages"), "{plain}");
    let colored = on_a_terminal("", "git-parler help nothing");
    assert!(colored.starts_with("\u{1b}[1;31merror:\u{1b}[m "), "{colored}");
    let without_color = on_a_terminal("", "NO_COLOR=1 git-parler help nothing");
    assert!(without_color.starts_with("error: "), "{without_color}");
}

#[test]
fn ctrl_c_while_a_bundle_is_written_leaves_no_part_of_it() {
    let two = Two::new();
    if !two.env.has("strace") {
        return;
    }
    let args = ["push", "-o", "../out.bundle", "--force"];
    let calls = strace::writing_calls(&two.env, &two.ahead, &args);
    let at = calls.iter().find(|call| call.shown.contains(".git-parler-") && call.name.starts_with("open"));
    let before = Snapshot::of(two.env.root());
    fs::remove_file(two.env.path("out.bundle")).unwrap();
    let run = strace::inject(&two.env, &two.ahead, &args, at.expect("a part is written first"), "signal=INT");
    assert_eq!((run.code, run.stdout.as_str()), (Some(130), ""), "{}", run.stderr);
    let gone = before.differences();
    assert!(gone.len() == 1 && gone[0].contains("out.bundle"), "{gone:?}");
}
