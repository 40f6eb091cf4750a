//! Draws the page with ratatui. Shape and brightness say everything, so that it needs no colour.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Sparkline, Table, TableState, Wrap};
use unicode_width::UnicodeWidthStr;

use super::page::{Body, Page};
use crate::render::escape::{escape, escape_source};
use crate::render::{live_faults, live_figure, live_figures, live_head, live_place};
use crate::report::{Bytes, Live, LiveSort};
use crate::units;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

/// What stands above the figures of a row.
const HEADINGS: [&str; 4] = ["Live", "Rate/s", "Allocated", "At peak"];
/// Width of a column of figures.
const COLUMN: u16 = 10;
/// Lines of the plot of the heap.
const PLOT: u16 = 3;
/// From this width on, there is room for all figures beside a line of source.
const WIDE: u16 = 100;
/// Below this many lines, there is no room for a plot.
const LEAST_FOR_PLOT: u16 = 16;

/// Draws `page` all over `frame`.
pub fn draw(frame: &mut Frame, page: &mut Page) {
    let plot = match frame.area().height {
        LEAST_FOR_PLOT.. => PLOT + 1,
        _ => 0,
    };
    let [head, over_time, body, footer] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(plot),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, page, head);
    draw_heap_over_time(frame, page, over_time);
    page.room = usize::from(body.height.saturating_sub(1));
    match page.body {
        Body::Rows => draw_rows(frame, page, body),
        Body::Source(_) => draw_source(frame, page, body),
        Body::Details(_) => draw_details(frame, page, body),
    }
    frame.render_widget(help(page), footer);
}

fn draw_head(frame: &mut Frame, page: &Page, area: Rect) {
    let [title, heap, rates] = live_head(&page.live);
    let mut title = vec![Span::styled(title, BOLD)];
    if page.paused {
        title.push(Span::styled("  [page paused]", CHOSEN));
    }
    let lines = vec![
        Line::from(title),
        heap.into(),
        rates.into(),
        state(page).into(),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// How it is sampled, and whether anything is wrong, in one line.
fn state(page: &Page) -> String {
    if let Some(failure) = &page.failure {
        return format!("cannot be read any more: {}", escape(failure));
    }
    let sampling = &page.live.sampling;
    let interval = match (sampling.exact, sampling.interval) {
        (true, _) => "exact".to_owned(),
        (false, 0) => "every allocation".to_owned(),
        (false, interval) => format!("one in {}", units::ByteSize(interval)),
    };
    let count = |number: usize, one: &str, more: &str| match number {
        0 => format!("no {more}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {more}"),
    };
    format!(
        "sampling: {interval}   {}   {}",
        count(page.live.losses.len(), "kind of loss", "losses"),
        count(page.live.defects.len(), "note", "notes"),
    )
}

fn draw_heap_over_time(frame: &mut Frame, page: &Page, area: Rect) {
    if area.height == 0 {
        return;
    }
    let [title, plot] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let heap = page.live.heap_over_time(usize::from(plot.width));
    let highest = heap.iter().copied().max().unwrap_or(0);
    let title_text = format!(
        "heap from the start to now, up to {}",
        units::ByteSize(highest)
    );
    frame.render_widget(Line::styled(title_text, FAINT), title);
    frame.render_widget(Sparkline::default().data(&heap).max(highest.max(1)), plot);
}

fn draw_rows(frame: &mut Frame, page: &Page, area: Rect) {
    let rows = page.rows();
    let place_width = usize::from(area.width).saturating_sub(4 * (usize::from(COLUMN) + 1));
    let sorts = [
        LiveSort::Live,
        LiveSort::Rate,
        LiveSort::Allocated,
        LiveSort::Peak,
    ];
    let headings = HEADINGS.into_iter().zip(sorts).map(|(heading, sort)| {
        let mark = if sort == page.sort { "▼" } else { "" };
        Line::styled(format!("{heading}{mark}"), BOLD).right_aligned()
    });
    let line = match page.filter.as_str() {
        "" => "Line".to_owned(),
        filter => format!("Line with `{}`", escape(filter)),
    };
    let header = Row::new(headings.chain([Line::styled(line, BOLD)]));
    let body = rows.iter().map(|row| {
        let place = live_place(row.place.as_ref(), place_width);
        Row::new(cells(live_figures(row)).chain([place.into()]))
    });
    let widths = [Constraint::Length(COLUMN); 4];
    let table = Table::new(body, widths.into_iter().chain([Constraint::Min(10)]))
        .header(header)
        .row_highlight_style(CHOSEN);
    let selected = (!rows.is_empty()).then(|| page.selected(&rows));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn cells(figures: impl IntoIterator<Item = Option<Bytes>>) -> impl Iterator<Item = Line<'static>> {
    figures.into_iter().map(|figure| {
        let noise = figure.is_some_and(Bytes::is_noise);
        let text = figure.map(live_figure).unwrap_or_default();
        let style = if noise { FAINT } else { Style::new() };
        Line::styled(text, style).right_aligned()
    })
}

fn draw_source(frame: &mut Frame, page: &mut Page, area: Rect) {
    let Page {
        body: Body::Source(view),
        live,
        room,
        ..
    } = page
    else {
        return;
    };
    if let Some(path) = view.missing() {
        let path = escape(&path).into_owned();
        let text = format!("source not found: {path}; use --source-root or --path-map");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
        return;
    }
    // Where it is narrow, the text of a line is worth more than all of its figures.
    let columns = if area.width < WIDE { 2 } else { 4 };
    let place = view.place.clone();
    let rows = view.lines(*room).into_iter().map(|(number, text)| {
        let style = match place.line {
            Some(line) if line == number => CHOSEN,
            _ => Style::new(),
        };
        let figures = figures_of_line(live, &place.file, number);
        let figures = figures.into_iter().take(columns);
        let number = Line::from(number.to_string()).right_aligned();
        let text = Line::from(escape_source(text));
        Row::new(cells(figures).chain([number, text])).style(style)
    });
    let headings = HEADINGS.into_iter().take(columns).chain(["Line #"]);
    let headings = headings.map(|text| Line::styled(text, BOLD).right_aligned());
    let title = live_place(Some(&place), usize::from(area.width));
    let header = Row::new(headings.chain([Line::styled(title, BOLD)]));
    let widths = [Constraint::Length(COLUMN)].repeat(columns).into_iter();
    let widths = widths.chain([Constraint::Length(6), Constraint::Min(10)]);
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

/// The sums of all rows on one line: there may be several functions on it.
fn figures_of_line(live: &Live, file: &str, line: u32) -> [Option<Bytes>; 4] {
    let mut sums = [None; 4];
    for row in &live.rows {
        if (row.place.as_ref()).is_some_and(|p| p.line == Some(line) && p.file == file) {
            for (sum, figure) in sums.iter_mut().zip(live_figures(row)) {
                *sum = match (*sum, figure) {
                    (Some(sum), Some(figure)) => Some(Bytes::plus(sum, figure)),
                    (sum, figure) => sum.or(figure),
                };
            }
        }
    }
    sums
}

fn draw_details(frame: &mut Frame, page: &mut Page, area: Rect) {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = live_faults(&page.live, &mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let Body::Details(top) = &mut page.body else {
        return;
    };
    let width = usize::from(area.width.max(1));
    let lines = text
        .lines()
        .map(|line| 1 + line.width() / width)
        .sum::<usize>();
    *top = (*top).min(lines.saturating_sub(1));
    let details = Paragraph::new(text).wrap(Wrap { trim: false });
    let top = u16::try_from(*top).unwrap_or(u16::MAX);
    frame.render_widget(details.scroll((top, 0)), area);
}

fn help(page: &Page) -> Line<'static> {
    if page.editing {
        let filter = escape(&page.filter).into_owned();
        return Line::from(format!("filter: {filter}▏   Enter keep   Esc clear"));
    }
    let pause = if page.paused { "go on" } else { "pause" };
    let text = match page.body {
        Body::Rows => format!(
            "sort l r a p  ↑↓ choose  Enter source  / filter  space {pause}  d details  q quit"
        ),
        Body::Source(_) => format!("↑↓ scroll   Esc back   space {pause}   q quit"),
        Body::Details(_) => format!("↑↓ scroll   Esc back   space {pause}   q quit"),
    };
    Line::styled(text, FAINT)
}
