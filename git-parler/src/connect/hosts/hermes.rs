//! Hermes: `mcp_servers` of `config.yaml`. Its own commands write the whole file anew, without its comments.

use super::super::edit::{EntryForm, Format, Shape};
use super::Host;

pub(super) const HOST: Host = Host {
    name: "hermes",
    title: "Hermes",
    is_on_desktop: false,
    programs: &["hermes"],
    folder: |folders| folders.named("HERMES_HOME", ".hermes"),
    file: |folders| folders.named("HERMES_HOME", ".hermes").join("config.yaml"),
    other_file: None,
    shape: Shape { format: Format::Yaml, container: "mcp_servers", entry: EntryForm::Plain },
    next: "start Hermes anew, or type `/reload-mcp` in it",
    hooks: None,
};
