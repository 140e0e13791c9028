//! A network that is ready to run.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, OutletId, TDim,
    TValue, TVec, Tensor, TractResult, TypedRunnableModel,
};
use tract_onnx::tract_hir::infer::Factoid;

use super::{OnnxError, OnnxOptions};

/// The output that is taken where there are several.
const LOGITS: &str = "logits";

/// A network, the inputs that it takes in their order, and the length of its rows, if they have only one.
#[derive(Clone)]
pub(super) struct Network {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<Input>,
    length: Option<usize>,
}

/// One text as the network takes it; all of one length.
pub(super) struct Row {
    pub(super) ids: Vec<i64>,
    pub(super) mask: Vec<i64>,
    pub(super) types: Vec<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Input {
    what: What,
    is_short: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Ids,
    Mask,
    Types,
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("inputs", &self.inputs)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Network {
    pub(super) fn load(bytes: &[u8], options: &OnnxOptions) -> Result<Self, OnnxError> {
        let failed = |source| OnnxError::Model { source };
        guarded(failed, || {
            // What is written of shapes in between is only a hint, and would contradict the row of one that is asked for here.
            let reader = tract_onnx::onnx().with_ignore_value_info(true);
            let mut model = reader.model_for_read(&mut &*bytes).map_err(|error| failed(error.into()))?;
            let output =
                output(&model, options.output.as_deref()).map_err(|error| failed(error.into()))??;
            let (inputs, length) = inputs(&mut model, options)?;
            let prepared = || -> TractResult<_> {
                model.select_output_outlets(&[output])?;
                model.into_optimized()?.into_runnable()
            };
            Ok(Self { plan: prepared().map_err(|error| failed(error.into()))?, inputs, length })
        })
    }

    /// The length of all rows, if they have only one.
    pub(super) fn length(&self) -> Option<usize> {
        self.length
    }

    pub(super) fn run(&self, row: Row) -> Result<Vec<f32>, OnnxError> {
        let failed = |source| OnnxError::Run { source };
        let Row { ids, mask, types } = row;
        let mut values = TVec::new();
        for input in &self.inputs {
            let list = match input.what {
                What::Ids => &ids,
                What::Mask => &mask,
                What::Types => &types,
            };
            values.push(input.value(list)?);
        }
        guarded(failed, || {
            let outputs = self.plan.run(values).map_err(|error| failed(error.into()))?;
            let Some(output) = outputs.first() else { return Err(OnnxError::Output { shape: Vec::new() }) };
            let shape = output.shape();
            let classes = shape.last().copied().unwrap_or_default();
            if classes == 0 || shape.iter().product::<usize>() != classes {
                return Err(OnnxError::Output { shape: shape.to_vec() });
            }
            let logits = || -> TractResult<Vec<f32>> {
                Ok(output.cast_to::<f32>()?.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
            };
            logits().map_err(|error| failed(error.into()))
        })
    }
}

impl Input {
    fn value(self, list: &[i64]) -> Result<TValue, OnnxError> {
        let shape = [1, list.len()];
        let tensor = if self.is_short {
            let short = |token: &i64| i32::try_from(*token).map_err(|_| OnnxError::Token { token: *token });
            Tensor::from_shape(&shape, &list.iter().map(short).collect::<Result<Vec<_>, _>>()?)
        } else {
            Tensor::from_shape(&shape, list)
        };
        Ok(tensor.map_err(|error| OnnxError::Run { source: error.into() })?.into())
    }
}

/// The output with the logits.
fn output(model: &InferenceModel, wanted: Option<&str>) -> TractResult<Result<OutletId, OnnxError>> {
    let outlets = model.output_outlets()?;
    if let ([only], None) = (outlets, wanted) {
        return Ok(Ok(*only));
    }
    let name = wanted.unwrap_or(LOGITS);
    let label = |outlet: &OutletId| model.outlet_label(*outlet).unwrap_or_default();
    Ok(outlets.iter().copied().find(|outlet| label(outlet) == name).ok_or_else(|| OnnxError::NoOutput {
        name: name.to_owned(),
        found: outlets.iter().map(|outlet| label(outlet).to_owned()).collect(),
    }))
}

/// What the inputs are, which are set to one row each: of one length if the model or the host says so, else of any.
fn inputs(
    model: &mut InferenceModel,
    options: &OnnxOptions,
) -> Result<(Vec<Input>, Option<usize>), OnnxError> {
    let failed = |error: Box<dyn Error + Send + Sync>| OnnxError::Model { source: error };
    let outlets = model.input_outlets().map_err(|error| failed(error.into()))?.to_vec();
    let mut length = options.is_padded.then_some(options.most_tokens);
    let mut inputs = Vec::with_capacity(outlets.len());
    for outlet in &outlets {
        let name = model.node(outlet.node).name.clone();
        let wrong = |reason| OnnxError::Input { name: name.clone(), reason };
        let what = match name.as_str() {
            "attention_mask" => What::Mask,
            "token_type_ids" => What::Types,
            "input_ids" => What::Ids,
            _ if outlets.len() == 1 => What::Ids,
            _ => {
                return Err(wrong("it is called none of `input_ids`, `attention_mask` and `token_type_ids`"));
            }
        };
        let fact = model.outlet_fact(*outlet).map_err(|error| failed(error.into()))?;
        let is_short = match fact.datum_type.concretize() {
            Some(DatumType::I32) => true,
            Some(DatumType::I64) => false,
            _ => return Err(wrong("its numbers are no integers of 32 or 64 bits")),
        };
        if !fact.shape.is_open() {
            let mut dims = fact.shape.dims().map(|dim| dim.concretize().and_then(|dim| dim.to_i64().ok()));
            let (Some(rows), Some(columns), None) = (dims.next(), dims.next(), dims.next()) else {
                return Err(wrong("it is no row of tokens"));
            };
            if rows.is_some_and(|rows| rows != 1) {
                return Err(wrong("it takes several texts at once"));
            }
            if let Some(columns) = columns {
                let columns = usize::try_from(columns).unwrap_or_default();
                if columns == 0 || columns > options.most_tokens {
                    return Err(wrong("it takes rows of more tokens than a text may have, or of none"));
                }
                if length.is_some_and(|length| length != columns) {
                    return Err(wrong("it takes rows of another length"));
                }
                length = Some(columns);
            }
        }
        inputs.push(Input { what, is_short });
    }
    if !inputs.iter().any(|input| input.what == What::Ids) {
        return Err(OnnxError::Input { name: "input_ids".to_owned(), reason: "the model has none" });
    }
    let columns = match length {
        Some(length) => TDim::from(i64::try_from(length).unwrap_or(i64::MAX)),
        None => TDim::from(model.symbols.new_with_prefix("tokens")),
    };
    for (at, input) in inputs.iter().enumerate() {
        let kind = if input.is_short { DatumType::I32 } else { DatumType::I64 };
        let fact = InferenceFact::dt_shape(kind, [TDim::from(1), columns.clone()]);
        model.set_input_fact(at, fact).map_err(|error| failed(error.into()))?;
    }
    Ok((inputs, length))
}

/// Runs code of others that may panic on what a file says: that is an error like any other.
fn guarded<T>(
    failed: impl FnOnce(Box<dyn Error + Send + Sync>) -> OnnxError,
    work: impl FnOnce() -> Result<T, OnnxError>,
) -> Result<T, OnnxError> {
    // Nothing that it could have left half done is used afterwards, but for the plan, which a run does not change.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done,
        Err(_) => Err(failed("the runtime gave up".into())),
    }
}
