use super::{DENIED, IDIOM, Kind, SHOUTED, STRETCHED, Tokens};

/// The tokens as text, with what was found out about them.
fn shown(text: &str) -> Vec<String> {
    let tokens = Tokens::of(text);
    let show = |token: &super::Token| {
        let form = String::from_utf8_lossy(tokens.form(token)).trim().to_owned();
        let name = if form.is_empty() { text.get(token.span()).unwrap_or("?").to_owned() } else { form };
        let marks = [(DENIED, "not:"), (IDIOM, "idiom:"), (SHOUTED, "loud:"), (STRETCHED, "long:")];
        let marks: String =
            marks.iter().filter(|(flag, _)| token.has(*flag)).map(|(_, mark)| *mark).collect();
        format!("{marks}{name}")
    };
    tokens.list.iter().map(show).collect()
}

#[test]
fn contractions_are_taken_apart_however_they_are_written() {
    for text in ["I won't go", "I won\u{2019}t go", "I wont go", "I wo n't go"] {
        let found = shown(text);
        assert_eq!(found.first().map(String::as_str), Some("i"), "{text}");
        assert_eq!(found.get(1).map(String::as_str), Some("will"), "{text}");
        assert_eq!(found.last().map(String::as_str), Some("not:go"), "{text}");
    }
    assert_eq!(shown("can't stop"), ["can", "n't", "not:stop"]);
    assert_eq!(shown("cannot stop").len(), 3);
    assert_eq!(shown("it's they'll").len(), 4);
}

#[test]
fn a_denial_reaches_four_words_a_mark_or_a_turn() {
    assert_eq!(
        shown("not one two three four five"),
        ["not", "not:one", "not:two", "not:three", "not:four", "five"]
    );
    assert_eq!(shown("not good, bad"), ["not", "not:good", ",", "bad"]);
    assert_eq!(shown("not cheap but fine"), ["not", "not:cheap", "but", "fine"]);
    assert_eq!(shown("no complaints here"), ["idiom:no", "idiom:complaints", "idiom:here"]);
    assert_eq!(shown("can't complain"), ["can", "idiom:n't", "idiom:complain"]);
}

#[test]
fn capitals_count_where_others_are_small_and_long_words_are_cut() {
    assert_eq!(shown("so SLOW"), ["so", "loud:slow"]);
    assert_eq!(shown("SO SLOW"), ["so", "slow"]);
    assert_eq!(shown("sooooo good"), ["long:soo", "good"]);
}

#[test]
fn addresses_users_numbers_and_emoji_are_one_token_each() {
    let kinds = |text: &str| Tokens::of(text).list.iter().map(|token| token.kind).collect::<Vec<_>>();
    assert_eq!(kinds("https://a.example/b?c=d"), [Kind::Mask]);
    assert_eq!(kinds("me@example.com"), [Kind::Mask]);
    assert_eq!(kinds("@user:"), [Kind::Mask, Kind::Pause]);
    assert_eq!(kinds("1,234.50"), [Kind::Number]);
    assert_eq!(kinds("👍🏽 :-) <3 &lt;3"), [Kind::Emoji; 4]);
    assert_eq!(kinds("great!!! really?!"), [Kind::Word, Kind::End, Kind::Word, Kind::End]);
    let hash = |text: &str| Tokens::of(text).list.first().map(|token| token.hash);
    assert_eq!(hash("@one"), hash("@other"));
    assert_eq!(hash("<3"), hash("&lt;3"));
    assert_eq!(hash("naïve"), hash("NAÏVE"));
}

#[test]
fn what_is_said_several_times_is_said_once() {
    assert_eq!(shown("bad, bad!  bad, bad!\nbad, bad!"), shown("bad, bad!"));
    assert_eq!(shown("bad bad good").len(), 3);
    assert_eq!(shown(&"very ".repeat(10_000)), ["very"]);
}
