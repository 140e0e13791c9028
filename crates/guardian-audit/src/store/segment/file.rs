//! A sealed file: the blocks of all tenants, a directory of them at the end.
//!
//! ```text
//! magic "GAS2" | blocks | directory (framed) | directory offset u64 | magic "2SAG"
//! ```
//!
//! A file is written once, under another name, and renamed when it is whole and on the disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::log;
use super::number::{Input, wide};

const START: [u8; 4] = *b"GAS2";
const END: [u8; 4] = *b"2SAG";
/// The offset and the magic at the end.
const TRAILER: u64 = 12;

/// A run of bytes in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Reads anywhere in a file, from several threads at once.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Source {
    /// Opens a sealed file; its directory.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<u8>)> {
        let file = File::open(path)?;
        let source = Self { length: file.metadata()?.len(), file, path: path.to_owned() };
        let trailer = source.length.checked_sub(TRAILER).ok_or_else(|| source.damaged("it is too short"))?;
        let bytes = source.read(Section { offset: trailer, length: TRAILER })?;
        let mut input = Input(&bytes);
        let offset = input.array().map(u64::from_le_bytes);
        let (Some(offset), true) = (offset, input.0 == END) else {
            return Err(source.damaged("it does not end as it should"));
        };
        let length =
            trailer.checked_sub(offset).ok_or_else(|| source.damaged("its directory is beyond its end"))?;
        let framed = source.read(Section { offset, length })?;
        match log::frame(&framed) {
            Some((directory, [])) => Ok((source, directory.to_vec())),
            _ => Err(source.damaged("its directory does not fit its checksum")),
        }
    }

    /// The bytes of a section.
    pub(super) fn read(&self, section: Section) -> io::Result<Vec<u8>> {
        // What a damaged directory asks for is refused before memory is taken.
        if section.offset.checked_add(section.length).is_none_or(|end| end > self.length) {
            return Err(self.damaged("a section is beyond its end"));
        }
        let mut bytes = vec![0; usize::try_from(section.length).unwrap_or(usize::MAX)];
        self.fill(section.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes at an offset of a section.
    pub(super) fn array<const N: usize>(&self, section: Section, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        if at.checked_add(wide(N)).is_none_or(|end| end > section.length) {
            return Err(self.damaged("a value is beyond its section"));
        }
        self.fill(section.offset + at, &mut bytes)?;
        Ok(bytes)
    }

    /// A part of a section.
    pub(super) fn slice(&self, section: Section, from: u64, to: u64) -> io::Result<Vec<u8>> {
        if from > to || to > section.length {
            return Err(self.damaged("a value is beyond its section"));
        }
        self.read(Section { offset: section.offset + from, length: to - from })
    }

    /// The same into a buffer, of which nothing is left.
    fn slice_into(&self, section: Section, from: u64, to: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        if from > to || to > section.length {
            return Err(self.damaged("a value is beyond its section"));
        }
        let offset = section.offset.saturating_add(from);
        if offset.checked_add(to - from).is_none_or(|end| end > self.length) {
            return Err(self.damaged("a section is beyond its end"));
        }
        bytes.resize(usize::try_from(to - from).unwrap_or(usize::MAX), 0);
        self.fill(offset, bytes)
    }

    #[cfg(unix)]
    fn fill(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn fill(&self, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.file, bytes, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += wide(read);
            bytes = bytes.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }

    /// An error that names the file.
    pub(super) fn damaged(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is damaged: {what}", self.path.display()))
    }
}

/// Bytes of a section around the last that were asked for. Who asks for what lies just before, or just after, gets more at
/// once, up to 64 KiB; who asks here and there gets little more than what is asked for.
#[derive(Debug)]
pub(super) struct Stretch {
    from: u64,
    bytes: Vec<u8>,
    length: u64,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { from: 0, bytes: Vec::new(), length: Self::LEAST }
    }
}

impl Stretch {
    const LEAST: u64 = 256;
    const MOST: u64 = 64 * 1024;

    /// The bytes of the section from one place to another.
    pub(super) fn get(&mut self, source: &Source, section: Section, from: u64, to: u64) -> io::Result<&[u8]> {
        let end = self.from + wide(self.bytes.len());
        if from < self.from || to > end || self.bytes.is_empty() {
            let near = self.length * 2;
            let before = to <= self.from && self.from - to < near;
            let after = !self.bytes.is_empty() && from >= end && from - end < near;
            self.length = if before || after { (self.length * 4).min(Self::MOST) } else { Self::LEAST };
            let (start, stop) = match after {
                true => (from, to.max(from.saturating_add(self.length).min(section.length))),
                false => (from.min(to.saturating_sub(self.length)), to),
            };
            // The bytes that were there are overwritten: a buffer that is made anew is filled with zeros first.
            let read = source.slice_into(section, start, stop, &mut self.bytes);
            if read.is_err() {
                self.bytes.clear();
            }
            read?;
            self.from = start;
        }
        let place = |at: u64| usize::try_from(at.wrapping_sub(self.from)).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(place(from)..place(to));
        bytes.ok_or_else(|| source.damaged("a value is beyond its section"))
    }
}

/// Writes a sealed file from its start to its end.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    unfinished: PathBuf,
    out: BufWriter<File>,
    length: u64,
}

impl Sink {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let unfinished = path.with_extension("unfinished");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
        out.write_all(&START)?;
        Ok(Self { path: path.to_owned(), unfinished, out, length: wide(START.len()) })
    }

    pub(super) fn position(&self) -> u64 {
        self.length
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += wide(bytes.len());
        self.out.write_all(bytes)
    }

    /// Writes bytes as a section.
    pub(super) fn section(&mut self, bytes: &[u8]) -> io::Result<Section> {
        let section = Section { offset: self.length, length: wide(bytes.len()) };
        self.write(bytes)?;
        Ok(section)
    }

    /// Writes the directory, and gives the file its name once all of it is on the disk.
    pub(super) fn finish(mut self, directory: &[u8]) -> io::Result<()> {
        let offset = self.length;
        self.out.write_all(&log::framed(directory)?)?;
        self.out.write_all(&offset.to_le_bytes())?;
        self.out.write_all(&END)?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.unfinished, &self.path)?;
        sync_folder(&self.path)
    }
}

/// Replaces a small file as a whole: after a crash the old one is there, or the new one.
pub(super) fn replace(path: &Path, payload: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(&log::framed(payload)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_folder(path)
}

/// Makes the names in a file's folder survive a crash.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(folder) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
