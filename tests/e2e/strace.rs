//! Faults at chosen system calls of the program: `strace` counts the calls of a clean run, then kills or fails one.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use kit::{Env, Run};

use crate::PROGRAM;

/// One system call of a run, by its name and its number among those of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) number: usize,
    /// How `strace` shows it, for the message of a failing test.
    pub(crate) shown: String,
}

/// Every call that changes a file, a folder, or what survives a lost power; those that a system lacks are left out.
const WRITING: &str = "?open,openat,?creat,write,pwrite64,writev,?copy_file_range,?sendfile,?rename,?renameat,\
    renameat2,?link,linkat,?mkdir,mkdirat,?rmdir,?unlink,unlinkat,fsync,fdatasync,ftruncate,?chmod,fchmod,fchmodat,\
    ?symlink,symlinkat,flock";

/// Runs the program untouched and returns its writing calls in their order.
pub(crate) fn writing_calls(env: &Env, dir: &Path, args: &[&str]) -> Vec<Call> {
    let log = env.path("strace.log");
    let run = trace(env, dir, &["-o", log.to_str().expect("text"), "-e", &format!("trace={WRITING}")], args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = fs::read_to_string(log).expect("strace wrote its log");
    let mut counts = HashMap::<(String, String), usize>::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some((name, arguments)) = rest.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        // strace counts for each thread by itself.
        let count = counts.entry((process.to_owned(), name.to_owned())).or_default();
        *count += 1;
        let only_reads =
            name.starts_with("open") && !arguments.contains("O_CREAT") && !arguments.contains("O_TMPFILE");
        if !only_reads {
            calls.push(Call { name: name.to_owned(), number: *count, shown: rest.to_owned() });
        }
    }
    calls
}

/// Runs the program and does `what` at `call`: `signal=KILL`, `error=EIO`.
pub(crate) fn inject(env: &Env, dir: &Path, args: &[&str], call: &Call, what: &str) -> Run {
    let fault = format!("inject={}:{what}:when={}", call.name, call.number);
    trace(env, dir, &["-o", "/dev/null", "-e", &format!("trace={}", call.name), "-e", &fault], args)
}

/// Runs the program under `strace` with these options.
pub(crate) fn trace(env: &Env, dir: &Path, options: &[&str], args: &[&str]) -> Run {
    let words = ["-f", "-qq", "--signal=none"].iter().chain(options).chain(&[PROGRAM]).chain(args);
    env.run(dir, "strace", words)
}
