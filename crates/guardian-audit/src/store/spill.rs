//! Events that found the queue full: a file of frames, taken up from its front and emptied once all are in the log.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::{fs, io};

use guardian_core::TenantId;

use super::Draft;
use super::segment::{file::sync_folder, journal, log::Log};

/// So many events may wait here; they are kept in memory as well.
const MOST: usize = 1_000_000;
/// So many events that the log has may stand in the file beside refused ones, before it is written anew without them.
const DEAD: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Spill {
    path: PathBuf,
    log: Log,
    waiting: VecDeque<(TenantId, Draft)>,
    /// Those that the store refused for good. They stay in the file, and are tried again when it is opened the next time.
    refused: Vec<(TenantId, Draft)>,
    /// Events in the file, those included that the log has.
    held: usize,
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
        let held = waiting.len();
        Ok(Self { path: path.to_owned(), log, waiting, refused: Vec::new(), held })
    }

    /// How many there are, refused ones included.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.refused.len()
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
        write(&mut self.log, std::iter::once((tenant, draft)))?;
        self.held += 1;
        self.waiting.push_back((tenant.clone(), draft.clone()));
        Ok(())
    }

    /// The oldest events.
    pub(crate) fn first(&self, count: usize) -> Vec<(TenantId, Draft)> {
        self.waiting.iter().take(count).cloned().collect()
    }

    /// Forgets the oldest events, which the log has, but for those that the store refused. The file is emptied when none is left, and
    /// written anew when it is mostly of what the log has: one refused event does not make it grow for ever.
    pub(crate) fn done(&mut self, count: usize, is_refused: impl Fn(usize) -> bool) -> io::Result<()> {
        let done = self.waiting.drain(..count.min(self.waiting.len())).enumerate();
        self.refused.extend(done.filter(|(at, _)| is_refused(*at)).map(|(_, one)| one));
        if self.len() == 0 {
            self.log.clear()?;
            self.held = 0;
        } else if self.waiting.is_empty() && self.held > 2 * self.refused.len() + DEAD {
            self.keep_refused()?;
        }
        Ok(())
    }

    /// A file of the refused events alone takes the place of this one. It is whole before it does.
    fn keep_refused(&mut self) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        // Of a process that ended half-way.
        if beside.exists() {
            fs::remove_file(&beside)?;
        }
        let (mut log, _) = Log::open(&beside, |_| Ok(()))?;
        write(&mut log, self.refused.iter().map(|(tenant, draft)| (tenant, draft)))?;
        fs::rename(&beside, &self.path)?;
        // From here on it is the file, whether the folder could be synced or not: until it is, a crash brings back the old one, which has
        // the same and more.
        (self.log, self.held) = (log, self.refused.len());
        sync_folder(&self.path)
    }
}

/// Writes events behind those in the file; they survive a crash when this returns.
fn write<'e>(log: &mut Log, events: impl Iterator<Item = (&'e TenantId, &'e Draft)>) -> io::Result<()> {
    for (tenant, draft) in events {
        log.stage(|out| journal::write(out, tenant, 0, 0, std::iter::once(draft)))?;
        log.write_staged()?;
    }
    log.sync()
}
