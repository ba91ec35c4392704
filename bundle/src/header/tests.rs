//! Headers that git writes are taken and written back; everything else is refused with its reason.

use proptest::prelude::*;

use super::*;

const A: &str = "1111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222";

fn parse(text: &str) -> Result<(Header, usize), HeaderError> {
    Header::parse(text.as_bytes())
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("a refusal").to_string()
}

#[test]
fn what_is_parsed_is_written_back() {
    let long = "3".repeat(64);
    for text in [
        format!("# v2 git bundle\n{A} refs/heads/main\n\n"),
        format!("# v2 git bundle\n-{A} a base\n-{B}\n{B} HEAD\n{B} refs/heads/main\n\n"),
        format!("# v3 git bundle\n@object-format=sha1\n{A} refs/tags/v1\n\n"),
        format!("# v3 git bundle\n@object-format=sha256\n-{long} x\n{long} refs/heads/main\n\n"),
    ] {
        let (header, offset) = parse(&format!("{text}PACK")).unwrap();
        assert_eq!(offset, text.len());
        let mut written = Vec::new();
        header.write_to(&mut written).unwrap();
        assert_eq!(written.as_bstr(), text);
    }
}

#[test]
fn every_refusal_says_what_is_wrong() {
    let (v2, v3) = ("# v2 git bundle\n", "# v3 git bundle\n");
    let cases = [
        (String::new(), "this is not a git bundle"),
        ("gitdir: /elsewhere\n".into(), "this is not a git bundle"),
        ("# v2 git bundle\r\n".into(), "this git bundle has a version that is not known here"),
        ("# v4 git bundle\n\n".into(), "this git bundle has a version that is not known here"),
        ("# v2 git".into(), "the bundle ends inside its header"),
        (format!("{v2}{A} refs/heads/main\n"), "the bundle ends inside its header"),
        (format!("{v2}\n"), "the bundle carries no reference"),
        (format!("{v2}-{A} x\n\n"), "the bundle carries no reference"),
        (format!("{v2}{A}\n\n"), "line 2 of the bundle's header is malformed"),
        (format!("{v2}{A}x refs/heads/main\n\n"), "line 2 of the bundle's header is malformed"),
        (format!("{v2}{} refs/heads/main\n\n", &A[1..]), "line 2 of the bundle's header is malformed"),
        (
            format!("{v2}{} refs/heads/main\n\n", A.replace('1', "A")),
            "line 2 of the bundle's header is malformed",
        ),
        (format!("{v2}{A} refs/heads/main\n-{B} x\n\n"), "line 3 of the bundle's header is malformed"),
        (format!("{v2}@object-format=sha1\n{A} HEAD\n\n"), "line 2 of the bundle's header is malformed"),
        (format!("{v3}{A} HEAD\n@object-format=sha1\n\n"), "line 3 of the bundle's header is malformed"),
        (
            format!("{v3}@object-format=md5\n{A} HEAD\n\n"),
            "the bundle uses an object format that is not known here: md5",
        ),
        (
            format!("{v3}@sparkle\n{A} HEAD\n\n"),
            "the bundle needs a capability that is not known here: sparkle",
        ),
        (
            format!("{v3}@filter=blob:none\n{A} HEAD\n\n"),
            "the bundle leaves objects out (filter blob:none), so it cannot be imported",
        ),
        (
            format!("{v2}{A} refs/heads/../x\n\n"),
            "the bundle carries a reference with an invalid name: \"refs/heads/../x\"",
        ),
        (format!("{v2}{A} main\n\n"), "the bundle carries a reference with an invalid name: \"main\""),
        (
            format!("{v2}{A} refs/heads/a\u{7f}\n\n"),
            "the bundle carries a reference with an invalid name: \"refs/heads/a\\x7f\"",
        ),
        (
            format!("{v2}{A} refs/heads/a.lock\n\n"),
            "the bundle carries a reference with an invalid name: \"refs/heads/a.lock\"",
        ),
        (format!("{v2}{A} HEAD\n{B} HEAD\n\n"), "the bundle carries the reference HEAD twice"),
        (
            format!("{v2}-{A} x\n-{A} y\n{B} HEAD\n\n"),
            "the bundle names the prerequisite 1111111111111111111111111111111111111111 twice",
        ),
    ];
    for (text, sentence) in cases {
        assert_eq!(refusal(&text), sentence, "{text:?}");
    }
}

#[test]
fn counts_and_length_are_bounded() {
    let refs =
        |count: usize| (0..count).map(|number| format!("{A} refs/heads/{number}\n")).collect::<String>();
    assert!(parse(&format!("# v2 git bundle\n{}\n", refs(64))).is_ok());
    assert!(matches!(parse(&format!("# v2 git bundle\n{}\n", refs(65))), Err(HeaderError::TooManyRefs)));
    let bases = |count: usize| (0..count).map(|number| format!("-{number:040x}\n")).collect::<String>();
    assert!(parse(&format!("# v2 git bundle\n{}{A} HEAD\n\n", bases(256))).is_ok());
    let error = parse(&format!("# v2 git bundle\n{}{A} HEAD\n\n", bases(257)));
    assert!(matches!(error, Err(HeaderError::TooManyPrerequisites)));
    let comment = "x".repeat(HEADER_BYTES_MAX);
    assert!(matches!(
        parse(&format!("# v2 git bundle\n-{A} {comment}\n{A} HEAD\n\n")),
        Err(HeaderError::TooLong)
    ));
}

fn config() -> ProptestConfig {
    let cases = if kit::is_long() { 5120 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_make_the_parser_panic_and_what_it_takes_it_writes_back(
        version in 2..=3_u8,
        lines in prop::collection::vec("(@(object-format=sha(1|256)|filter=x|y)|-?(1{40}|2{40}|3{64}|4{3})( (refs/heads/)?[a-z./~ ]{0,6})?|.{0,8})", 0..6),
        cut in 0..400_usize,
    ) {
        let text = format!("# v{version} git bundle\n{}\n\nPACK", lines.join("\n"));
        let bytes = &text.as_bytes()[..text.len().min(cut.max(20))];
        if let Ok((header, offset)) = Header::parse(bytes) {
            let mut written = Vec::new();
            header.write_to(&mut written).unwrap();
            let (again, length) = Header::parse(&written).unwrap();
            prop_assert_eq!(&again, &header);
            prop_assert_eq!(length, written.len());
            prop_assert!(offset <= bytes.len());
        }
    }
}
