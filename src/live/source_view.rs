//! The source around a line, with the figures of every line of its file.

use std::rc::Rc;

use crate::report::Place;
use crate::source::Source;

/// A source file, scrolled to somewhere.
#[derive(Debug)]
pub(super) struct SourceView {
    /// The line it was opened for.
    pub place: Place,
    source: Rc<Source>,
    /// Moved by so many lines since it was opened.
    moved: isize,
}

impl SourceView {
    pub(super) fn of(place: Place, source: &Rc<Source>) -> SourceView {
        SourceView {
            place,
            source: Rc::clone(source),
            moved: 0,
        }
    }

    pub(super) fn scroll(&mut self, by: isize) {
        self.moved = self.moved.saturating_add(by);
    }

    /// Where the file was looked for, if it is not there.
    pub(super) fn missing(&self) -> Option<String> {
        let missing = self.source.text.is_none();
        missing.then(|| self.source.path.display().to_string())
    }

    /// The lines that `room` has place for, the one it was opened for in the middle at first.
    pub(super) fn lines(&mut self, room: usize) -> Vec<(u32, &str)> {
        let Some(text) = &self.source.text else {
            return Vec::new();
        };
        let opened = self.place.line.unwrap_or(1) as usize;
        let centred = opened.saturating_sub(1 + room / 2);
        let lowest = text.lines.len().saturating_sub(room);
        let top = centred.saturating_add_signed(self.moved).min(lowest);
        // Nobody wants to scroll back through what was not there.
        self.moved = top as isize - centred as isize;
        (text.lines.iter().enumerate())
            .skip(top)
            .take(room)
            .map(|(index, line)| (index as u32 + 1, line.as_str()))
            .collect()
    }
}
