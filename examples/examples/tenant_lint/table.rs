//! The report as a table for people.

use std::fmt::Write;

use guardian_tenant::lint::Report;

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colours: bool,
    width: usize,
}

impl Style {
    /// Colours on a terminal that wants them, and its width where the shell tells it.
    pub(crate) fn of_terminal(is_terminal: bool) -> Self {
        let width = std::env::var_os("COLUMNS").and_then(|text| text.to_str()?.parse().ok());
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none();
        Self { colours, width: width.unwrap_or(110).clamp(60, 200) }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub(crate) fn render(report: &Report, style: Style) -> String {
    let findings = report.findings();
    let longest =
        |texts: &mut dyn Iterator<Item = usize>, most: usize| texts.max().unwrap_or(0).clamp(6, most);
    let codes = longest(&mut findings.iter().map(|finding| finding.code().as_str().len()), 28);
    let objects = longest(&mut findings.iter().map(|finding| finding.object().chars().count()), 36);
    let rest = style.width.saturating_sub(codes + objects + 4).max(30);
    let mut text = String::new();
    if !findings.is_empty() {
        let head = format!("{:codes$}  {:objects$}  {}", "hole", "where", "why, and how to mend it");
        let _ = writeln!(text, "{}", style.paint("1", &head));
    }
    for finding in findings {
        let mut lines: Vec<_> = wrap(finding.why(), rest).into_iter().map(|line| (line, "0")).collect();
        for statement in finding.mend().lines() {
            lines.extend(wrap(statement, rest).into_iter().map(|line| (line, "2")));
        }
        for (place, (line, colour)) in lines.into_iter().enumerate() {
            let (code, object) =
                if place == 0 { (finding.code().as_str(), finding.object()) } else { ("", "") };
            let code = style.paint("31", &format!("{code:codes$}"));
            let object: String = object.escape_debug().collect();
            let _ = writeln!(text, "{code}  {object:objects$}  {}", style.paint(colour, &line));
        }
    }
    for (finding, reason) in report.allowed() {
        let _ =
            writeln!(text, "allowed: {} in {}: {reason}", finding.code(), finding.object().escape_debug());
    }
    for idle in report.unused_allowances() {
        let _ = writeln!(text, "allows nothing: {idle}");
    }
    let coverage = report.coverage();
    let colour = if coverage.is_complete() { "32" } else { "31" };
    let _ =
        writeln!(text, "{} holes; coverage {}", findings.len(), style.paint(colour, &coverage.to_string()));
    text
}

/// A text in lines of at most so many characters, broken at spaces where there are some.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
