//! The analyst of memprof: reads profiles, symbolizes them offline, prints them.
//!
//! One direction: [`profile`] (bytes to owned tables) → symbolize → report (model) → render. A
//! lossy stage returns its value and the [`Defect`](defect::Defect)s it met.

#![forbid(unsafe_code)]

pub mod command;
pub mod defect;
pub mod export;
pub mod history;
pub mod live;
pub mod profile;
pub mod push;
pub mod render;
pub mod report;
pub mod run;
pub mod serve;
pub mod source;
pub mod symbolize;
pub mod types;
pub mod units;
