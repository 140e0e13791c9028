//! Events that found the queue full: a file of frames, taken up from its front and emptied once all are in the log.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use guardian_core::TenantId;

use super::Draft;
use super::segment::{file::sync_folder, journal, log::Log};

/// So many events may wait here; they are kept in memory as well.
const MOST: usize = 1_000_000;

#[derive(Debug)]
pub(crate) struct Spill {
    log: Log,
    waiting: VecDeque<(TenantId, Draft)>,
    /// Those that the store refused for good. They stay in the file, and are tried again when it is opened the next time.
    refused: usize,
}

impl Spill {
    /// Opens the file; `read` makes a draft of a body and its keyed terms.
    pub(crate) fn open(path: &Path, read: impl Fn(&[u8], Vec<String>) -> Option<Draft>) -> io::Result<Self> {
        let mut waiting = VecDeque::new();
        let (log, _) = Log::open(path, |payload| {
            let damaged =
                || io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is damaged", path.display()));
            let entry = journal::read(payload).ok_or_else(damaged)?;
            for event in &entry.events {
                let blind = event.blind.iter().map(|term| (*term).to_owned()).collect();
                waiting.push_back((entry.tenant.clone(), read(event.body, blind).ok_or_else(damaged)?));
            }
            Ok(())
        })?;
        sync_folder(path)?;
        Ok(Self { log, waiting, refused: 0 })
    }

    /// How many there are, refused ones included.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.refused
    }

    /// Whether some wait for being appended.
    pub(crate) fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds an event; it survives a crash when this returns.
    pub(crate) fn push(&mut self, tenant: &TenantId, draft: &Draft) -> io::Result<()> {
        if self.len() >= MOST {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spill file is full"));
        }
        self.log.stage(|out| journal::write(out, tenant, 0, 0, std::iter::once(draft)))?;
        self.log.write_staged()?;
        self.log.sync()?;
        self.waiting.push_back((tenant.clone(), draft.clone()));
        Ok(())
    }

    /// The oldest events.
    pub(crate) fn first(&self, count: usize) -> Vec<(TenantId, Draft)> {
        self.waiting.iter().take(count).cloned().collect()
    }

    /// Forgets the oldest events, which the log has, but for those that the store refused; the file is emptied when none is left.
    pub(crate) fn done(&mut self, count: usize, refused: usize) -> io::Result<()> {
        self.waiting.drain(..count.min(self.waiting.len()));
        self.refused += refused;
        if self.len() == 0 { self.log.clear() } else { Ok(()) }
    }
}
