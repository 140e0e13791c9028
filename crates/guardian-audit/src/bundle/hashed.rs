use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::manifest::FileEntry;
use crate::merkle::Hash;

/// What is written is counted and hashed on the way, in blocks.
pub(super) struct HashedWriter<W> {
    inner: W,
    block: Vec<u8>,
    hasher: Sha256,
    bytes: u64,
}

const BLOCK: usize = 64 * 1024;

impl<W: Write> HashedWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, block: Vec::with_capacity(BLOCK), hasher: Sha256::new(), bytes: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.block.len() + bytes.len() > BLOCK {
            self.flush()?;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.block);
        self.bytes += self.block.len() as u64;
        self.inner.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<(W, FileEntry)> {
        self.flush()?;
        self.inner.flush()?;
        Ok((self.inner, FileEntry::new(self.bytes, Hash::new(self.hasher.finalize().into()))))
    }
}

/// The length and hash of what there is to read, at most one byte more than `most`.
pub(super) fn measure(source: &mut dyn Read, most: u64) -> io::Result<FileEntry> {
    let mut source = source.take(most.saturating_add(1));
    let (mut block, mut hasher, mut bytes) = (vec![0; BLOCK], Sha256::new(), 0);
    loop {
        let read = match source.read(&mut block) {
            Ok(0) => return Ok(FileEntry::new(bytes, Hash::new(hasher.finalize().into()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(block.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}
