//! Conditions as the JSON of a visual builder: the `RuleGroup` form of react-querybuilder.
//!
//! A group is `{"combinator": "and" | "or", "not": true?, "rules": […]}`, a rule `{"field", "operator", "value"}`. What is no
//! such rule is the rule `{"field": "", "operator": "expression", "value": "…"}` with the text of the condition, so that
//! every condition has a form.

use serde_json::{Map as Members, Value as Json, json};

use crate::ast::{Ast, BinaryOp, ChainOp, Node, NodeId, SelectKind, UnaryOp};
use crate::env::Env;
use crate::error::Error;
use crate::lexer::is_plain_name;
use crate::value::{write_double, write_text};

/// Groups nest no deeper.
const MAX_DEPTH: usize = 60;

impl Env {
    /// The condition that a group of rules stands for, as text in the one style. It is read, but not checked: [`Self::compile`]
    /// does that.
    ///
    /// The operators are those of react-querybuilder: `=`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `beginsWith`, `endsWith`
    /// and their negations, `null`, `notNull`, `in`, `notIn`, `between`, `notBetween`, and our `expression`. With
    /// `"valueSource": "field"` the value is the name of a field. `id` and `path` are left out.
    ///
    /// ```
    /// let group = serde_json::json!({"combinator": "and", "rules": [
    ///     {"field": "deal.amount", "operator": ">", "value": 1000},
    ///     {"field": "deal.stage", "operator": "in", "value": ["won", "open"]},
    /// ]});
    /// let env = guardian_expr::Env::new();
    /// let text = env.from_rules(&group)?;
    /// assert_eq!(text, "deal.amount > 1000 && deal.stage in [\"won\", \"open\"]");
    /// assert_eq!(env.parse(&text)?.to_rules(), group);
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// JSON of another form, an unknown operator, a value that an operator does not take, or nesting deeper than 60.
    pub fn from_rules(&self, group: &Json) -> Result<String, Error> {
        let mut text = String::new();
        write_group(self, group, true, 0, &mut text)?;
        Ok(self.parse(&text)?.format())
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::plain(what)
}

fn write_group(env: &Env, group: &Json, root: bool, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(wrong(format!("the groups nest deeper than {MAX_DEPTH}")));
    }
    let members = group.as_object().ok_or_else(|| wrong("a group of rules is an object"))?;
    let combinator = members.get("combinator").and_then(Json::as_str).unwrap_or("and");
    let symbol = match combinator.to_ascii_lowercase().as_str() {
        "and" => " && ",
        "or" => " || ",
        _ => return Err(wrong(format!("`{combinator}` is no combinator: it is `and` or `or`"))),
    };
    let rules = members.get("rules").and_then(Json::as_array).ok_or_else(|| wrong("a group has `rules`"))?;
    let not = members.get("not").and_then(Json::as_bool).unwrap_or(false);
    // A group of one rule says its combinator by what changes nothing, unless it is the whole and an ordinary one.
    let neutral = if symbol == " && " { "true" } else { "false" };
    let plain = root && !not && symbol == " && " && rules.len() == 1;
    out.push_str(if not { "!(" } else { "(" });
    for (at, rule) in rules.iter().enumerate() {
        if at > 0 {
            out.push_str(symbol);
        }
        if rule.get("rules").is_some() {
            write_group(env, rule, false, depth + 1, out)?;
        } else {
            write_rule(env, rule, plain, out)?;
        }
    }
    match rules.len() {
        // What a group without rules says, as no rule and no group of one says it.
        0 => out.push_str(if neutral == "true" { "!false" } else { "!true" }),
        1 if !plain || rules.iter().any(|rule| rule.get("rules").is_some()) => {
            out.push_str(symbol);
            out.push_str(neutral);
        }
        _ => {}
    }
    out.push(')');
    Ok(())
}

fn write_rule(env: &Env, rule: &Json, alone: bool, out: &mut String) -> Result<(), Error> {
    let members = rule.as_object().ok_or_else(|| wrong("a rule is an object"))?;
    let text = |key: &str| members.get(key).and_then(Json::as_str);
    let operator = text("operator").ok_or_else(|| wrong("a rule has an `operator`"))?;
    let value = members.get("value").unwrap_or(&Json::Null);
    if operator == "expression" {
        let source = value.as_str().ok_or_else(|| wrong("the value of an `expression` is a text"))?;
        let ast = env.parse(source)?;
        if !alone && matches!(ast.node(ast.root()), Node::Bool(_)) {
            return Err(wrong(
                "an `expression` beside other rules is not just `true` or `false`: that is a group without rules",
            ));
        }
        out.push('(');
        ast.format().lines().filter(|line| !line.starts_with("//")).for_each(|line| out.push_str(line));
        out.push(')');
        return Ok(());
    }
    let mut field = String::new();
    write_path(text("field").ok_or_else(|| wrong("a rule has a `field`"))?, &mut field)?;
    let by_field = text("valueSource") == Some("field");
    let operand = |value: &Json| -> Result<String, Error> {
        let mut written = String::new();
        if by_field {
            let name = value.as_str().ok_or_else(|| wrong("the name of a field is a text"))?;
            write_path(name, &mut written)?;
        } else {
            write_value(value, 0, &mut written)?;
        }
        Ok(written)
    };
    let call = |name: &str, negated: bool| -> Result<String, Error> {
        Ok(format!("{}{field}.{name}({})", if negated { "!" } else { "" }, operand(value)?))
    };
    let written = match operator {
        "=" => format!("{field} == {}", operand(value)?),
        "!=" | "<" | "<=" | ">" | ">=" => format!("{field} {operator} {}", operand(value)?),
        "contains" => call("contains", false)?,
        "beginsWith" => call("startsWith", false)?,
        "endsWith" => call("endsWith", false)?,
        "doesNotContain" => call("contains", true)?,
        "doesNotBeginWith" => call("startsWith", true)?,
        "doesNotEndWith" => call("endsWith", true)?,
        "null" => format!("{field} == null"),
        "notNull" => format!("{field} != null"),
        "in" | "notIn" => {
            let is_list = value.is_array() || by_field && value.is_string();
            if !is_list {
                return Err(wrong(format!("the value of `{operator}` is a list")));
            }
            let list = operand(value)?;
            if operator == "in" { format!("{field} in {list}") } else { format!("!({field} in {list})") }
        }
        "between" | "notBetween" => {
            let Some([low, high]) = value.as_array().map(Vec::as_slice) else {
                return Err(wrong(format!("the value of `{operator}` is a list of two")));
            };
            let (low, high) = (operand(low)?, operand(high)?);
            match (operator, by_field) {
                ("between", false) => format!("({low} <= {field} && {field} <= {high})"),
                (_, false) => format!("({field} < {low} || {high} < {field})"),
                // Between fields that would read as two ordinary rules.
                ("between", true) => format!("({low} <= {field} ? {field} <= {high} : false)"),
                (_, true) => format!("({field} < {low} ? true : {high} < {field})"),
            }
        }
        _ => return Err(wrong(format!("`{operator}` is no operator of a rule"))),
    };
    out.push_str(&written);
    Ok(())
}

/// Writes the name of a field: names with dots between them, in backticks where they are no plain names.
fn write_path(path: &str, out: &mut String) -> Result<(), Error> {
    for (at, part) in path.split('.').enumerate() {
        if at == 0 {
            if !is_plain_name(part) || crate::lexer::is_reserved(part) {
                return Err(wrong(format!("`{path}` is no name of a field")));
            }
            out.push_str(part);
            continue;
        }
        out.push('.');
        let quotable = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-/ ".contains(&byte));
        if part.is_empty() || !quotable {
            return Err(wrong(format!("`{path}` is no name of a field")));
        }
        if is_plain_name(part) {
            out.push_str(part);
        } else {
            out.push('`');
            out.push_str(part);
            out.push('`');
        }
    }
    Ok(())
}

fn write_value(value: &Json, depth: usize, out: &mut String) -> Result<(), Error> {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => out.push_str(&int.to_string()),
            (None, Some(uint)) => out.push_str(&format!("{uint}u")),
            _ => {
                let _ = write_double(out, number.as_f64().unwrap_or_default());
            }
        },
        Json::String(text) => {
            let _ = write_text(out, text);
        }
        Json::Array(items) if depth < MAX_DEPTH => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_value(item, depth + 1, out)?;
            }
            out.push(']');
        }
        _ => {
            return Err(wrong(
                "the value of a rule is a text, a number, a boolean, `null` or a list of such",
            ));
        }
    }
    Ok(())
}

impl Ast {
    /// The condition as a group of rules; [`Env::from_rules`] gives back the same condition.
    ///
    /// Parts that are no rules of react-querybuilder become rules with the operator `expression`.
    #[must_use]
    pub fn to_rules(&self) -> Json {
        let root = self.root();
        match self.group(root, 0) {
            Some(group) => group,
            None => json!({"combinator": "and", "rules": [self.rule(root)]}),
        }
    }

    /// A group, where the node is one.
    fn group(&self, id: NodeId, depth: usize) -> Option<Json> {
        if depth >= MAX_DEPTH {
            return None;
        }
        if let Node::Unary { op: UnaryOp::Not, operand } = self.node(id) {
            if let Node::Bool(value) = self.node(operand) {
                return Some(json!({"combinator": if value { "or" } else { "and" }, "rules": []}));
            }
            if let Node::Unary { operand: inner, .. } = self.node(operand)
                && !matches!(self.node(inner), Node::Bool(_))
            {
                return None;
            }
            let mut group = self.group(operand, depth + 1)?;
            group.as_object_mut()?.insert("not".to_owned(), Json::Bool(true));
            return Some(group);
        }
        let Node::Chain { op: op @ (ChainOp::And | ChainOp::Or), terms } = self.node(id) else { return None };
        if self.between(id).is_some() {
            return None;
        }
        let neutral = op == ChainOp::And;
        let mut list = self.list(terms);
        // A group of one rule is a chain with what changes nothing; one that is the whole is the rule alone.
        if let [first, second] = list
            && self.node(*second) == Node::Bool(neutral)
        {
            if depth == 0 && neutral && self.group(*first, depth + 1).is_none() {
                return None;
            }
            list = list.get(..1).unwrap_or_default();
        }
        if list.iter().any(|term| matches!(self.node(*term), Node::Bool(_))) {
            return None;
        }
        let rules: Vec<Json> = list
            .iter()
            .map(|term| self.group(*term, depth + 1).unwrap_or_else(|| self.rule(*term)))
            .collect();
        Some(json!({"combinator": if neutral { "and" } else { "or" }, "rules": rules}))
    }

    fn rule(&self, id: NodeId) -> Json {
        self.simple_rule(id).unwrap_or_else(|| {
            let text = self.format_node(id);
            json!({"field": "", "operator": "expression", "value": text})
        })
    }

    fn simple_rule(&self, id: NodeId) -> Option<Json> {
        if let Some(rule) = self.between(id) {
            return Some(rule);
        }
        match self.node(id) {
            Node::Binary { op: BinaryOp::In, left, right } => self.made(left, "in", right).filter(|rule| {
                rule.get("value").is_some_and(|value| value.is_array() || rule.get("valueSource").is_some())
            }),
            Node::Binary { op, left, right } if op.is_comparison() => {
                let null = self.node(right) == Node::Null;
                match op {
                    BinaryOp::Equal if null => self.on_field(left, "null"),
                    BinaryOp::NotEqual if null => self.on_field(left, "notNull"),
                    BinaryOp::Equal => self.made(left, "=", right),
                    _ => self.made(left, op.symbol(), right),
                }
            }
            Node::Method { .. } => self.text_rule(id, ["contains", "beginsWith", "endsWith"]),
            Node::Unary { op: UnaryOp::Not, operand } => match self.node(operand) {
                Node::Binary { op: BinaryOp::In, .. } => {
                    let mut rule = self.simple_rule(operand)?;
                    rule.as_object_mut()?.insert("operator".to_owned(), Json::from("notIn"));
                    Some(rule)
                }
                Node::Method { .. } => {
                    self.text_rule(operand, ["doesNotContain", "doesNotBeginWith", "doesNotEndWith"])
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn text_rule(&self, id: NodeId, operators: [&str; 3]) -> Option<Json> {
        let Node::Method { function, arguments } = self.node(id) else { return None };
        let [target, argument] = self.list(arguments) else { return None };
        let [contains, begins, ends] = operators;
        let operator = match self.name(function) {
            "contains" => contains,
            "startsWith" => begins,
            "endsWith" => ends,
            _ => return None,
        };
        self.made(*target, operator, *argument)
    }

    fn on_field(&self, field: NodeId, operator: &str) -> Option<Json> {
        Some(json!({"field": self.path_of(field)?, "operator": operator, "value": null}))
    }

    /// A rule about a field and a literal or another field.
    fn made(&self, field: NodeId, operator: &str, value: NodeId) -> Option<Json> {
        let field = self.path_of(field)?;
        let mut rule = Members::new();
        rule.insert("field".to_owned(), field.into());
        rule.insert("operator".to_owned(), operator.into());
        match self.json_of(value, 0) {
            Some(value) => {
                rule.insert("value".to_owned(), value);
            }
            None => {
                rule.insert("value".to_owned(), self.path_of(value)?.into());
                rule.insert("valueSource".to_owned(), "field".into());
            }
        }
        Some(Json::Object(rule))
    }

    /// `low <= field && field <= high`, or `field < low || high < field`: the literals stand first on one side only, so
    /// that a group of two ordinary rules is something else. Between fields these are two ordinary rules, and a
    /// conditional stands for the range.
    fn between(&self, id: NodeId) -> Option<Json> {
        let (op, first, second, by_field) = match self.node(id) {
            Node::Chain { op, terms } => {
                let [first, second] = self.list(terms) else { return None };
                (op, *first, *second, false)
            }
            Node::Conditional { condition, then, otherwise } => {
                match (self.node(then), self.node(otherwise)) {
                    (_, Node::Bool(false)) => (ChainOp::And, condition, then, true),
                    (Node::Bool(true), _) => (ChainOp::Or, condition, otherwise, true),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let (Node::Binary { op: one, left: a, right: b }, Node::Binary { op: two, left: c, right: d }) =
            (self.node(first), self.node(second))
        else {
            return None;
        };
        let (operator, field, other, low, high) = match (op, one, two) {
            (ChainOp::And, BinaryOp::LessEqual, BinaryOp::LessEqual) => ("between", b, c, a, d),
            (ChainOp::Or, BinaryOp::Less, BinaryOp::Less) => ("notBetween", a, d, b, c),
            _ => return None,
        };
        let (field, other) = (self.path_of(field)?, self.path_of(other)?);
        if field != other {
            return None;
        }
        if by_field {
            let (low, high) = (self.path_of(low)?, self.path_of(high)?);
            return Some(
                json!({"field": field, "operator": operator, "value": [low, high], "valueSource": "field"}),
            );
        }
        let (low, high) = (self.json_of(low, 0)?, self.json_of(high, 0)?);
        Some(json!({"field": field, "operator": operator, "value": [low, high]}))
    }

    /// The name of a field: a variable, or fields of one. Names with dots in backticks have none.
    fn path_of(&self, mut id: NodeId) -> Option<String> {
        let mut parts = Vec::new();
        loop {
            match self.node(id) {
                Node::Ident { name, absolute: false } if is_plain_name(self.name(name)) => {
                    parts.push(self.name(name));
                    break;
                }
                Node::Select { operand, field, kind: SelectKind::Field }
                    if !self.name(field).contains('.') =>
                {
                    parts.push(self.name(field));
                    id = operand;
                }
                _ => return None,
            }
        }
        parts.reverse();
        Some(parts.join("."))
    }

    /// The JSON of a literal that is written again in the same way.
    fn json_of(&self, id: NodeId, depth: usize) -> Option<Json> {
        Some(match self.node(id) {
            Node::Null => Json::Null,
            Node::Bool(value) => Json::Bool(value),
            Node::Int(value) => Json::from(value),
            // Smaller ones would come back as ints.
            Node::Uint(value) if i64::try_from(value).is_err() => Json::from(value),
            Node::Double(value) => Json::from(value),
            Node::Text(name) => Json::from(self.name(name)),
            Node::List(elements) if depth < MAX_DEPTH => {
                let items: Option<Vec<Json>> =
                    self.list(elements).iter().map(|item| self.json_of(*item, depth + 1)).collect();
                Json::Array(items?)
            }
            _ => return None,
        })
    }
}
