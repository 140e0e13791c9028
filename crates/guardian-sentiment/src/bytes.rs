//! Reading and writing what is kept as bytes: little-endian, with a length and a checksum.

use crate::ModelError;
use crate::tokens::mix;

/// What is written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(magic: &[u8; 8], version: u32) -> Self {
        let mut writer = Self { bytes: magic.to_vec() };
        writer.u32(version);
        // The length, which is known at the end.
        writer.u64(0);
        writer
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn floats(&mut self, values: &[f32]) {
        for value in values {
            self.u32(value.to_bits());
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes with their length and checksum.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() as u64 + 8).to_le_bytes();
        for (slot, byte) in self.bytes.iter_mut().skip(12).zip(length) {
            *slot = byte;
        }
        let sum = checksum(&self.bytes);
        self.u64(sum);
        self.bytes
    }
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
    whole: usize,
    /// The checksum of the bytes, which identifies them.
    pub(crate) sum: u64,
}

const FRAME: usize = 8 + 4 + 8 + 8;

impl<'b> Reader<'b> {
    /// Checks the beginning, the length and the checksum.
    pub(crate) fn open(bytes: &'b [u8], magic: &'static [u8; 8], version: u32) -> Result<Self, ModelError> {
        let expected = std::str::from_utf8(magic).unwrap_or_default();
        let Some(rest) = bytes.strip_prefix(magic) else { return Err(ModelError::Foreign { expected }) };
        if bytes.len() < FRAME {
            return Err(ModelError::Length { found: bytes.len(), expected: FRAME });
        }
        let mut reader = Self { rest, whole: bytes.len(), sum: 0 };
        let found = reader.u32()?;
        if found != version {
            return Err(ModelError::Version { found, known: version });
        }
        let length = usize::try_from(reader.u64()?).unwrap_or(usize::MAX);
        if length != bytes.len() {
            return Err(ModelError::Length { found: bytes.len(), expected: length });
        }
        let (body, sum) = bytes.split_at_checked(bytes.len() - 8).unwrap_or_default();
        let written = Self { rest: sum, whole: length, sum: 0 }.u64()?;
        reader.sum = checksum(body);
        // No fuzzer guesses a checksum, so that nothing behind it would be tried.
        if reader.sum != written && !cfg!(fuzzing) {
            return Err(ModelError::Checksum);
        }
        reader.rest = body.get(FRAME - 8..).unwrap_or_default();
        Ok(reader)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'b [u8], ModelError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let missing = length.saturating_sub(self.rest.len());
            return Err(ModelError::Length {
                found: self.whole,
                expected: self.whole.saturating_add(missing),
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ModelError> {
        let bytes = self.take(4)?.first_chunk::<4>().copied().unwrap_or_default();
        Ok(u32::from_le_bytes(bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ModelError> {
        let bytes = self.take(8)?.first_chunk::<8>().copied().unwrap_or_default();
        Ok(u64::from_le_bytes(bytes))
    }

    /// Fills the slots with numbers whose size is no more than `most`.
    pub(crate) fn floats(
        &mut self,
        slots: &mut [f32],
        most: f32,
        field: &'static str,
    ) -> Result<(), ModelError> {
        for slot in slots {
            *slot = f32::from_bits(self.u32()?);
            if !slot.is_finite() || slot.abs() > most {
                return Err(ModelError::Range { field });
            }
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, most: usize, field: &'static str) -> Result<&'b [u8], ModelError> {
        let length = self.u32()? as usize;
        if length > most {
            return Err(ModelError::Range { field });
        }
        self.take(length)
    }

    /// Everything was read.
    pub(crate) fn finish(self) -> Result<(), ModelError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(ModelError::Length { found: self.whole, expected: self.whole.saturating_sub(self.rest.len()) })
    }
}

/// Each step is a bijection, so that a change of one word of eight bytes always shows.
fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.first_chunk::<8>().copied().unwrap_or_default());
        sum = mix(sum ^ word).rotate_left(5);
    }
    let mut tail = [0; 8];
    for (slot, byte) in tail.iter_mut().zip(chunks.remainder()) {
        *slot = *byte;
    }
    mix(sum ^ u64::from_le_bytes(tail))
}
