//! The published tables, each between two markers of its own.

use std::collections::BTreeMap;

use super::results::{Peer, Row};

/// The page before its first table.
pub(super) const EMPTY: &str = "\
# Benchmarks

Ours and the peer are measured in the same run. A ratio is our median divided by the peer's: below 1 is faster.
Where the two took turns, the median of the ratios of a turn and its twin stands beside it and is what a bar judges.
Each table is rewritten by the command below it.
";

/// Where and how a table came about.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) command: String,
    pub(super) date: String,
    pub(super) processor: String,
    pub(super) compiler: String,
}

/// `ratio NAME/CASE vs PEER VALUE`, with the bar behind it where there is one; nothing where there is no peer.
pub(super) fn ratio_line(benchmark: &str, row: &Row) -> Option<String> {
    let peer = row.peer.as_ref()?;
    Some(format!("ratio {benchmark}/{} vs {} {}", row.case, peer.name, ratio(row.ours, peer)?))
}

/// The tables of a benchmark and the line about its run.
pub(super) fn section(
    rows: &[Row],
    measures: &BTreeMap<(String, String), (String, String)>,
    run: &Run,
) -> String {
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str("| case | peer | ours (median) | peer (median) | ratio |\n|---|---|---:|---:|---:|\n");
    }
    for row in rows {
        let time = |nanoseconds: Option<f64>| nanoseconds.map(duration).unwrap_or_default();
        let (case, ours) = (&row.case, time(row.ours));
        text.push_str(&match &row.peer {
            Some(peer) => {
                let (name, theirs) = (&peer.name, time(peer.theirs));
                let ratio = ratio(row.ours, peer).unwrap_or_default();
                format!("| {case} | {name} | {ours} | {theirs} | {ratio} |\n")
            }
            None => format!("| {case} | | {ours} | | |\n"),
        });
    }
    if !rows.is_empty() && !measures.is_empty() {
        text.push('\n');
    }
    if !measures.is_empty() {
        text.push_str("| case | measure | value | unit |\n|---|---|---:|---|\n");
    }
    for ((case, key), (value, unit)) in measures {
        text.push_str(&format!("| {case} | {key} | {value} | {unit} |\n"));
    }
    text.push_str(&format!("\n{}, `{}`, {}, {}\n", run.date, run.command, run.processor, run.compiler));
    text
}

/// The page with this section between the benchmark's markers, which are added at the end where they are missing.
pub(super) fn rewrite(page: &str, benchmark: &str, section: &str) -> String {
    let (start, end) = (format!("<!-- bench:{benchmark} -->"), format!("<!-- /bench:{benchmark} -->"));
    let marked = format!("{start}\n{section}{end}");
    let parts = page.split_once(&start).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match parts {
        Some((before, after)) => format!("{before}{marked}{after}"),
        None => format!("{}\n\n## {benchmark}\n\n{marked}\n", page.trim_end()),
    }
}

/// Ours divided by theirs and the median of the turns, as far as they were measured, and how the latter stands to the bar;
/// without turns the former does.
fn ratio(ours: Option<f64>, peer: &Peer) -> Option<String> {
    let medians = ours.zip(peer.theirs).map(|(ours, theirs)| ours / theirs);
    let judged = peer.turns.or(medians)?;
    let mut figures: Vec<String> = medians.map(|ratio| format!("{ratio:.3}")).into_iter().collect();
    figures.extend(peer.turns.map(|turns| format!("turns {turns:.3}")));
    let text = figures.join(", ");
    Some(match peer.bar {
        None => text,
        Some(bar) => format!("{text} (bar {bar:.3}, {})", if judged <= bar { "ok" } else { "over" }),
    })
}

/// A time with four digits and the unit that suits it.
fn duration(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = match value {
        v if v < 10.0 => 3,
        v if v < 100.0 => 2,
        _ => 1,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: Option<(&str, f64, Option<f64>)>) -> Row {
        let peer = peer.map(|(name, theirs, bar)| Peer {
            name: name.to_owned(),
            theirs: Some(theirs),
            bar,
            turns: None,
        });
        Row { case: "hot:boxed".to_owned(), ours: Some(1500.0), peer }
    }

    #[test]
    fn a_ratio_has_three_decimals_and_its_bar() {
        let line = |peer| ratio_line("rl", &row(peer));
        assert_eq!(line(Some(("x", 3000.0, None))).unwrap(), "ratio rl/hot:boxed vs x 0.500");
        assert!(line(Some(("x", 3000.0, Some(0.5)))).unwrap().ends_with("0.500 (bar 0.500, ok)"));
        assert!(line(Some(("x", 1000.0, Some(1.2)))).unwrap().ends_with("1.500 (bar 1.200, over)"));
        assert_eq!(line(None), None);
    }

    #[test]
    fn a_bar_is_judged_by_the_turns_and_both_are_shown() {
        let peer = |theirs, turns, bar| Peer { name: "x".to_owned(), theirs, bar, turns };
        let judge = |ours, peer: &Peer| ratio(ours, peer).unwrap();
        assert_eq!(
            judge(Some(3.0), &peer(Some(2.0), Some(1.02), Some(1.03))),
            "1.500, turns 1.020 (bar 1.030, ok)"
        );
        assert_eq!(
            judge(Some(2.0), &peer(Some(2.0), Some(1.04), Some(1.03))),
            "1.000, turns 1.040 (bar 1.030, over)"
        );
        assert_eq!(judge(Some(3.0), &peer(Some(2.0), Some(1.02), None)), "1.500, turns 1.020");
        assert_eq!(judge(None, &peer(None, Some(1.02), Some(1.03))), "turns 1.020 (bar 1.030, ok)");
        assert_eq!(ratio(None, &peer(None, None, Some(1.03))), None);
    }

    #[test]
    fn times_keep_four_digits() {
        assert_eq!(
            [1.2345, 12.345, 123.45].map(duration),
            ["1.234 ns", "12.35 ns", "123.5 ns"].map(str::to_owned)
        );
        assert_eq!([1.5e3, 2.5e7, 3e9].map(duration), ["1.500 µs", "25.00 ms", "3.000 s"].map(str::to_owned));
    }

    #[test]
    fn a_section_has_both_tables_and_its_origin() {
        let measures =
            BTreeMap::from([(("hot".to_owned(), "size".to_owned()), ("24".to_owned(), "bytes".to_owned()))]);
        let run = Run {
            command: "cargo xtask bench rl".to_owned(),
            date: "2026-01-02".to_owned(),
            processor: "CPU (2 threads)".to_owned(),
            compiler: "rustc 1.95.0".to_owned(),
        };
        let text = section(&[row(Some(("x", 3000.0, None))), row(None)], &measures, &run);
        assert_eq!(
            text,
            "| case | peer | ours (median) | peer (median) | ratio |\n|---|---|---:|---:|---:|\n\
             | hot:boxed | x | 1.500 µs | 3.000 µs | 0.500 |\n| hot:boxed | | 1.500 µs | | |\n\n\
             | case | measure | value | unit |\n|---|---|---:|---|\n| hot | size | 24 | bytes |\n\n\
             2026-01-02, `cargo xtask bench rl`, CPU (2 threads), rustc 1.95.0\n"
        );
    }

    #[test]
    fn only_the_benchmarks_own_table_changes() {
        let page = "# B\n<!-- bench:a -->\nold\n<!-- /bench:a -->\ntext\n<!-- bench:ab -->\nkept\n<!-- /bench:ab -->\n";
        let new = rewrite(page, "a", "new\n");
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(rewrite(&new, "a", "new\n"), new);
        let added = rewrite(page, "c", "new\n");
        assert!(added.starts_with(page.trim_end()));
        assert!(added.ends_with("\n\n## c\n\n<!-- bench:c -->\nnew\n<!-- /bench:c -->\n"));
    }
}
