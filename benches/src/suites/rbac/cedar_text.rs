//! Enough of Cedar's language to read its examples, and to write their conditions in ours.

use guardian_rbac::Effect;

type Failure = Box<dyn std::error::Error>;

/// What the head of a policy says about the principal or the resource.
pub(super) enum Head {
    /// Nothing.
    Any,
    /// It is this entity.
    Is(String),
    /// It is this entity or in it.
    In(String),
}

/// A policy.
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) principal: Head,
    /// `None` for every action.
    pub(super) actions: Option<Vec<String>>,
    pub(super) resource: Head,
    /// In the Common Expression Language.
    pub(super) condition: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "::", "&&", "||", "==", "!=", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", ";", ".", "<", ">", "!",
    "+", "-", "*",
];

/// Reads policies; `references` are the attributes that hold entities.
pub(super) fn statements(text: &str, references: &[String]) -> Result<Vec<Statement>, Failure> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, references };
    let mut found = Vec::new();
    while reader.at < reader.tokens.len() {
        found.push(reader.statement()?);
    }
    Ok(found)
}

fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = rest.trim_start();
        } else if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if c == '"' {
            let inner = rest.strip_prefix('"').unwrap_or_default();
            let (text, after) = inner.split_once('"').ok_or("a text is not closed")?;
            found.push(Token::Text(text.to_owned()));
            rest = after;
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length);
            let number = c.is_ascii_digit();
            found.push(if number { Token::Number(word.to_owned()) } else { Token::Word(word.to_owned()) });
            rest = after;
        } else {
            let sign = SIGNS
                .iter()
                .find(|sign| rest.starts_with(**sign))
                .ok_or_else(|| format!("`{c}` is not read"))?;
            found.push(Token::Sign(sign));
            rest = rest.strip_prefix(sign).unwrap_or_default();
        }
    }
    Ok(found)
}

struct Reader<'r> {
    tokens: Vec<Token>,
    at: usize,
    references: &'r [String],
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn is(&mut self, sign: &'static str) -> bool {
        let here = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(here);
        here
    }

    fn word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(here);
        here
    }

    fn need(&mut self, sign: &'static str) -> Result<(), Failure> {
        if self.is(sign) {
            Ok(())
        } else {
            Err(format!("`{sign}` is missing before {:?}", self.peek()).into())
        }
    }

    fn statement(&mut self) -> Result<Statement, Failure> {
        let effect = match self.next() {
            Some(Token::Word(word)) if word == "permit" => Effect::Allow,
            Some(Token::Word(word)) if word == "forbid" => Effect::Deny,
            other => return Err(format!("{other:?} begins no policy").into()),
        };
        self.need("(")?;
        let (principal, own) = self.head("principal")?;
        self.need(",")?;
        let actions = self.actions()?;
        self.need(",")?;
        let (resource, other) = self.head("resource")?;
        let _ = self.is(",");
        self.need(")")?;
        let mut conditions: Vec<String> = [own, other].into_iter().flatten().collect();
        loop {
            let negated = if self.word("when") {
                false
            } else if self.word("unless") {
                true
            } else {
                break;
            };
            self.need("{")?;
            let condition = self.any()?;
            self.need("}")?;
            conditions.push(if negated { format!("!({condition})") } else { format!("({condition})") });
        }
        self.need(";")?;
        let condition = (!conditions.is_empty()).then(|| conditions.join(" && "));
        Ok(Statement { effect, principal, actions, resource, condition })
    }

    /// The head, and a condition for what an area or a group alone does not say.
    fn head(&mut self, what: &'static str) -> Result<(Head, Option<String>), Failure> {
        if !self.word(what) {
            return Err(format!("`{what}` is missing").into());
        }
        if self.is("==") {
            let uid = self.uid()?;
            let only = (what == "resource").then(|| format!("resource.uid == {}", literal(&uid)));
            return Ok((Head::Is(uid), only));
        }
        if self.word("is") {
            let kind = self.path()?;
            let only = format!("{what}.uid.startsWith({})", literal(&format!("{kind}::")));
            if self.word("in") {
                return Ok((Head::In(self.uid()?), Some(only)));
            }
            return Ok((Head::Any, Some(only)));
        }
        if self.word("in") { Ok((Head::In(self.uid()?), None)) } else { Ok((Head::Any, None)) }
    }

    fn actions(&mut self) -> Result<Option<Vec<String>>, Failure> {
        if !self.word("action") {
            return Err("`action` is missing".into());
        }
        let id =
            |uid: String| uid.split_once("::").map_or(uid.clone(), |(_, id)| id.trim_matches('"').to_owned());
        if self.is("==") {
            return Ok(Some(vec![id(self.uid()?)]));
        }
        if !self.word("in") {
            return Ok(None);
        }
        if !self.is("[") {
            return Ok(Some(vec![id(self.uid()?)]));
        }
        let mut found = Vec::new();
        while !self.is("]") {
            found.push(id(self.uid()?));
            let _ = self.is(",");
        }
        Ok(Some(found))
    }

    fn path(&mut self) -> Result<String, Failure> {
        let mut path = match self.next() {
            Some(Token::Word(word)) => word,
            other => return Err(format!("{other:?} is no name").into()),
        };
        while self.is("::") {
            match self.next() {
                Some(Token::Word(word)) => path = format!("{path}::{word}"),
                Some(Token::Text(_)) => {
                    self.at -= 2;
                    return Ok(path);
                }
                other => return Err(format!("{other:?} is no name").into()),
            }
        }
        Ok(path)
    }

    fn uid(&mut self) -> Result<String, Failure> {
        let kind = self.path()?;
        self.need("::")?;
        match self.next() {
            Some(Token::Text(id)) => Ok(format!("{kind}::{}", literal(&id))),
            other => Err(format!("{other:?} is no id").into()),
        }
    }

    fn any(&mut self) -> Result<String, Failure> {
        let mut left = self.all()?;
        while self.is("||") {
            left = format!("{left} || {}", self.all()?);
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<String, Failure> {
        let mut left = self.relation()?;
        while self.is("&&") {
            left = format!("{left} && {}", self.relation()?);
        }
        Ok(left)
    }

    fn relation(&mut self) -> Result<String, Failure> {
        let left = self.sum()?;
        for sign in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.is(sign) {
                let right = self.sum()?;
                return Ok(format!("{} {sign} {}", value(&left), value(&right)));
            }
        }
        if self.word("has") {
            return match self.next() {
                Some(Token::Word(name)) => Ok(format!("has({left}.{name})")),
                other => Err(format!("{other:?} is no attribute").into()),
            };
        }
        if self.word("in") {
            let right = self.sum()?;
            // `above` of an entity has itself and all that it is in.
            let above = match left.as_str() {
                "principal" | "resource" => format!("{left}.above"),
                other => format!("context.entities[{other}].above"),
            };
            return Ok(if right.starts_with('[') {
                format!("{right}.exists(e, e in {above})")
            } else {
                format!("{} in {above}", value(&right))
            });
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<String, Failure> {
        let mut left = self.unary()?;
        loop {
            let sign = ["+", "-", "*"].into_iter().find(|sign| self.is(sign));
            match sign {
                Some(sign) => left = format!("{left} {sign} {}", self.unary()?),
                None => return Ok(left),
            }
        }
    }

    fn unary(&mut self) -> Result<String, Failure> {
        if self.is("!") {
            return Ok(format!("!({})", self.unary()?));
        }
        if self.is("-") {
            return Ok(format!("-{}", self.unary()?));
        }
        self.member()
    }

    fn member(&mut self) -> Result<String, Failure> {
        let mut made = self.primary()?;
        // Whether what was read holds the name of an entity.
        let mut reference = false;
        while self.is(".") {
            let Some(Token::Word(name)) = self.next() else { return Err("an attribute has no name".into()) };
            if self.is("(") {
                let mut arguments = Vec::new();
                while !self.is(")") {
                    arguments.push(value(&self.any()?));
                    let _ = self.is(",");
                }
                let [argument] = arguments.as_slice() else {
                    return Err(format!("`{name}` is not read").into());
                };
                made = match name.as_str() {
                    "contains" => format!("({argument} in {made})"),
                    "containsAll" => format!("{argument}.all(e, e in {made})"),
                    "containsAny" => format!("{argument}.exists(e, e in {made})"),
                    other => return Err(format!("`{other}` is not read").into()),
                };
                reference = false;
                continue;
            }
            let base = if reference { format!("context.entities[{made}]") } else { made };
            made = format!("{base}.{name}");
            reference = self.references.contains(&name);
        }
        Ok(made)
    }

    fn primary(&mut self) -> Result<String, Failure> {
        match self.next() {
            Some(Token::Text(text)) => Ok(literal(&text)),
            Some(Token::Number(number)) => Ok(number),
            Some(Token::Sign("(")) => {
                let inner = self.any()?;
                self.need(")")?;
                Ok(format!("({inner})"))
            }
            Some(Token::Sign("[")) => {
                let mut items = Vec::new();
                while !self.is("]") {
                    items.push(value(&self.any()?));
                    let _ = self.is(",");
                }
                Ok(format!("[{}]", items.join(", ")))
            }
            Some(Token::Word(word)) => {
                if self.peek() == Some(&Token::Sign("::")) {
                    self.at -= 1;
                    return Ok(literal(&self.uid()?));
                }
                match word.as_str() {
                    "principal" | "resource" | "context" | "true" | "false" => Ok(word),
                    other => Err(format!("`{other}` is not read").into()),
                }
            }
            other => Err(format!("{other:?} is not read").into()),
        }
    }
}

/// The principal and the resource as values are their names.
fn value(text: &str) -> String {
    match text {
        "principal" | "resource" => format!("{text}.uid"),
        other => other.to_owned(),
    }
}

fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
