//! Reports as text, JSON and CSV. Renderers know the report's model and nothing else.

mod csv;
mod diff_json;
mod diff_text;
pub(crate) mod escape;
mod json;
mod live;
mod summary_text;
mod text;
mod words;

use std::io::{self, Write};

pub use csv::Csv;
pub use diff_json::DiffJson;
pub use diff_text::DiffText;
pub use json::Json;
pub use live::{LiveText, live_faults, live_figure, live_figures, live_head, live_place};
pub use summary_text::SummaryText;
pub use text::{Column, Text};

use crate::report::Report;

/// A form that a report can take.
pub trait Renderer {
    /// Writes `report` to `out`.
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()>;
}
