//! casbin's cases: written as its CSV and read by the importer.

use chrono::DateTime;
use guardian_core::{ActorKind, Timestamp};
use guardian_rbac::import::{CasbinModel, FieldMatch};
use guardian_rbac::{Area, Ask, PrincipalRef, Resource, Snapshot};
use serde_json::{Value as Json, json};

use super::{Verdict, list, text};

pub(super) fn judge(case: &Json) -> Vec<(String, Verdict)> {
    let id = text(case, "id");
    let checks = list(case, "checks");
    let all = |verdict: &dyn Fn() -> Verdict| -> Vec<(String, Verdict)> {
        (0..checks.len()).map(|number| (format!("{id} check {number}"), verdict())).collect()
    };
    match text(case, "combine") {
        "any_allow" | "deny_override" => {}
        "first_match" => {
            return all(&|| Verdict::Unsupported("the first match by priority decides".to_owned()));
        }
        other => return all(&|| Verdict::Unsupported(format!("the rules are combined by `{other}`"))),
    }
    let now = time(text(case, "now"));
    let snapshot = match compile(case, now) {
        Ok(snapshot) => snapshot,
        Err(why) => return all(&|| Verdict::Asked(Some(why.clone()))),
    };
    let judge_one = |number: usize, check: &Json| {
        let fault = ask(&snapshot, check, now);
        (format!("{id} check {number}"), Verdict::Asked(fault.err()))
    };
    checks.iter().enumerate().map(|(number, check)| judge_one(number, check)).collect()
}

fn time(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).unwrap_or_default()
}

fn compile(case: &Json, now: Timestamp) -> Result<Snapshot, String> {
    let field = |name: &str| case.get("match").and_then(|fields| fields.get(name));
    let how = |name: &str, key: &str| -> Result<FieldMatch, String> {
        Ok(match field(name).map_or("", |field| text(field, key)) {
            "" | "eq" | "member_of" => FieldMatch::Equal,
            "keyMatch" => FieldMatch::KeyMatch,
            "keyMatch2" => FieldMatch::KeyMatch2,
            "regexMatch" => FieldMatch::Regex,
            "globMatch" => FieldMatch::Glob,
            "ipMatch" => FieldMatch::Ip,
            other => return Err(format!("`{other}` is no way to compare that the importer knows")),
        })
    };
    let scoped = |name: &str| {
        field(name).and_then(|field| field.get("scoped")).and_then(Json::as_bool).unwrap_or(false)
    };
    let requested = list(case, "checks").iter().filter_map(|check| check.get("request"));
    let mut model = CasbinModel::default()
        .with_deny(text(case, "combine") == "deny_override")
        .comparing(how("sub", "op")?, how("obj", "op")?, how("act", "op")?)
        .naming(
            how("sub", "name_pattern")?,
            how("obj", "name_pattern")?,
            match how("sub", "scope_pattern")? {
                FieldMatch::Equal => how("obj", "scope_pattern")?,
                pattern => pattern,
            },
        )
        .with_actions(requested.map(|request| text(request, "act")))
        .with_superusers(list(case, "bypass_subjects").iter().filter_map(Json::as_str));
    if field("dom").is_some() {
        model = model.with_domains();
    }
    if field("sub").is_none() {
        model = model.without_subjects();
    }
    if field("obj").is_none() {
        model = model.without_objects();
    }
    if scoped("obj") {
        model = model.with_objects_by_domain();
    }
    let mut csv = String::new();
    let mut line = |fields: Vec<&str>| {
        let quoted: Vec<String> =
            fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        csv.push_str(&quoted.join(", "));
        csv.push('\n');
    };
    for rule in list(case, "rules") {
        let mut fields = vec!["p"];
        for name in ["sub", "dom", "obj", "act"] {
            if field(name).is_some() {
                fields.push(text(rule, name));
            }
        }
        fields.push(text(rule, "effect"));
        line(fields);
    }
    for link in list(case, "memberships") {
        let kind = text(link, "kind");
        let mut fields =
            vec![if kind == "sub" { "g" } else { "g2" }, text(link, "member"), text(link, "group")];
        let in_domain = if kind == "sub" { field("dom").is_some() } else { scoped("obj") };
        if in_domain {
            fields.push(text(link, "scope"));
        }
        for key in ["not_before", "not_after"] {
            let time = text(link, key);
            fields.push(if time.is_empty() { "_" } else { time });
        }
        line(fields);
    }
    let imported = model.read(&csv, now).map_err(|error| error.to_string())?;
    imported.compile().map_err(|error| error.to_string())
}

fn ask(snapshot: &Snapshot, check: &Json, now: Timestamp) -> Result<(), String> {
    let request = check.get("request").ok_or("a check without a request")?;
    let (who, domain, object) = (text(request, "sub"), text(request, "dom"), text(request, "obj"));
    let within: Vec<Area> = if domain.is_empty() {
        Vec::new()
    } else {
        vec![Area::new("domain", domain).map_err(|error| error.to_string())?]
    };
    let resource = if object.is_empty() {
        Resource::new_in(&within)
    } else {
        Resource::record("object", object).within(&within)
    };
    let permission = CasbinModel::permission(text(request, "act"));
    let context = json!({ "domain": domain });
    let ask = Ask::new(PrincipalRef::new(ActorKind::User, who), permission.as_str())
        .on(resource)
        .in_context(&context);
    // An action that no line and no request of the case names is one that nobody has.
    let decision = snapshot.check(&ask, now).map_err(|error| error.to_string())?;
    let wanted = check.get("expect").and_then(Json::as_bool).ok_or("a check without an expectation")?;
    if decision.is_allowed() == wanted {
        return Ok(());
    }
    Err(format!(
        "{request} is {} and should be {}",
        decision.outcome(),
        if wanted { "allowed" } else { "refused" }
    ))
}
