//! Multinomial logistic regression over few inputs, by accelerated gradient descent on standardised inputs.

/// Inputs whose mean size is below this say nothing.
const SLIGHT: f64 = 1e-4;

/// One example: its inputs, its class, how much it counts.
pub(super) struct Example<'a> {
    pub(super) inputs: &'a [f64],
    pub(super) class: usize,
    pub(super) weight: f64,
}

/// The weights of each class over the inputs; `may` says which class may use which input.
pub(super) fn train(
    examples: &[Example<'_>],
    classes: usize,
    inputs: usize,
    ridge: f64,
    rounds: usize,
    may: impl Fn(usize, usize) -> bool,
) -> Vec<Vec<f64>> {
    let total: f64 = examples.iter().map(|example| example.weight).sum();
    let mut spread = vec![0.0; inputs];
    for example in examples {
        for (spread, input) in spread.iter_mut().zip(example.inputs) {
            *spread += example.weight * input * input / total.max(1e-9);
        }
    }
    let scales: Vec<f64> = spread
        .iter()
        .map(|square: &f64| if *square > SLIGHT * SLIGHT { square.sqrt() } else { 0.0 })
        .collect();
    let inverse: Vec<f64> = scales.iter().map(|scale| if *scale > 0.0 { 1.0 / scale } else { 0.0 }).collect();
    let rate = 2.0 / f64::from(u32::try_from(inputs).unwrap_or(u32::MAX)).max(1.0);
    let mut weights = vec![vec![0.0; inputs]; classes];
    let mut ahead = weights.clone();
    let scaled: Vec<Vec<f64>> = examples
        .iter()
        .map(|example| example.inputs.iter().zip(&inverse).map(|(input, inverse)| input * inverse).collect())
        .collect();
    let mut momentum = 1.0_f64;
    for _ in 0..rounds {
        let mut gradient = vec![vec![0.0; inputs]; classes];
        for (example, scaled) in examples.iter().zip(&scaled) {
            let mut logits: Vec<f64> =
                ahead.iter().map(|weights| weights.iter().zip(scaled).map(|(w, x)| w * x).sum()).collect();
            let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut sum = 0.0;
            for logit in &mut logits {
                *logit = (*logit - top).exp();
                sum += *logit;
            }
            for (class, (gradient, power)) in gradient.iter_mut().zip(&logits).enumerate() {
                let error = power / sum - if class == example.class { 1.0 } else { 0.0 };
                let error = error * example.weight / total;
                for (gradient, input) in gradient.iter_mut().zip(scaled) {
                    *gradient += error * input;
                }
            }
        }
        let next = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
        let carry = (momentum - 1.0) / next;
        momentum = next;
        for (class, ((weights, ahead), gradient)) in
            weights.iter_mut().zip(&mut ahead).zip(&gradient).enumerate()
        {
            for (input, ((weight, ahead), slope)) in
                weights.iter_mut().zip(ahead.iter_mut()).zip(gradient).enumerate()
            {
                let new = if may(class, input) { *ahead - rate * (slope + ridge * *ahead) } else { 0.0 };
                *ahead = new + carry * (new - *weight);
                *weight = new;
            }
        }
    }
    for weights in &mut weights {
        for (weight, inverse) in weights.iter_mut().zip(&inverse) {
            *weight *= inverse;
        }
    }
    weights
}
