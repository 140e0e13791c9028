//! The notes of all tenants: an append-only file, and what it says in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use guardian_core::TenantId;

use super::file;
use super::log::{Log, Torn};
use super::number::{Input, put_bytes};
use crate::store::{Note, NoteKind};

const PUT: u8 = 1;
const REMOVE: u8 = 2;

/// A file is written anew when it is larger than this and more than three quarters of it is out of date.
const WORTH_COMPACTING: u64 = 1 << 20;

type Key = (TenantId, u8, String);

#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    log: Log,
    notes: BTreeMap<Key, Vec<u8>>,
    /// How many bytes the notes that are there take.
    live: u64,
}

impl Notes {
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Torn>)> {
        let mut notes = BTreeMap::new();
        let mut live = 0;
        let (log, torn) = Log::open(path, |payload| {
            let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a note cannot be read");
            let (key, bytes) = read(payload).ok_or_else(damaged)?;
            apply(&mut notes, &mut live, &key, bytes);
            Ok(())
        })?;
        Ok((Self { path: path.to_owned(), log, notes, live }, torn))
    }

    pub(super) fn list(&self, tenant: &TenantId, kind: NoteKind) -> Vec<Note> {
        let from = (tenant.clone(), code(kind), String::new());
        let of_kind = self
            .notes
            .range(from..)
            .take_while(|((owner, other, _), _)| owner == tenant && *other == code(kind));
        of_kind.map(|((_, _, name), bytes)| Note::new(name.clone(), bytes.clone())).collect()
    }

    /// Writes a note, or removes it when there are no bytes; whether there was one.
    pub(super) fn write(
        &mut self,
        tenant: &TenantId,
        kind: NoteKind,
        name: &str,
        bytes: Option<&[u8]>,
    ) -> io::Result<bool> {
        let key = (tenant.clone(), code(kind), name.to_owned());
        let there = self.notes.contains_key(&key);
        if bytes.is_none() && !there {
            return Ok(false);
        }
        self.log.append(&payload(&key, bytes))?;
        self.log.sync()?;
        apply(&mut self.notes, &mut self.live, &key, bytes.map(<[u8]>::to_vec));
        if self.log.length() > WORTH_COMPACTING.max(self.live * 4) {
            self.compact()?;
        }
        Ok(there)
    }

    /// Writes a checkpoint, and before it the state of the key that sealed it, if the last checkpoint has this name; whether it
    /// had.
    pub(super) fn write_checkpoint(
        &mut self,
        tenant: &TenantId,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> io::Result<bool> {
        let of = |kind: NoteKind, name: &str| (tenant.clone(), code(kind), name.to_owned());
        // The codes of kinds are numbered on: the next kind's notes come behind.
        let first = of(NoteKind::Checkpoint, "");
        let end = (first.0.clone(), first.1 + 1, String::new());
        let found = self.notes.range(first..end).next_back().map(|((.., name), _)| name.as_str());
        if found != last {
            return Ok(false);
        }
        let state = state.map(|note| (of(NoteKind::Seal, &note.name), &note.bytes));
        let notes =
            state.into_iter().chain([(of(NoteKind::Checkpoint, &checkpoint.name), &checkpoint.bytes)]);
        let notes: Vec<_> = notes.collect();
        for (key, bytes) in &notes {
            self.log.stage(|out| out.extend_from_slice(&payload(key, Some(bytes))))?;
        }
        self.log.write_staged()?;
        self.log.sync()?;
        for (key, bytes) in notes {
            apply(&mut self.notes, &mut self.live, &key, Some(bytes.clone()));
        }
        if self.log.length() > WORTH_COMPACTING.max(self.live * 4) {
            self.compact()?;
        }
        Ok(true)
    }

    fn compact(&mut self) -> io::Result<()> {
        let unfinished = self.path.with_extension("unfinished");
        let _ = fs::remove_file(&unfinished);
        let mut log = Log::create(&unfinished)?;
        for (key, bytes) in &self.notes {
            log.append(&payload(key, Some(bytes)))?;
        }
        log.sync()?;
        fs::rename(&unfinished, &self.path)?;
        // From here on this is the file, whatever fails.
        self.log = log;
        file::sync_folder(&self.path)
    }
}

fn code(kind: NoteKind) -> u8 {
    match kind {
        NoteKind::Checkpoint => 1,
        NoteKind::Hold => 2,
        NoteKind::Seal => 3,
        NoteKind::Erasure => 4,
    }
}

fn apply(notes: &mut BTreeMap<Key, Vec<u8>>, live: &mut u64, key: &Key, bytes: Option<Vec<u8>>) {
    let size = |key: &Key, bytes: &[u8]| {
        u64::try_from(key.0.as_str().len() + key.2.len() + bytes.len() + 24).unwrap_or(0)
    };
    let old = match bytes {
        Some(bytes) => {
            *live += size(key, &bytes);
            notes.insert(key.clone(), bytes)
        }
        None => notes.remove(key),
    };
    if let Some(old) = old {
        *live = live.saturating_sub(size(key, &old));
    }
}

fn payload(key: &Key, bytes: Option<&[u8]>) -> Vec<u8> {
    let mut out = vec![if bytes.is_some() { PUT } else { REMOVE }];
    put_bytes(&mut out, key.0.as_str().as_bytes());
    out.push(key.1);
    put_bytes(&mut out, key.2.as_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
    out
}

fn read(payload: &[u8]) -> Option<(Key, Option<Vec<u8>>)> {
    let mut input = Input(payload);
    let [step] = input.array()?;
    let tenant = TenantId::new(std::str::from_utf8(input.bytes()?).ok()?).ok()?;
    let [kind] = input.array()?;
    let name = std::str::from_utf8(input.bytes()?).ok()?.to_owned();
    let bytes = match step {
        PUT => Some(input.0.to_vec()),
        REMOVE if input.0.is_empty() => None,
        _ => return None,
    };
    Some(((tenant, kind, name), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.log");
        let tenant = TenantId::new("acme").unwrap();
        let (mut notes, _) = Notes::open(&path).unwrap();
        for round in 0..40_u8 {
            notes.write(&tenant, NoteKind::Seal, "key", Some(&vec![round; 100_000])).unwrap();
        }
        notes.write(&tenant, NoteKind::Hold, "case", Some(b"x")).unwrap();
        assert!(notes.write(&tenant, NoteKind::Hold, "case", None).unwrap());
        assert!(!notes.write(&tenant, NoteKind::Hold, "case", None).unwrap());
        drop(notes);
        assert!(fs::metadata(&path).unwrap().len() < 1_500_000);
        let (notes, torn) = Notes::open(&path).unwrap();
        assert_eq!(torn, None);
        assert_eq!(notes.list(&tenant, NoteKind::Seal), [Note::new("key", vec![39; 100_000])]);
        assert_eq!(notes.list(&tenant, NoteKind::Hold), []);
    }
}
