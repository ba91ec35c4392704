//! Codex: `[mcp_servers.parler]` of `config.toml`. Its own `codex mcp add` is not run: 0.171.0 writes the tables of all
//! other servers anew and drops the comments in them.

use super::super::edit::{EntryForm, Format, Shape};
use super::super::hook_edit::{HookForm, HookShape};
use super::{Hooked, Host};

pub(super) const HOST: Host = Host {
    name: "codex",
    title: "Codex",
    is_on_desktop: false,
    programs: &["codex"],
    folder: |folders| folders.named("CODEX_HOME", ".codex"),
    file: |folders| folders.named("CODEX_HOME", ".codex").join("config.toml"),
    other_file: None,
    shape: Shape { format: Format::Toml, container: "mcp_servers", entry: EntryForm::Plain },
    next: "start Codex anew; it hands few variables to servers, so where PARLER_HOME, XDG_DATA_HOME or another one that \
           git-parler reads is set, name it in `[mcp_servers.parler]`: env_vars = [\"PARLER_HOME\", \"XDG_DATA_HOME\"]",
    hooks: Some(Hooked {
        file: |folders| folders.named("CODEX_HOME", ".codex").join("hooks.json"),
        shape: HookShape { host: "codex", form: HookForm::Groups(10) },
        next: "start Codex anew and trust them there, by `/hooks`: it passes over hooks that nobody has trusted, and says nothing",
    }),
};
