//! `cel`: conformance tests of the Common Expression Language, a folder of JSON files.
//!
//! A case passes if the value, the deduced type and whether there is an error are what the test expects. The bar is 99 % of all
//! cases and 99.8 % of those of the core language.

use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use guardian_expr::{Bindings, Duration, Env, ErrorKind, EvalError, HostFunction, Timestamp, Type, Value};
use indicatif::ProgressBar;
use serde_json::Value as Json;

use super::Report;

pub(super) fn run(path: &Path, bar: &ProgressBar) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let (mut core, mut core_passed) = (0_u64, 0_u64);
    let mut files: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    bar.set_length(files.len() as u64);
    for file in files {
        bar.inc(1);
        let document: Json = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let tests = document.get("tests").and_then(Json::as_array).ok_or("a file without `tests`")?;
        for test in tests {
            let fault = catch_unwind(AssertUnwindSafe(|| judge(test)))
                .unwrap_or_else(|_| Err("it panics".into()))
                .err();
            if text(test, "profile") == "core" {
                core += 1;
                core_passed += u64::from(fault.is_none());
            }
            let line = fault.map(|fault| format!("{}: `{}`: {fault}", text(test, "id"), text(test, "expr")));
            report.case(line);
        }
    }
    let all = report.passed + report.failed.len() as u64;
    if report.passed * 100 < all * 99 {
        report.missed.push(format!("{} of {all} cases pass, fewer than 99 in 100", report.passed));
    }
    if core_passed * 1000 < core * 998 {
        report.missed.push(format!("{core_passed} of {core} core cases pass, fewer than 998 in 1,000"));
    }
    Ok(report)
}

fn text<'t>(test: &'t Json, key: &str) -> &'t str {
    test.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn flag(test: &Json, key: &str) -> bool {
    test.get(key).and_then(Json::as_bool).unwrap_or(false)
}

fn judge(test: &Json) -> Result<(), Box<dyn Error>> {
    let expect = test.get("expect").ok_or("no expectation")?;
    let wants_error = expect.get("error").is_some();
    let env = environment(test)?;
    let source = text(test, "expr");
    let compiled =
        if flag(test, "disable_check") { env.compile_unchecked(source) } else { env.compile(source) };
    let program = match compiled {
        Ok(program) => program,
        Err(_) if wants_error => return Ok(()),
        Err(error) => return Err(error.to_string().replace('\n', " | ").into()),
    };
    if let Some(wanted) = expect.get("type").and_then(Json::as_str) {
        let wanted: Type = wanted.parse()?;
        if *program.result_type() != wanted {
            return Err(format!("deduced `{}` instead of `{wanted}`", program.result_type()).into());
        }
    }
    if flag(test, "check_only") {
        return Ok(());
    }
    let mut bindings = Bindings::new();
    for (name, value) in test.get("bindings").and_then(Json::as_object).into_iter().flatten() {
        bindings = bindings.with(name, read(value)?);
    }
    match (program.evaluate(&bindings), expect.get("value")) {
        (Ok(value), Some(wanted)) if is(&value, wanted)? => Ok(()),
        (Ok(value), Some(wanted)) => Err(format!("{value} instead of {wanted}").into()),
        (Ok(value), None) => Err(format!("{value} instead of an error").into()),
        (Err(_), _) if wants_error => Ok(()),
        (Err(error), _) => Err(format!("failed: {error}").into()),
    }
}

fn environment(test: &Json) -> Result<Env, Box<dyn Error>> {
    let mut env = Env::builder().container(text(test, "container")).open(flag(test, "disable_check"));
    for entry in test.get("type_env").and_then(Json::as_array).into_iter().flatten() {
        if let Some(name) = entry.get("ident").and_then(Json::as_str) {
            env = env.variable(name, text(entry, "type").parse::<Type>()?);
            continue;
        }
        for overload in entry.get("overloads").and_then(Json::as_array).into_iter().flatten() {
            let parameters: Vec<&str> = overload
                .get("params")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .collect();
            let name = text(entry, "function");
            let call = match (flag(overload, "receiver"), parameters.split_first()) {
                (true, Some((first, rest))) => format!("{first}.{name}({})", rest.join(", ")),
                _ => format!("{name}({})", parameters.join(", ")),
            };
            let signature = format!("{call} -> {}", text(overload, "result"));
            // The tests declare functions to deduce types and do not call them.
            env = env.function(HostFunction::new(signature, |_| {
                Err(EvalError::new(ErrorKind::Host, "not implemented"))
            }));
        }
    }
    Ok(env.build()?)
}

/// The value that a test writes down.
fn read(value: &Json) -> Result<Value<'static>, Box<dyn Error>> {
    let inner = value.get("v").cloned().unwrap_or_default();
    let number = || inner.as_str().ok_or("a number that is no text");
    Ok(match text(value, "t") {
        "null" => Value::Null,
        "bool" => Value::Bool(inner.as_bool().unwrap_or(false)),
        "int" => Value::Int(number()?.parse()?),
        "uint" => Value::Uint(number()?.parse()?),
        "double" => Value::Double(number()?.parse()?),
        "string" => Value::from(number()?.to_owned()),
        "bytes" => Value::from(base64(number()?)),
        "type" => Value::Type(number()?.into()),
        "timestamp" => {
            let (seconds, nanos) = time(value)?;
            Value::Timestamp(Timestamp::new(seconds, u32::try_from(nanos)?).ok_or("a time out of range")?)
        }
        "duration" => {
            let (seconds, nanos) = time(value)?;
            Value::Duration(Duration::new(seconds, i32::try_from(nanos)?).ok_or("a duration out of range")?)
        }
        "list" => {
            let items = inner.as_array().into_iter().flatten();
            Value::list(items.map(read).collect::<Result<_, _>>()?)
        }
        "map" => {
            let mut entries = Vec::new();
            for entry in inner.as_array().into_iter().flatten() {
                let part = |at: usize| read(entry.get(at).unwrap_or(&Json::Null));
                entries.push((part(0)?, part(1)?));
            }
            Value::map(entries).ok_or("a map with faulty keys")?
        }
        other => return Err(format!("unknown kind of value `{other}`").into()),
    })
}

fn time(value: &Json) -> Result<(i64, i64), Box<dyn Error>> {
    let seconds = text(value, "seconds").parse()?;
    Ok((seconds, value.get("nanos").and_then(Json::as_i64).unwrap_or(0)))
}

/// Whether a value is the one that a test expects, of the same type, element by element.
fn is(value: &Value<'_>, wanted: &Json) -> Result<bool, Box<dyn Error>> {
    let inner = wanted.get("v");
    Ok(match (value, text(wanted, "t")) {
        (Value::Double(found), "double") => {
            let Value::Double(expected) = read(wanted)? else { return Ok(false) };
            let negative_zero = inner.and_then(Json::as_str) == Some("-0.0");
            (found.is_nan() && expected.is_nan() || *found == expected)
                && (!negative_zero || found.is_sign_negative())
        }
        (Value::List(list), "list") => {
            let items = inner.and_then(Json::as_array).ok_or("a list without elements")?;
            let mut same = list.len() == items.len();
            for (found, expected) in list.iter().zip(items) {
                same = same && is(&found, expected)?;
            }
            same
        }
        (Value::Map(map), "map") => {
            let entries = inner.and_then(Json::as_array).ok_or("a map without entries")?;
            let mut same = map.len() == entries.len();
            let found = map.entries();
            for entry in entries {
                let part = |at: usize| entry.get(at).unwrap_or(&Json::Null);
                let mut matched = false;
                for (key, value) in &found {
                    matched = matched || is(key, part(0))? && is(value, part(1))?;
                }
                same = same && matched;
            }
            same
        }
        (Value::List(_) | Value::Map(_) | Value::Double(_), _) | (_, "list" | "map" | "double") => false,
        _ => {
            let expected = read(wanted)?;
            expected.type_name() == value.type_name() && expected == *value
        }
    })
}

pub(super) fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        bits = (bits << 6 | digit(byte)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from(bits >> count & 0xff));
        }
    }
    bytes
}
