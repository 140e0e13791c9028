//! A draft as the outbox keeps it.

use uuid::Uuid;

use super::token;
use crate::store::Draft;
use crate::terms::Terms;

/// The terms of a draft, and which of them are keyed.
pub(crate) fn written(draft: &Draft) -> (String, String) {
    let mut blind = Terms::default();
    draft.blind.iter().for_each(|term| blind.push(term));
    (token::encode(&draft.terms, draft.occurred), token::encode(&blind, draft.occurred))
}

/// The draft again.
pub(crate) fn draft(id: Uuid, occurred: i64, body: Vec<u8>, terms: &str, blind: &str) -> Draft {
    let blind = token::decode(blind).iter().map(str::to_owned).collect();
    Draft { id, occurred, body, terms: token::decode(terms), blind }
}
