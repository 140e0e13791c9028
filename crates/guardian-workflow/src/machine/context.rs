//! What an expression of a node sees.

use guardian_core::Timestamp;
use guardian_expr::{Lookup, Timestamp as ExprTime, Value as ExprValue};
use serde_json::Value;
use uuid::Uuid;

use super::state::{Frame, RunState, ScopeState, Token};
use crate::plan::{Op, Plan};

/// The variable `run`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunView<'a> {
    pub(crate) id: Uuid,
    pub(crate) workflow: &'a str,
    pub(crate) version: u64,
    pub(crate) started: Timestamp,
    pub(crate) now: Timestamp,
}

fn time(time: Timestamp) -> Option<ExprValue<'static>> {
    ExprTime::new(time.timestamp(), time.timestamp_subsec_nanos()).map(ExprValue::Timestamp)
}

impl Lookup for RunView<'_> {
    fn get(&self, name: &str) -> Option<ExprValue<'_>> {
        match name {
            "id" => Some(ExprValue::from(self.id.to_string())),
            "workflow" => Some(ExprValue::from(self.workflow)),
            "version" => Some(ExprValue::Int(i64::try_from(self.version).unwrap_or(i64::MAX))),
            "started" => time(self.started),
            "now" => time(self.now),
            _ => None,
        }
    }

    fn names(&self) -> Vec<&str> {
        vec!["id", "workflow", "version", "started", "now"]
    }
}

/// What an expression sees at a token.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a RunState,
    pub(crate) scope: &'a ScopeState,
    pub(crate) token: &'a Token,
    pub(crate) plan: &'a Plan,
    pub(crate) run: RunView<'a>,
    /// `event` or `outcome`, where there is one.
    pub(crate) extra: Option<(&'a str, &'a Value)>,
}

impl<'a> Context<'a> {
    /// A variable of a loop around the token.
    fn local(&self, name: &str) -> Option<ExprValue<'a>> {
        let mut token = self.token;
        loop {
            for frame in token.frames.iter().rev() {
                if let Some((_, own)) = frame.own()
                    && let Some(value) = own.get(name)
                {
                    return Some(ExprValue::from(value));
                }
                let (node, index, item) = match frame {
                    Frame::Each { node, index, items, .. } => (*node, *index, items.get(*index as usize)),
                    Frame::Item { node, index, item, .. } => (*node, *index, Some(item)),
                    Frame::While { .. } | Frame::Try { .. } => continue,
                };
                let Some(Op::ForEach(each)) = self.plan.step(node).map(|step| &step.op) else { continue };
                if *each.element == *name {
                    return item.map(ExprValue::from);
                }
                if each.index.as_deref() == Some(name) {
                    return Some(ExprValue::Int(i64::from(index)));
                }
            }
            let join = token.join?;
            let join = self.state.joins.iter().find(|each| each.id == join)?;
            token = self.state.token(join.token).filter(|parent| parent.scope == token.scope)?;
        }
    }
}

impl Lookup for Context<'_> {
    fn get(&self, name: &str) -> Option<ExprValue<'_>> {
        if let Some((extra, value)) = self.extra
            && extra == name
        {
            return Some(ExprValue::from(value));
        }
        match name {
            "input" => return Some(ExprValue::from(&self.scope.input)),
            "run" => return Some(ExprValue::Object(&self.run)),
            _ => {}
        }
        if (!self.token.frames.is_empty() || self.token.join.is_some())
            && let Some(local) = self.local(name)
        {
            return Some(local);
        }
        self.scope.variables.get(name).map(ExprValue::from)
    }

    fn names(&self) -> Vec<&str> {
        ["input", "run"].into_iter().chain(self.scope.variables.keys().map(String::as_str)).collect()
    }
}

/// What the filter of a trigger sees.
pub(crate) struct EventContext<'a>(pub(crate) &'a Value);

impl Lookup for EventContext<'_> {
    fn get(&self, name: &str) -> Option<ExprValue<'_>> {
        (name == "event").then(|| ExprValue::from(self.0))
    }

    fn names(&self) -> Vec<&str> {
        vec!["event"]
    }
}
