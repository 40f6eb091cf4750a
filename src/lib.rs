//! The analyst of memprof: reads profiles, symbolizes them offline, prints them.
//!
//! One direction: [`profile`] (bytes to owned tables) → symbolize → report (model) → render. A
//! lossy stage returns its value and the [`Defect`](defect::Defect)s it met.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
pub mod attach;
pub mod command;
#[cfg(not(target_family = "wasm"))]
pub mod debuginfod;
pub mod defect;
pub mod export;
#[cfg(feature = "history")]
pub mod history;
#[cfg(not(target_family = "wasm"))]
mod http;
#[cfg(not(target_family = "wasm"))]
pub mod live;
pub mod profile;
#[cfg(not(target_family = "wasm"))]
pub mod push;
pub mod render;
pub mod report;
#[cfg(target_os = "linux")]
pub mod run;
#[cfg(not(target_family = "wasm"))]
pub mod serve;
pub mod source;
pub mod symbolize;
pub mod system;
pub mod types;
pub mod units;
