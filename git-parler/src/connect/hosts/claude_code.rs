//! Claude Code, user scope: `mcpServers` of `.claude.json`. Its own `claude mcp add` is not run: 2.1.332 writes the whole
//! file anew with its own indentation and adds keys about the machine, and `claude mcp remove` leaves both.

use super::super::edit::{EntryForm, Format, Shape};
use super::super::hook_edit::{HookForm, HookShape};
use super::{Hooked, Host};

pub(super) const HOST: Host = Host {
    name: "claude-code",
    title: "Claude Code",
    is_on_desktop: false,
    programs: &["claude"],
    folder: |folders| folders.named("CLAUDE_CONFIG_DIR", ".claude"),
    // The file lies beside its folder, but within the one that a variable names.
    file: |folders| match folders.stated("CLAUDE_CONFIG_DIR") {
        Some(folder) => folder.join(".claude.json"),
        None => folders.home(".claude.json"),
    },
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Typed("stdio") },
    next: "start Claude Code anew; `claude mcp list` shows `parler` as connected, and each tool is asked for when it is first used",
    hooks: Some(Hooked {
        file: |folders| folders.named("CLAUDE_CONFIG_DIR", ".claude").join("settings.json"),
        shape: HookShape { host: "claude-code", form: HookForm::Groups(10) },
        next: "start Claude Code anew; `/hooks` shows them",
    }),
};
