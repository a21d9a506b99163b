//! What a run found: series of rates with their ratios, plain figures, and whether each target was met.

use std::fmt::Write;

use serde::Serialize;

use crate::{error::Error, load::Tally, meter::Usage};

/// One measured run.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    rate: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    server_micros: f64,
    usage: Usage,
    refused: u64,
}

impl Sample {
    /// From what the load did and what that cost.
    pub(crate) fn new(tally: &Tally, usage: Usage) -> Self {
        Self {
            rate: tally.rate(),
            p50: tally.latency.quantile_ms(0.5),
            p99: tally.latency.quantile_ms(0.99),
            p999: tally.latency.quantile_ms(0.999),
            server_micros: usage.server_seconds * 1e6 / (tally.events.max(1) as f64),
            usage,
            refused: tally.refused,
        }
    }
}

/// The runs of one subject.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    name: String,
    samples: Vec<Sample>,
}

impl Series {
    /// Nothing measured yet.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), samples: Vec::new() }
    }

    /// Adds a round.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// What was measured.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Median rate.
    pub(crate) fn rate(&self) -> f64 {
        median(self.samples.iter().map(|s| s.rate))
    }

    /// Median over the rounds of `self`'s rate by `other`'s of the same round.
    pub(crate) fn rate_by(&self, other: &Self) -> f64 {
        median(self.samples.iter().zip(&other.samples).map(|(a, b)| a.rate / b.rate))
    }

    /// Median over the rounds of how much later half of `self`'s answers came than `other`'s of the same round, in µs.
    pub(crate) fn p50_over(&self, other: &Self) -> f64 {
        median(self.samples.iter().zip(&other.samples).filter_map(|(a, b)| Some((a.p50? - b.p50?) * 1e3)))
    }

    /// Median over the rounds of half of `self`'s answers by `other`'s of the same round.
    pub(crate) fn p50_by(&self, other: &Self) -> f64 {
        median(self.samples.iter().zip(&other.samples).filter_map(|(a, b)| Some(a.p50? / b.p50?)))
    }

    /// The same for the 99th percentile.
    pub(crate) fn p99_by(&self, other: &Self) -> f64 {
        median(self.samples.iter().zip(&other.samples).filter_map(|(a, b)| Some(a.p99? / b.p99?)))
    }
}

/// A target and what was reached.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    target: String,
    reached: String,
    met: bool,
}

impl Verdict {
    /// At least `wanted`.
    pub(crate) fn at_least(target: impl Into<String>, reached: f64, wanted: f64) -> Self {
        Self { target: target.into(), reached: short(reached), met: reached >= wanted }
    }

    /// At most `wanted`.
    pub(crate) fn at_most(target: impl Into<String>, reached: f64, wanted: f64) -> Self {
        Self { target: target.into(), reached: short(reached), met: reached <= wanted }
    }
}

/// A plain figure: median and range of its rounds.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    what: String,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
}

/// A row of rates, as it is written to JSON.
#[derive(Serialize)]
struct Row<'a> {
    what: &'a str,
    rate: f64,
    rate_min: f64,
    rate_max: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    p999_ms: Option<f64>,
    server_cpu_micros: f64,
    server_rss_mib: f64,
    other_cores: f64,
    refused: u64,
    subject_by_this: f64,
}

/// What one subcommand found. The first series is the subject that the others stand beside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    title: String,
    unit: &'static str,
    series: Vec<Series>,
    figures: Vec<Figure>,
    verdicts: Vec<Verdict>,
    notes: Vec<String>,
    failed: bool,
}

impl Report {
    /// An empty report; `unit` is what the rates count.
    pub(crate) fn new(title: impl Into<String>, unit: &'static str) -> Self {
        Self { title: title.into(), unit, ..Self::default() }
    }

    /// What is left of a run that did not come to its end.
    pub(crate) fn failed(title: &str, error: &Error) -> Self {
        let notes = vec![format!("**not measured**: {error}")];
        Self { title: title.to_owned(), notes, failed: true, ..Self::default() }
    }

    /// Whether the run came to its end.
    pub(crate) fn is_complete(&self) -> bool {
        !self.failed
    }

    /// Adds measured series, the subject first.
    pub(crate) fn series(&mut self, series: impl IntoIterator<Item = Series>) {
        self.series.extend(series);
    }

    /// Adds a plain figure of one or more rounds.
    pub(crate) fn figure(&mut self, what: impl Into<String>, unit: &'static str, values: &[f64]) {
        let (min, max) = range(values.iter().copied());
        self.figures.push(Figure { what: what.into(), unit, median: median(values.iter().copied()), min, max });
    }

    /// Adds a target.
    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
    }

    /// Adds a remark that a reader of the figures needs.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        if !self.series.is_empty() {
            let _ = writeln!(
                text,
                "| what | {} per second, median (min–max) | p50 ms | p99 ms | p99.9 ms | server CPU µs each | server RSS MiB | other cores | {} ÷ this |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
                self.unit,
                self.series.first().map_or("", |s| &s.name)
            );
            for row in self.rows() {
                let _ = writeln!(
                    text,
                    "| {}{} | {} ({}–{}) | {} | {} | {} | {} | {} | {} | {} |",
                    row.what,
                    if row.refused > 0 { format!(" ({} refused)", row.refused) } else { String::new() },
                    grouped(row.rate),
                    grouped(row.rate_min),
                    grouped(row.rate_max),
                    optional(row.p50_ms),
                    optional(row.p99_ms),
                    optional(row.p999_ms),
                    short(row.server_cpu_micros),
                    short(row.server_rss_mib),
                    short(row.other_cores),
                    short(row.subject_by_this)
                );
            }
            text.push('\n');
        }
        if !self.figures.is_empty() {
            text.push_str("| what | median (min–max) | unit |\n| --- | --- | --- |\n");
            for f in &self.figures {
                let _ = writeln!(
                    text,
                    "| {} | {} ({}–{}) | {} |",
                    f.what,
                    grouped(f.median),
                    grouped(f.min),
                    grouped(f.max),
                    f.unit
                );
            }
            text.push('\n');
        }
        for verdict in &self.verdicts {
            let met = if verdict.met { "met" } else { "**missed**" };
            let _ = writeln!(text, "- {}: {} ({met})", verdict.target, verdict.reached);
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text.push('\n');
        text
    }

    /// For machines.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "title": self.title,
            "unit": self.unit,
            "rows": self.rows(),
            "figures": self.figures,
            "verdicts": self.verdicts,
            "notes": self.notes,
        })
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let Some(subject) = self.series.first() else { return Vec::new() };
        self.series.iter().map(|series| row(series, subject)).collect()
    }
}

fn row<'a>(series: &'a Series, subject: &Series) -> Row<'a> {
    let samples = &series.samples;
    let (rate_min, rate_max) = range(samples.iter().map(|s| s.rate));
    let optional = |pick: fn(&Sample) -> Option<f64>| {
        samples.iter().any(|s| pick(s).is_some()).then(|| median(samples.iter().filter_map(pick)))
    };
    Row {
        what: &series.name,
        rate: series.rate(),
        rate_min,
        rate_max,
        p50_ms: optional(|s| s.p50),
        p99_ms: optional(|s| s.p99),
        p999_ms: optional(|s| s.p999),
        server_cpu_micros: median(samples.iter().map(|s| s.server_micros)),
        server_rss_mib: median(samples.iter().map(|s| s.usage.server_rss_mib)),
        other_cores: median(samples.iter().map(|s| s.usage.other_cores)),
        refused: samples.iter().map(|s| s.refused).sum(),
        subject_by_this: subject.rate_by(series),
    }
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (min, max) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if min.is_finite() { (min, max) } else { (0.0, 0.0) }
}

fn optional(value: Option<f64>) -> String {
    value.map(short).unwrap_or_default()
}

/// Three significant digits, which is more than such a run can promise.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => grouped(value),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Whole numbers with separators of thousands; small ones as [`short`].
fn grouped(value: f64) -> String {
    if value.abs() < 100.0 {
        return short(value);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, rates: &[f64]) -> Series {
        let mut series = Series::new(name);
        for rate in rates {
            let tally = Tally { events: *rate as u64, seconds: 1.0, ..Tally::default() };
            series.push(Sample::new(&tally, Usage::default()));
        }
        series
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let (a, b) = (series("a", &[100.0, 50.0, 30.0]), series("b", &[200.0, 100.0, 20.0]));
        assert!((a.rate_by(&b) - 0.5).abs() < 1e-9);
        assert!((a.rate() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_report_reads_as_a_table() {
        let mut report = Report::new("ingest", "events");
        report.series([series("hub", &[41_234.0]), series("raw", &[82_468.0])]);
        report.verdict(Verdict::at_least("≥ 60 %", 0.5, 0.6));
        let text = report.markdown();
        assert!(text.contains("| hub | 41,234 (41,234–41,234) |"), "{text}");
        assert!(text.contains("| 0.50 |\n"), "{text}");
        assert!(text.contains("**missed**"), "{text}");
        assert_eq!(report.json()["rows"][1]["what"], "raw");
    }
}
