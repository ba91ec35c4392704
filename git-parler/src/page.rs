//! The pages that explain `git parler` and its commands: options out of the definition of the command line, the
//! rest out of the texts in `page/`. Once as text for `git parler help`, once as roff for man.
//!
//! A text has headings in capitals, paragraphs, lines to type (four spaces deep) and terms (two) that are
//! explained (six).

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::cli;

/// A line in every page that says where the file came from.
pub(crate) const MARK: &str = "Installed by `git parler setup`.";

/// Returns the page of `git parler`, or of the command `verb`, as text; `None` where there is no such command.
pub(crate) fn text(verb: Option<&str>) -> Option<String> {
    let mut command = cli::command();
    command.build();
    let Some(verb) = verb else {
        return Some(command.render_long_help().to_string());
    };
    let verb = verb.strip_prefix("git-parler-").unwrap_or(verb);
    let found = command.find_subcommand_mut(verb).filter(|found| !found.is_hide_set())?;
    Some(found.render_long_help().to_string())
}

/// Returns every manual page as file name and roff: `git-parler.1`, `git-parler-push.1` and so on.
pub(crate) fn manual() -> Vec<(String, Vec<u8>)> {
    let mut command = cli::command();
    command.build();
    let others: Vec<&Command> = command.get_subcommands().filter(|other| !other.is_hide_set()).collect();
    let names: Vec<String> = others.iter().map(|verb| format!("git-parler-{}", verb.get_name())).collect();
    let mut pages = vec![("git-parler.1".to_owned(), roff(&command, "git-parler", &names))];
    for (verb, name) in others.iter().zip(&names) {
        pages.push((format!("{name}.1"), roff(verb, name, &["git-parler".to_owned()])));
    }
    pages
}

fn roff(command: &Command, name: &str, see_also: &[String]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let title =
        format!("\"{}\" \"1\" \"\" \"git-parler {version}\" \"Git Parler Manual\"", name.to_uppercase());
    let man = Man::new(command.clone().name(name.to_owned()).display_name(name.to_owned()));
    let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let split =
        text.match_indices("\n\n").map(|(at, _)| at).find(|at| is_heading(first_line(&text[at + 2..])));
    let (description, rest) = text.split_at(split.unwrap_or(text.len()));
    let mut end = sections(rest);
    let named = see_also.iter().enumerate().flat_map(|(place, name)| {
        let comma = if place == 0 { "" } else { ", " };
        [roman(comma), bold(name.as_str()), roman("(1)")]
    });
    end.control("SH", ["SEE ALSO"]).text(named.collect::<Vec<_>>());
    let mut page = format!(".\\\" {MARK}\n.TH {title}\n").into_bytes();
    render(&man, &mut page, &[synopsis(command), sections(description)], &end)
        .expect("a Vec takes every byte");
    page
}

fn render(man: &Man, page: &mut Vec<u8>, before: &[Roff], after: &Roff) -> io::Result<()> {
    man.render_name_section(page)?;
    for section in before {
        section.to_writer(page)?;
    }
    man.render_options_section(page)?;
    after.to_writer(page)
}

fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).replace("[OPTIONS]", "[<options>]");
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]).control("nf", []).text([roman(usage)]).control("fi", []);
    roff
}

/// Turns the text of a page into roff.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_code = false;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let words = line.trim_start();
        if is_code && !words.is_empty() && depth < 4 {
            roff.control("fi", []).control("RE", []);
            is_code = false;
        }
        match depth {
            _ if words.is_empty() => {
                roff.control(if is_code { "sp" } else { "PP" }, []);
            }
            0 if is_heading(words) => {
                roff.control("SH", [words]);
            }
            2 => {
                roff.control("TP", []).text(inline(words));
            }
            4.. if is_code || depth != 6 => {
                if !is_code {
                    roff.control("RS", ["4"]).control("nf", []);
                    is_code = true;
                }
                roff.text([roman(&line[4..])]);
            }
            _ => {
                roff.text(inline(words));
            }
        }
    }
    if is_code {
        roff.control("fi", []).control("RE", []);
    }
    roff
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn is_heading(line: &str) -> bool {
    !line.is_empty() && line.chars().all(|letter| letter.is_ascii_uppercase() || letter == ' ')
}

/// What stands in backquotes is bold.
fn inline(words: &str) -> Vec<Inline> {
    words
        .split('`')
        .enumerate()
        .map(|(place, part)| if place % 2 == 1 { bold(part) } else { roman(part) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_text_with_a_description() {
        let names: Vec<_> = cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        assert!(!names.is_empty());
        for verb in names {
            let text = text(Some(&verb)).unwrap();
            assert!(text.contains("\nDESCRIPTION\n"), "{verb}");
        }
    }

    #[test]
    fn the_page_of_all_names_every_command_with_its_own_sentence() {
        let page = text(None).unwrap();
        let list =
            page.split("\nCOMMANDS\n").nth(1).and_then(|after| after.split("\nEXAMPLES\n").next()).unwrap();
        let mut expected = String::from("\n");
        for verb in cli::command().get_subcommands() {
            expected += &format!("  `{}`\n      {}.\n", verb.get_name(), verb.get_about().unwrap());
        }
        assert_eq!(list, expected);
    }

    #[test]
    fn no_code_span_of_a_text_goes_over_a_line() {
        let mut command = cli::command();
        command.build();
        for page in std::iter::once(&command).chain(command.get_subcommands()) {
            let text = page.get_after_long_help().unwrap().to_string();
            for line in text.lines() {
                assert!(line.matches('`').count() % 2 == 0, "{}: {line}", page.get_name());
                assert!(line.chars().count() <= 76 || line.starts_with("  `"), "{}: {line}", page.get_name());
            }
        }
    }
}
