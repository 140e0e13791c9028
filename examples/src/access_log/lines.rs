use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::MAX_LINE;

/// The lines of a log, one at a time: a log of any size takes as much memory as its longest line, and a line that is
/// too long is cut where [`Entry::parse`](super::Entry::parse) refuses it.
pub struct Lines {
    name: PathBuf,
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

/// A log that cannot be read (further).
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`{}: {cause}", .path.display(), after(.line))]
pub struct ReadError {
    path: PathBuf,
    /// How many lines were read before.
    line: u64,
    cause: io::Error,
}

/// Where the fault is, if it is not at the beginning.
fn after(line: &u64) -> String {
    match line {
        0 => String::new(),
        line => format!(" after line {line}"),
    }
}

impl Lines {
    /// Opens a log.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let fault = |cause| ReadError { path: path.to_owned(), line: 0, cause };
        Self::of(path, File::open(path).map_err(fault)?)
    }

    /// Reads a log from anything; the name is for messages. What begins like gzip is decompressed.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn of(name: impl Into<PathBuf>, reader: impl Read + 'static) -> Result<Self, ReadError> {
        let name = name.into();
        let mut plain = BufReader::with_capacity(64 * 1024, reader);
        // A read may give less than two bytes only at the end, as the buffer is empty.
        let start = plain.fill_buf().map_err(|cause| ReadError { path: name.clone(), line: 0, cause })?;
        let reader: Box<dyn BufRead> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Self { name, reader, line: Vec::new(), number: 0 })
    }

    /// The next line with its number, which begins at 1; `None` at the end.
    ///
    /// # Errors
    /// When reading or decompressing fails.
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, ReadError> {
        self.line.clear();
        let mut any = false;
        loop {
            let seen = match self.reader.fill_buf() {
                Ok(seen) => seen,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => {
                    return Err(ReadError { path: self.name.clone(), line: self.number, cause });
                }
            };
            if seen.is_empty() {
                break;
            }
            any = true;
            let end = seen.iter().position(|byte| *byte == b'\n');
            let part = seen.get(..end.unwrap_or(seen.len())).unwrap_or_default();
            // One byte more than is allowed is kept, so that the parser sees that the line is too long.
            let room = (MAX_LINE + 1).saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room));
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        self.number += 1;
        Ok(Some((self.number, &self.line)))
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, number, .. } = self;
        f.debug_struct("Lines").field("name", name).field("number", number).finish_non_exhaustive()
    }
}
