//! Completion of bash, out of the definition of the command line: the function `_git_parler`, which git's own
//! completion calls for `git parler`. (What zsh and fish need, `clap_complete` writes.)

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::page::MARK;

const HEAD: &str = r#"
_git_parler ()
{
	local verb= at
	for ((at = ${__git_cmd_idx:-0} + 1; at < cword; at++)); do
		case "${words[at]}" in
		--hub|--room) at=$((at + 1)) ;;
		-*) ;;
		*) verb=${words[at]}; break ;;
		esac
	done
	case "$verb,$prev,$cur" in
	*,--base,*) __git_complete_refs; return ;;
	*,*,--base=*) __git_complete_refs --cur="${cur#--base=}"; return ;;
"#;

const TAIL: &str = r#"	push,*) __git_complete_revlist ;;
	drop,*) __gitcomp_nl "$(__git for-each-ref --format='%(refname:lstrip=2)' refs/parler | sed 's:/.*::' | sort -u)" ;;
	hooks,*) __gitcomp "install uninstall status" ;;
	key,*) __gitcomp "list new revoke" ;;
	help,*) __gitcomp "$verbs" ;;
	,*) __gitcomp "$verbs" ;;
	esac
}

if ! declare -f __git_complete >/dev/null && declare -f _completion_loader >/dev/null; then
	_completion_loader git
fi
if declare -f __git_complete >/dev/null; then
	__git_complete git-parler _git_parler
fi
"#;

/// Returns the file `git-parler` of bash-completion.
pub(crate) fn bash(mut command: Command) -> String {
    command.build();
    let verbs: Vec<&Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let mut text = format!("# {MARK}\n{HEAD}");
    let valued: Vec<String> = with_value(&command, &verbs);
    writeln!(text, "\t*,{},*) return ;;\n\tesac", valued.join(",*|*,")).expect("a String grows");
    let names: Vec<_> = verbs.iter().map(|verb| verb.get_name()).collect();
    writeln!(text, "\tlocal verbs=\"{}\"\n\tcase \"$verb,$cur\" in", names.join(" "))
        .expect("a String grows");
    for verb in std::iter::once(&command).chain(verbs.iter().copied()) {
        let name = if verb.get_name() == command.get_name() { "" } else { verb.get_name() };
        let options: Vec<_> = options(verb).map(|(option, takes)| long(option, takes)).collect();
        writeln!(text, "\t{name},-*) __gitcomp \"{}\" ;;", options.join(" ")).expect("a String grows");
    }
    text + TAIL
}

fn options(command: &Command) -> impl Iterator<Item = (&Arg, bool)> {
    let visible =
        command.get_arguments().filter(|option| !option.is_hide_set() && option.get_long().is_some());
    visible.map(|option| (option, option.get_action().takes_values()))
}

fn long(option: &Arg, takes_value: bool) -> String {
    format!("--{}{}", option.get_long().unwrap_or_default(), if takes_value { "=" } else { "" })
}

/// The options after which bash completes a file, or nothing at all.
fn with_value(command: &Command, verbs: &[&Command]) -> Vec<String> {
    let mut words = Vec::new();
    for (option, _) in std::iter::once(command).chain(verbs.iter().copied()).flat_map(options).filter(|o| o.1)
    {
        words.push(long(option, false));
        words.extend(option.get_short().map(|short| format!("-{short}")));
    }
    words.sort_unstable();
    words.dedup();
    words
}
