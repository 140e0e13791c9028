//! How tokens leave what they are at before it is done: a branch that lost a race, what a failure leaves over, a run that is
//! cancelled. The `finally` of every `try` around them comes first, and who waits goes on behind that.

use super::state::{Closing, Frame, Pending, Stage};
use super::{Machine, Turn};
use crate::plan::Op;

impl Machine<'_> {
    /// Takes a token out of its work. What it is in the middle of counts no more.
    pub(super) fn take_out(&mut self, id: u32) {
        let Some(token) = self.state.token_mut(id) else { return };
        // What comes last is not broken off: behind the outermost of it the way leads out.
        let last = token.frames.iter_mut().find_map(|frame| match frame {
            Frame::Try { stage: Stage::Finally(pending), .. } => Some(pending),
            _ => None,
        });
        if let Some(pending) = last {
            *pending = Some(Box::new(Pending::Out));
            return;
        }
        self.turns.retain(|turn| turn.token() != id);
        match self.state.joins.iter().find(|join| join.token == id).map(|join| join.id) {
            Some(join) => self.shut(join, Closing::Out),
            None => self.unwind(id),
        }
    }

    /// Leads a token outwards, through what comes last in each `try`.
    pub(super) fn unwind(&mut self, id: u32) {
        let plan = self.state.token(id).map(|token| token.scope).and_then(|scope| self.plan(scope));
        while let Some(frame) = self.state.token(id).and_then(|token| token.frames.last()) {
            if let Frame::Try { node, stage: Stage::Body | Stage::Handler, .. } = frame
                && let Some(step) = plan.as_ref().and_then(|plan| plan.step(*node))
                && let Op::Try { finally: Some(_), .. } = &step.op
                && self.lead_to_finally(id, step, Some(Pending::Out))
            {
                return;
            }
            self.pop(id);
        }
        self.gone(id);
    }

    /// A token has nothing more to do, and nobody asks how it ended.
    fn gone(&mut self, id: u32) {
        let join = self.state.token(id).and_then(|token| token.join);
        self.drop_tokens(&[id]);
        match join {
            Some(join) => self.close_if_empty(join),
            None if self.state.tokens.is_empty() => self.cancelled(),
            None => {}
        }
    }

    /// Ends a join: takes out all that is below it, and then lets the token that waits go on like this.
    pub(super) fn shut(&mut self, join: u32, closing: Closing) {
        let Some(state) = self.state.join_mut(join) else { return };
        let shut_before = state.closing.is_some();
        // Who is taken out has nothing else to go on to.
        if !shut_before || closing == Closing::Out {
            state.closing = Some(Box::new(closing));
        }
        if !shut_before {
            let below: Vec<u32> = self
                .state
                .tokens
                .iter()
                .filter(|token| token.join == Some(join))
                .map(|token| token.id)
                .collect();
            for token in below {
                self.take_out(token);
            }
        }
        self.close_if_empty(join);
    }

    /// Lets the token that waits at a join go on, if the join is shut and nobody is below it any more.
    pub(super) fn close_if_empty(&mut self, join: u32) {
        if self.state.tokens.iter().any(|token| token.join == Some(join)) {
            return;
        }
        let Some(at) = self.state.joins.iter().position(|each| each.id == join && each.closing.is_some())
        else {
            return;
        };
        let state = self.state.joins.remove(at);
        let waiting = state.token;
        match state.closing.map(|closing| *closing) {
            Some(Closing::Release) => {
                if let Some((plan, at)) = self.place(waiting)
                    && let Some(step) = plan.step(at)
                {
                    self.go(waiting, step.next);
                }
            }
            Some(Closing::Raise(failure)) => self.turns.push_back(Turn::Raise(waiting, failure)),
            Some(Closing::Finish(value)) => self.turns.push_back(Turn::Finish(waiting, value)),
            Some(Closing::Sub(result)) => self.turns.push_back(Turn::SubDone(waiting, result)),
            Some(Closing::Out) | None => self.unwind(waiting),
        }
    }
}
