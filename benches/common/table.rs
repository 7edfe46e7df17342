//! Samples and their tables.

use std::fmt::Write as _;

/// The samples of one program.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Converts to another unit.
    pub fn scale(&mut self, factor: f64) {
        self.0.iter_mut().for_each(|value| *value *= factor);
    }

    /// Returns a quantile.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    fn p99(&self) -> f64 {
        self.quantile(0.99)
    }
}

/// The statistic that a bar applies to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    Median,
    P99,
}

/// The upper bound of rinit's figure: a multiple of the best of these programs, or a plain value.
#[derive(Clone, Debug)]
pub struct Bar {
    pub of: Of,
    pub times: f64,
    /// The best one that was measured counts; if empty: a plain limit.
    pub peers: &'static [&'static str],
}

/// A bar with its result.
pub struct Judged {
    subject: String,
    who: String,
    bar: String,
    measured: String,
    met: Option<bool>,
}

/// The results of one subject.
#[derive(Debug)]
pub struct Table {
    title: String,
    unit: &'static str,
    rows: Vec<(String, Samples)>,
    bars: Vec<Bar>,
}

/// Creates empty samples for each program.
pub fn rows<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(String, Samples)> {
    names.into_iter().map(|name| (name.to_owned(), Samples::default())).collect()
}

impl Table {
    pub fn new(title: &str, unit: &'static str, rows: Vec<(String, Samples)>) -> Self {
        Self { title: title.to_owned(), unit, rows, bars: Vec::new() }
    }

    /// Sets a bar for the median: at most this many times the best of these.
    pub fn bar(self, times: f64, peers: &'static [&'static str]) -> Self {
        self.bar_of(Of::Median, times, peers)
    }

    pub fn bar_of(mut self, of: Of, times: f64, peers: &'static [&'static str]) -> Self {
        self.bars.push(Bar { of, times, peers });
        self
    }

    fn best(&self, of: Of, count: impl Fn(&str) -> bool) -> Option<(&str, f64)> {
        let figure = |samples: &Samples| if of == Of::P99 { samples.p99() } else { samples.median() };
        let rows = self.rows.iter().filter(|(name, _)| count(name));
        rows.map(|(name, samples)| (name.as_str(), figure(samples)))
            .filter(|(_, value)| !value.is_nan())
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Formats one line per program; the ratio is to the best peer, other than rinit and bare programs.
    pub fn text(&self, markdown: bool) -> String {
        let peer = self.best(Of::Median, |name| !is_ours(name) && !is_bare(name));
        let mut lines = vec![["program", "median", "p99", "to the best peer", "n"].map(str::to_owned)];
        for (name, samples) in &self.rows {
            let ratio = peer.map_or_else(String::new, |(_, best)| ratio(samples.median(), best));
            let count = samples.0.len().to_string();
            lines.push([name.clone(), number(samples.median()), number(samples.p99()), ratio, count]);
        }
        let title = format!("{} ({})", self.title, self.unit);
        if markdown {
            format!("### {title}\n\n{}\n", grid(&lines))
        } else {
            format!("{title}\n{}\n", plain(&lines))
        }
    }

    pub fn judged(&self) -> Vec<Judged> {
        let mut judged = Vec::new();
        for bar in &self.bars {
            for (name, samples) in self.rows.iter().filter(|(name, _)| is_ours(name)) {
                let own = if bar.of == Of::P99 { samples.p99() } else { samples.median() };
                let what = if bar.of == Of::P99 { ", p99" } else { "" };
                let best = self.best(bar.of, |name| bar.peers.contains(&name));
                let (text, measured, met) = match best {
                    Some((peer, value)) => (
                        format!("≤ {} × {peer}", bar.times),
                        format!("{:.3} × ({} : {} {})", own / value, number(own), number(value), self.unit),
                        // Zero against zero passes.
                        Some(own <= value * bar.times),
                    ),
                    None if bar.peers.is_empty() => (
                        format!("≤ {} {}", number(bar.times), self.unit),
                        format!("{} {}", number(own), self.unit),
                        Some(own <= bar.times),
                    ),
                    None => (
                        format!("≤ {} × {}", bar.times, bar.peers.join(" or ")),
                        "not installed".to_owned(),
                        None,
                    ),
                };
                judged.push(Judged {
                    subject: format!("{}{what}", self.title),
                    who: name.clone(),
                    bar: text,
                    measured,
                    met: met.filter(|_| !own.is_nan()),
                });
            }
        }
        judged
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("rinit")
}

fn is_bare(name: &str) -> bool {
    name.starts_with("bare") || name == "direct"
}

/// Formats all bars as one table.
pub fn bars(bars: &[Judged], markdown: bool) -> String {
    let mut lines = vec![["subject", "of", "bar", "measured", "met"].map(str::to_owned)];
    for bar in bars {
        let met = match bar.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        lines.push([
            bar.subject.clone(),
            bar.who.clone(),
            bar.bar.clone(),
            bar.measured.clone(),
            met.to_owned(),
        ]);
    }
    if markdown {
        format!("## The bars\n\n{}\n", grid(&lines))
    } else {
        format!("The bars\n{}\n", plain(&lines))
    }
}

fn ratio(own: f64, other: f64) -> String {
    if other == 0.0 {
        return if own == 0.0 { "1.00".to_owned() } else { "∞".to_owned() };
    }
    format!("{:.2}", own / other)
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn grid<const N: usize>(lines: &[[String; N]]) -> String {
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        writeln!(text, "| {} |", line.join(" | ")).unwrap();
        if n == 0 {
            writeln!(text, "|{}", " --- |".repeat(N)).unwrap();
        }
    }
    text
}

fn plain<const N: usize>(lines: &[[String; N]]) -> String {
    let mut text = String::new();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            write!(text, "  {cell:width$}").unwrap();
        }
        text.push('\n');
    }
    text
}
