use std::fmt::Write as _;

use crate::Day;

/// Draws a series day by day: as a line of text, and as SVG.
///
/// ```
/// use guardian_core::{Clock, ManualClock};
/// use guardian_sentiment::{Chart, Observation, Trend, TrendPolicy};
///
/// let (clock, policy) = (ManualClock::new(), TrendPolicy::default());
/// let mut trend = Trend::new();
/// for score in [0.9, 0.5, 0.0, -0.5, -0.9] {
///     trend.push(&Observation::new(clock.now(), score), &policy);
///     clock.advance(std::time::Duration::from_secs(86_400));
/// }
/// assert_eq!(Chart::of(trend.days()).sparkline(10), "█▇▅▃▁");
/// assert!(Chart::of(trend.days()).svg(240, 48).starts_with("<svg "));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chart<'d> {
    days: &'d [Day],
}

const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl<'d> Chart<'d> {
    /// The widest chart, in characters or pixels.
    pub const MAX_WIDTH: u32 = 4_000;

    /// A chart of these days, which are in order, as those of a series are.
    #[must_use]
    pub fn of(days: &'d [Day]) -> Self {
        Self { days }
    }

    /// The newest days as blocks from the lowest at -1 to the highest at 1, and a space for each day without messages; at most
    /// `width` characters.
    #[must_use]
    pub fn sparkline(&self, width: u32) -> String {
        let (Some(last), width) = (self.days.last(), i64::from(width.min(Self::MAX_WIDTH))) else {
            return String::new();
        };
        let first = self.days.first().map_or(last.day, |day| day.day).max(last.day.saturating_sub(width - 1));
        let mut line = String::new();
        let mut days = self.days.iter().skip_while(|day| day.day < first).peekable();
        for at in first..=last.day {
            match days.next_if(|day| day.day == at) {
                Some(day) => line.push(step(day.mean())),
                None => line.push(' '),
            }
        }
        line
    }

    /// A line chart with the middle marked, of this many pixels: to be put into a page as it is.
    #[must_use]
    pub fn svg(&self, width: u32, height: u32) -> String {
        let (width, height) =
            (f64::from(width.clamp(16, Self::MAX_WIDTH)), f64::from(height.clamp(16, Self::MAX_WIDTH)));
        let first = self.days.first().map_or(0, |day| day.day);
        let last = self.days.last().map_or(0, |day| day.day);
        #[expect(clippy::cast_precision_loss, reason = "days of one chart, within some millions")]
        let span = (last - first).max(1) as f64;
        let mut points = String::new();
        for day in self.days {
            #[expect(clippy::cast_precision_loss, reason = "days of one chart, within some millions")]
            let x = 4.0 + (width - 8.0) * (day.day - first) as f64 / span;
            let y = 4.0 + (height - 8.0) * (1.0 - day.mean().clamp(-1.0, 1.0)) / 2.0;
            // Writing to a text does not fail.
            let _ = write!(points, "{}{x:.1},{y:.1}", if points.is_empty() { "" } else { " " });
        }
        let middle = height / 2.0;
        let newest = points.rsplit(' ').next().and_then(|point| point.split_once(','));
        let dot = newest.map_or_else(String::new, |(x, y)| {
            format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"currentColor\"/>")
        });
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"sentiment by day\"><line x1=\"4\" y1=\"{middle}\" x2=\"{}\" y2=\"{middle}\" \
             stroke=\"currentColor\" stroke-opacity=\"0.3\" stroke-dasharray=\"2 3\"/><polyline points=\"{points}\" \
             fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>{dot}</svg>",
            width - 4.0
        )
    }
}

fn step(mean: f64) -> char {
    let mut step = STEPS.first().copied().unwrap_or(' ');
    for (at, candidate) in (0_u32..).zip(STEPS) {
        if mean >= f64::from(at) * 0.25 - 1.0 {
            step = candidate;
        }
    }
    step
}
