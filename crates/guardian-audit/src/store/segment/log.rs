//! An append-only file of records, each with its length and checksum: the journal, the notes, the spill.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::number::{Input, wide};

/// A file begins with `magic | nonce`; a record is `magic | length u32 | offset u64 | synced u64 | crc32 | payload`,
/// little-endian. The checksum goes over the file's nonce, the heading and the payload: a record is one only at its own place
/// of its own file, so nobody puts one into the text of an event.
const MAGIC: [u8; 4] = [0xd6, b'G', b'A', b'1'];
/// The heading of what is a file, or a part of one, by itself.
const HEADING: usize = 12;
/// The heading of a record.
const RECORD: usize = 28;
/// The magic and the nonce at the start of a file.
const START: usize = 4 + 16;

/// The longest payload: a batch of the largest events is split before it gets here.
pub(crate) const MAX_PAYLOAD: usize = 256 * 1024 * 1024;

/// So many zeros are written at once behind the end of a file that has room.
const ROOM: u64 = 1 << 20;
/// A larger write than this takes no room: what it costs is not the file's growing.
const WORTH_ROOM: usize = 64 * 1024;
/// A buffer larger than this is not kept.
const KEPT: usize = 4 << 20;

/// A file of records, open for appending.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// Its cursor is where the next record goes.
    file: File,
    nonce: [u8; 16],
    length: Arc<AtomicU64>,
    /// How much of the file the disk is known to have.
    synced: Arc<AtomicU64>,
    /// After a failed sync nobody knows what the disk has.
    failed: bool,
    /// The end of the zeros behind the records, where the file has room: a disk takes what overwrites them without the work of
    /// making the file longer.
    room: Option<u64>,
    /// Records that are not written yet.
    staged: Vec<u8>,
}

/// What was cut off the end of a file: bytes that the disk was never said to have, so never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
}

/// Syncs a file of records while others append.
#[derive(Debug)]
pub(crate) struct Syncer {
    file: File,
    length: Arc<AtomicU64>,
    synced: Arc<AtomicU64>,
}

impl Syncer {
    /// Makes what was appended before the call survive a crash.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let length = self.length.load(Ordering::Acquire);
        self.file.sync_data()?;
        self.synced.fetch_max(length, Ordering::AcqRel);
        Ok(())
    }
}

impl Log {
    /// Makes the file, which must not be there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).write(true).read(true).open(path)?;
        Self::begin(path, file)
    }

    /// The same for a file that gets many small records, each of which the disk must have at once: zeros are written ahead of
    /// them.
    pub(crate) fn create_with_room(path: &Path) -> io::Result<Self> {
        let mut log = Self::create(path)?;
        log.room = Some(log.length());
        Ok(log)
    }

    /// Opens the file, or makes it, gives each payload to `each`, and cuts off what a crash left unfinished at its end, and the
    /// zeros that stand behind it.
    pub(crate) fn open(
        path: &Path,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<(Self, Option<Torn>)> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path)?;
        // Another process that appends would have its unfinished record cut off.
        file.try_lock().map_err(|error| {
            io::Error::new(io::ErrorKind::ResourceBusy, format!("`{}` is in use: {error}", path.display()))
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Some(nonce) = start(&bytes) else {
            // The process ended when it made the file: nothing was ever written after the start.
            if bytes.len() >= START {
                let what = format!("`{}` is damaged at its start", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            file.set_len(0)?;
            file.rewind()?;
            let torn = (!bytes.is_empty()).then(|| Torn { at: 0, bytes: wide(bytes.len()) });
            return Ok((Self::begin(path, file)?, torn));
        };
        let mut at = START;
        while let Some(record) = record(&nonce, &bytes, at) {
            each(record.payload)?;
            at = record.end;
        }
        // Bytes that the disk was known to have are damaged, when a later record says that it had them.
        let is_known =
            |later: usize| record(&nonce, &bytes, later).is_some_and(|later| later.synced > wide(at));
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let end = (bytes.len() - zeros).max(at);
        if (at + 1..end).any(is_known) {
            let what =
                format!("`{}` is damaged at byte {at}, with later records that are whole", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if at < bytes.len() {
            file.set_len(wide(at))?;
            file.seek(SeekFrom::Start(wide(at)))?;
        }
        // What was written and never acknowledged is there from now on, so the disk must have it.
        file.sync_data()?;
        let torn = (at < end).then(|| Torn { at: wide(at), bytes: wide(end - at) });
        Ok((Self::of(path, file, nonce, at), torn))
    }

    fn begin(path: &Path, mut file: File) -> io::Result<Self> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        file.write_all(&MAGIC)?;
        file.write_all(&nonce)?;
        Ok(Self::of(path, file, nonce, START))
    }

    fn of(path: &Path, file: File, nonce: [u8; 16], length: usize) -> Self {
        let (length, synced) = (Arc::new(AtomicU64::new(wide(length))), Arc::new(AtomicU64::new(0)));
        let (path, staged) = (path.to_owned(), Vec::new());
        Self { path, file, nonce, length, synced, failed: false, room: None, staged }
    }

    /// Appends a record. After an error the file is as it was; if even that fails, the error is of the kind `Other`.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.stage(|out| out.extend_from_slice(payload))?;
        self.write_staged()
    }

    /// Makes a record of what `write` appends, to be written together with others. After an error none is staged.
    pub(crate) fn stage(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let start = self.staged.len();
        let at = self.length() + wide(start);
        self.staged.extend_from_slice(&MAGIC);
        // Its length is known, and its checksum, when the payload is there.
        self.staged.extend_from_slice(&[0; 4]);
        self.staged.extend_from_slice(&at.to_le_bytes());
        self.staged.extend_from_slice(&self.synced.load(Ordering::Acquire).to_le_bytes());
        self.staged.extend_from_slice(&[0; 4]);
        write(&mut self.staged);
        let sealed =
            self.staged.get_mut(start + MAGIC.len()..).is_some_and(|record| seal(&self.nonce, record));
        if !sealed {
            self.staged.clear();
            return Err(too_large());
        }
        Ok(())
    }

    /// Writes the staged records, all at once. After an error none of them is in the file; if that is not certain, the error is
    /// of the kind `Other`.
    pub(crate) fn write_staged(&mut self) -> io::Result<()> {
        let at = self.length();
        let done = match self.failed {
            true => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the disk failed to take what was written before",
            )),
            false => self.make_room().and_then(|()| self.file.write_all(&self.staged)).map_err(|error| {
                let back = self.file.set_len(at).and_then(|()| self.file.seek(SeekFrom::Start(at)));
                self.room = self.room.map(|_| at);
                match back {
                    Ok(_) => error,
                    Err(_) => {
                        self.failed = true;
                        io::Error::other(error)
                    }
                }
            }),
        };
        if done.is_ok() {
            self.length.store(at + wide(self.staged.len()), Ordering::Release);
        }
        self.staged.clear();
        self.staged.shrink_to(KEPT);
        done
    }

    /// Writes zeros behind the end of the file when a small write would make it longer.
    fn make_room(&mut self) -> io::Result<()> {
        let at = self.length();
        let end = at + wide(self.staged.len());
        if self.staged.len() > WORTH_ROOM || self.room.is_none_or(|room| end <= room) {
            return Ok(());
        }
        // Where the disk has no room for zeros, it may have some for the records.
        let zeros = |file: &mut File| {
            let from = file.seek(SeekFrom::End(0))?;
            let mut left = (end + ROOM).saturating_sub(from);
            while left > 0 {
                let some = left.min(wide(ZEROS.len()));
                file.write_all(ZEROS.get(..usize::try_from(some).unwrap_or(0)).unwrap_or_default())?;
                left -= some;
            }
            io::Result::Ok(())
        };
        self.room = zeros(&mut self.file).is_ok().then_some(end + ROOM);
        self.file.seek(SeekFrom::Start(at)).map(drop)
    }

    /// Makes what was appended survive a crash. When that fails, the log takes nothing more.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let done = self.file.sync_data();
        match done {
            Ok(()) => self.synced.store(self.length(), Ordering::Release),
            Err(_) => self.failed = true,
        }
        done
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(wide(START))?;
        self.file.seek(SeekFrom::Start(wide(START)))?;
        self.length.store(wide(START), Ordering::Release);
        self.synced.store(0, Ordering::Release);
        self.sync()
    }

    /// A second handle to the same file, for syncing while others append.
    pub(crate) fn syncer(&self) -> io::Result<Syncer> {
        let (length, synced) = (Arc::clone(&self.length), Arc::clone(&self.synced));
        Ok(Syncer { file: self.file.try_clone()?, length, synced })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The nonce at the start of a file.
fn start(bytes: &[u8]) -> Option<[u8; 16]> {
    bytes.strip_prefix(&MAGIC)?.first_chunk().copied()
}

struct Record<'a> {
    synced: u64,
    payload: &'a [u8],
    end: usize,
}

/// The record at a place of a file, if a whole one is there. What is not one is nearly always told by its first bytes.
fn record<'a>(nonce: &[u8; 16], bytes: &'a [u8], at: usize) -> Option<Record<'a>> {
    let record = bytes.get(at..)?.strip_prefix(&MAGIC)?;
    let (heading, rest) = record.split_at_checked(RECORD - 8)?;
    let mut input = Input(heading);
    let length = usize::try_from(u32::from_le_bytes(input.array()?)).ok()?;
    let (offset, synced) = (u64::from_le_bytes(input.array()?), u64::from_le_bytes(input.array()?));
    if offset != wide(at) {
        return None;
    }
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let payload = rest.get(..length)?;
    let whole = checksum(&[nonce, heading, payload]) == u32::from_le_bytes(*sum);
    whole.then_some(Record { synced, payload, end: at + RECORD + length })
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Fills in the length and the checksum of a record, behind its magic; false when it is too large.
fn seal(nonce: &[u8; 16], record: &mut [u8]) -> bool {
    let Some((heading, rest)) = record.split_first_chunk_mut::<{ RECORD - 8 }>() else { return false };
    let Some((sum, payload)) = rest.split_first_chunk_mut::<4>() else { return false };
    let (Ok(length), Some(place)) = (length_of(payload), heading.first_chunk_mut()) else { return false };
    *place = length.to_le_bytes();
    *sum = checksum(&[nonce, heading, payload]).to_le_bytes();
    true
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a batch is too large")
}

fn length_of(payload: &[u8]) -> io::Result<u32> {
    u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD).ok_or_else(too_large)
}

/// A payload with its heading, for a file that is written as a whole.
pub(crate) fn framed(payload: &[u8]) -> io::Result<Vec<u8>> {
    let length = length_of(payload)?.to_le_bytes();
    let mut framed = Vec::with_capacity(HEADING + payload.len());
    framed.extend_from_slice(&MAGIC);
    framed.extend_from_slice(&length);
    framed.extend_from_slice(&checksum(&[&length, payload]).to_le_bytes());
    framed.extend_from_slice(payload);
    Ok(framed)
}

/// The payload that was [framed] at the start of the bytes, and what follows it; `None` when no whole one is there.
pub(crate) fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (checksum(&[length, payload]) == u32::from_le_bytes(*sum)).then_some((payload, rest))
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(path: &Path) -> io::Result<(Vec<Vec<u8>>, Option<Torn>)> {
        let mut found = Vec::new();
        let (_, torn) = Log::open(path, |payload| {
            found.push(payload.to_vec());
            Ok(())
        })?;
        Ok((found, torn))
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_tore() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        let mut ends = vec![START];
        for payload in [b"one".as_slice(), b"", b"three"] {
            log.append(payload).unwrap();
            ends.push(usize::try_from(log.length()).unwrap());
        }
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (found, torn) = read(&path).unwrap();
            let records = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            assert_eq!(found.len(), records, "{length}");
            let clean = length == 0 || ends.contains(&length);
            assert_eq!(torn.is_none(), clean, "{length}");
            assert_eq!(fs::read(&path).unwrap().len(), ends[records]);
        }
    }

    #[test]
    fn room_is_no_record_and_goes_when_the_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create_with_room(&path).unwrap();
        let payloads = [b"one".to_vec(), vec![7; 2 * WORTH_ROOM], b"three\0\0".to_vec(), Vec::new()];
        for payload in &payloads {
            log.append(payload).unwrap();
        }
        log.stage(|out| out.extend_from_slice(b"five")).unwrap();
        log.stage(|out| out.extend_from_slice(b"six")).unwrap();
        log.write_staged().unwrap();
        let end = usize::try_from(log.length()).unwrap();
        let whole = fs::read(&path).unwrap();
        assert!(whole.len() >= end && whole[end..].iter().all(|byte| *byte == 0));
        let wanted: Vec<_> = payloads.iter().cloned().chain([b"five".to_vec(), b"six".to_vec()]).collect();
        assert_eq!(read(&path).unwrap(), (wanted, None));
        assert_eq!(fs::read(&path).unwrap(), whole[..end]);
        // The last record is torn, and its place is room again.
        let mut torn = whole.clone();
        torn[end - 1] = 0;
        fs::write(&path, &torn).unwrap();
        let (found, cut) = read(&path).unwrap();
        assert_eq!(found.len(), 5);
        assert_eq!(cut.unwrap().bytes, wide(RECORD + 2));
    }

    #[test]
    fn damage_to_what_the_disk_had_is_no_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        log.append(b"one").unwrap();
        log.sync().unwrap();
        log.append(b"two").unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[START + RECORD] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    /// Two that were written before the disk had either may come to it in any order.
    #[test]
    fn what_the_disk_was_never_known_to_have_may_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        log.append(b"kept").unwrap();
        log.sync().unwrap();
        let kept = usize::try_from(log.length()).unwrap();
        log.append(b"lost").unwrap();
        log.append(b"came first").unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[kept..kept + 8].fill(0);
        fs::write(&path, &bytes).unwrap();
        let (found, torn) = read(&path).unwrap();
        assert_eq!((found, torn.is_some()), (vec![b"kept".to_vec()], true));
    }

    /// The bytes of a record within the payload of another are no record.
    #[test]
    fn a_record_in_an_event_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        log.append(b"one").unwrap();
        let inner = fs::read(&path).unwrap()[START..].to_vec();
        log.append(&[inner.as_slice(), &inner].concat()).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let (found, torn) = read(&path).unwrap();
        assert_eq!((found.len(), torn.is_some()), (1, true));
    }
}
