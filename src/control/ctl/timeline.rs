//! `rinitctl timeline`: the first start of each service, as a picture or as text.

use super::names::selects;
use super::picture::{CellTone, cut, is_coloured, painted, width};
use super::table::TIMELINE_FORMAT;
use super::{CtlError, CtlRequest, print};
use crate::sys::stdio;
use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::time::Duration;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let words = &request.arguments.words;
    let mut client = request.connect()?;
    if !words.is_empty() {
        client.chosen(words)?;
    }
    let mut bars = Vec::new();
    let last = client.ask("timeline", &[], "", &mut |row| {
        if words.is_empty() || words.iter().any(|word| selects(word, &row)) {
            bars.push(TimelineBar::of(&row));
        }
    })?;
    let axis = TimeAxis::of(&bars, last.number("uptime_ms").unwrap_or(0));
    let text = match request.arguments.value(&TIMELINE_FORMAT) {
        Some("svg") => svg(&bars, axis),
        Some(_) => text(&bars, axis, width().unwrap_or(80), is_coloured()),
        None if stdio::is_terminal(1) => text(&bars, axis, width().unwrap_or(80), is_coloured()),
        None => svg(&bars, axis),
    };
    Ok(print(&text))
}

/// The times of one service, in milliseconds since rinit's start.
#[derive(Clone, PartialEq, Debug, Default)]
struct TimelineBar {
    name: String,
    waiting: Option<u64>,
    started: Option<u64>,
    ready: Option<u64>,
    ended: Option<u64>,
}

impl TimelineBar {
    fn of(row: &Json) -> Self {
        Self {
            name: on_one_line(row.text("name").unwrap_or_default()),
            waiting: row.number("waiting_ms"),
            started: row.number("started_ms"),
            ready: row.number("ready_ms"),
            ended: row.number("ended_ms"),
        }
    }

    /// Returns its phases with start and end.
    fn parts(&self, axis: TimeAxis) -> [Option<(u64, u64, BarPart)>; 3] {
        let end = axis.end;
        let from = |a: Option<u64>, b: Option<u64>, part| {
            let (a, b) = (a?.min(end), b.unwrap_or(end).min(end));
            (a < b || part != BarPart::Waiting).then_some((a, b.max(a), part))
        };
        let stop = self.ended.or(Some(end));
        // A oneshot is ready when it has ended.
        let starting_until = self.ready.or(stop);
        let runs = self.ready.filter(|ready| self.ended.is_none_or(|ended| ended > *ready));
        [
            from(self.waiting, self.started.or(stop), BarPart::Waiting),
            from(self.started, starting_until, BarPart::Starting),
            runs.and_then(|ready| from(Some(ready), stop, BarPart::Ready)),
        ]
    }

    fn told(&self) -> String {
        let ms = |ms: u64| show_duration(Duration::from_millis(ms));
        match (self.started, self.ready, self.ended) {
            (None, ..) if self.waiting.is_some() => "waits".into(),
            (None, ..) => "not started".into(),
            (Some(started), Some(ready), _) => {
                fill!("ready at {} (+{})", ms(ready), ms(ready.saturating_sub(started)))
            }
            (Some(_), None, Some(ended)) => fill!("ended at {}", ms(ended)),
            (Some(started), None, None) => fill!("started at {}", ms(started)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BarPart {
    Waiting,
    Starting,
    Ready,
}

/// The time axis, from 0 to the end of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct TimeAxis {
    end: u64,
}

impl TimeAxis {
    /// Chooses an end shortly after the last service was ready; the whole uptime while one is not ready yet.
    fn of(bars: &[TimelineBar], uptime: u64) -> Self {
        let settled = |bar: &TimelineBar| bar.ready.or(bar.ended);
        let last = bars.iter().filter_map(settled).max().unwrap_or(0);
        let is_on_the_way =
            |bar: &TimelineBar| bar.waiting.or(bar.started).is_some() && settled(bar).is_none();
        let end = if bars.iter().any(is_on_the_way) { uptime.max(last) } else { last + last / 8 };
        Self { end: end.max(1) }
    }

    /// Returns the column of a time.
    fn at(self, ms: u64, places: u64) -> u64 {
        ms.min(self.end) * places / self.end
    }

    /// Returns a round step that gives five to twelve marks.
    fn step(self) -> u64 {
        let mut step = 1;
        loop {
            for factor in [1, 2, 5] {
                if self.end / (step * factor) <= 10 {
                    return step * factor;
                }
            }
            step *= 10;
        }
    }
}

/// Draws it as text, as wide as the terminal.
fn text(bars: &[TimelineBar], axis: TimeAxis, width: usize, coloured: bool) -> String {
    let name_width = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0).min(24);
    let told: Vec<String> = bars.iter().map(TimelineBar::told).gather();
    let told_width = told.iter().map(|told| told.chars().count()).max().unwrap_or(0);
    let places = width.saturating_sub(name_width + told_width + 4).max(10);
    let mut shown = String::new();
    for (bar, told) in bars.iter().zip(&told) {
        let name = cut(&bar.name, name_width);
        shown.extend([name.as_str(), &" ".repeat(name_width + 2 - name.chars().count())]);
        let mut at = 0;
        for (from, to, part) in bar.parts(axis).into_iter().flatten() {
            let place = |ms| usize::try_from(axis.at(ms, places as u64)).unwrap_or(0);
            let (from, to) = (place(from).max(at), place(to));
            // Make every past phase visible, however short it was.
            let to = if part == BarPart::Waiting { to } else { to.max(from + 1).min(places) };
            shown.push_str(&" ".repeat(from.saturating_sub(at)));
            let (mark, tone) = match part {
                BarPart::Waiting => ("·", CellTone::Faint),
                BarPart::Starting => ("▒", CellTone::Pending),
                BarPart::Ready => ("█", CellTone::Good),
            };
            shown.push_str(&painted(&mark.repeat(to.saturating_sub(from)), tone, coloured));
            at = to.max(from);
        }
        shown.extend([" ".repeat(places.saturating_sub(at) + 2).as_str(), told, "\n"]);
    }
    let end = show_duration(Duration::from_millis(axis.end));
    let blanks = " ".repeat(places.saturating_sub(end.len() + 1));
    shown.extend([" ".repeat(name_width + 2).as_str(), "0", &blanks, &end, "\n"]);
    shown
}

/// The height of a row in pixels.
const ROW: u64 = 24;
const BAR: u64 = 16;
const LEFT: u64 = 180;
const CHART: u64 = 640;
const RIGHT: u64 = 200;
const TOP: u64 = 48;

fn svg(bars: &[TimelineBar], axis: TimeAxis) -> String {
    let bottom = TOP + ROW * bars.len() as u64;
    let (width, height) = (LEFT + CHART + RIGHT, bottom + 16);
    let mut shown = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (number, (name, part)) in
        [("waits", BarPart::Waiting), ("starts", BarPart::Starting), ("ready", BarPart::Ready)]
            .into_iter()
            .enumerate()
    {
        let x = LEFT + 90 * number as u64;
        let fill = colour(part);
        shown.push_str(&format!(
            "<rect x=\"{x}\" y=\"6\" width=\"12\" height=\"12\" fill=\"{fill}\"/><text x=\"{}\" y=\"16\">{name}</text>\n",
            x + 18
        ));
    }
    let step = axis.step();
    for ms in (0..=axis.end / step).map(|n| n * step) {
        let x = LEFT + axis.at(ms, CHART);
        let label = show_duration(Duration::from_millis(ms));
        shown.push_str(&format!(
            "<line x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{label}</text>\n",
            TOP - 8
        ));
    }
    for (number, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * number as u64;
        let name = escaped(&cut(&bar.name, 26));
        shown.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\n",
            LEFT - 8,
            y + 16
        ));
        let mut end = LEFT;
        for (from, to, part) in bar.parts(axis).into_iter().flatten() {
            let (x, until) = (LEFT + axis.at(from, CHART), LEFT + axis.at(to, CHART));
            let wide = until.saturating_sub(x).max(1);
            end = end.max(x + wide);
            shown.push_str(&format!(
                "<rect x=\"{x}\" y=\"{}\" width=\"{wide}\" height=\"{BAR}\" fill=\"{}\"><title>{name}: {from} to {to} ms</title></rect>\n",
                y + (ROW - BAR) / 2,
                colour(part)
            ));
        }
        shown.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" fill=\"#666\">{}</text>\n",
            end + 6,
            y + 16,
            bar.told()
        ));
    }
    shown.push_str("</svg>\n");
    shown
}

fn colour(part: BarPart) -> &'static str {
    match part {
        BarPart::Waiting => "#ccc",
        BarPart::Starting => "#f0ad4e",
        BarPart::Ready => "#5cb85c",
    }
}

/// Escapes a text for XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::timeline::*;

    fn bars() -> Vec<TimelineBar> {
        let bar = |name: &str, waiting, started, ready, ended| TimelineBar {
            name: name.into(),
            waiting,
            started,
            ready,
            ended,
        };
        vec![
            bar("migrate", Some(0), Some(0), Some(400), Some(400)),
            bar("a<b", Some(0), Some(400), Some(800), None),
            bar("off", None, None, None, None),
        ]
    }

    #[test]
    fn the_picture_has_the_numbers() {
        let axis = TimeAxis::of(&bars(), 60_000);
        assert_eq!(axis, TimeAxis { end: 900 });
        let shown = svg(&bars(), axis);
        for part in [
            "<title>migrate: 0 to 400 ms</title>",
            "<rect x=\"180\" y=\"76\" width=\"284\" height=\"16\" fill=\"#ccc\"><title>a&lt;b: 0 to 400 ms",
            "<rect x=\"464\" y=\"76\" width=\"284\" height=\"16\" fill=\"#f0ad4e\"><title>a&lt;b: 400 to 800 ms",
            "<title>a&lt;b: 800 to 900 ms</title>",
            "ready at 800ms (+400ms)",
            "not started",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert_eq!(shown.matches("<rect").count(), 1 + 3 + 1 + 3);
    }

    #[test]
    fn text_fits_the_width() {
        let axis = TimeAxis::of(&bars(), 60_000);
        let shown = text(&bars(), axis, 80, false);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let second = shown.lines().nth(1).expect("a line");
        assert!(second.contains("·▒") && second.contains("▒█"), "{shown}");
        assert_eq!(TimeAxis { end: 1 }.step(), 1);
        assert_eq!(TimeAxis { end: 900 }.step(), 100);
        assert_eq!(TimeAxis::of(&[], 5), TimeAxis { end: 1 });
    }
}
