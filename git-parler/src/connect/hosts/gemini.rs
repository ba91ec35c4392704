//! Gemini CLI: `mcpServers` of `settings.json`. Its own `gemini mcp add` is not run: 0.61.0 lays the whole file out
//! anew and takes the end of its last line.

use super::super::edit::{EntryForm, Format, Shape};
use super::super::hook_edit::{HookForm, HookShape};
use super::{Hooked, Host};

pub(super) const HOST: Host = Host {
    name: "gemini",
    title: "Gemini CLI",
    is_on_desktop: false,
    programs: &["gemini"],
    folder: |folders| folders.named("GEMINI_CLI_HOME", "").join(".gemini"),
    file: |folders| folders.named("GEMINI_CLI_HOME", "").join(".gemini/settings.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Plain },
    next: "start Gemini CLI anew, and trust the folder you work in: it starts no server in one that is not trusted; \
           `gemini mcp list` shows `parler`; variables that are named like a secret it keeps to itself, so set them in the \
           entry: \"env\": { \"PARLER_SESSION_KEY\": \"<key>\" }",
    hooks: Some(Hooked {
        file: |folders| folders.named("GEMINI_CLI_HOME", "").join(".gemini/settings.json"),
        shape: HookShape { host: "gemini", form: HookForm::Groups(10_000) },
        next: "start Gemini CLI anew; `/hooks panel` shows them",
    }),
};
