//! The files of a store, and the one that says which of them count.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{file, log};

const VERSION: u32 = 1;

/// Which files count. Replaced as a whole, so that a change of several files happens at once or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// The sealed files, oldest first.
    pub(super) segments: Vec<u64>,
    /// The first journal that is not in a sealed file.
    pub(super) journal: u64,
    /// The next number for a file.
    pub(super) next: u64,
}

/// A store's folder, held by this process alone.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it when it is not there.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
        fs::create_dir_all(path).map_err(named)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"));
        let lock = lock.map_err(named)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("`{}` is in use: one process at a time may open an audit store", path.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("segment-{number:08}.seg"))
    }

    /// Takes away what an attempt to write a sealed file left.
    pub(super) fn forget_segment(&self, number: u64) {
        let path = self.segment(number);
        // What cannot be removed now is when the store is opened again.
        let _ = fs::remove_file(path.with_extension("unfinished"));
        let _ = fs::remove_file(path);
    }

    /// Which bodies of a sealed file are dropped.
    pub(super) fn dropped(&self, number: u64) -> PathBuf {
        self.path.join(format!("segment-{number:08}.dropped"))
    }

    pub(super) fn journal(&self, number: u64) -> PathBuf {
        self.path.join(format!("journal-{number:08}.log"))
    }

    pub(super) fn notes(&self) -> PathBuf {
        self.path.join("notes.log")
    }

    fn manifest(&self) -> PathBuf {
        self.path.join("manifest")
    }

    /// The manifest; that of an empty store when there is none.
    pub(super) fn read(&self) -> io::Result<Manifest> {
        let path = self.manifest();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Of a first attempt that was cut short there may be an unfinished manifest.
                let others = self.files()?.into_iter().any(|name| !name.ends_with(".unfinished"));
                return match !others {
                    true => Ok(Manifest { version: VERSION, segments: Vec::new(), journal: 1, next: 2 }),
                    false => Err(damaged(&path, "it is gone, and other files are there")),
                };
            }
            Err(error) => return Err(error),
        };
        let Some((payload, [])) = log::frame(&bytes) else {
            return Err(damaged(&path, "it does not fit its checksum"));
        };
        let manifest: Manifest =
            serde_json::from_slice(payload).map_err(|error| damaged(&path, &error.to_string()))?;
        match manifest.version {
            VERSION => Ok(manifest),
            newer => Err(damaged(&path, &format!("it is of version {newer}, known is {VERSION}"))),
        }
    }

    pub(super) fn write(&self, manifest: &Manifest) -> io::Result<()> {
        file::replace(&self.manifest(), &serde_json::to_vec(manifest)?)
    }

    /// The numbers of the journals that count, in order.
    pub(super) fn journals(&self, manifest: &Manifest) -> io::Result<Vec<u64>> {
        let numbers = self.files()?.into_iter().filter_map(|name| number(&name, "journal-", ".log"));
        let mut numbers: Vec<_> = numbers.filter(|number| *number >= manifest.journal).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes files that a crash left and that do not count.
    pub(super) fn clean(&self, manifest: &Manifest) -> io::Result<()> {
        for name in self.files()? {
            let old_journal =
                number(&name, "journal-", ".log").is_some_and(|number| number < manifest.journal);
            let segment = number(&name, "segment-", ".seg").or_else(|| number(&name, "segment-", ".dropped"));
            let old_segment = segment.is_some_and(|number| !manifest.segments.contains(&number));
            if old_journal || old_segment || name.ends_with(".unfinished") {
                fs::remove_file(self.path.join(name))?;
            }
        }
        Ok(())
    }

    /// The names of the files that are the store's data.
    fn files(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("journal-") || name.starts_with("segment-") || name.ends_with(".unfinished") {
                names.push(name);
            }
        }
        Ok(names)
    }
}

fn number(name: &str, start: &str, end: &str) -> Option<u64> {
    name.strip_prefix(start)?.strip_suffix(end)?.parse().ok()
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is damaged: {what}", path.display()))
}
