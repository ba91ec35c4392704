//! OpenCode: `mcp` of `opencode.json`, or of `opencode.jsonc` where that is the one there is; it reads both. Its own
//! `opencode mcp add` is not run, since 1.18.33 has no command that takes a server out again.

use super::super::edit::{EntryForm, Format, Shape};
use super::super::hook_edit::{HookForm, HookShape};
use super::{Hooked, Host};

pub(super) const HOST: Host = Host {
    name: "opencode",
    title: "OpenCode",
    is_on_desktop: false,
    programs: &["opencode"],
    folder: |folders| folders.config("opencode"),
    file: |folders| folders.config("opencode/opencode.json"),
    other_file: Some(|folders| folders.config("opencode/opencode.jsonc")),
    shape: Shape { format: Format::Json, container: "mcp", entry: EntryForm::Line("local") },
    next: "start OpenCode anew; `opencode mcp list` shows `parler` as connected",
    hooks: Some(Hooked {
        file: |folders| folders.config("opencode/plugin/git-parler.js"),
        shape: HookShape { host: "opencode", form: HookForm::Plugin },
        next: "start OpenCode anew",
    }),
};
