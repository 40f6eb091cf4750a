//! A trend as a picture: bars in a terminal, a line in SVG.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Point;
use crate::render::{escape::escape, format};
use crate::report::Metric;

/// Characters of the longest bar.
const BAR: usize = 40;

/// Writes one bar for each run.
pub fn text(title: &str, metric: Metric, points: &[Point], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", escape(title), metric.name())?;
    let most = highest(points);
    for point in points {
        let (shown, bar) = match point.value {
            Some(value) => {
                let part = value.max(0) as f64 / most as f64;
                let len = (part * BAR as f64).round() as usize;
                let mark = if is_noise(value, point) { "~" } else { "" };
                (format!("{mark}{}", show(metric, value)), "#".repeat(len))
            }
            None => ("-".to_owned(), String::new()),
        };
        let commit: String = point.commit.chars().take(10).collect();
        let row = format!(
            "{:>5}  {}  {:<10}  {shown:>12}  {bar}",
            format!("#{}", point.run),
            format::date(point.started_unix_ns),
            escape(&commit),
        );
        writeln!(out, "{}", row.trim_end())?;
    }
    if points.iter().any(|point| point.standard_error > 0.0) {
        writeln!(
            out,
            "`~` marks figures whose standard error is above a third."
        )?;
    }
    Ok(())
}

/// Writes a picture of its own, with no script in it and nothing loaded.
pub fn svg(title: &str, metric: Metric, points: &[Point], out: &mut dyn Write) -> io::Result<()> {
    const WIDTH: f64 = 900.0;
    const HEIGHT: f64 = 320.0;
    const LEFT: f64 = 90.0;
    const TOP: f64 = 40.0;
    const BOTTOM: f64 = 280.0;
    const RIGHT: f64 = 880.0;
    let most = highest(points);
    let x = |index: usize| {
        LEFT + (RIGHT - LEFT) * index as f64 / points.len().saturating_sub(1).max(1) as f64
    };
    let y = |value: i64| BOTTOM - (BOTTOM - TOP) * value.max(0) as f64 / most as f64;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<text x="{LEFT}" y="22" font-size="15">{}</text>
"##,
        markup(&format!("{title}: {}", metric.name())),
    );
    for quarter in 0..=4 {
        let value = (most as f64 * f64::from(quarter) / 4.0) as i64;
        let _ = writeln!(
            svg,
            r##"<path d="M{LEFT} {y:.1}H{RIGHT}" stroke="#ddd"/><text x="{x}" y="{ty:.1}" text-anchor="end">{}</text>"##,
            markup(&show(metric, value)),
            y = y(value),
            ty = y(value) + 4.0,
            x = LEFT - 8.0,
        );
    }
    let known = points.iter().enumerate();
    let known: Vec<(usize, &Point, i64)> = known
        .filter_map(|(index, point)| Some((index, point, point.value?)))
        .collect();
    let line: Vec<String> = (known.iter())
        .map(|(index, _, value)| format!("{:.1},{:.1}", x(*index), y(*value)))
        .collect();
    let _ = writeln!(
        svg,
        r##"<polyline points="{}" fill="none" stroke="#2a6fdb" stroke-width="2"/>"##,
        line.join(" ")
    );
    for (index, point, value) in &known {
        let commit: String = point.commit.chars().take(10).collect();
        let name = format!(
            "#{} {} {commit}: {}",
            point.run,
            format::date(point.started_unix_ns),
            show(metric, *value)
        );
        let _ = writeln!(
            svg,
            r##"<circle cx="{:.1}" cy="{:.1}" r="4" fill="#2a6fdb"><title>{}</title></circle>"##,
            x(*index),
            y(*value),
            markup(&name),
        );
    }
    if let (Some((first, ..)), Some((last, ..))) = (known.first(), known.last()) {
        for (index, anchor) in [(*first, "start"), (*last, "end")] {
            let _ = writeln!(
                svg,
                r##"<text x="{:.1}" y="{}" text-anchor="{anchor}">#{} {}</text>"##,
                x(index),
                BOTTOM + 20.0,
                points[index].run,
                format::date(points[index].started_unix_ns),
            );
        }
    }
    writeln!(out, "{svg}</svg>")
}

fn highest(points: &[Point]) -> i64 {
    let values = points.iter().filter_map(|point| point.value);
    values.max().unwrap_or(0).max(1)
}

fn is_noise(value: i64, point: &Point) -> bool {
    point.standard_error > (value as f64).abs() / 3.0
}

fn show(metric: Metric, value: i64) -> String {
    match metric {
        Metric::Count => format::count(value),
        _ => format::bytes(value),
    }
}

/// Text that is no markup.
fn markup(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in escape(text).chars() {
        match char {
            '&' => shown += "&amp;",
            '<' => shown += "&lt;",
            '>' => shown += "&gt;",
            '"' => shown += "&quot;",
            '\'' => shown += "&#39;",
            char => shown.push(char),
        }
    }
    shown
}
