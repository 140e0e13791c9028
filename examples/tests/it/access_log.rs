//! The log reader on good lines, faulty lines, long lines and torn files.
use std::io::Write;

use guardian_examples::access_log::{Entry, Lines, MAX_LINE};

const LINE: &str = r#"192.0.2.7 - ada [17/May/2015:10:05:03 -0130] "GET /a\"b HTTP/1.1" 200 512 "-" "a b""#;

#[test]
fn a_line_reads_back_as_it_was_written() {
    let entry = Entry::parse(LINE.as_bytes()).unwrap();
    assert_eq!(entry.to_string(), LINE);
    assert_eq!(entry.time.to_rfc3339(), "2015-05-17T10:05:03-01:30");
    assert_eq!((entry.path(), entry.agent()), (Some(r#"/a\"b"#), Some("a b")));
    let common = LINE.replace(r#" "-" "a b""#, "");
    assert_eq!(Entry::parse(common.as_bytes()).unwrap().to_string(), common);
}

#[test]
fn faults_are_named_with_their_place() {
    let faults = [
        ("", "the client is missing at byte 0: ``"),
        ("ada [17", "the time is not in brackets at byte 16: `200"),
        ("17/May", "the time is not like `17/May/2015:10:05:03 +0000` at byte 17: `31/Jun"),
        ("200 512", "the status is not a number of three digits at byte 66: `+20 5"),
        ("512 ", "the size is neither a number nor `-` at byte 70: `x "),
        (" \"a b\"", "a space and another field is missing at byte 77: ` `"),
        ("a b\"", "the closing quote is missing at byte 78: `\"a b`"),
    ];
    let with = ["", "ada 200 [17", "31/Jun", "+20 5", "x ", " ", "a b"];
    for ((old, message), new) in faults.into_iter().zip(with) {
        let line = if old.is_empty() { String::new() } else { LINE.replacen(old, new, 1) };
        let error = Entry::parse(line.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{line}: {error}");
    }
    let error = Entry::parse(&vec![b'x'; MAX_LINE + 1]).unwrap_err().to_string();
    assert!(error.starts_with("the line is longer than 32 KiB"), "{error}");
    assert!(Entry::parse(b"a \xff").unwrap_err().to_string().contains("not UTF-8 at byte 2"));
}

#[test]
fn lines_come_from_text_and_from_gzip_and_long_ones_are_cut() {
    let text = format!("one\r\n{}\n\nlast", "x".repeat(3 * MAX_LINE));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    for bytes in [text.clone().into_bytes(), gzip.finish().unwrap()] {
        let mut lines = Lines::of("a.log", std::io::Cursor::new(bytes)).unwrap();
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            seen.push((number, line.len()));
        }
        assert_eq!(seen, [(1, 3), (2, MAX_LINE + 1), (3, 0), (4, 4)]);
    }
    let torn = Lines::of("torn.gz", &[0x1f, 0x8b, 8, 0, 0][..]).unwrap().next_line().unwrap_err().to_string();
    assert!(torn.starts_with("cannot read `torn.gz`: "), "{torn}");
    let missing = Lines::open("missing.log").unwrap_err().to_string();
    assert!(missing.starts_with("cannot read `missing.log`: "), "{missing}");
}
