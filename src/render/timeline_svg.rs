//! Heap and RSS over time as a picture: SVG, or PNG made of it.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::axis::{byte_ticks, time_ticks};
use super::escape::xml;
use super::footer::ends;
use super::footer::{faults, sampling};
use super::format;
use super::own_memory;
use super::spans;
use crate::report::{CallSpan, TimePoint, Timeline};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 74.0;
const PLOT: f64 = 300.0;
const NOTE: f64 = 16.0;
/// Height of a function's span and the space below it.
const SPAN: f64 = 19.0;
/// Characters of a note.
const NOTE_LEN: usize = 150;

/// A picture of a timeline.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimelineSvg;

impl TimelineSvg {
    /// Writes the picture as SVG to `out`.
    pub fn svg(self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.picture(timeline).as_bytes())
    }

    /// Writes the picture as PNG to `out`. Without any font on the machine it has no text; then the
    /// result is false.
    pub fn png(self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<bool> {
        use resvg::{tiny_skia, usvg};
        const SCALE: f32 = 2.0;
        let mut options = usvg::Options::default();
        options.fontdb_mut().load_system_fonts();
        let families = options.fontdb.faces().filter_map(|face| {
            let (name, _) = face.families.first()?;
            (!face.monospaced).then(|| name.clone())
        });
        let family =
            families.max_by_key(|name| (name.contains("Sans"), std::cmp::Reverse(name.len())));
        if let Some(family) = &family {
            options.fontdb_mut().set_sans_serif_family(family.clone());
        }
        let tree =
            usvg::Tree::from_str(&self.picture(timeline), &options).map_err(io::Error::other)?;
        let size = tree.size().to_int_size();
        let scaled = |side: u32| (side as f32 * SCALE) as u32;
        let mut pixels = tiny_skia::Pixmap::new(scaled(size.width()), scaled(size.height()))
            .ok_or_else(|| io::Error::other("the picture has no size"))?;
        let scale = tiny_skia::Transform::from_scale(SCALE, SCALE);
        resvg::render(&tree, scale, &mut pixels.as_mut());
        out.write_all(&pixels.encode_png().map_err(io::Error::other)?)?;
        Ok(options.fontdb.faces().next().is_some())
    }

    fn picture(self, timeline: &Timeline) -> String {
        let mut svg = String::new();
        // Writing to a string does not fail.
        let _ = draw(timeline, &mut svg);
        svg
    }
}

/// Where points stand in the picture.
struct Scale {
    span_ns: f64,
    height: f64,
}

impl Scale {
    fn x(&self, time_ns: u64) -> f64 {
        LEFT + time_ns as f64 / self.span_ns * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, bytes: i64) -> f64 {
        TOP + PLOT - bytes.max(0) as f64 / self.height * PLOT
    }
}

fn draw(timeline: &Timeline, svg: &mut String) -> std::fmt::Result {
    let recording = &timeline.recording;
    let notes = notes(timeline);
    let bottom = TOP + PLOT;
    let shown = spans::shown(timeline);
    let notes_at = bottom + 44.0 + shown.len() as f64 * SPAN;
    let full = notes_at + notes.len() as f64 * NOTE;
    let scale = Scale {
        span_ns: timeline.span_ns().max(1) as f64,
        height: timeline.height() as f64 * 1.06,
    };
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {full}" width="{WIDTH}" height="{full}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>"##
    )?;
    let program = match recording.program.as_str() {
        "" => "unknown program",
        program => program,
    };
    // What many processes had at their ends, they had at no one time.
    let heap = match recording.merged {
        None => format!("heap at the end {}", format::bytes(recording.heap)),
        Some(_) => recording.who(),
    };
    writeln!(
        svg,
        r##"<text x="{LEFT}" y="26" font-size="17" font-weight="600">{}</text>
<text x="{LEFT}" y="46" fill="#555">{heap}, peak {} at {}, {} in all</text>"##,
        xml(program),
        format::bytes(recording.peak),
        format::seconds(recording.peak_ns),
        format::seconds(recording.duration_ns),
    )?;
    for (bytes, text) in byte_ticks(timeline.height(), 5) {
        let y = scale.y(bytes);
        writeln!(
            svg,
            r##"<path d="M{LEFT} {y:.1}H{:.1}" stroke="#e6e6ea"/><text x="{:.1}" y="{:.1}" text-anchor="end" fill="#666">{text}</text>"##,
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0
        )?;
    }
    for (time_ns, text) in time_ticks(timeline.span_ns(), 8) {
        let x = scale.x(time_ns);
        writeln!(
            svg,
            r##"<path d="M{x:.1} {bottom}v5" stroke="#999"/><text x="{x:.1}" y="{:.1}" text-anchor="middle" fill="#666">{text}</text>"##,
            bottom + 19.0
        )?;
    }
    let heap = line(&timeline.points, &scale, |point| Some(point.heap));
    let (start, end) = (scale.x(0), scale.x(timeline.span_ns()));
    writeln!(
        svg,
        r##"<path d="M{start:.1} {bottom}L{heap}L{end:.1} {bottom}Z" fill="#2f6fde" fill-opacity=".18"/>
<path d="M{heap}" fill="none" stroke="#2f6fde" stroke-width="1.8" stroke-linejoin="round"/>"##
    )?;
    let rss = line(&timeline.points, &scale, |point| {
        point.rss.map(|rss| i64::try_from(rss).unwrap_or(i64::MAX))
    });
    let band = own_band(timeline, &scale);
    let has_own = band.is_some();
    if let Some(band) = band {
        writeln!(
            svg,
            r##"<path d="M{band}Z" fill="#c2571a" fill-opacity=".13"/>"##
        )?;
    }
    if !rss.is_empty() {
        writeln!(
            svg,
            r##"<path d="M{rss}" fill="none" stroke="#c2571a" stroke-width="1.4" stroke-dasharray="5 3"/>"##
        )?;
    }
    peak(timeline, &scale, svg)?;
    legend(!rss.is_empty(), has_own, svg)?;
    for (number, span) in shown.into_iter().enumerate() {
        self::span(span, &scale, bottom + 30.0 + number as f64 * SPAN, svg)?;
    }
    for (number, note) in notes.iter().enumerate() {
        let y = notes_at + number as f64 * NOTE;
        let note = xml(note);
        writeln!(
            svg,
            r##"<text x="{LEFT}" y="{y:.1}" fill="#666" font-size="11">{note}</text>"##
        )?;
    }
    svg.push_str("</svg>\n");
    Ok(())
}

/// `x y L x y …`, as in a path, of the points that have the value.
fn line(points: &[TimePoint], scale: &Scale, value: impl Fn(&TimePoint) -> Option<i64>) -> String {
    let points = points.iter().filter_map(|point| {
        let bytes = value(point)?;
        Some(format!(
            "{:.1} {:.1}",
            scale.x(point.time_ns),
            scale.y(bytes)
        ))
    });
    points.collect::<Vec<_>>().join("L")
}

/// Around the part of the RSS that may be the recorder's: there along the RSS, and back below it.
fn own_band(timeline: &Timeline, scale: &Scale) -> Option<String> {
    let is_known = |point: &&TimePoint| point.rss_without_own().is_some();
    let known: Vec<TimePoint> = timeline.points.iter().filter(is_known).copied().collect();
    let back: Vec<TimePoint> = known.iter().rev().copied().collect();
    let at = |bytes: Option<u64>| Some(i64::try_from(bytes?).unwrap_or(i64::MAX));
    let above = line(&known, scale, |point| at(point.rss));
    let below = line(&back, scale, |point| at(point.rss_without_own()));
    (!known.is_empty()).then(|| format!("{above}L{below}"))
}

fn peak(timeline: &Timeline, scale: &Scale, svg: &mut String) -> std::fmt::Result {
    let recording = &timeline.recording;
    if recording.peak <= 0 {
        return Ok(());
    }
    let (x, y) = (scale.x(recording.peak_ns), scale.y(recording.peak));
    let (anchor, shift) = if x > WIDTH / 2.0 {
        ("end", -8.0)
    } else {
        ("start", 8.0)
    };
    writeln!(
        svg,
        r##"<path d="M{x:.1} {TOP}V{:.1}" stroke="#b3123f" stroke-dasharray="2 3"/>
<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="#b3123f"/>
<text x="{:.1}" y="{:.1}" text-anchor="{anchor}" fill="#b3123f" font-weight="600">peak {}</text>"##,
        TOP + PLOT,
        x + shift,
        TOP - 4.0,
        format::bytes(recording.peak),
    )
}

/// A function's span, from `top` downwards.
fn span(span: &CallSpan, scale: &Scale, top: f64, svg: &mut String) -> std::fmt::Result {
    let (start, end) = (scale.x(span.first_ns), scale.x(span.last_ns));
    let width = (end - start).max(1.5);
    // Its name begins in it, or ends there if it would leave the picture.
    let (anchor, x) = if start > WIDTH * 0.6 {
        ("end", end - 5.0)
    } else {
        ("start", start + 5.0)
    };
    writeln!(
        svg,
        r##"<rect x="{start:.1}" y="{top:.1}" width="{width:.1}" height="{:.1}" rx="2" fill="#3a9a6a" fill-opacity=".3" stroke="#3a9a6a"/>
<text x="{x:.1}" y="{:.1}" text-anchor="{anchor}" font-size="11">{}</text>"##,
        SPAN - 4.0,
        top + 11.5,
        xml(&spans::label(span)),
    )
}

fn legend(rss: bool, own: bool, svg: &mut String) -> std::fmt::Result {
    let x = WIDTH - RIGHT - 190.0 - if own { 200.0 } else { 0.0 };
    writeln!(
        svg,
        r##"<path d="M{x} 22h22" stroke="#2f6fde" stroke-width="3"/><text x="{}" y="26">heap in use</text>"##,
        x + 28.0
    )?;
    if rss {
        writeln!(
            svg,
            r##"<path d="M{} 22h22" stroke="#c2571a" stroke-width="2" stroke-dasharray="5 3"/><text x="{}" y="26">RSS</text>"##,
            x + 120.0,
            x + 148.0
        )?;
    }
    if own {
        writeln!(
            svg,
            r##"<path d="M{} 22h22" stroke="#c2571a" stroke-opacity=".13" stroke-width="10"/><text x="{}" y="26">of it, at most the recorder's</text>"##,
            x + 190.0,
            x + 218.0
        )?;
    }
    Ok(())
}

/// How it was sampled, what was lost and what is wrong, in lines that fit.
fn notes(timeline: &Timeline) -> Vec<String> {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = sampling(&timeline.sampling, &timeline.losses, &mut text);
    let _ = faults(
        &timeline.unattributed,
        &timeline.losses,
        &timeline.defects,
        &mut text,
    );
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = ends(&timeline.recording).into_iter();
    let lines = lines.chain(text.lines().map(str::to_owned));
    let lines = lines
        .chain(own_memory::note(timeline))
        .chain(spans::note(timeline));
    lines
        .map(|line| match line.char_indices().nth(NOTE_LEN) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        })
        .collect()
}
