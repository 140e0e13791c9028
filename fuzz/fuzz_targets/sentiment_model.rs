//! Model files and the corrections of a tenant: what is no such thing is refused, and what is read is written as it was.
//! While fuzzing, a wrong checksum is let through.
#![no_main]

use guardian_sentiment::{Adaptation, Ensemble, Linear, Reading, SentimentModel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = Linear::from_bytes(bytes) {
        let again = Linear::from_bytes(&model.to_bytes()).expect("what was written is read");
        assert_eq!(again.to_bytes(), model.to_bytes());
        if let Reading::Read(sentiment) = Ensemble::from(model).read("I can't complain :)") {
            assert!((sentiment.chances.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }
    let base = Ensemble::default();
    if let Ok(tenant) = Adaptation::from_bytes(&base, bytes) {
        let again = Adaptation::from_bytes(&base, &tenant.to_bytes()).expect("what was written is read");
        assert_eq!(again.to_bytes(), tenant.to_bytes());
        let _ = (tenant.model().read("I can't complain :)"), tenant.shadow());
    }
});
