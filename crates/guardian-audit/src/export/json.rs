use crate::event::StoredEvent;

/// An event as JSON, in the form that [`StoredEvent`] has.
pub(super) fn event(out: &mut Vec<u8>, event: &StoredEvent) -> Result<(), serde_json::Error> {
    serde_json::to_writer(out, event)
}
