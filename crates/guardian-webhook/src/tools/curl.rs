//! A request as a `curl` line.

use crate::send::Request;

/// The request as a command for a POSIX shell: whatever is in it, the shell runs `curl` alone. A body that is not plain text is piped
/// in through `base64`.
///
/// The line carries the signature and the endpoint's headers: it is for whoever may see those.
///
/// ```
/// use guardian_webhook::{Request, tools::curl};
///
/// let request = Request::new("https://example.com/", vec![("x-name".into(), "O'Brien".into())], (*b"{}").into());
/// assert_eq!(curl(&request), "curl -sS -X POST -H 'x-name: O'\\''Brien' --data-binary '{}' 'https://example.com/'");
/// ```
#[must_use]
pub fn curl(request: &Request) -> String {
    let mut line = String::from("curl -sS -X POST");
    for (name, value) in &request.headers {
        line.push_str(" -H ");
        // A header without a value would be taken out by curl instead of sent.
        line.push_str(&quoted(&if value.is_empty() {
            format!("{name};")
        } else {
            format!("{name}: {value}")
        }));
    }
    let text =
        std::str::from_utf8(&request.body).ok().filter(|text| !text.contains('\0') && !text.starts_with('@'));
    match text {
        Some(text) => format!("{line} --data-binary {} {}", quoted(text), quoted(&request.url)),
        None => {
            let body = crate::secret::encode(&request.body);
            format!(
                "printf %s {} | base64 -d | {line} --data-binary @- {}",
                quoted(&body),
                quoted(&request.url)
            )
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a POSIX shell makes of a line of single quotes, backslashes and bare words.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, line.chars());
        while let Some(c) = chars.next() {
            match c {
                ' ' => words.extend(word.take()),
                '\'' => {
                    let word = word.get_or_insert_default();
                    word.extend(chars.by_ref().take_while(|c| *c != '\''));
                }
                '\\' => word.get_or_insert_default().extend(chars.next()),
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    proptest! {
        #[test]
        fn a_shell_gives_curl_what_was_meant(value in "[^\0\r\n]{1,40}", body in "[^@\0][^\0]{0,60}", path in "[^\0]{0,20}") {
            let url = format!("https://example.com/{path}");
            let request = Request::new(url.clone(), vec![("x".into(), value.clone())], body.clone().into_bytes().into());
            let expected = ["curl", "-sS", "-X", "POST", "-H", &format!("x: {value}"), "--data-binary", &body, &url];
            prop_assert_eq!(words(&curl(&request)), expected);
        }
    }
}
