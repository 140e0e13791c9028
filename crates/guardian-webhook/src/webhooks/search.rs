//! Looking for a text in the log.

use guardian_core::{Page, PageRequest, Scope};

use super::Webhooks;
use crate::delivery::{Delivery, DeliveryFilter};
use crate::error::Error;
use crate::store::DeliveryStore;

/// The longest text to look for, in bytes.
const MAX_TEXT: usize = 256;
/// So many parts of the log are looked at for one page,
const PARTS: u32 = 20;
/// each of so many deliveries at most.
const PART: usize = 100;

impl<S: DeliveryStore> Webhooks<S> {
    /// The log, as [`deliveries`](Self::deliveries) shows it, of those that hold a text: in their payload, whatever its version, in
    /// the error of an attempt, or in the beginning of an answer's body that was kept. `deal_42` finds what was sent about that
    /// deal, `upstream timed out` whose receivers said so. Compared byte by byte.
    ///
    /// There is no index of texts, so a page looks at no more deliveries than twenty times its size, and 2,000. One with fewer in it than
    /// it has room for, even none, and with a `next`, was ended by that: the next one goes on from there. Name what else is known of
    /// them, the endpoint or the time, to get there sooner.
    ///
    /// # Errors
    /// When the text is not of 1 to 256 bytes, or the store fails.
    pub async fn search(
        &self,
        scope: &Scope,
        text: &str,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(Error::Setting { why: format!("a text to look for is 1 to {MAX_TEXT} bytes long") });
        }
        let store = &self.inner.store;
        let (mut found, mut cursor) = (Vec::new(), page.cursor().cloned());
        for _ in 0..PARTS {
            // Parts no larger than the room that is left end where the store says, whatever its cursors are.
            let room = usize::try_from(page.size()).unwrap_or(usize::MAX).saturating_sub(found.len());
            let part = u32::try_from(room.min(PART)).ok().and_then(|room| PageRequest::first(room).ok());
            let Some(part) = part else { break };
            let part = match cursor.take() {
                Some(cursor) => part.after(cursor),
                None => part,
            };
            let part = store.deliveries(scope, filter, &part).await?;
            let holding = store.holding(scope, &part.items, text).await?;
            found.extend(part.items.into_iter().filter(|delivery| holding.contains(&delivery.id)));
            cursor = part.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(Page::new(found, cursor))
    }
}
