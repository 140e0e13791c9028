//! What the literals of the source stand for.

/// Why a literal means nothing: the offset in it, and what is wrong.
pub(crate) type Wrong = (usize, String);

/// The text or the bytes between the quotes of a literal, appended to `into`.
///
/// In a text `\x41`, `\101` and `\u0041` are code points, in bytes the first two are bytes and the third does not exist
/// (langdef, "String and Bytes Values").
pub(crate) fn unquote(literal: &str, bytes: bool, into: &mut Vec<u8>) -> Result<(), Wrong> {
    let open = literal.find(['"', '\'']).unwrap_or(0);
    let (prefix, quoted) = literal.split_at_checked(open).unwrap_or(("", literal));
    let raw = prefix.contains(['r', 'R']);
    let quote = quoted.get(..1).unwrap_or("\"");
    let width = if quoted.len() >= 6 && quoted.starts_with(&quote.repeat(3)) { 3 } else { 1 };
    let inner = quoted.get(width..quoted.len().saturating_sub(width)).unwrap_or_default();
    if raw || !inner.contains('\\') {
        into.extend_from_slice(inner.as_bytes());
        return Ok(());
    }
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
        into.extend_from_slice(plain.as_bytes());
        let offset = open + width + (inner.len() - escape.len());
        let used = unescape(escape, bytes, into).map_err(|message| (offset, message))?;
        rest = escape.get(used..).unwrap_or_default();
    }
    into.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// Decodes the escape at the front and says how long it is.
fn unescape(escape: &str, bytes: bool, into: &mut Vec<u8>) -> Result<usize, String> {
    let letter = escape.chars().nth(1).ok_or("a backslash stands at the end")?;
    let simple = match letter {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '?' => b'?',
        '"' => b'"',
        '\'' => b'\'',
        '`' => b'`',
        'x' | 'X' => return number(escape, 2, 2, 16, !bytes, into),
        'u' if !bytes => return number(escape, 2, 4, 16, true, into),
        'U' if !bytes => return number(escape, 2, 8, 16, true, into),
        '0'..='3' => return number(escape, 1, 3, 8, !bytes, into),
        _ => return Err(format!("`\\{}` is no escape", letter.escape_debug())),
    };
    into.push(simple);
    Ok(2)
}

fn number(
    escape: &str,
    skip: usize,
    digits: usize,
    radix: u32,
    point: bool,
    into: &mut Vec<u8>,
) -> Result<usize, String> {
    let text = escape.get(skip..skip + digits).filter(|text| text.chars().all(|each| each.is_digit(radix)));
    let text = text.ok_or_else(|| format!("this escape has {digits} digits of base {radix}"))?;
    let value = u32::from_str_radix(text, radix).map_err(|_| "the escape is too large".to_owned())?;
    if point {
        let character = char::from_u32(value).ok_or_else(|| format!("`{text}` is no code point"))?;
        into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        into.push(u8::try_from(value).map_err(|_| "the escape is too large for a byte".to_owned())?);
    }
    Ok(skip + digits)
}

/// A signed integer; the sign is not part of the text.
pub(crate) fn int(text: &str, negative: bool) -> Option<i64> {
    let magnitude = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// An unsigned integer with its `u`.
pub(crate) fn uint(text: &str) -> Option<u64> {
    let digits = text.strip_suffix(['u', 'U']).unwrap_or(text);
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// A double, which must be finite.
pub(crate) fn double(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}
