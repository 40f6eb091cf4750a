//! The analyst of memprof: reads profiles, symbolizes them offline, prints them.

#![forbid(unsafe_code)]

pub mod command;
pub mod run;
pub mod units;
