//! The file of a model.
//!
//! Magic, version and length; the manifest; bounds; the weights of both readouts; what a step of each column is worth and
//! its bias; the number of rows and the rows, one byte for each of eight columns; a checksum.

use crate::ModelError;
use crate::bytes::{Reader, Writer};
use crate::core::{Bounds, Core};
use crate::readout::{BENDS, INPUTS, Readout};
use crate::weights::{HEADS, Weights};

const MAGIC: &[u8; 8] = b"GRDSENTI";
const VERSION: u32 = 1;

/// A manifest is a page of text.
const MAX_MANIFEST: usize = 64 * 1024;

/// Sixteen megabytes of weights; the shipped model has two.
const MAX_ROWS: usize = 1 << 21;

/// No weight that training gives is near this.
const MAX_WEIGHT: f32 = 1e6;

pub(crate) fn write(core: &Core) -> Vec<u8> {
    let mut writer = Writer::new(MAGIC, VERSION);
    writer.bytes(core.manifest.as_bytes());
    writer.floats(&core.bounds.very);
    writer.floats(&core.bounds.bands);
    writer.floats(&core.bounds.tilts);
    for readout in [&core.linear, &core.ensemble] {
        readout.polarity.iter().for_each(|row| writer.floats(row));
        writer.floats(&readout.bends);
        readout.feelings.iter().for_each(|row| writer.floats(row));
        readout.feeling_bends.iter().for_each(|row| writer.floats(row));
    }
    writer.floats(&core.weights.steps);
    writer.floats(&core.weights.biases);
    writer.u32(u32::try_from(core.weights.rows.len()).unwrap_or(u32::MAX));
    for row in &core.weights.rows {
        writer.u64(*row);
    }
    writer.finish()
}

pub(crate) fn read(bytes: &[u8]) -> Result<Core, ModelError> {
    let mut reader = Reader::open(bytes, MAGIC, VERSION)?;
    let checksum = reader.sum;
    let manifest = std::str::from_utf8(reader.bytes(MAX_MANIFEST, "manifest")?)
        .map_err(|_| ModelError::Range { field: "manifest" })?
        .to_owned();
    let mut bounds = Bounds { very: [0.0; 2], bands: [0.0; 3], tilts: [0.0; 5] };
    reader.floats(&mut bounds.very, 1.0, "bounds")?;
    reader.floats(&mut bounds.bands, 1.0, "bounds")?;
    reader.floats(&mut bounds.tilts, 10.0, "tilts")?;
    let linear = readout(&mut reader)?;
    let ensemble = readout(&mut reader)?;
    let mut weights = Weights { rows: Vec::new(), steps: [0.0; HEADS], biases: [0.0; HEADS] };
    reader.floats(&mut weights.steps, MAX_WEIGHT, "steps")?;
    reader.floats(&mut weights.biases, MAX_WEIGHT, "biases")?;
    let rows = reader.u32()? as usize;
    if rows == 0 || rows > MAX_ROWS {
        return Err(ModelError::Range { field: "rows" });
    }
    let table = reader.take(rows * HEADS)?;
    weights.rows = table
        .chunks_exact(HEADS)
        .map(|row| u64::from_le_bytes(row.first_chunk::<HEADS>().copied().unwrap_or_default()))
        .collect();
    reader.finish()?;
    Ok(Core { weights, linear, ensemble, bounds, manifest, checksum })
}

fn readout(reader: &mut Reader<'_>) -> Result<Readout, ModelError> {
    let mut readout = Readout {
        polarity: [[0.0; INPUTS]; 3],
        bends: [0.0; BENDS],
        feelings: [[0.0; INPUTS]; 5],
        feeling_bends: [[0.0; BENDS]; 5],
    };
    for row in &mut readout.polarity {
        reader.floats(row, MAX_WEIGHT, "readout")?;
    }
    reader.floats(&mut readout.bends, MAX_WEIGHT, "readout")?;
    for row in &mut readout.feelings {
        reader.floats(row, MAX_WEIGHT, "readout")?;
    }
    for row in &mut readout.feeling_bends {
        reader.floats(row, MAX_WEIGHT, "readout")?;
    }
    Ok(readout)
}
