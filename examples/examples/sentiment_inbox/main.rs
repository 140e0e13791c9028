//! An inbox that knows how its writers feel: the type of each message with how sure that is, the words that say so in colour, the
//! trend as a chart. It learns when you say that it is wrong.
//!
//! ```sh
//! cargo run --example sentiment_inbox                        # a made-up fortnight
//! cargo run --example sentiment_inbox -- messages.txt        # one message on each line
//! cargo run --example sentiment_inbox -- messages.ndjson     # or objects, as below
//! cargo run --example sentiment_inbox -- -                   # from standard input
//! cargo run --example sentiment_inbox -- messages.txt --correct 3=angry --correct 5=satisfied
//! cargo run --example sentiment_inbox -- messages.txt --svg trend.svg
//! ```
//!
//! An object has a `text`, and may have an `id`, an `at` (`2026-03-01T09:00:00Z`), a `customer`, an `account` and a `channel`; the
//! `channel` `email` means that quoted messages and the signature are left out. Colours are off where the output is no
//! terminal, or with `NO_COLOR`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::process::ExitCode;

use guardian::core::{ManualClock, PageRequest, Scope, TenantId, Timestamp};
use guardian::sentiment::{
    Chart, Confidence, Explanation, Feeling, MemoryStore, Message, Reading, Segment, Sentiment, Sentiments,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

const SAMPLE: &str = include_str!("sample.ndjson");
const USAGE: &str = "usage: sentiment_inbox [FILE | -] [--correct N=TYPE]... [--svg FILE], where TYPE is satisfied, angry, \
                     disappointed, confused or neutral";
/// More messages than this are summed up, not shown one by one.
const MOST_SHOWN: usize = 40;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sentiment_inbox: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    file: Option<String>,
    corrections: Vec<(usize, Feeling)>,
    svg: Option<String>,
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut wanted = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--correct" => {
                    let correction = arguments.next().ok_or(USAGE)?;
                    let (number, name) = correction.split_once('=').ok_or(USAGE)?;
                    let feeling = Feeling::ALL.into_iter().find(|feeling| feeling.as_str() == name);
                    let feeling = feeling.ok_or_else(|| format!("`{name}` is no type\n{USAGE}"))?;
                    wanted.corrections.push((number.parse()?, feeling));
                }
                "--svg" => wanted.svg = Some(arguments.next().ok_or(USAGE)?),
                file if wanted.file.is_none() && (file == "-" || !file.starts_with('-')) => {
                    wanted.file = Some(argument);
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(wanted)
    }
}

/// A line that is an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    id: Option<String>,
    at: Option<Timestamp>,
    customer: Option<String>,
    account: Option<String>,
    channel: Option<String>,
}

fn message(line: &str, number: usize) -> Result<Message, Box<dyn Error>> {
    let line = if line.starts_with('{') {
        serde_json::from_str(line)?
    } else {
        Line { text: line.to_owned(), id: None, at: None, customer: None, account: None, channel: None }
    };
    let mut message = Message::new(&line.id.unwrap_or_else(|| format!("line-{number}")), line.text)?;
    if let Some(at) = line.at {
        message = message.written(at);
    }
    if line.channel.as_deref() == Some("email") {
        message = message.as_mail();
    }
    if let Some(customer) = line.customer {
        message = message.of_customer(&customer)?;
    }
    if let Some(account) = line.account {
        message = message.of_account(&account)?;
    }
    if let Some(channel) = line.channel {
        message = message.by_channel(&channel)?;
    }
    Ok(message)
}

fn lines(file: Option<&str>) -> Result<Vec<String>, Box<dyn Error>> {
    let lines = match file {
        None => return Ok(SAMPLE.lines().map(str::to_owned).collect()),
        Some("-") => io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?,
        Some(file) => {
            let opened = fs::File::open(file).map_err(|error| format!("`{file}`: {error}"))?;
            BufReader::new(opened).lines().collect::<Result<Vec<_>, _>>()?
        }
    };
    Ok(lines.into_iter().filter(|line| !line.trim().is_empty()).collect())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let wanted = Wanted::read(std::env::args().skip(1))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a program asks its environment whether colours are wanted"
    )]
    let colours = io::stdout().is_terminal() && std::env::var("NO_COLOR").is_err();
    let mut messages = Vec::new();
    for (line, number) in lines(wanted.file.as_deref())?.iter().zip(1..) {
        match message(line, number) {
            Ok(message) => messages.push((number, message)),
            Err(error) => eprintln!("line {number}: {error}"),
        }
    }
    let sentiments = Sentiments::new(MemoryStore::new());
    let sentiments = if wanted.file.is_none() {
        // The sample is of one fortnight, at whose end the clock stands.
        sentiments.with_clock(ManualClock::at("2026-03-15T00:00:00Z".parse()?))
    } else {
        sentiments
    };
    let scope = Scope::system(TenantId::new("inbox")?);

    let is_short = messages.len() <= MOST_SHOWN;
    // Hidden by itself where standard error is no terminal.
    let bar = if is_short { ProgressBar::hidden() } else { ProgressBar::new(messages.len() as u64) };
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos:>6} of {len}  {eta} left")?.progress_chars("━╸ "),
    );
    let mut count = [0_u32; 5];
    for (number, message) in &messages {
        let recorded = sentiments.record(&scope, message).await?;
        if let Some(feeling) = recorded.entry.feeling() {
            for (count, each) in count.iter_mut().zip(Feeling::ALL) {
                *count += u32::from(each == feeling);
            }
        }
        if is_short {
            let text = message.own_text();
            let why = sentiments.explain(&scope, &text).await?;
            println!("{number:>3}  {}", shown(&recorded.entry.reading, &text, why.as_ref(), colours));
        }
        for (segment, update) in &recorded.updates {
            if let Some(alert) = &update.alert {
                let words: Vec<&str> = alert.words.iter().map(|rising| rising.word.as_str()).collect();
                let (recent, usual) = (alert.recent, alert.baseline);
                bar.suspend(|| {
                    println!(
                        "     ⚠ {segment} is falling: {recent:+.2} after {usual:+.2}; more often: {}",
                        words.join(", ")
                    );
                });
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();

    println!();
    for (feeling, count) in Feeling::ALL.iter().zip(count) {
        println!("{count:>6}  {feeling}");
    }
    chart(&sentiments, &scope, wanted.svg.as_deref()).await?;
    learn(&sentiments, &scope, &messages, &wanted.corrections).await
}

/// The trend of each series, as far as a screen goes.
async fn chart(sentiments: &Sentiments, scope: &Scope, svg: Option<&str>) -> Result<(), Box<dyn Error>> {
    println!("\nby day, from very bad ▁ to very good █:");
    for segment in sentiments.segments(scope, None, 12).await? {
        let Some(trend) = sentiments.trend(scope, &segment).await? else { continue };
        let level = trend.level().unwrap_or(0.0);
        let falls = if trend.falling_since().is_some() { "  falling" } else { "" };
        let line = Chart::of(trend.days()).sparkline(60);
        println!("  {:<24} {line}  {level:+.2} of {}{falls}", segment.to_string(), trend.messages());
        if let Some(file) = svg.filter(|_| segment == Segment::all()) {
            fs::write(file, Chart::of(trend.days()).svg(640, 160))?;
            println!("  drawn in {file}");
        }
    }
    Ok(())
}

/// Takes the corrections, and says what the model makes of the same messages then.
async fn learn(
    sentiments: &Sentiments,
    scope: &Scope,
    messages: &[(usize, Message)],
    corrections: &[(usize, Feeling)],
) -> Result<(), Box<dyn Error>> {
    for (number, feeling) in corrections {
        let found = messages.iter().find(|(line, _)| line == number);
        let (_, message) = found.ok_or_else(|| format!("there is no message {number}"))?;
        let before = sentiments.read(scope, &message.own_text()).await?;
        sentiments.correct(scope, message, *feeling).await?;
        let after = sentiments.read(scope, &message.own_text()).await?;
        println!(
            "\n{number:>3}  you say {feeling}: read as {} before, as {} now",
            named(&before),
            named(&after)
        );
    }
    if !corrections.is_empty() {
        let page = sentiments.history(scope, &Segment::all(), &PageRequest::first(1000)?).await?;
        let corrected = page.items.iter().filter(|entry| entry.correction.is_some()).count();
        println!("     {corrected} of the newest {} messages are corrected in the history", page.items.len());
    }
    Ok(())
}

fn named(reading: &Reading) -> String {
    match reading {
        Reading::Read(sentiment) => format!("{} ({:+.2})", sentiment.feeling, sentiment.score),
        Reading::Unsupported(code) => format!("text in `{code}`"),
        _ => "nothing".to_owned(),
    }
}

/// One line for a message: its type, how sure that is, and the text with what speaks for good in green and for bad in red.
fn shown(reading: &Reading, text: &str, why: Option<&Explanation>, colours: bool) -> String {
    let Reading::Read(sentiment) = reading else {
        return format!("{:<13} {:<7} {}", named(reading), "", clean(text));
    };
    let sure = match sentiment.confidence {
        Confidence::High => "sure",
        Confidence::Medium => "likely",
        Confidence::Low => "maybe",
        Confidence::Abstain => "unsure",
    };
    let tint = tint(sentiment, colours);
    let end = if colours { "\x1b[0m" } else { "" };
    let mut line = format!("{tint}{:<13}{end} {sure:<7} ", sentiment.feeling.as_str());
    let Some(why) = why else {
        line.push_str(&clean(text));
        return line;
    };
    let mut at = 0;
    for part in &why.parts {
        let (Some(before), Some(span)) = (text.get(at..part.span.start), text.get(part.span.clone())) else {
            continue;
        };
        // Spans are of the text as it is, so that it is cleaned piece by piece.
        line.push_str(&clean(before));
        let span = clean(span);
        let strong = part.contribution.abs() >= 0.6;
        // Writing to a text does not fail.
        let _ = match (strong, colours) {
            (true, true) => {
                write!(line, "\x1b[{}m{span}\x1b[0m", if part.contribution > 0.0 { 32 } else { 31 })
            }
            (true, false) => write!(line, "{span}{}", if part.contribution > 0.0 { "⁺" } else { "⁻" }),
            (false, _) => write!(line, "{span}"),
        };
        at = part.span.end;
    }
    line.push_str(&clean(text.get(at..).unwrap_or("")));
    line
}

/// A space in the place of each character that a terminal would obey.
fn clean(text: &str) -> String {
    text.chars().map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect()
}

fn tint(sentiment: &Sentiment, colours: bool) -> &'static str {
    if !colours {
        return "";
    }
    match sentiment.feeling {
        Feeling::Satisfied => "\x1b[32m",
        Feeling::Angry => "\x1b[1;31m",
        Feeling::Disappointed => "\x1b[31m",
        Feeling::Confused => "\x1b[33m",
        Feeling::Neutral => "",
    }
}
