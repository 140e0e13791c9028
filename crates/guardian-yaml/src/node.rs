use serde_json::{Map, Value};

use crate::{Error, scalar, shorten};

/// A value with the line on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a value and its line, which readers take apart")]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// The value.
    pub content: Content,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "YAML has these three kinds of values")]
pub enum Content {
    /// A text, a number or a word, as it stands there.
    Scalar {
        /// The text, without quotes.
        text: String,
        /// Whether it was quoted or a block, and so is a text whatever it looks like.
        quoted: bool,
    },
    /// Values in their order.
    List(Vec<Node>),
    /// Keys with their values, in their order; no key is there twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    fn is_nothing(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, quoted: false } if scalar::is_null(text))
    }

    /// The text, the number or the word, as it stands there.
    ///
    /// # Errors
    /// When it is a list or a map.
    pub fn text(&self) -> Result<&str, Error> {
        match &self.content {
            Content::Scalar { text, .. } => Ok(text),
            _ => Err(Error::new(self.line, "a text is expected")),
        }
    }

    /// The whole number from 0.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self) -> Result<u32, Error> {
        let text = self.text()?;
        text.parse().map_err(|_| Error::new(self.line, format!("`{}` is no number", shorten(text))))
    }

    /// The values of a list; none where nothing stands.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&self) -> Result<&[Self], Error> {
        match &self.content {
            Content::List(items) => Ok(items),
            _ if self.is_nothing() => Ok(&[]),
            _ => Err(Error::new(self.line, "a list is expected")),
        }
    }

    /// One text, or a list of texts.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self) -> Result<Vec<&str>, Error> {
        match &self.content {
            Content::Scalar { text, quoted } if *quoted || !text.is_empty() => Ok(vec![text]),
            _ => self.list()?.iter().map(Self::text).collect(),
        }
    }

    /// The keys and values of a map; none where nothing stands.
    ///
    /// # Errors
    /// When it is something else.
    pub fn map(&self) -> Result<&[(String, Self)], Error> {
        match &self.content {
            Content::Map(entries) => Ok(entries),
            _ if self.is_nothing() => Ok(&[]),
            _ => Err(Error::new(self.line, "a map is expected")),
        }
    }

    /// The value of a key, where it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When there is none.
    pub fn need(&self, key: &str) -> Result<&Self, Error> {
        self.get(key).ok_or_else(|| Error::new(self.line, format!("`{}` is missing", shorten(key))))
    }

    /// The value as JSON, plain scalars by the core schema of YAML 1.2.
    ///
    /// # Errors
    /// For a number that JSON does not have: `.inf`, `.nan`, or one beyond all bounds.
    pub fn to_json(&self) -> Result<Value, Error> {
        Ok(match &self.content {
            Content::Scalar { text, quoted: true } => Value::from(text.as_str()),
            Content::Scalar { text, quoted: false } => scalar::read(text).ok_or_else(|| {
                Error::new(self.line, format!("`{}` is a number that JSON does not have", shorten(text)))
            })?,
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect::<Result<_, _>>()?),
            Content::Map(entries) => {
                let mut members = Map::new();
                for (key, value) in entries {
                    members.insert(key.clone(), value.to_json()?);
                }
                Value::Object(members)
            }
        })
    }
}
