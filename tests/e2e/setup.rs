//! Pages and completion, as man and a real bash find them.

use std::fs;
use std::path::{Path, PathBuf};

use kit::{Env, Run};

use crate::PROGRAM;

/// Installs the program below HOME as `cargo install` does, and its pages and completion.
fn installed() -> (Env, PathBuf) {
    let env = Env::new();
    let bin = env.path("home/.cargo/bin");
    fs::create_dir_all(&bin).expect("a folder below HOME");
    let program = bin.join("git-parler");
    fs::copy(PROGRAM, &program).expect("a copy of the program");
    let env = env.with_program(&program);
    env.git(env.root(), ["parler", "setup"]);
    (env, program)
}

/// Returns what bash offers at the end of `line` in `repo`, with git's completion loaded as a login shell loads it.
fn completed(env: &Env, repo: &Path, line: &str) -> Vec<String> {
    let script = r#"
        . /usr/share/bash-completion/bash_completion
        line=$1
        read -ra COMP_WORDS <<< "$line"
        case "$line" in *' ') COMP_WORDS+=('') ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9
        _completion_loader "${COMP_WORDS[0]}"
        read -ra spec <<< "$(complete -p "${COMP_WORDS[0]}")"
        for ((i = 0; i < ${#spec[@]}; i++)); do [ "${spec[i]}" = -F ] && "${spec[i + 1]}"; done
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let run = env.run(repo, "bash", ["-c", script, "bash", line]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{line}");
    run.stdout.lines().map(|word| word.trim_end().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn has_completion(env: &Env) -> bool {
    env.has("bash") && Path::new("/usr/share/bash-completion/bash_completion").exists()
        || env.has("bash-completion, which lies in /usr/share/bash-completion,")
}

#[test]
fn bash_completes_commands_and_options_within_gits_own_completion() {
    let (env, _) = installed();
    if !has_completion(&env) {
        return;
    }
    let repo = env.init("r");
    let commit = env.commit(&repo, "a", "1", "one");
    env.git(&repo, ["update-ref", "refs/parler/0123456789ab", &commit]);
    for (line, offered) in [
        ("git par", vec!["parler"]),
        ("git parler pu", vec!["push"]),
        ("git parler --hub wss://x pu", vec!["push"]),
        ("git-parler pu", vec!["push"]),
        ("git parler help pu", vec!["push"]),
        ("git parler push --dr", vec!["--dry-run"]),
        ("git parler push ma", vec!["main"]),
        ("git parler push --base ma", vec!["main"]),
        ("git parler push --base=ma", vec!["main"]),
        ("git parler push -m ma", vec![]),
        ("git parler drop 0", vec!["0123456789ab"]),
        ("git parler setup --pre", vec!["--prefix="]),
    ] {
        assert_eq!(completed(&env, &repo, line), offered, "{line}");
    }
}

#[test]
fn man_finds_the_pages_beside_the_program() {
    let (env, _) = installed();
    if !env.has("man") {
        return;
    }
    let page = env.run(env.root(), "man", ["git-parler-setup"]);
    assert_eq!(page.code, Some(0), "{}", page.stderr);
    assert!(page.stdout.contains("git-parler-setup - Install the manual pages"), "{}", page.stdout);
    let through_git = env.try_git(env.root(), ["parler", "--help"]);
    assert_eq!(through_git, env.run(env.root(), "man", ["git-parler"]));
    assert_eq!(through_git.code, Some(0));
}

#[test]
fn every_page_is_free_of_warnings() {
    let (env, program) = installed();
    if !env.has("man") {
        return;
    }
    let pages = program.parent().unwrap().join("../share/man/man1");
    let mut count = 0;
    for page in fs::read_dir(pages).unwrap() {
        let run = env.run(env.root(), "man", ["--warnings=w", "-l", page.unwrap().path().to_str().unwrap()]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        count += 1;
    }
    assert!(count > 2);
}

#[test]
fn other_shells_take_their_files() {
    let (env, _) = installed();
    let checks = [
        ("zsh", ".local/share/zsh/site-functions/_git-parler"),
        ("fish", ".config/fish/completions/git-parler.fish"),
    ];
    for (shell, file) in checks {
        if env.has(shell) {
            let run = env.run(env.root(), shell, ["-n", env.home().join(file).to_str().unwrap()]);
            assert_eq!(run, Run { code: Some(0), stdout: String::new(), stderr: String::new() }, "{shell}");
        }
    }
}

#[test]
fn removing_leaves_the_home_folder_as_it_was() {
    let (env, program) = installed();
    env.git(env.root(), ["parler", "setup", "--remove"]);
    assert!(!program.parent().unwrap().join("../share").exists());
    let left = env.run(env.root(), "find", ["home", "-newer", "home/.gitconfig", "-type", "f"]);
    assert_eq!(left.stdout, "home/.cargo/bin/git-parler\n");
    let again = env.try_git(env.root(), ["parler", "setup", "--remove"]);
    assert_eq!(
        (again.code, again.stdout.as_str(), again.stderr.as_str()),
        (Some(0), "", "nothing to remove\n")
    );
}
