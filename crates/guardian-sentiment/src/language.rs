use std::sync::OnceLock;

use foldhash::HashMap;

use crate::{Explanation, Reading, SentimentModel};

/// The language of a text, as far as it can be told.
///
/// ```
/// use guardian_sentiment::Language;
///
/// assert_eq!(Language::of("The export is broken and nobody answers my mails."), Language::English);
/// assert_eq!(Language::of("Der Export ist kaputt und niemand antwortet auf meine Mails."), Language::Other("deu"));
/// assert_eq!(Language::of("ok, Berlin"), Language::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a text is in the language of the model, in another, or nobody knows"
)]
pub enum Language {
    /// It is English.
    English,
    /// It is another: its ISO 639-3 code, and `und` when only the script tells that it is not English.
    Other(&'static str),
    /// It is too short or too odd to tell, and is written in the letters of English.
    Unknown,
}

/// Only so much of a text is looked at, in bytes.
const LOOKED_AT: usize = 4096;

const ENGLISH: &str = "the and you for that this with have are was not but your they from can has had would will what when there \
    been just it's i'm don't can't didn't doesn't isn't is it of to in on at we my our be as if or so an by do does did which who \
    how why all any more about out up get got after before because than then them their he she his her me us were could should \
    please thanks thank need still only again since i";

/// The commonest words that are none of English, by language.
const OTHERS: [(&str, &str); 12] = [
    (
        "deu",
        "der das und ist nicht ich ein eine mit auf für den dem des zu von auch es sie wir aber wie mich mir sehr noch kann \
        habe haben wird bei nach oder wenn schon nur bin sind war mein meine kein keine danke bitte \
        im am um aus dann doch mal einfach alle immer heute vom beim wieder hier jetzt ihr euch uns du dir dich was war sich so als \
        werden wurde dass gut ja mehr über gegen gibt",
    ),
    (
        "fra",
        "le les des est et un une que qui dans pour pas je vous nous ce cette sur avec mais plus au aux ne mon ma mes du la \
        c'est j'ai très merci tout bien sont été être depuis votre \
        son ses par se en y tu te nous on ont fait même comme faut moi toi ça d'un d'une qu'il n'est aussi sans encore leur",
    ),
    (
        "spa",
        "el los las de que y en un una es por para con no se lo muy pero mi está del al como más gracias todo este esta son \
        ha he sin sobre ya cuando tiene me su porque \
        te si al qué yo tu nos hay fue ser muy eso ese hoy estoy ni le les donde hasta vez",
    ),
    (
        "por",
        "de que não um uma os as para com do da em é por mas meu minha muito está foi são você obrigado obrigada isso esse \
        esta mais como se ao no na já tem eu ele sem \
        vai pra ser ter hoje aqui só ela meus nos dos das ou quando bem tudo pelo pela até q vc",
    ),
    (
        "ita",
        "il lo gli di che e non un una per con sono è del della ma mi molto questo questa più come ho ha anche grazie \
        nel alla sul ci dei delle io se perché tutto \
        dal al chi quando sempre solo ora oggi dopo poi fatto essere hanno suo tu ti ci alle dalla nella cosa così mai dai lo",
    ),
    (
        "nld",
        "de het een en is niet van ik dat met voor op zijn maar ook er aan te die bij nog wel mijn heb heeft naar wat wordt \
        bedankt geen deze als dan jullie om",
    ),
    (
        "swe",
        "och det att är inte jag som en ett på för med har av till den men om så min mitt vi kan tack mycket från eller var när nu \
        ni",
    ),
    (
        "dan",
        "og det at er ikke jeg som en et på for med har af til den men om så min vi kan tak meget fra eller var når nu det",
    ),
    (
        "pol",
        "i w na nie się z jest to że do jak ale mi mnie po co już tylko czy za od dla bardzo mam są był jestem dziękuję \
        proszę przez",
    ),
    (
        "tur",
        "ve bir bu için çok da de ne var yok ama ben ile gibi daha kadar değil teşekkürler olarak mi mı sonra her şey",
    ),
    ("ces", "a je se na to že v s z do jsem není ale jak si pro by tak už co mi děkuji mám jsou byl při"),
    (
        "fin",
        "ja on ei se että en ole mutta kun niin oli tämä hän ovat olen kiitos vain myös jos mitä minun kanssa",
    ),
];

impl Language {
    /// Tells the language of a text; the first 4 KiB decide. Texts of few words are not guessed at.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut end = text.len().min(LOOKED_AT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or(text);
        let (mut latin, mut foreign) = (0_u32, 0_u32);
        for letter in text.chars().filter(|symbol| symbol.is_alphabetic()) {
            // Latin with its extensions; above are other scripts.
            if u32::from(letter) < 0x250 || ('\u{1e00}'..'\u{1f00}').contains(&letter) {
                latin += 1;
            } else {
                foreign += 1;
            }
        }
        if foreign > latin {
            return Self::Other(Self::by_trigrams(text).unwrap_or("und"));
        }
        let (english, other, code) = Self::by_words(text);
        if other >= 2 && other > english + english / 2 {
            return Self::Other(code);
        }
        if english >= 2 && english >= other {
            return Self::English;
        }
        match Self::by_trigrams(text).filter(|_| latin >= 40) {
            Some("eng") => Self::English,
            Some(code) if english == 0 => Self::Other(code),
            _ if english > 0 => Self::English,
            _ => Self::Unknown,
        }
    }

    /// How many different words are common in English, and how many in the other language that has most of them.
    fn by_words(text: &str) -> (u32, u32, &'static str) {
        let known = known();
        let mut seen: Vec<(&str, u16)> = Vec::new();
        let tokens = text
            .split_whitespace()
            .filter(|token| !(token.starts_with(['@', '#']) || token.contains("://") || token.contains('@')));
        let words = tokens.flat_map(|token| {
            token.split(|symbol: char| !(symbol.is_alphabetic() || matches!(symbol, '\'' | '\u{2019}')))
        });
        for word in words.filter(|word| !word.is_empty()).take(200) {
            let found = if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                known.get_key_value(word)
            } else {
                known.get_key_value(word.to_lowercase().replace('\u{2019}', "'").as_str())
            };
            if let Some((word, languages)) = found
                && !seen.iter().any(|(other, _)| other == word)
            {
                seen.push((word, *languages));
            }
        }
        let of = |language: usize| {
            let count = seen.iter().filter(|(word, languages)| {
                // Letters that stand alone are anything.
                languages >> language & 1 == 1 && (language == 0 || word.len() > 1)
            });
            u32::try_from(count.count()).unwrap_or(u32::MAX)
        };
        let others = OTHERS.iter().enumerate().map(|(at, (code, _))| (of(at + 1), *code));
        let (count, code) = others.max_by_key(|(count, _)| *count).unwrap_or((0, "und"));
        (of(0), count, code)
    }

    #[cfg(feature = "lang")]
    fn by_trigrams(text: &str) -> Option<&'static str> {
        let found = whatlang::detect(text)?;
        found.is_reliable().then(|| found.lang().code())
    }

    #[cfg(not(feature = "lang"))]
    fn by_trigrams(_text: &str) -> Option<&'static str> {
        None
    }
}

/// The common words, with a bit for each language that they are common in: the lowest for English.
fn known() -> &'static HashMap<&'static str, u16> {
    static KNOWN: OnceLock<HashMap<&'static str, u16>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known: HashMap<&'static str, u16> = HashMap::default();
        let lists = std::iter::once(ENGLISH).chain(OTHERS.iter().map(|(_, words)| *words));
        for (words, language) in lists.zip(0..16_u32) {
            for word in words.split_ascii_whitespace() {
                *known.entry(word).or_default() |= 1 << language;
            }
        }
        known
    })
}

/// A model of English that says so of other languages instead of guessing. What cannot be told is read.
///
/// ```
/// use guardian_sentiment::{English, Lexicon, Reading, SentimentModel};
///
/// let model = English(Lexicon::improved());
/// assert!(matches!(model.read("Great, thank you!"), Reading::Read(_)));
/// assert_eq!(model.read("Das ist leider nicht gut, und ich warte noch."), Reading::Unsupported("deu".to_owned()));
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is the model, with a question before it")]
pub struct English<M>(pub M);

impl<M: SentimentModel> SentimentModel for English<M> {
    fn read(&self, text: &str) -> Reading {
        match Language::of(text) {
            Language::Other(code) => Reading::Unsupported(code.to_owned()),
            Language::English | Language::Unknown => self.0.read(text),
        }
    }

    fn explain(&self, text: &str) -> Option<Explanation> {
        match Language::of(text) {
            Language::Other(_) => None,
            Language::English | Language::Unknown => self.0.explain(text),
        }
    }
}
