//! The queries, by class; each class has many that differ in their words and values.

use guardian_benches::crm::{COMPANIES, RARE, SUBJECTS};

/// Each class of searches.
pub(crate) fn classes() -> Vec<(&'static str, Vec<String>)> {
    let subjects = || SUBJECTS.iter();
    let pairs = || SUBJECTS.iter().zip(COMPANIES.iter().cycle().skip(3));
    vec![
        ("rare_term", RARE.iter().cycle().take(20).map(|word| (*word).to_owned()).collect()),
        (
            "common_term",
            ["contact", "owner", "email", "about", "of"]
                .iter()
                .cycle()
                .take(20)
                .map(|w| (*w).to_owned())
                .collect(),
        ),
        ("two_terms", pairs().cycle().take(20).map(|(a, b)| format!("{a} {b}")).collect()),
        (
            "terms_filters_time",
            pairs()
                .cycle()
                .take(20)
                .enumerate()
                .map(|(i, (a, b))| {
                    format!(
                        "{a} {b} risk:>=medium country:US,DE created:2025-{:02}..2025-{:02}",
                        i % 9 + 1,
                        i % 9 + 3
                    )
                })
                .collect(),
        ),
        (
            "filters_only",
            ["US", "DE", "NG", "JP"]
                .iter()
                .cycle()
                .take(20)
                .map(|country| format!("action:role.granted outcome:failure country:{country}"))
                .collect(),
        ),
        (
            "five_broad_filters",
            subjects()
                .cycle()
                .take(20)
                .map(|word| {
                    format!(
                        "{word} category:data actor_kind:user outcome:success source:web risk:low -country:US"
                    )
                })
                .collect(),
        ),
        (
            "prefix",
            ["zeb", "re", "con", "mon", "ivan", "a", "9f"]
                .iter()
                .cycle()
                .take(21)
                .map(|word| format!("{word}*"))
                .collect(),
        ),
        ("phrase", pairs().cycle().take(20).map(|(a, b)| format!("\"{a} for {b}\"")).collect()),
        ("phrase_nowhere", subjects().cycle().take(20).map(|a| format!("\"owner about {a}\"")).collect()),
        (
            "not",
            subjects().cycle().take(20).map(|a| format!("{a} -contact -source:web -country:US,DE")).collect(),
        ),
        (
            "address_range",
            [16, 8, 12, 20, 24].iter().cycle().take(20).map(|bits| format!("ip:61.32.0.0/{bits}")).collect(),
        ),
        (
            "or",
            pairs()
                .cycle()
                .take(20)
                .map(|(a, b)| format!("({a} OR {b}) (risk:critical OR outcome:denied)"))
                .collect(),
        ),
        ("occurred", (1..10).map(|m| format!("contact occurred:2025-{m:02}-11..2025-{m:02}-12")).collect()),
    ]
}

/// Each class of counts.
pub(crate) fn counted() -> Vec<(&'static str, Vec<String>)> {
    vec![
        ("common_term", vec!["contact".into(), "owner".into()]),
        (
            "six",
            SUBJECTS
                .iter()
                .cycle()
                .take(30)
                .map(|word| {
                    format!("{word} category:data actor_kind:user outcome:success source:web risk:low")
                })
                .collect(),
        ),
        (
            "six_terms",
            SUBJECTS
                .iter()
                .cycle()
                .take(30)
                .map(|word| format!("contact owner about of {word} created:2025-02..2025-11"))
                .collect(),
        ),
    ]
}
