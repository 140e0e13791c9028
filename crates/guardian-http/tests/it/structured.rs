//! A strict reader of RFC 9651 Lists of Items, written from the parsing algorithms of section 4.2 and independent
//! of the writer under test. It knows the types that the rate-limit fields use and refuses all others.
//!
//! It also refuses what the algorithms let pass but the serialisation of section 4.1 never writes, so that a field
//! that is read has exactly one spelling.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Integer(u64),
    String(String),
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Bare,
    pub(crate) params: Vec<(String, Bare)>,
}

/// Section 4.2.1, with exactly one space after each comma and none elsewhere (section 4.1.1).
pub(crate) fn parse_list(field: &[u8]) -> Option<Vec<Item>> {
    let mut reader = Reader { rest: field };
    let mut members = Vec::new();
    loop {
        members.push(reader.item()?);
        if reader.rest.is_empty() {
            return Some(members);
        }
        reader.eat(b',')?;
        reader.eat(b' ')?;
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Section 4.2.3.
    fn item(&mut self) -> Option<Item> {
        let value = self.bare()?;
        let mut params: Vec<(String, Bare)> = Vec::new();
        while self.peek() == Some(b';') {
            self.next();
            let key = self.key()?;
            self.eat(b'=')?;
            let value = self.bare()?;
            if params.iter().any(|(present, _)| *present == key) {
                return None;
            }
            params.push((key, value));
        }
        Some(Item { value, params })
    }

    /// Section 4.2.3.3.
    fn key(&mut self) -> Option<String> {
        if !matches!(self.peek()?, b'a'..=b'z' | b'*') {
            return None;
        }
        let mut key = String::new();
        while let Some(byte @ (b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*')) = self.peek() {
            self.next();
            key.push(char::from(byte));
        }
        Some(key)
    }

    /// Section 4.2.3.1.
    fn bare(&mut self) -> Option<Bare> {
        match self.peek()? {
            b'0'..=b'9' => self.integer(),
            b'"' => self.string(),
            b':' => self.byte_sequence(),
            _ => None,
        }
    }

    /// Section 4.2.4, at most fifteen digits and without leading zeros.
    fn integer(&mut self) -> Option<Bare> {
        let mut digits = String::new();
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            self.next();
            digits.push(char::from(byte));
        }
        let canonical = digits.len() <= 15 && (digits == "0" || !digits.starts_with('0'));
        canonical.then(|| Bare::Integer(digits.parse().unwrap()))
    }

    /// Section 4.2.5.
    fn string(&mut self) -> Option<Bare> {
        self.eat(b'"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(Bare::String(text)),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return None,
                },
                byte @ 0x20..=0x7e => text.push(char::from(byte)),
                _ => return None,
            }
        }
    }

    /// Section 4.2.7: base64 with padding, and with zero bits where the padding begins.
    fn byte_sequence(&mut self) -> Option<Bare> {
        self.eat(b':')?;
        let mut digits = Vec::new();
        loop {
            match self.next()? {
                b':' => break,
                byte => digits.push(byte),
            }
        }
        if digits.len() % 4 != 0 {
            return None;
        }
        let padding = digits.iter().rev().take_while(|&&digit| digit == b'=').count();
        let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
        for &digit in digits.iter().take(digits.len() - padding) {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            (bits, held) = (bits << 6 | u32::from(value), held + 6);
            if held >= 8 {
                held -= 8;
                bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
                bits &= (1 << held) - 1;
            }
        }
        (bits == 0 && padding == (3 - bytes.len() % 3) % 3).then_some(Bare::Bytes(bytes))
    }
}

/// The reader is itself read: the examples of RFC 9651 and its errors.
#[test]
fn the_reader_is_strict() {
    let item = |value, params: &[(&str, Bare)]| Item {
        value,
        params: params.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
    };
    let text = |text: &str| Bare::String(text.to_owned());
    assert_eq!(
        parse_list(br#""a\"\\";q=0;*x=:aGVsbG8=:, 7"#),
        Some(vec![
            item(text(r#"a"\"#), &[("q", Bare::Integer(0)), ("*x", Bare::Bytes(b"hello".to_vec()))]),
            item(Bare::Integer(7), &[]),
        ])
    );
    for wrong in [
        &b""[..],
        b" ",
        b"\"a",
        b"a",
        b"\"a\",\"b\"",
        b"\"a\",  \"b\"",
        b"\"a\", ",
        b"\"a\" ;q=1",
        b"\"a\"; q=1",
        b"\"a\";q",
        b"\"a\";q=",
        b"\"a\";Q=1",
        b"\"a\";1=1",
        b"\"a\";q=01",
        b"\"a\";q=1000000000000000",
        b"\"a\";q=-1",
        b"\"a\";q=1.0",
        b"\"a\";q=1;q=2",
        b"\"\\a\"",
        b"\"\xc3\xa9\"",
        b"\"\x7f\"",
        b"\"\t\"",
        b":aGVsbG8:",
        b":aGVsbG9=:",
        b":aGVs=bG8:",
        b":====:",
        b":aGVsbG8=",
        b":aGVs bG8=:",
        b":-_==:",
        b"?1",
    ] {
        assert_eq!(parse_list(wrong), None, "{}", wrong.escape_ascii());
    }
}
