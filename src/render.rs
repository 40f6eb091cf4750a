//! Reports as text, JSON, CSV, pages and pictures. Renderers know the report's model and nothing
//! else.

mod axis;
pub(crate) mod cell;
mod contexts_csv;
mod contexts_json;
mod contexts_text;
mod csv;
mod cut;
mod diff_html;
mod diff_json;
mod diff_text;
pub(crate) mod escape;
mod flamegraph;
mod footer;
pub(crate) mod format;
mod html;
mod json;
mod killed;
mod leaks_json;
mod leaks_text;
mod live;
mod moment;
mod own_memory;
mod page;
mod processes_json;
mod processes_markdown;
mod processes_text;
mod programs;
mod rss_json;
mod rss_text;
pub(crate) mod shape;
mod spans;
mod style;
mod summary_json;
mod summary_text;
mod temporary_text;
mod text;
mod timeline_svg;
mod timeline_text;
mod tree_text;
mod types_json;
mod types_text;

use std::io::{self, Write};

pub use contexts_csv::ContextsCsv;
pub use contexts_text::ContextsText;
pub use csv::Csv;
pub use diff_html::DiffHtml;
pub use diff_json::DiffJson;
pub use diff_text::DiffText;
pub use flamegraph::{Base, Flamegraph};
pub use html::Html;
pub(crate) use json::FiguresShape;
pub use json::Json;
pub use killed::LastWords;
pub use leaks_json::{LeaksCsv, LeaksJson};
pub use leaks_text::LeaksText;
pub use live::{LiveText, live_faults, live_figure, live_figures, live_head, live_place};
pub use processes_json::{ProcessesCsv, ProcessesJson};
pub use processes_markdown::ProcessesMarkdown;
pub use processes_text::ProcessesText;
pub use programs::{ProgramsJson, ProgramsText};
pub use rss_json::RssJson;
pub use rss_text::RssText;
pub use summary_text::SummaryText;
pub use temporary_text::TemporaryText;
pub use text::{Column, Text};
pub use timeline_svg::TimelineSvg;
pub use timeline_text::TimelineText;
pub use tree_text::TreeText;
pub use types_json::{TypesCsv, TypesJson};
pub use types_text::TypesText;

use crate::report::{ContextTables, Report};

/// A form that a report can take.
pub trait Renderer {
    /// Writes `report` to `out`.
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()>;

    /// Writes the reports of each context to `out`.
    fn by_context(&self, tables: &ContextTables, out: &mut dyn Write) -> io::Result<()>;
}
