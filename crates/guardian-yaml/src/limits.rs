use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::{Content, Error, Node, shorten};

/// How much is read.
///
/// ```
/// use guardian_yaml::Limits;
///
/// let limits = Limits::default().with_depth(2);
/// assert!(limits.read("a: [1]").is_ok());
/// assert_eq!(limits.read("a: [[1]]").unwrap_err().to_string(), "line 1: it nests deeper than 2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    bytes: usize,
    depth: usize,
    values: usize,
    aliases: usize,
}

impl Default for Limits {
    /// 4 MiB of text, 64 levels, a million values, and no aliases.
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 64, values: 1_000_000, aliases: 0 }
    }
}

/// What is open while its parts are read, and the number of its anchor, 0 without one.
struct Open {
    line: usize,
    anchor: usize,
    /// Values in it so far, it included.
    count: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<(String, Node)>, keys: HashSet<String>, key: Option<String> },
}

/// A value that aliases may name, how many values it is, how deep, and the bytes of its texts.
struct Anchored {
    node: Node,
    count: usize,
    depth: usize,
    bytes: usize,
}

impl Limits {
    /// With texts of so many bytes at most, and with as many that anchors and aliases repeat.
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// With so many levels of lists and maps at most.
    pub fn with_depth(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    /// With so many values at most, those that aliases repeat included.
    pub fn with_values(mut self, values: usize) -> Self {
        self.values = values;
        self
    }

    /// With so many aliases at most; with none, anchors are refused as well.
    pub fn with_aliases(mut self, aliases: usize) -> Self {
        self.aliases = aliases;
        self
    }

    /// The documents of a text. O(length and what aliases repeat), all of it within the limits.
    ///
    /// # Errors
    /// What is no YAML, or more than the limits allow, with its line.
    pub fn read(&self, text: &str) -> Result<Vec<Node>, Error> {
        if text.len() > self.bytes {
            let why = format!("the text has {} bytes, the most is {}", text.len(), self.bytes);
            return Err(Error::new(0, why));
        }
        let mut reader = Reader {
            limits: *self,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            values: 0,
            aliases: 0,
            repeated: 0,
        };
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| Error::new(error.marker().line(), error.info().to_owned()))?;
            reader.take(event, span.start.line())?;
        }
        Ok(reader.documents)
    }

    /// The only document of a text.
    ///
    /// # Errors
    /// As for [`Self::read`], and for a text with none or several.
    pub fn read_one(&self, text: &str) -> Result<Node, Error> {
        let mut documents = self.read(text)?;
        match (documents.pop(), documents.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(Error::new(0, "the text is empty")),
            (_, others) => {
                Err(Error::new(0, format!("the text has {} documents, it must have one", others + 1)))
            }
        }
    }
}

struct Reader {
    limits: Limits,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    values: usize,
    aliases: usize,
    /// Bytes of texts that were copied for anchors and aliases.
    repeated: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Error> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.admit(line, anchor, tag.is_some(), 1)?;
                let quoted = style != ScalarStyle::Plain;
                let content = Content::Scalar { text: text.into_owned(), quoted };
                self.done(Node { line, content }, anchor, 1, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                self.admit(line, anchor, tag.is_some(), 1)?;
                self.open(line, anchor, Parts::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.admit(line, anchor, tag.is_some(), 1)?;
                let parts = Parts::Map { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.open(line, anchor, parts)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Err(Error::new(line, "a list or a map ends that did not begin"));
                };
                let content = match open.parts {
                    Parts::List(items) => Content::List(items),
                    Parts::Map { entries, .. } => Content::Map(entries),
                };
                let node = Node { line: open.line, content };
                let depth = if open.anchor == 0 { 0 } else { depth(&node) };
                self.done(node, open.anchor, open.count, depth)
            }
            Event::Alias(anchor) => self.alias(line, anchor),
            _ => Ok(()),
        }
    }

    fn admit(&mut self, line: usize, anchor: usize, tagged: bool, count: usize) -> Result<(), Error> {
        if anchor != 0 && self.limits.aliases == 0 {
            return Err(Error::new(line, "anchors are not taken"));
        }
        if tagged {
            return Err(Error::new(line, "tags are not taken"));
        }
        self.values = self.values.saturating_add(count);
        if self.values > self.limits.values {
            return Err(Error::new(line, format!("it has more than {} values", self.limits.values)));
        }
        Ok(())
    }

    /// Texts of so many bytes are about to be copied: values alone do not bound them, for one value may be as long as the text.
    fn repeat(&mut self, line: usize, bytes: usize) -> Result<(), Error> {
        self.repeated = self.repeated.saturating_add(bytes);
        if self.repeated > self.limits.bytes {
            let why = format!("its anchors and aliases repeat more than {} bytes", self.limits.bytes);
            return Err(Error::new(line, why));
        }
        Ok(())
    }

    fn open(&mut self, line: usize, anchor: usize, parts: Parts) -> Result<(), Error> {
        self.open.push(Open { line, anchor, count: 1, parts });
        self.check_depth(line, self.open.len())
    }

    fn check_depth(&self, line: usize, depth: usize) -> Result<(), Error> {
        if depth > self.limits.depth {
            return Err(Error::new(line, format!("it nests deeper than {}", self.limits.depth)));
        }
        Ok(())
    }

    fn alias(&mut self, line: usize, anchor: usize) -> Result<(), Error> {
        self.aliases += 1;
        if self.limits.aliases == 0 {
            return Err(Error::new(line, "aliases are not taken"));
        }
        if self.aliases > self.limits.aliases {
            return Err(Error::new(line, format!("it has more than {} aliases", self.limits.aliases)));
        }
        // One within what it names is not known yet.
        let Some(known) = self.anchors.get(&anchor) else {
            return Err(Error::new(line, "an alias names what is not there, or what it is in"));
        };
        let (count, depth, bytes) = (known.count, known.depth, known.bytes);
        self.check_depth(line, self.open.len() + depth)?;
        self.admit(line, 0, false, count)?;
        self.repeat(line, bytes)?;
        let Some(known) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = Node { line, content: known.node.content.clone() };
        self.done(node, 0, count, depth)
    }

    /// A value is complete.
    fn done(&mut self, node: Node, anchor: usize, count: usize, depth: usize) -> Result<(), Error> {
        if anchor != 0 {
            // What is kept for aliases counts as well.
            self.admit(node.line, 0, false, count)?;
            let bytes = text_bytes(&node);
            self.repeat(node.line, bytes)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), count, depth, bytes });
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.count = open.count.saturating_add(count);
        match &mut open.parts {
            Parts::List(items) => items.push(node),
            Parts::Map { entries, keys, key } => match (key.take(), node.content) {
                (Some(key), content) => entries.push((key, Node { line: node.line, content })),
                (None, Content::Scalar { text, .. }) => {
                    if !keys.insert(text.clone()) {
                        return Err(Error::new(
                            node.line,
                            format!("the key `{}` is there twice", shorten(&text)),
                        ));
                    }
                    *key = Some(text);
                }
                (None, _) => return Err(Error::new(node.line, "a key is a list or a map")),
            },
        }
        Ok(())
    }
}

/// How many levels of lists and maps a value has.
fn depth(node: &Node) -> usize {
    match &node.content {
        Content::Scalar { .. } => 0,
        Content::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Content::Map(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}

/// Bytes of the texts of a value, its keys included.
fn text_bytes(node: &Node) -> usize {
    match &node.content {
        Content::Scalar { text, .. } => text.len(),
        Content::List(items) => items.iter().map(text_bytes).sum(),
        Content::Map(entries) => entries.iter().map(|(key, value)| key.len() + text_bytes(value)).sum(),
    }
}
