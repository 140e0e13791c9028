//! What the replay found, as a page of 80 columns: the algorithms, a picture of the denials, the most limited.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::arguments::Arguments;
use crate::contest::{ALGORITHMS, Contest, Tally};
use crate::{Faults, span};

/// How many columns the picture may have beside its labels.
const PICTURE: u64 = 56;

pub(crate) fn text(name: &str, arguments: &Arguments, contest: &Contest, faults: &Faults) -> String {
    let mut page = Page { text: String::new(), painted: std::io::stdout().is_terminal() };
    // Writing to a text cannot fail.
    let _ = page.head(name, arguments, contest, faults);
    let _ = page.algorithms(arguments, contest);
    let _ = page.picture(contest);
    let _ = page.offenders(arguments, contest);
    page.text
}

struct Page {
    text: String,
    /// Whether a terminal shows it, which can do bold and colours.
    painted: bool,
}

impl Page {
    fn head(
        &mut self,
        name: &str,
        arguments: &Arguments,
        contest: &Contest,
        faults: &Faults,
    ) -> std::fmt::Result {
        if arguments.log.is_none() {
            writeln!(
                self.text,
                "\nFour rate limiters decide every request of an access log, in the log's own time.\n\
                 No log was named, so this one is made up: people, a crawler, a page full of\n\
                 pictures, and somebody who guesses passwords. Try your own, and see `--help`:\n\n  \
                 cargo run --release --example replay -- LOG --policy \"60/min burst 10\""
            )?;
        }
        let (first, last) = contest.times();
        let (subjects, more) = contest.subjects();
        let (one, several) = arguments.by.nouns();
        writeln!(self.text, "\n{}", self.bold(&format!("Replay of {name}")))?;
        writeln!(
            self.text,
            "{} requests from {}{} {} in {},\n{} to {} UTC",
            grouped(contest.requests()),
            if more { "more than " } else { "" },
            grouped(subjects as u64),
            if subjects == 1 { one } else { several },
            span(Duration::from_nanos(last - first)),
            moment(first, "%-d %b %Y %H:%M"),
            moment(last, "%-d %b %Y %H:%M"),
        )?;
        if let Some(first) = &faults.first {
            let lines = if faults.lines == 1 { "line is" } else { "lines are" };
            writeln!(
                self.text,
                "{} {lines} left out; the first is\n  {}",
                grouped(faults.lines),
                shortened(first, 77)
            )?;
        }
        if faults.late > 0 {
            writeln!(
                self.text,
                "{} requests came too late in the log to keep their time",
                grouped(faults.late)
            )?;
        }
        Ok(())
    }

    fn algorithms(&mut self, arguments: &Arguments, contest: &Contest) -> std::fmt::Result {
        let (_, several) = arguments.by.nouns();
        let head = format!(
            "  {:<15} {:<24} {:>9} {:>9} {:>6} {:>9}",
            "algorithm", "rule", "allowed", "denied", "", several
        );
        writeln!(self.text, "\n{}", self.faint(&head))?;
        for (lane, limited) in contest.lanes().iter().zip(contest.limited()) {
            let allowed = contest.requests() - lane.denied;
            writeln!(
                self.text,
                "  {:<15} {:<24} {:>9} {} {:>6} {:>9}",
                lane.name,
                shortened(&lane.rule.to_string(), 24),
                grouped(allowed),
                self.red_if(lane.denied > 0, &format!("{:>9}", grouped(lane.denied))),
                percent(lane.denied, contest.requests()),
                grouped(limited as u64),
            )?;
        }
        let note = format!(
            "  Concurrency takes every request to last {}, as the log does not say.",
            span(arguments.service_time)
        );
        writeln!(self.text, "{}", self.faint(&note))
    }

    fn picture(&mut self, contest: &Contest) -> std::fmt::Result {
        let (start, width, bins) = contest.timeline().columns(PICTURE);
        let most = bins.iter().flat_map(|bin| bin.denied).max().unwrap_or_default();
        let busiest = bins.iter().map(|bin| bin.requests).max().unwrap_or_default();
        let title = format!("Denials over time, a column for every {}", unit(width));
        writeln!(self.text, "\n{}", self.bold(&title))?;
        let all: String = bins.iter().map(|bin| bar(bin.requests, busiest)).collect();
        let peak = format!("≤ {}", grouped(busiest));
        writeln!(self.text, "{}", self.faint(&format!("  {:<15} {all} {peak}", "requests")))?;
        for (index, lane) in contest.lanes().iter().enumerate() {
            let counts = bins.iter().map(|bin| bin.denied.get(index).copied().unwrap_or_default());
            let own = counts.clone().max().unwrap_or_default();
            let bars: String = counts.map(|count| bar(count, most)).collect();
            writeln!(self.text, "  {:<15} {} ≤ {}", lane.name, self.red_if(true, &bars), grouped(own))?;
        }
        let axis = axis(start, width, bins.len());
        writeln!(self.text, "{}", self.faint(&format!("  {:<15} {axis}", "")))
    }

    fn offenders(&mut self, arguments: &Arguments, contest: &Contest) -> std::fmt::Result {
        let offenders = contest.offenders();
        if offenders.is_empty() {
            return writeln!(self.text, "\nNobody would have been limited.");
        }
        let (one, several) = arguments.by.nouns();
        let who = if offenders.len() == 1 { one } else { several };
        let title = format!("{} {who} would have been limited", grouped(offenders.len() as u64));
        let shown = offenders.len().min(arguments.top);
        let rest = if shown < offenders.len() { format!("; the first {shown}:") } else { ":".to_owned() };
        writeln!(self.text, "\n{}{rest}", self.bold(&title))?;
        let head = format!(
            "  {:<20} {:>8} {:>7} {:>7} {:>6} {:>7}  first",
            one, "requests", "bucket", "sliding", "fixed", "concur."
        );
        writeln!(self.text, "{}", self.faint(&head))?;
        for (subject, tally) in offenders.into_iter().take(shown) {
            self.offender(subject, tally)?;
        }
        let note = "  The last column: when first, by Bucket, Sliding, Fixed, Concurrency.";
        writeln!(self.text, "{}\n", self.faint(note))
    }

    fn offender(&mut self, subject: &str, tally: &Tally) -> std::fmt::Result {
        write!(self.text, "  {:<22} {:>8}", shortened(subject, 22), grouped(tally.requests))?;
        for (denied, width) in tally.denied.into_iter().zip([7, 7, 6, 7]) {
            let shown = if denied == 0 { "·".to_owned() } else { grouped(denied) };
            let cell = self.red_if(denied > 0, &format!("{shown:>width$}"));
            write!(self.text, " {cell}")?;
        }
        let (at, by) = tally.first.unwrap_or_default();
        writeln!(self.text, "  {} {}", moment(at, "%-d %b %H:%M"), letters(by))
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn red_if(&self, red: bool, text: &str) -> String {
        if red { self.paint("31", text) } else { text.to_owned() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.painted { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A bar in eighths; whatever is not nothing can be seen.
fn bar(count: u64, most: u64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    match count {
        0 => ' ',
        count => {
            let eighths = (count * 8).div_ceil(most.max(1)).clamp(1, 8);
            usize::try_from(eighths - 1).ok().and_then(|index| BARS.get(index).copied()).unwrap_or('█')
        }
    }
}

/// Where days begin, or the first and the last column where no day does.
fn axis(start: u64, width: u64, columns: usize) -> String {
    let mut axis = String::new();
    let length = |text: &str| text.chars().count();
    let label = |seconds: u64, format| moment(seconds * 1_000_000_000, format);
    axis.push_str(&format!("╵{}", label(start, "%H:%M")));
    for column in 1..columns {
        let at = start + column as u64 * width;
        // A day's label stands where it begins, if there is room.
        if at % 86_400 < width && length(&axis) < column {
            let text = format!("╵{}", label(at, "%-d %b"));
            if column + length(&text) <= columns + 8 {
                axis.push_str(&format!("{}{text}", " ".repeat(column - length(&axis))));
            }
        }
    }
    let end = columns.saturating_sub(1);
    if length(&axis) < end.saturating_sub(6) && start / 86_400 == (start + end as u64 * width) / 86_400 {
        let text = label(start + end as u64 * width, "%H:%M");
        axis.push_str(&format!("{}{text}╵", " ".repeat(end.saturating_sub(5) - length(&axis))));
    }
    axis
}

fn letters(by: [bool; ALGORITHMS]) -> String {
    by.into_iter().zip("BSFC".chars()).filter(|(denied, _)| *denied).map(|(_, letter)| letter).collect()
}

fn moment(nanos: u64, format: &str) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    time.format(format).to_string()
}

fn unit(seconds: u64) -> String {
    match seconds {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        604_800 => "week".to_owned(),
        s if s.is_multiple_of(604_800) => format!("{} weeks", s / 604_800),
        s if s.is_multiple_of(3600) => format!("{} hours", s / 3600),
        s if s.is_multiple_of(60) => format!("{} minutes", s / 60),
        s => format!("{s} seconds"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    let tenths = (part * 1000 + whole / 2) / whole.max(1);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The text in so many columns, control characters made visible.
fn shortened(text: &str, columns: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '␣' } else { c });
    if text.chars().count() <= columns {
        return clean.collect();
    }
    clean.take(columns.saturating_sub(1)).chain(['…']).collect()
}
