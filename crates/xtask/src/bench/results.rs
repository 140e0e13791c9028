//! What a benchmark measured: criterion's files, and the lines that it prints itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// The measure that judges the bar of its case.
const TURNS: &str = "median_of_turns";

/// The median of one function of one group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timing {
    /// The group, with the parameter where the benchmark has one.
    pub(super) case: String,
    pub(super) function: String,
    pub(super) nanoseconds: f64,
}

/// One case of ours beside one peer.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// With the variant of ours where there is one.
    pub(super) case: String,
    /// Our median in nanoseconds; `None` where nothing but turns were reported.
    pub(super) ours: Option<f64>,
    /// `None` when nobody else was measured in this case.
    pub(super) peer: Option<Peer>,
}

/// The other side of a comparison.
#[derive(Debug, PartialEq)]
pub(super) struct Peer {
    pub(super) name: String,
    /// Its median in nanoseconds; `None` together with ours.
    pub(super) theirs: Option<f64>,
    /// The median of the ratios of our turns and its, where they took turns. The bar is judged by it.
    pub(super) turns: Option<f64>,
    /// The ratio that ours is to stay below.
    pub(super) bar: Option<f64>,
}

/// The lines that a benchmark prints for us.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// By case and key: value and unit.
    pub(super) measures: BTreeMap<(String, String), (String, String)>,
    /// By case and peer.
    bars: BTreeMap<(String, String), f64>,
}

impl Reports {
    /// Takes one line of standard output; lines of another kind or another benchmark are left alone.
    pub(super) fn read(&mut self, line: &str, benchmark: &str) {
        let case = |text: &str| Some(text.strip_prefix(benchmark)?.strip_prefix('/')?.to_owned());
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["measure", place, key, value, unit @ ..] => {
                if let (Some(case), Ok(_)) = (case(place), value.parse::<f64>()) {
                    self.measures.insert((case, (*key).to_owned()), ((*value).to_owned(), unit.join(" ")));
                }
            }
            ["bar", place, "vs", peer, maximum] => {
                if let (Some(case), Ok(maximum)) = (case(place), maximum.parse()) {
                    self.bars.insert((case, (*peer).to_owned()), maximum);
                }
            }
            _ => {}
        }
    }

    /// What a case whose two contestants took turns says about them.
    fn turns(&self, case: &str) -> Option<f64> {
        let (value, _) = self.measures.get(&(case.to_owned(), TURNS.to_owned()))?;
        value.parse().ok()
    }
}

/// Reads every result below criterion's folder.
pub(super) fn timings(home: &Path) -> Result<Vec<Timing>> {
    let mut found = Vec::new();
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() && path.file_name().is_some_and(|name| name == "new") {
                found.push(
                    timing(&read(&path, "benchmark.json")?, &read(&path, "estimates.json")?).ok_or_else(
                        || {
                            Error::failed(format!(
                                "the results in `{}` lack an expected field",
                                path.display()
                            ))
                        },
                    )?,
                );
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort_by(|a, b| (&a.case, &a.function).cmp(&(&b.case, &b.function)));
    Ok(found)
}

fn read(folder: &Path, name: &str) -> Result<Value> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).map_err(Error::on(format!("cannot read `{}`", path.display())))?;
    serde_json::from_str(&text).map_err(Error::on(format!("cannot read `{}`", path.display())))
}

/// A result from criterion's two files. The ids are taken from there because the folder's name is mangled.
fn timing(benchmark: &Value, estimates: &Value) -> Option<Timing> {
    let text = |name| benchmark.get(name).and_then(Value::as_str);
    let group = text("group_id")?;
    let case = text("value_str").map_or_else(|| group.to_owned(), |value| format!("{group}/{value}"));
    let nanoseconds = estimates.pointer("/median/point_estimate")?.as_f64()?;
    // A benchmark outside any group has no function.
    Some(Timing { case, function: text("function_id").unwrap_or_default().to_owned(), nanoseconds })
}

/// Every variant of ours beside every peer of the same case, and then the bars of cases that are no more than a reported
/// `median_of_turns`.
pub(super) fn compare(timings: &[Timing], reports: &Reports) -> Vec<Row> {
    let mut rows = Vec::new();
    for ours in timings {
        let Some(variant) = ours.function.strip_prefix("guardian") else {
            continue;
        };
        // What follows is empty or a colon and the variant; anything else is an unknown id.
        if !(variant.is_empty() || variant.starts_with(':')) {
            continue;
        }
        let case = format!("{}{variant}", ours.case);
        let theirs: Vec<_> = timings
            .iter()
            .filter(|timing| timing.case == ours.case)
            .filter_map(|timing| Some((timing.function.strip_prefix("vs/")?, timing.nanoseconds)))
            .collect();
        // Turns are of two; with more peers nobody could tell which one is meant.
        let turns = if let [_] = theirs.as_slice() { reports.turns(&case) } else { None };
        let peers = theirs.iter().map(|(name, nanoseconds)| {
            let name = (*name).to_owned();
            let bar = |case: &String| reports.bars.get(&(case.clone(), name.clone())).copied();
            Peer { bar: bar(&case).or_else(|| bar(&ours.case)), theirs: Some(*nanoseconds), turns, name }
        });
        let ours = Some(ours.nanoseconds);
        let before = rows.len();
        rows.extend(peers.map(|peer| Row { case: case.clone(), ours, peer: Some(peer) }));
        if rows.len() == before {
            rows.push(Row { case, ours, peer: None });
        }
    }
    for ((case, name), bar) in &reports.bars {
        let timed = timings.iter().any(|timing| timing.case == *case);
        if let Some(turns) = reports.turns(case).filter(|_| !timed) {
            let peer = Peer { name: name.clone(), theirs: None, bar: Some(*bar), turns: Some(turns) };
            rows.push(Row { case: case.clone(), ours: None, peer: Some(peer) });
        }
    }
    rows
}

/// What to say about functions that are neither ours nor a peer, and about peers without a case of ours.
pub(super) fn left_out(timings: &[Timing]) -> impl Iterator<Item = String> {
    timings.iter().filter_map(|Timing { case, function, .. }| {
        let ours = |id: &str| id == "guardian" || id.starts_with("guardian:");
        if !ours(function) && !function.starts_with("vs/") {
            let known = "`guardian`, `guardian:VARIANT` or `vs/PEER`";
            return Some(format!("left out `{function}` of `{case}`, its id is not {known}"));
        }
        let met = timings.iter().any(|timing| timing.case == *case && ours(&timing.function));
        (!met).then(|| format!("left out `{function}` of `{case}`, there is nothing of ours in this case"))
    })
}

/// What to say about bars that nothing was held against.
pub(super) fn unused_bars<'a>(rows: &'a [Row], reports: &'a Reports) -> impl Iterator<Item = String> + 'a {
    let met = |case: &str, name: &str| {
        let matches =
            |row: &Row| row.case == case || row.case.strip_prefix(case).is_some_and(|r| r.starts_with(':'));
        rows.iter().any(|row| matches(row) && row.peer.as_ref().is_some_and(|peer| peer.name == name))
    };
    let unused = reports.bars.keys().filter(move |(case, name)| !met(case, name));
    unused.map(|(case, name)| format!("nothing was measured for the bar of `{case}` vs `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from criterion 0.8.2.
    const BENCHMARK: &str = r#"{"group_id":"hot_key","function_id":"vs/governor","value_str":null,"throughput":null,
        "full_id":"hot_key/vs/governor","directory_name":"hot_key/vs_governor","title":"hot_key/vs/governor"}"#;
    const ESTIMATES: &str = r#"{"mean":{"confidence_interval":{"confidence_level":0.95,"lower_bound":21.7,
        "upper_bound":22.9},"point_estimate":22.25,"standard_error":0.29},"median":{"confidence_interval":
        {"confidence_level":0.95,"lower_bound":21.6,"upper_bound":21.9},"point_estimate":21.75,"standard_error":0.08},
        "median_abs_dev":{"confidence_interval":{"confidence_level":0.95,"lower_bound":0.2,"upper_bound":0.6},
        "point_estimate":0.42,"standard_error":0.1},"slope":null,"std_dev":{"confidence_interval":
        {"confidence_level":0.95,"lower_bound":0.4,"upper_bound":4.5},"point_estimate":2.98,"standard_error":1.05}}"#;

    fn timings_of(functions: &[(&str, &str, f64)]) -> Vec<Timing> {
        let timing = |(case, function, nanoseconds): &(&str, &str, f64)| Timing {
            case: (*case).to_owned(),
            function: (*function).to_owned(),
            nanoseconds: *nanoseconds,
        };
        functions.iter().map(timing).collect()
    }

    #[test]
    fn the_files_of_criterion_are_read() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("hot_key/vs_governor/new");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(home.path().join("hot_key/vs_governor/report")).unwrap();
        fs::write(folder.join("benchmark.json"), BENCHMARK).unwrap();
        fs::write(folder.join("estimates.json"), ESTIMATES).unwrap();
        assert_eq!(timings(home.path()).unwrap(), timings_of(&[("hot_key", "vs/governor", 21.75)]));
        fs::write(folder.join("estimates.json"), "{}").unwrap();
        assert!(timings(home.path()).unwrap_err().to_string().contains("lack an expected field"));
    }

    #[test]
    fn a_parameter_belongs_to_the_case() {
        let benchmark =
            serde_json::json!({"group_id": "keys", "function_id": "guardian", "value_str": "1000"});
        let timing = timing(&benchmark, &serde_json::from_str(ESTIMATES).unwrap()).unwrap();
        assert_eq!(timing.case, "keys/1000");
    }

    #[test]
    fn each_variant_meets_each_peer_of_its_case() {
        let timings = timings_of(&[
            ("a", "guardian:boxed", 3.0),
            ("a", "guardian", 1.0),
            ("a", "vs/x", 2.0),
            ("a", "vs/y", 4.0),
            ("b", "guardian", 5.0),
            ("b", "baseline", 5.0),
            ("c", "vs/x", 5.0),
        ]);
        let rows = compare(&timings, &Reports::default());
        let pairs: Vec<_> = rows
            .iter()
            .map(|row| (row.case.as_str(), row.peer.as_ref().map(|peer| peer.name.as_str())))
            .collect();
        assert_eq!(
            pairs,
            [("a:boxed", Some("x")), ("a:boxed", Some("y")), ("a", Some("x")), ("a", Some("y")), ("b", None)]
        );
        let left_out: Vec<_> = left_out(&timings).collect();
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(left_out[0].contains("`baseline` of `b`, its id"));
        assert!(left_out[1].contains("`vs/x` of `c`, there is nothing"));
    }

    #[test]
    fn measures_and_bars_are_collected_and_other_lines_are_not() {
        let mut reports = Reports::default();
        for line in [
            "measure rl/a bytes 12 bytes per key",
            "measure rl/a bytes 16 bytes per key",
            "measure other/a bytes 1 B",
            "measure rl/a bytes many B",
            "bar rl/a vs x 0.9",
            "bar rl/gone vs x 1",
            "bar rl/a vs x",
            "a/guardian   time:   [1.0 ns 1.1 ns 1.2 ns]",
        ] {
            reports.read(line, "rl");
        }
        let measures: Vec<_> = reports.measures.iter().collect();
        let key = ("a".to_owned(), "bytes".to_owned());
        assert_eq!(measures, [(&key, &("16".to_owned(), "bytes per key".to_owned()))]);
        let rows = compare(&timings_of(&[("a", "guardian:v", 1.0), ("a", "vs/x", 2.0)]), &reports);
        assert_eq!(rows[0].peer.as_ref().unwrap().bar, Some(0.9));
        let unused: Vec<_> = unused_bars(&rows, &reports).collect();
        assert_eq!(unused, ["nothing was measured for the bar of `gone` vs `x`"]);
    }

    #[test]
    fn turns_are_taken_for_the_one_peer_of_their_case_and_for_a_bar_without_times() {
        let mut reports = Reports::default();
        for line in [
            "measure i/point median_of_turns 1.020 ratio",
            "measure i/many median_of_turns 1.020 ratio",
            "measure i/five median_of_turns 1.010 ratio",
            "measure i/silent median_of_turns 1.010 ratio",
            "bar i/point vs x 1.03",
            "bar i/five vs x 1.03",
        ] {
            reports.read(line, "i");
        }
        let timings = timings_of(&[
            ("point", "guardian", 3.0),
            ("point", "vs/x", 2.0),
            ("many", "guardian", 3.0),
            ("many", "vs/x", 2.0),
            ("many", "vs/y", 2.0),
        ]);
        let rows = compare(&timings, &reports);
        let turns: Vec<_> = rows
            .iter()
            .map(|row| (row.case.as_str(), row.ours.is_some(), row.peer.as_ref().unwrap().turns))
            .collect();
        assert_eq!(
            turns,
            [
                ("point", true, Some(1.02)),
                ("many", true, None),
                ("many", true, None),
                ("five", false, Some(1.01))
            ]
        );
        assert_eq!(unused_bars(&rows, &reports).count(), 0);
    }
}
