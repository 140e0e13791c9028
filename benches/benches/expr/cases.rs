//! The nine conditions, in the language of each contestant, and the event that they are about.

use serde_json::{Value as Json, json};

/// A condition as each contestant writes it; `None` where it cannot be written.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) cel: String,
    pub(crate) zen: String,
    pub(crate) rhai: String,
    pub(crate) evalexpr: Option<String>,
}

fn case(name: &'static str, cel: &str, zen: &str, rhai: &str, evalexpr: Option<&str>) -> Case {
    Case {
        name,
        cel: cel.to_owned(),
        zen: zen.to_owned(),
        rhai: rhai.to_owned(),
        evalexpr: evalexpr.map(str::to_owned),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let terms = |by: &str| {
        let terms: Vec<String> = (0..199).map(|term| format!("deal.amount == {term}")).collect();
        format!("{}{by}deal.amount == 25000", terms.join(by))
    };
    let or = terms(" || ");
    vec![
        case(
            "crm",
            r#"deal.amount > 10000 && deal.stage in ["negotiation", "proposal"] && contact.country == "DE" && !contact.unsubscribed"#,
            r#"deal.amount > 10000 and deal.stage in ["negotiation", "proposal"] and contact.country == "DE" and not contact.unsubscribed"#,
            r#"deal.amount > 10000 && deal.stage in ["negotiation", "proposal"] && contact.country == "DE" && !contact.unsubscribed"#,
            Some(
                r#"deal.amount > 10000 && contains(("negotiation", "proposal"), deal.stage) && contact.country == "DE" && !contact.unsubscribed"#,
            ),
        ),
        case(
            "arithmetic",
            "(deal.amount * 3 + contact.score) * 2 - deal.amount / 4 > 100000",
            "(deal.amount * 3 + contact.score) * 2 - deal.amount / 4 > 100000",
            "(deal.amount * 3 + contact.score) * 2 - deal.amount / 4 > 100000",
            Some("(deal.amount * 3 + contact.score) * 2 - deal.amount / 4 > 100000"),
        ),
        case(
            "strings",
            r#"contact.email.startsWith("anna") && contact.email.endsWith(".com") && deal.title.contains("Renewal")"#,
            r#"startsWith(contact.email, "anna") and endsWith(contact.email, ".com") and contains(deal.title, "Renewal")"#,
            r#"contact.email.starts_with("anna") && contact.email.ends_with(".com") && deal.title.contains("Renewal")"#,
            Some(
                r#"str::regex_matches(contact.email, "^anna") && str::regex_matches(contact.email, "\\.com$") && str::regex_matches(deal.title, "Renewal")"#,
            )
            .filter(|_| false),
        ),
        case(
            "all_exists",
            "deal.items.all(i, i.qty > 0) && deal.items.exists(i, i.price > 1850)",
            "all(deal.items, #.qty > 0) and some(deal.items, #.price > 1850)",
            "deal.items.all(|i| i.qty > 0) && deal.items.some(|i| i.price > 1850)",
            None,
        ),
        case(
            "filter_map",
            "deal.items.filter(i, i.price > 500).map(i, i.qty)",
            "map(filter(deal.items, #.price > 500), #.qty)",
            "deal.items.filter(|i| i.price > 500).map(|i| i.qty)",
            None,
        ),
        case(
            "map_lookup",
            r#"deal.custom["region"] == "EMEA""#,
            r#"deal.custom["region"] == "EMEA""#,
            r#"deal.custom["region"] == "EMEA""#,
            None,
        ),
        case("or_200", &or, &terms(" or "), &or, Some(&or)),
        case(
            "ternary",
            r#"deal.amount > 1000 ? "big " + deal.stage : "small""#,
            r#"deal.amount > 1000 ? "big " + deal.stage : "small""#,
            r#"if deal.amount > 1000 { "big " + deal.stage } else { "small" }"#,
            Some(r#"if(deal.amount > 1000, str::from("big ") + deal.stage, "small")"#),
        ),
        case("true", "true", "true", "true", Some("true")),
    ]
}

pub(crate) fn event() -> Json {
    let items: Vec<Json> = (0..20)
        .map(|item| json!({"sku": format!("SKU-{item}"), "qty": item % 5 + 1, "price": item * 100}))
        .collect();
    json!({
        "deal": {
            "id": "d-1042",
            "title": "Renewal 2026",
            "amount": 25000,
            "stage": "negotiation",
            "owner": "u-7",
            "probability": 0.7,
            "tags": ["vip", "renewal"],
            "items": items,
            "custom": {"region": "EMEA", "segment": "enterprise"},
        },
        "contact": {
            "name": "Anna Schmidt",
            "email": "anna@example.com",
            "country": "DE",
            "score": 82,
            "unsubscribed": false,
        },
    })
}

/// The schema of the event, for the contestant that checks.
pub(crate) fn schema() -> Json {
    let text = || json!({"type": "string"});
    let int = || json!({"type": "integer"});
    json!({
        "type": "object",
        "properties": {
            "deal": {
                "type": "object",
                "properties": {
                    "id": text(),
                    "title": text(),
                    "amount": int(),
                    "stage": text(),
                    "owner": text(),
                    "probability": {"type": "number"},
                    "tags": {"type": "array", "items": text()},
                    "items": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"sku": text(), "qty": int(), "price": int()},
                        },
                    },
                    "custom": {"type": "object", "additionalProperties": text()},
                },
            },
            "contact": {
                "type": "object",
                "properties": {
                    "name": text(),
                    "email": text(),
                    "country": text(),
                    "score": int(),
                    "unsubscribed": {"type": "boolean"},
                },
            },
        },
    })
}
