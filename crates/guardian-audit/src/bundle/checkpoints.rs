//! `checkpoints.txt`: for each checkpoint its note, an empty line, a line `proof HASH` for each hash of the proof that it
//! contains the one before, and an empty line.

use std::io::{BufRead, BufReader, Read};

use super::error::BundleError;
use super::file;
use crate::base64;
use crate::checkpoint::SealedCheckpoint;
use crate::merkle::Hash;

const PROOF: &str = "proof ";

/// The most hashes of a proof; see [`ConsistencyProof`](crate::merkle::ConsistencyProof).
const MOST_HASHES: usize = 65;

pub(super) fn write(sealed: &SealedCheckpoint, proof: &[Hash]) -> String {
    let mut text = sealed.note();
    text.push('\n');
    for hash in proof {
        text.push_str(PROOF);
        text.push_str(&base64::encode(hash.as_bytes()));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Lines of bounded length.
pub(super) struct Lines<'s> {
    file: &'static str,
    source: BufReader<Box<dyn Read + 's>>,
    at: u64,
}

impl<'s> Lines<'s> {
    /// The longest line, in bytes.
    const MOST: u64 = 512;

    pub(super) fn new(file: &'static str, source: Box<dyn Read + 's>) -> Self {
        Self { file, source: BufReader::new(source), at: 0 }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next line without its line feed; `None` at the end.
    pub(super) fn line(&mut self) -> Result<Option<String>, BundleError> {
        let mut line = Vec::new();
        let mut source = self.source.by_ref().take(Self::MOST);
        let read = source.read_until(b'\n', &mut line).map_err(BundleError::io(self.file))?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8(line).ok().and_then(|line| line.strip_suffix('\n').map(str::to_owned));
        let line = line.ok_or_else(|| {
            BundleError::malformed(
                self.file,
                self.at,
                "this is no whole line of text, or a line that is too long",
            )
        })?;
        self.at += read as u64;
        Ok(Some(line))
    }
}

/// The next checkpoint with its proof; `None` at the end.
pub(super) fn read(lines: &mut Lines<'_>) -> Result<Option<(SealedCheckpoint, Vec<Hash>)>, BundleError> {
    let at = lines.at();
    let wrong = |why: String| BundleError::malformed(file::CHECKPOINTS, at, why);
    let cut = || wrong("the checkpoint ends in the middle".to_owned());
    let mut note = String::new();
    // The note is two paragraphs, the proof is one.
    for _ in 0..2 {
        loop {
            let Some(line) = lines.line()? else {
                return if note.is_empty() { Ok(None) } else { Err(cut()) };
            };
            let ends = line.is_empty();
            note.push_str(&line);
            note.push('\n');
            if note.len() > SealedCheckpoint::MAX_LEN + 1 {
                return Err(wrong("the note is too long".to_owned()));
            }
            if ends {
                break;
            }
        }
    }
    // The line feed behind the seals is not the note's.
    let note = note.strip_suffix('\n').unwrap_or_default();
    let sealed = SealedCheckpoint::parse(note).map_err(|error| wrong(error.to_string()))?;
    let mut proof = Vec::new();
    loop {
        let line = lines.line()?.ok_or_else(cut)?;
        if line.is_empty() {
            return Ok(Some((sealed, proof)));
        }
        let hash = line.strip_prefix(PROOF).and_then(base64::decode).and_then(|hash| Hash::from_slice(&hash));
        proof.push(hash.ok_or_else(|| wrong("the line of a proof is `proof HASH`".to_owned()))?);
        if proof.len() > MOST_HASHES {
            return Err(wrong("the proof has too many hashes".to_owned()));
        }
    }
}
