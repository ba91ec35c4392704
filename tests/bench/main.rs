//! Whole processes against git's own ways, on a repository given by path, interleaved round by round, as a table and
//! as JSON: `cargo bench -p git-parler --bench processes -- <repository>`; `--help` names the options.

mod bundles;
mod cost;
mod ground;
mod handoff;
mod hooks;
mod http;
mod program;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use ground::Ground;
use table::Table;

/// What ends a bench early: a process that failed, with what it wrote.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the command line says.
struct Options {
    repository: Option<PathBuf>,
    program: PathBuf,
    json: Option<PathBuf>,
    only: Option<String>,
    rounds: usize,
    /// Whether to run each part once on little, to see that it works.
    is_smallest: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("--help" | "-h") => {
            say(HELP);
            Ok(())
        }
        _ => Options::parse(&arguments).and_then(|options| run(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let ground = Ground::prepare(options)?;
    let mut table = Table::default();
    type Part = fn(&Ground, &mut Table) -> Outcome<()>;
    let parts: [(&str, Part); 8] = [
        ("create", bundles::create),
        ("apply", bundles::apply),
        ("handoff", handoff::compare),
        ("hooks", hooks::commit),
        ("start", program::start),
        ("mcp", program::mcp),
        ("hub", program::hub_start),
        ("memory", program::hub_memory),
    ];
    for (name, part) in parts {
        if options.only.as_deref().is_none_or(|only| only == name) {
            complain(&format!("{name} …"));
            part(&ground, &mut table)?;
        }
    }
    say(&table.to_string());
    if let Some(path) = &options.json {
        std::fs::write(path, table.json(options.rounds).to_string() + "\n")?;
    }
    Ok(())
}

impl Options {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            repository: None,
            program: PathBuf::from(env!("CARGO_BIN_EXE_git-parler")),
            json: None,
            only: None,
            rounds: ROUNDS,
            is_smallest: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--smallest" => (options.is_smallest, options.rounds) = (true, 1),
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--json" => options.json = Some(value()?.into()),
                "--only" => options.only = Some(value()?.clone()),
                "--program" => options.program = std::fs::canonicalize(value()?)?,
                option if option.starts_with('-') => return Err(format!("{option}?\n{HELP}").into()),
                path => options.repository = Some(std::fs::canonicalize(path)?),
            }
        }
        Ok(options)
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a bench says what it is at, and what went wrong")]
fn complain(text: &str) {
    eprintln!("{text}");
}

const ROUNDS: usize = 7;

const HELP: &str = "\
cargo bench -p git-parler --bench processes -- [<option>…] [<repository>]

Without a repository, a seeded one serves.
  --rounds <n>      how often everything is run, in turns [default: 7]
  --only <part>     create, apply, handoff, hooks, start, mcp, hub or memory
  --json <file>     write the results there as well
  --program <path>  another git-parler than the one just built
  --smallest        each part once on little, to see that it works";
