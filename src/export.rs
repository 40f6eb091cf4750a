//! Profiles in the forms that other tools read. Exporters know the report's model and nothing else.
//!
//! Each writes the whole profile: what its numbers add up to is what was allocated, freed and kept
//! in all, what could be charged to no stack included, as a frame of its own. Names from a profile
//! are written so that they steer no terminal.

mod comments;
mod csv;
mod dhat;
mod firefox;
mod folded;
mod json;
mod json_text;
mod label;
mod otlp;
mod pprof;
mod speedscope;
mod values;

pub use csv::StacksCsv;
pub use dhat::Dhat;
pub use firefox::Firefox;
pub use folded::Folded;
pub use json::StacksJson;
pub use otlp::Otlp;
pub use pprof::Pprof;
pub use speedscope::Speedscope;
