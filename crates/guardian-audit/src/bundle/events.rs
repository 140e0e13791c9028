//! `events.bin`: a heading of 16 bytes, then a frame for each event: the sequence in 8 bytes, the length of the record in
//! 4, the leaf hash, the record. All numbers have their highest byte first. A length of 0 says that the body is gone.

use std::io::{self, Read};

use super::error::BundleError;
use super::file;
use crate::canonical;
use crate::merkle::Hash;

/// The first bytes of `events.bin`.
pub(super) const EVENTS_MAGIC: &[u8; 16] = b"guardian-events1";

/// The first bytes of `proof.bin`; hashes follow.
pub(super) const PROOF_MAGIC: &[u8; 16] = b"guardian-proofs1";

/// What stands before the record.
const HEAD: usize = 8 + 4 + Hash::LEN;

pub(super) fn head(sequence: u64, hash: Hash, record: Option<&[u8]>) -> Option<[u8; HEAD]> {
    let length = u32::try_from(record.map_or(0, <[u8]>::len)).ok()?;
    let mut head = [0; HEAD];
    let parts = sequence.to_be_bytes().into_iter().chain(length.to_be_bytes()).chain(*hash.as_bytes());
    for (to, from) in head.iter_mut().zip(parts) {
        *to = from;
    }
    Some(head)
}

/// One event as it stands in the file.
pub(super) struct Frame<'b> {
    pub(super) sequence: u64,
    /// Where it begins.
    pub(super) at: u64,
    pub(super) hash: Hash,
    pub(super) record: Option<&'b [u8]>,
}

/// A file that begins with a heading, read in pieces of known length.
pub(super) struct Pieces<'s> {
    file: &'static str,
    source: io::BufReader<Box<dyn Read + 's>>,
    at: u64,
    record: Vec<u8>,
}

impl<'s> Pieces<'s> {
    pub(super) fn open(
        file: &'static str,
        source: Box<dyn Read + 's>,
        magic: &[u8; 16],
    ) -> Result<Self, BundleError> {
        let source = io::BufReader::with_capacity(64 * 1024, source);
        let mut pieces = Self { file, source, at: 0, record: Vec::new() };
        if pieces.piece::<16>()? == Some(*magic) {
            Ok(pieces)
        } else {
            Err(BundleError::malformed(file, 0, "it does not begin as it must"))
        }
    }

    /// So many bytes; `None` at the end of the file.
    pub(super) fn piece<const N: usize>(&mut self) -> Result<Option<[u8; N]>, BundleError> {
        let mut bytes = [0; N];
        Ok(self.fill(&mut bytes)?.then_some(bytes))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, BundleError> {
        let wanted = bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.source.read(rest) {
                Ok(0) if rest.len() == wanted => return Ok(false),
                Ok(0) => return Err(BundleError::malformed(self.file, self.at, "it ends in the middle")),
                Ok(read) => rest = rest.split_at_mut(read).1,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BundleError::io(self.file)(error)),
            }
        }
        self.at += wanted as u64;
        Ok(true)
    }

    /// The next hash.
    pub(super) fn hash(&mut self) -> Result<Hash, BundleError> {
        let at = self.at;
        let hash = self.piece::<{ Hash::LEN }>()?;
        hash.map(Hash::new)
            .ok_or_else(|| BundleError::malformed(self.file, at, "more hashes are needed here"))
    }

    /// That nothing follows.
    pub(super) fn end(&mut self) -> Result<(), BundleError> {
        let at = self.at;
        match self.piece::<1>()? {
            None => Ok(()),
            Some(_) => Err(BundleError::malformed(self.file, at, "it should end here")),
        }
    }

    /// The next event; `None` at the end.
    pub(super) fn frame(&mut self) -> Result<Option<Frame<'_>>, BundleError> {
        let at = self.at;
        let Some(sequence) = self.piece::<8>()?.map(u64::from_be_bytes) else { return Ok(None) };
        let cut = || BundleError::malformed(file::EVENTS, at, "it ends in the middle");
        let length = u32::from_be_bytes(self.piece::<4>()?.ok_or_else(cut)?);
        let hash = Hash::new(self.piece::<{ Hash::LEN }>()?.ok_or_else(cut)?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(Some(Frame { sequence, at, hash, record: None }));
        }
        if length > canonical::MAX_RECORD {
            let why = format!("it has {length} bytes, the most is {}", canonical::MAX_RECORD);
            return Err(BundleError::Event { sequence, at, why });
        }
        let mut record = std::mem::take(&mut self.record);
        record.resize(length, 0);
        let filled = self.fill(&mut record);
        self.record = record;
        if filled? { Ok(Some(Frame { sequence, at, hash, record: Some(&self.record) })) } else { Err(cut()) }
    }
}
