//! Corrections as bytes.

use super::fit::Case;
use super::{Kept, MAX_CORRECTIONS, MAX_KEPT};
use crate::bytes::{Reader, Writer};
use crate::{Message, ModelError};

const MAGIC: &[u8; 8] = b"GRDSENTC";
const VERSION: u32 = 1;
const NONE: u32 = 0xff;

pub(super) fn write(model: u64, version: u64, kept: &[Kept]) -> Vec<u8> {
    let mut writer = Writer::new(MAGIC, VERSION);
    writer.u64(model);
    writer.u64(version);
    writer.u32(u32::try_from(kept.len()).unwrap_or(u32::MAX));
    for kept in kept {
        writer.bytes(kept.id.as_bytes());
        writer.u64(kept.version);
        writer.u32(kept.class.map_or(NONE, u32::from));
        writer.u32(kept.feeling.map_or(NONE, u32::from));
        writer.floats(&kept.case.base);
        writer.floats(&kept.case.feelings);
        writer.u32(u32::try_from(kept.case.grams.len()).unwrap_or(u32::MAX));
        for (gram, _) in &kept.case.grams {
            writer.u32(*gram);
        }
        // In a text of one piece all are worth the same.
        let mut worths: Vec<f32> = kept.case.grams.iter().map(|(_, worth)| *worth).collect();
        if worths.first().is_some_and(|first| worths.iter().all(|worth| worth.to_bits() == first.to_bits())) {
            worths.truncate(1);
        }
        writer.u32(u32::try_from(worths.len()).unwrap_or(u32::MAX));
        writer.floats(&worths);
    }
    writer.finish()
}

pub(super) fn read(model: u64, bytes: &[u8]) -> Result<(u64, Vec<Kept>), ModelError> {
    let (found, version, kept) = read_any(bytes)?;
    if found != model {
        return Err(ModelError::OtherModel { found });
    }
    Ok((version, kept))
}

/// The same, learned on top of any model, whose checksum comes first.
pub(super) fn read_any(bytes: &[u8]) -> Result<(u64, u64, Vec<Kept>), ModelError> {
    let mut reader = Reader::open(bytes, MAGIC, VERSION)?;
    let found = reader.u64()?;
    let version = reader.u64()?;
    let count = reader.u32()? as usize;
    if count > MAX_CORRECTIONS {
        return Err(ModelError::Range { field: "corrections" });
    }
    let mut all = Vec::with_capacity(count);
    let mut before = 0;
    for _ in 0..count {
        let id = std::str::from_utf8(reader.bytes(Message::MAX_ID, "id")?)
            .map_err(|_| ModelError::Range { field: "id" })?
            .to_owned();
        let at = reader.u64()?;
        if at <= before || at > version || id.is_empty() {
            return Err(ModelError::Range { field: "version" });
        }
        before = at;
        let class = label(reader.u32()?, 3, "class")?;
        let feeling = label(reader.u32()?, 5, "feeling")?;
        let mut case = Case { base: [0.0; 3], feelings: [0.0; 5], grams: Vec::new() };
        reader.floats(&mut case.base, 100.0, "base")?;
        reader.floats(&mut case.feelings, 100.0, "base")?;
        let grams = reader.u32()? as usize;
        if grams > MAX_KEPT {
            return Err(ModelError::Range { field: "n-grams" });
        }
        for _ in 0..grams {
            case.grams.push((reader.u32()?, 0.0));
        }
        if !case.grams.is_sorted_by(|one, two| one.0 < two.0) {
            return Err(ModelError::Range { field: "n-grams" });
        }
        let worths = reader.u32()? as usize;
        if worths != grams && worths != grams.min(1) {
            return Err(ModelError::Range { field: "worth of n-grams" });
        }
        let mut values = vec![0.0; worths];
        reader.floats(&mut values, 1.0, "worth of n-grams")?;
        let last = values.last().copied().unwrap_or_default();
        for (at, (_, worth)) in case.grams.iter_mut().enumerate() {
            *worth = values.get(at).copied().unwrap_or(last);
        }
        all.push(Kept { id, version: at, class, feeling, case });
    }
    reader.finish()?;
    Ok((found, version, all))
}

fn label(value: u32, classes: u8, field: &'static str) -> Result<Option<u8>, ModelError> {
    match u8::try_from(value) {
        Ok(value) if value < classes => Ok(Some(value)),
        _ if value == NONE => Ok(None),
        _ => Err(ModelError::Range { field }),
    }
}
