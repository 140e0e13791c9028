//! YAML, which JSON is a part of, without what makes it dangerous: no anchors, no aliases, no tags, bounded.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{check_size, fault};
use crate::Error;

/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 16;

/// A value with the line on which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text, a number or a word; whether it was quoted.
    Scalar(String, bool),
    List(Vec<Node>),
    /// Keys with their values, in their order.
    Map(Vec<(String, Node)>),
}

/// What is open while its parts are read.
enum Open {
    List(usize, Vec<Node>),
    Map(usize, Vec<(String, Node)>, Option<String>),
}

/// The documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Error> {
    check_size(text)?;
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| fault(error.marker().line(), error.info().to_owned()))?;
        let line = span.start.line();
        let done = match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse(line, anchor, tag.is_some())?;
                Node { line, value: Value::Scalar(text.into_owned(), style != ScalarStyle::Plain) }
            }
            Event::SequenceStart(anchor, tag) => {
                refuse(line, anchor, tag.is_some())?;
                open.push(Open::List(line, Vec::new()));
                check_depth(line, open.len())?;
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                refuse(line, anchor, tag.is_some())?;
                open.push(Open::Map(line, Vec::new(), None));
                check_depth(line, open.len())?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(line, items)) => Node { line, value: Value::List(items) },
                Some(Open::Map(line, entries, _)) => Node { line, value: Value::Map(entries) },
                None => return Err(fault(line, "a list or a map ends that did not begin")),
            },
            Event::Alias(_) => return Err(fault(line, "aliases are not taken")),
            _ => continue,
        };
        match open.last_mut() {
            None => found.push(done),
            Some(Open::List(_, items)) => items.push(done),
            Some(Open::Map(_, entries, key)) => match (key.take(), done.value) {
                (Some(key), value) => entries.push((key, Node { line: done.line, value })),
                (None, Value::Scalar(name, _)) => {
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(fault(
                            line,
                            format!("the key `{}` is there twice", crate::name::shorten(&name)),
                        ));
                    }
                    *key = Some(name);
                }
                (None, _) => return Err(fault(line, "a key is a list or a map")),
            },
        }
    }
    Ok(found)
}

fn refuse(line: usize, anchor: usize, tagged: bool) -> Result<(), Error> {
    if anchor != 0 {
        return Err(fault(line, "anchors are not taken"));
    }
    if tagged { Err(fault(line, "tags are not taken")) } else { Ok(()) }
}

fn check_depth(line: usize, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH { Err(fault(line, format!("it nests deeper than {MAX_DEPTH}"))) } else { Ok(()) }
}

impl Node {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Result<&str, Error> {
        match &self.value {
            Value::Scalar(text, _) => Ok(text),
            _ => Err(fault(self.line, "a text is expected")),
        }
    }

    pub(super) fn number(&self) -> Result<u32, Error> {
        let text = self.text()?;
        text.parse().map_err(|_| fault(self.line, format!("`{}` is no number", crate::name::shorten(text))))
    }

    pub(super) fn list(&self) -> Result<&[Node], Error> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Scalar(text, false) if matches!(text.as_str(), "" | "~" | "null") => Ok(&[]),
            _ => Err(fault(self.line, "a list is expected")),
        }
    }

    /// One text, or a list of texts.
    pub(super) fn texts(&self) -> Result<Vec<&str>, Error> {
        match &self.value {
            Value::Scalar(text, quoted) if *quoted || !text.is_empty() => Ok(vec![text]),
            _ => self.list()?.iter().map(Self::text).collect(),
        }
    }

    pub(super) fn map(&self) -> Result<&[(String, Node)], Error> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            Value::Scalar(text, false) if matches!(text.as_str(), "" | "~" | "null") => Ok(&[]),
            _ => Err(fault(self.line, "a map is expected")),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn need(&self, key: &str) -> Result<&Node, Error> {
        self.get(key).ok_or_else(|| fault(self.line, format!("`{key}` is missing")))
    }

    /// Nothing but these keys.
    pub(super) fn only(&self, keys: &[&str]) -> Result<(), Error> {
        for (key, value) in self.map()? {
            if !keys.contains(&key.as_str()) {
                let shown = crate::name::shorten(key);
                let similar = crate::name::nearest(key, keys.iter().copied());
                let hint = similar.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
                return Err(fault(value.line, format!("unknown key `{shown}`{hint}")));
            }
        }
        Ok(())
    }
}
