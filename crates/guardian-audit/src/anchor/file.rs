use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{Anchor, Anchored, fault, own};
use crate::checkpoint::{Checkpoint, SealedCheckpoint};

const BACKEND: &str = "file anchor";

/// The first bytes of the file.
const MAGIC: &[u8; 16] = b"guardian-anchor1";

/// Before each note: its length in two bytes, and the beginning of its SHA-256.
const HEAD: usize = 2 + 8;

/// Keeps every checkpoint in a file that is only appended to, each one synced before it counts as kept.
///
/// It helps when the file is where the log's owner cannot rewrite it: another machine's mount, a volume with object lock,
/// a file with the append-only attribute. In memory is the latest checkpoint of each tenant, some 500 bytes.
///
/// One process has the file at a time: it is locked while it is open. Appending waits for the disk, so on a runtime it is
/// called from where waiting is allowed.
///
/// ```
/// use guardian_audit::anchor::{Anchor, FileAnchor};
/// use guardian_core::{Scope, TenantId};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let folder = tempfile::tempdir()?;
/// let (anchor, torn) = FileAnchor::open(folder.path().join("anchor.log"))?;
/// assert!(torn.is_none());
/// assert_eq!(anchor.latest(&Scope::system(TenantId::new("acme")?)).await?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileAnchor {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Where the next note begins.
    end: u64,
    latest: HashMap<TenantId, SealedCheckpoint>,
    /// After a write that failed half-way, what is behind the end is unknown, and cut off before the next.
    dirty: bool,
}

/// The end of a file that a crash left half written. It was cut off: no note that counted as kept was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Torn {
    /// Where the last whole note ends.
    pub at: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

impl FileAnchor {
    /// Opens the file, or makes it, and reads what is kept. Says whether a torn end was cut off.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be opened, read or locked. `Corrupt` when it is no file of anchors, or a note
    /// before the last is damaged: that is no crash, and nothing is cut off then.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, Option<Torn>), StoreError> {
        let path: PathBuf = path.as_ref().to_owned();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unavailable)?;
        file.try_lock().map_err(|error| unavailable(error.into()))?;
        let length = file.metadata().map_err(unavailable)?.len();
        let begun = length >= MAGIC.len() as u64;
        let (latest, end) = if begun {
            read_all(&mut file, length)?
        } else {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(unavailable)?;
            if !MAGIC.starts_with(&bytes) {
                return Err(fault(
                    StoreErrorKind::Corrupt,
                    BACKEND,
                    "it does not begin like a file of anchors",
                ));
            }
            begin(&mut file, &path).map_err(unavailable)?;
            (HashMap::new(), MAGIC.len() as u64)
        };
        let torn = (begun && end < length).then(|| Torn { at: end, bytes: length - end });
        if torn.is_some() {
            file.set_len(end).and_then(|()| file.sync_all()).map_err(unavailable)?;
        }
        let name = format!("file {}", path.display());
        Ok((Self { name, state: Mutex::new(State { file, end, latest, dirty: false }) }, torn))
    }
}

fn begin(file: &mut File, path: &Path) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(MAGIC)?;
    file.sync_all()?;
    // The name of a new file is in its folder, which is synced apart.
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads every note; the end is where the last whole one ends.
fn read_all(file: &mut File, length: u64) -> Result<(HashMap<TenantId, SealedCheckpoint>, u64), StoreError> {
    file.seek(SeekFrom::Start(0)).map_err(unavailable)?;
    let mut reader = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic).map_err(unavailable)?;
    if magic != *MAGIC {
        return Err(fault(StoreErrorKind::Corrupt, BACKEND, "it does not begin like a file of anchors"));
    }
    let (mut latest, mut end) = (HashMap::new(), MAGIC.len() as u64);
    loop {
        let left = length - end;
        if left < HEAD as u64 {
            return Ok((latest, end));
        }
        let mut head = [0; HEAD];
        reader.read_exact(&mut head).map_err(unavailable)?;
        let [high, low, digest @ ..] = head;
        let size = u64::from(u16::from_be_bytes([high, low]));
        let mut note = Vec::new();
        reader.by_ref().take(size).read_to_end(&mut note).map_err(unavailable)?;
        let is_whole = note.len() as u64 == size && Sha256::digest(&note).starts_with(&digest);
        let sealed = std::str::from_utf8(&note).ok().and_then(|note| SealedCheckpoint::parse(note).ok());
        match sealed.filter(|_| is_whole) {
            Some(sealed) => {
                latest.insert(sealed.checkpoint().tenant().clone(), sealed);
                end += HEAD as u64 + size;
            }
            // The last note may be there in length and not in content: file systems write in any order.
            None if HEAD as u64 + size >= left && at_most_one_note(&note) => return Ok((latest, end)),
            None => {
                let why = format!("the note at byte {end} is damaged, and others follow it");
                return Err(fault(StoreErrorKind::Corrupt, BACKEND, why));
            }
        }
    }
}

/// Whether these are the remains of one write. A damaged length can make several notes look like one that is torn.
fn at_most_one_note(bytes: &[u8]) -> bool {
    let origins =
        bytes.windows(Checkpoint::ORIGIN.len()).filter(|these| *these == Checkpoint::ORIGIN.as_bytes());
    origins.count() <= 1
}

fn unavailable(error: io::Error) -> StoreError {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let kind = if full { StoreErrorKind::Full } else { StoreErrorKind::Unavailable };
    StoreError::new(kind, BACKEND).with_source(error)
}

impl State {
    fn append(&mut self, note: &str) -> io::Result<()> {
        let size = u16::try_from(note.len()).map_err(io::Error::other)?;
        if self.dirty {
            self.file.set_len(self.end)?;
            self.dirty = false;
        }
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.extend(Sha256::digest(note).iter().take(HEAD - 2));
        bytes.extend_from_slice(note.as_bytes());
        self.dirty = true;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.dirty = false;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

#[async_trait]
impl Anchor for FileAnchor {
    fn name(&self) -> &str {
        &self.name
    }

    async fn publish(&self, scope: &Scope, checkpoint: &SealedCheckpoint) -> Result<Anchored, StoreError> {
        own(scope, checkpoint, BACKEND)?;
        let mut state = self.state.lock();
        if let Some(known) = Anchored::judge(state.latest.get(scope.tenant()), checkpoint) {
            return Ok(known);
        }
        state.append(&checkpoint.note()).map_err(unavailable)?;
        state.latest.insert(scope.tenant().clone(), checkpoint.clone());
        Ok(Anchored::Kept)
    }

    async fn latest(&self, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError> {
        Ok(self.state.lock().latest.get(scope.tenant()).cloned())
    }
}
