//! The state of the page and what keys do to it; knows no terminal.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::source_view::SourceView;
use crate::report::{Live, LiveRow, LiveSort, Place};
use crate::source::{Places, Sources};

/// Rows that a page key moves by, until the page was drawn once.
const PAGE: usize = 10;

/// What is to be done after a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Go on.
    Stay,
    /// Leave the page.
    Quit,
}

/// What the page shows below its head.
#[derive(Debug)]
pub(super) enum Body {
    Rows,
    Source(SourceView),
    /// Sampling, losses and defects, scrolled by so many lines.
    Details(usize),
}

/// What the page shows, and how.
#[derive(Debug)]
pub struct Page {
    /// The reading shown.
    pub(super) live: Live,
    /// The newest reading, where the one shown is kept.
    newest: Option<Live>,
    pub(super) paused: bool,
    pub(super) sort: LiveSort,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) editing: bool,
    /// Why the last reading failed.
    pub(super) failure: Option<String>,
    pub(super) body: Body,
    /// The row chosen; the first, whichever it is, if none was.
    selected: Option<Option<Place>>,
    /// Rows that have room, as last drawn.
    pub(super) room: usize,
    sources: Sources,
}

impl Page {
    /// A page over a first reading. Source files are looked for in `places`.
    pub fn new(live: Live, places: Places, sort: LiveSort) -> Page {
        Page {
            live,
            newest: None,
            paused: false,
            sort,
            filter: String::new(),
            editing: false,
            failure: None,
            body: Body::Rows,
            selected: None,
            room: PAGE,
            // What a row names was found already, and is named by the place where it was.
            sources: Sources::new(Places {
                current_dir: places.current_dir,
                ..Places::default()
            }),
        }
    }

    /// Takes a new reading, or why there is none.
    pub fn update(&mut self, reading: Result<Live, String>) {
        match reading {
            Ok(live) if self.paused => self.newest = Some(live),
            Ok(live) => {
                self.live = live;
                self.failure = None;
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The rows to show, in order.
    pub(super) fn rows(&self) -> Vec<&LiveRow> {
        self.live.select(self.sort, &self.filter)
    }

    /// Number of the chosen one of `rows`, which is followed wherever it goes.
    pub(super) fn selected(&self, rows: &[&LiveRow]) -> usize {
        let Some(selected) = &self.selected else {
            return 0;
        };
        let is_it = |row: &&LiveRow| match (&row.place, selected) {
            (Some(place), Some(selected)) => place.is(selected),
            (place, selected) => place.is_none() && selected.is_none(),
        };
        rows.iter().position(is_it).unwrap_or(0)
    }

    /// Does what a key says.
    pub fn key(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Stay;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Flow::Quit,
                _ => Flow::Stay,
            };
        }
        if self.editing {
            self.edit(key.code);
            return Flow::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Char(' ') => self.toggle_pause(),
            KeyCode::Esc => self.back(),
            code => match &mut self.body {
                Body::Rows => self.row_key(code),
                Body::Source(view) => view.scroll(steps(code, self.room)),
                Body::Details(top) => {
                    *top = top.saturating_add_signed(steps(code, self.room));
                    if code == KeyCode::Char('d') {
                        self.body = Body::Rows;
                    }
                }
            },
        }
        Flow::Stay
    }

    fn row_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('l') => self.sort = LiveSort::Live,
            KeyCode::Char('r') => self.sort = LiveSort::Rate,
            KeyCode::Char('a') => self.sort = LiveSort::Allocated,
            KeyCode::Char('p') => self.sort = LiveSort::Peak,
            KeyCode::Char('d') => self.body = Body::Details(0),
            KeyCode::Char('/') => self.editing = true,
            KeyCode::Home | KeyCode::Char('g') => self.selected = None,
            KeyCode::Enter => self.open_source(),
            code => self.step(steps(code, self.room)),
        }
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(char) => self.filter.push(char),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Enter => self.editing = false,
            KeyCode::Esc => {
                self.editing = false;
                self.filter.clear();
            }
            _ => {}
        }
    }

    fn toggle_pause(&mut self) {
        self.paused = !self.paused;
        if let Some(newest) = self.newest.take() {
            self.live = newest;
        }
    }

    /// Out of the source, then out of the filter.
    fn back(&mut self) {
        match self.body {
            Body::Rows => self.filter.clear(),
            _ => self.body = Body::Rows,
        }
    }

    fn step(&mut self, by: isize) {
        if by == 0 {
            return;
        }
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let number = self.selected(&rows).saturating_add_signed(by).min(last);
        self.selected = rows.get(number).map(|row| row.place.clone());
    }

    fn open_source(&mut self) {
        let rows = self.rows();
        let place = rows.get(self.selected(&rows)).map(|row| row.place.clone());
        // What follows belongs to this row, also when it is no longer the first.
        self.selected.clone_from(&place);
        if let Some(Some(place)) = place {
            let source = self.sources.get(&place.path.to_string_lossy());
            self.body = Body::Source(SourceView::of(place, &source));
        }
    }
}

/// How far a key moves, in lines.
fn steps(code: KeyCode, room: usize) -> isize {
    let room = room.max(1) as isize;
    match code {
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::PageUp => -room,
        KeyCode::PageDown => room,
        KeyCode::Home | KeyCode::Char('g') => isize::MIN,
        KeyCode::End | KeyCode::Char('G') => isize::MAX,
        _ => 0,
    }
}
