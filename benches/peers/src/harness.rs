//! The harness: what is built, what is run, what came out, and how it is shown.
//!
//! ```text
//! build ─▶ plan (subjects × workloads, in turn) ─▶ run ─▶ results ─┬▶ show (text)
//!                                                                  └▶ page (Markdown, plots)
//! ```

pub mod build;
pub mod page;
pub mod plan;
pub mod plot;
pub mod results;
pub mod run;
pub mod show;
pub mod statistics;
pub mod subjects;
