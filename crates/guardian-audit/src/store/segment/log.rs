//! An append-only file of frames, each with its length and checksum: the journal, and the notes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// `magic | length u32 | crc32 of length and payload | payload`, little-endian.
const MAGIC: [u8; 4] = [0xd6, b'G', b'A', b'1'];
const HEADING: usize = 12;

/// The longest payload: a batch of the largest events is split before it gets here.
pub(crate) const MAX_PAYLOAD: usize = 256 * 1024 * 1024;

/// A file of frames, open for appending.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    length: u64,
}

/// What was cut off the end of a file: bytes of a frame that was never finished, so never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
}

impl Log {
    /// Makes the file, which must not be there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).append(true).read(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, length: 0 })
    }

    /// Opens the file, gives each payload to `each`, and cuts off what a crash left unfinished at its end.
    pub(crate) fn open(
        path: &Path,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<(Self, Option<Torn>)> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut rest = bytes.as_slice();
        while let Some((payload, after)) = frame(rest) {
            each(payload)?;
            rest = after;
        }
        let whole = bytes.len() - rest.len();
        let torn = match rest.is_empty() {
            true => None,
            // Something whole after something broken is no torn end: an acknowledged frame is damaged.
            false if (1..rest.len()).any(|skip| rest.get(skip..).and_then(frame).is_some()) => {
                let what =
                    format!("`{}` is damaged at byte {whole}, with whole records after it", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            false => {
                file.set_len(length(whole))?;
                file.sync_data()?;
                Some(Torn { at: length(whole), bytes: length(rest.len()) })
            }
        };
        Ok((Self { path: path.to_owned(), file, length: length(whole) }, torn))
    }

    /// Appends a frame. After an error the file is as it was; if even that fails, the error is of the kind `Other`.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let framed = framed(payload)?;
        if let Err(error) = self.file.write_all(&framed) {
            let back = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::End(0)));
            return Err(match back {
                Ok(_) => error,
                Err(_) => io::Error::other(error),
            });
        }
        self.length += length(framed.len());
        Ok(())
    }

    /// Makes what was appended survive a crash.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        self.file.sync_data()
    }

    /// A second handle to the same file, for syncing while others append.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A payload with its heading.
pub(crate) fn framed(payload: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a batch is too large");
    let length =
        u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD).ok_or_else(too_long)?;
    let mut framed = Vec::with_capacity(HEADING + payload.len());
    framed.extend_from_slice(&MAGIC);
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&checksum(length, payload).to_le_bytes());
    framed.extend_from_slice(payload);
    Ok(framed)
}

/// The payload of the frame at the start of the bytes, and what follows it; `None` when no whole frame is there.
pub(crate) fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    (checksum(length, payload) == u32::from_le_bytes(*sum)).then_some((payload, rest))
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
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
        for payload in [b"one".as_slice(), b"", b"three"] {
            log.append(payload).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let ends = [0, 15, 27, 44];
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (found, torn) = read(&path).unwrap();
            let frames = ends.iter().filter(|end| **end <= length).count() - 1;
            assert_eq!(found.len(), frames, "{length}");
            assert_eq!(torn.map_or(0, |torn| torn.bytes), u64::try_from(length - ends[frames]).unwrap());
            assert_eq!(fs::read(&path).unwrap().len(), ends[frames]);
        }
    }

    #[test]
    fn damage_before_whole_records_is_no_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        log.append(b"one").unwrap();
        log.append(b"two").unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[13] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
