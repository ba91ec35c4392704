//! `docs/PROTOCOL.md` against the code: its tables of limits are rendered from it, and it names every request, statement
//! and code. `UPDATE_GOLDEN=1` writes the tables anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use protocol::frame::RequestKind;
use protocol::limits::{
    BUNDLE_PREREQUISITES_MAX, BUNDLE_TIPS_MAX, CHAIN_ENTRIES_MAX, CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES,
    DENIED_AGENTS_MAX, DENIED_MAX, HANDOFFS_MAX, JOIN_SECRET_CHARACTERS_MIN, JSON_DEPTH_MAX,
    JSON_INTEGER_MAX, KEY_MILLIS_MAX, KEY_USES_MAX, KEYS_MAX, LOGIN_WAIT_MILLIS, Limits, MESSAGE_BLOBS_MAX,
    NAME_BYTES_MAX, ORIGIN_BYTES_MAX, POST_FRAME_BYTES_MAX, PROTOCOL, PULL_BYTES_MAX, PULL_ENTRIES_MAX,
    PULL_WAIT_MILLIS_MAX, READER_NAME_MAX, READERS_MAX, RECAP_BYTES_MAX, REQUESTS_PAGE_MAX, ROOMS_PAGE_MAX,
    SEAT_MILLIS_MAX, SENTENCE_CHARACTERS_MAX, STATED_BYTES_MAX, STATEMENT_BYTES_MAX, STRAY_BYTES_MAX,
    SUBPROTOCOL, TOPIC_BYTES_MAX, Unit,
};
use protocol::refusal::RefusalCode;
use protocol::statement::{ASK, PASS, TYPES};

use crate::vectors::project;

fn document() -> String {
    std::fs::read_to_string(project("docs/PROTOCOL.md")).expect("the protocol is described")
}

/// Returns what the constants of the protocol limit, in the order of the document.
fn constants() -> Vec<(&'static str, &'static str, String)> {
    let bytes = |value: usize| shown(value as u64, Unit::Bytes);
    let millis = |value: u64| shown(value / 1000, Unit::Seconds);
    vec![
        ("PROTOCOL", "the protocol level", PROTOCOL.to_string()),
        ("SUBPROTOCOL", "the WebSocket subprotocol", format!("`{SUBPROTOCOL}`")),
        ("JSON_DEPTH_MAX", "the depth of JSON", JSON_DEPTH_MAX.to_string()),
        ("JSON_INTEGER_MAX", "an integer, in either direction", JSON_INTEGER_MAX.to_string()),
        ("STATEMENT_BYTES_MAX", "the text of a statement", bytes(STATEMENT_BYTES_MAX)),
        ("NAME_BYTES_MAX", "a name", bytes(NAME_BYTES_MAX)),
        ("SEAT_MILLIS_MAX", "the life of a seat statement", millis(SEAT_MILLIS_MAX as u64)),
        ("KEY_MILLIS_MAX", "the life of a session key", millis(KEY_MILLIS_MAX as u64)),
        ("KEY_USES_MAX", "uses of a session key", KEY_USES_MAX.to_string()),
        ("KEYS_MAX", "session keys of a room", KEYS_MAX.to_string()),
        ("CHAIN_ENTRIES_MAX", "entries of a membership chain", CHAIN_ENTRIES_MAX.to_string()),
        ("DENIED_AGENTS_MAX", "agents of a denial", DENIED_AGENTS_MAX.to_string()),
        ("DENIED_MAX", "agents that a room turns away", DENIED_MAX.to_string()),
        ("TOPIC_BYTES_MAX", "the topic of a session", bytes(TOPIC_BYTES_MAX)),
        ("RECAP_BYTES_MAX", "the recap of a session, over all its messages", bytes(RECAP_BYTES_MAX)),
        ("ROOMS_PAGE_MAX", "rooms of a `rooms`", ROOMS_PAGE_MAX.to_string()),
        ("REQUESTS_PAGE_MAX", "requests to join of a `requests`", REQUESTS_PAGE_MAX.to_string()),
        ("ORIGIN_BYTES_MAX", "an origin", bytes(ORIGIN_BYTES_MAX)),
        (
            "JOIN_SECRET_CHARACTERS_MIN",
            "a join secret has at least",
            format!("{JOIN_SECRET_CHARACTERS_MIN} characters"),
        ),
        ("LOGIN_WAIT_MILLIS", "a client's patience during login", millis(LOGIN_WAIT_MILLIS as u64)),
        ("POST_FRAME_BYTES_MAX", "the text frame of a `post`", bytes(POST_FRAME_BYTES_MAX)),
        ("MESSAGE_BLOBS_MAX", "blobs of a message", MESSAGE_BLOBS_MAX.to_string()),
        ("BUNDLE_TIPS_MAX", "tips of a handoff", BUNDLE_TIPS_MAX.to_string()),
        ("BUNDLE_PREREQUISITES_MAX", "prerequisites of a handoff", BUNDLE_PREREQUISITES_MAX.to_string()),
        ("STATED_BYTES_MAX", "`log`, `stat` and `surface` of a handoff", bytes(STATED_BYTES_MAX)),
        ("PULL_ENTRIES_MAX", "entries of a `pull`", PULL_ENTRIES_MAX.to_string()),
        ("PULL_BYTES_MAX", "the entries of a `pull`, behind the first", shown(PULL_BYTES_MAX, Unit::Bytes)),
        ("PULL_WAIT_MILLIS_MAX", "`wait_ms`", millis(PULL_WAIT_MILLIS_MAX)),
        ("HANDOFFS_MAX", "references of a `handoffs` or `find`", HANDOFFS_MAX.to_string()),
        ("READERS_MAX", "readers of an agent in a room", READERS_MAX.to_string()),
        ("READER_NAME_MAX", "the name of a reader", format!("{READER_NAME_MAX} characters")),
        ("CHUNK_BYTES_MAX", "a chunk", bytes(CHUNK_BYTES_MAX)),
        ("CHUNK_HEADER_BYTES", "the number before a chunk", bytes(CHUNK_HEADER_BYTES)),
        ("STRAY_BYTES_MAX", "chunks of a transfer that has ended", shown(STRAY_BYTES_MAX, Unit::Bytes)),
        (
            "SENTENCE_CHARACTERS_MAX",
            "a sentence of a refusal",
            format!("{SENTENCE_CHARACTERS_MAX} characters"),
        ),
    ]
}

/// A value in the largest unit that it is a whole number of.
fn shown(value: u64, unit: Unit) -> String {
    let steps: &[(u64, &str)] = match unit {
        Unit::Count => &[],
        Unit::Bytes => &[(1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " bytes")],
        Unit::Seconds => &[(86_400, " days"), (3600, " h"), (60, " min"), (1, " s")],
    };
    let step = steps.iter().find(|(size, _)| value >= *size && value.is_multiple_of(*size));
    step.map_or_else(|| value.to_string(), |(size, name)| format!("{}{name}", value / size))
}

fn limits_table() -> String {
    let mut table = "| limit | of | default |\n| --- | --- | --- |\n".to_owned();
    for limit in Limits::TABLE {
        let value = shown(limit.default, limit.unit);
        writeln!(table, "| `{}` | {} | {value} |", limit.name, limit.about).expect("a string takes all");
    }
    table
}

fn constants_table() -> String {
    let mut table = "| of | |\n| --- | --- |\n".to_owned();
    for (_, about, value) in constants() {
        writeln!(table, "| {about} | {value} |").expect("a string takes all");
    }
    table
}

/// Compares the block between the marks with `table`, or writes it.
fn hold(name: &str, table: &str) {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let document = document();
    let (before, rest) = document.split_once(&begin).expect("the document has the block");
    let (block, after) = rest.split_once(&end).expect("the block ends");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let written = format!("{before}{begin}{table}{end}{after}");
        std::fs::write(project("docs/PROTOCOL.md"), written).expect("the document can be written");
    } else {
        assert_eq!(block, table, "{name}");
    }
}

#[test]
fn the_tables_of_limits_are_those_of_the_code() {
    hold("limits", &limits_table());
    hold("constants", &constants_table());
}

#[test]
fn every_constant_is_in_the_document() {
    let source = std::fs::read_to_string(project("protocol/src/limits.rs")).expect("the limits have a file");
    let named = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let named: BTreeSet<&str> = named.collect();
    let listed: BTreeSet<&str> = constants().iter().map(|(name, ..)| *name).collect();
    assert_eq!(named, listed);
}

#[test]
fn every_request_statement_and_code_is_in_the_document() {
    let document = document();
    let requests = RequestKind::ALL.iter().map(|kind| kind.name());
    let codes = RefusalCode::ALL.iter().map(|code| code.as_str());
    for name in requests.chain(codes).chain(TYPES.iter().copied()) {
        assert!(document.contains(&format!("\n| `{name}` |")), "{name} has no row");
    }
    for kind in [PASS, ASK] {
        assert!(document.contains(&format!("\n| `{kind}` |")), "{kind} has no row");
    }
}
