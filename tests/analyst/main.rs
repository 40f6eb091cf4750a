//! The analyst as its users meet it: the reader, lines, reports, views, exports, and the command.
//! None of these tests needs an allocator or a process of its own, so all of them are one program,
//! which is linked once.

#[path = "../built/mod.rs"]
mod built;
#[path = "../large_profile/mod.rs"]
mod large_profile;
#[path = "../memory_group/mod.rs"]
mod memory_group;
#[path = "../recording/mod.rs"]
mod recording;
#[path = "../skip/mod.rs"]
mod skip;

mod chromium;
mod inert;
mod leak;
mod pprof;
mod synthetic;

mod browser;
mod browser_moments;
mod contexts;
mod debug_traps;
mod debuginfod;
mod diff;
mod exports;
mod golden;
mod history;
mod hostile;
mod large;
mod live;
mod manners;
mod manual;
mod many;
mod report;
mod run;
mod scale;
mod serve;
mod symbolize;
mod tables;
mod views;
