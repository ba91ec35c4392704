//! `git parler doctor`: looks at everything a handoff needs and says what to do.

use std::path::Path;

use client::report::{Doctor as Answer, Finding, Level};

use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::{Paint, Ui};
use crate::{announce, network};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let mut findings = vec![program(context), repository(context)];
    findings.push(identity(context));
    findings.push(hub(context));
    findings.extend(announcements(context));
    findings.sort_by_key(|finding| finding.level);
    let is_broken = findings.iter().any(|finding| finding.level == Level::Error);
    let answer = Answer { findings };
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        answer.findings.iter().for_each(|finding| print(&context.ui, finding));
        if !is_broken {
            context.ui.remark("Everything a handoff needs is here.");
        }
    }
    Ok(())
}

fn print(ui: &Ui, finding: &Finding) {
    let label = match finding.level {
        Level::Error => ui.paint(Paint::Removed, "error"),
        Level::Warning => ui.paint(Paint::Hunk, "warning"),
        Level::Ok => ui.paint(Paint::Added, "ok"),
    };
    ui.line(format_args!("{label}: {}", finding.message));
    if let Some(fix) = &finding.fix {
        ui.line(format_args!("  {fix}"));
    }
}

fn fine(code: &str, message: String) -> Finding {
    Finding { code: code.to_owned(), level: Level::Ok, message, fix: None }
}

fn broken(code: &str, failure: Failure) -> Finding {
    Finding { code: code.to_owned(), level: Level::Error, message: failure.message, fix: failure.hint }
}

/// git finds `git parler` by looking for `git-parler` in PATH.
fn program(context: &Context) -> Finding {
    let folders = context.environment.path("PATH");
    let mut found = folders.iter().flat_map(std::env::split_paths).map(|folder| folder.join("git-parler"));
    match found.find(|program| program.is_file()) {
        Some(program) => fine("program", format!("git finds {}", program.display())),
        None => Finding {
            code: "program".to_owned(),
            level: Level::Error,
            message: "git does not find git-parler: its folder is not in PATH".to_owned(),
            fix: std::env::current_exe().ok().and_then(|program| {
                program.parent().map(|folder: &Path| format!("export PATH=\"{}:$PATH\"", folder.display()))
            }),
        },
    }
}

fn repository(context: &Context) -> Finding {
    match context.repository() {
        Ok(repo) => {
            let folder = repo.workdir().unwrap_or_else(|| repo.git_dir()).display().to_string();
            fine("repository", format!("the repository {folder} can be read"))
        }
        Err(failure) if failure.code == Code::NotARepository => Finding {
            code: "repository".to_owned(),
            level: Level::Warning,
            message: "this is no git repository, so nothing can be pushed or applied here".to_owned(),
            fix: failure.hint,
        },
        Err(failure) => broken("repository", failure),
    }
}

fn identity(context: &Context) -> Finding {
    let who = network::settings(context).and_then(|settings| Ok(client::whoami(&settings)?));
    match who {
        Ok(who) => fine(
            "identity",
            format!("this seat is {} of user {}", protocol::clean::line(&who.me.name), who.user),
        ),
        Err(failure) => broken("identity", failure),
    }
}

fn hub(context: &Context) -> Finding {
    let asked = network::with_client(context, async |client| Ok(client.status(client::READER).await?));
    match asked {
        Ok(status) => fine("hub", format!("the hub {} answers", status.hub.origin)),
        Err(failure) => broken("hub", failure),
    }
}

/// Nothing is said of announcements unless there is something to be done, or to be known.
fn announcements(context: &Context) -> Option<Finding> {
    context.repository_if_any()?;
    let lines = match announce::troubles(context) {
        Ok(lines) => lines,
        Err(failure) => return Some(broken("announcements", failure)),
    };
    (!lines.is_empty()).then(|| Finding {
        code: "announcements".to_owned(),
        level: Level::Warning,
        message: lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("; "),
        fix: Some("what waits goes out with the next command that reaches the hub; hand the rest over by `git parler push`".to_owned()),
    })
}
