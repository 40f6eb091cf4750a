//! DHAT: the JSON, version 2, of valgrind's viewer `dh_view.html`.
//!
//! The shape is described in valgrind's `dhat/dh_main.c`. The viewer asks for two things that
//! memprof does not keep: how long blocks lived, which is given as 0, and the most that each stack
//! ever had in use, for which the larger of what it had at the peak and at the end stands.

use std::io::{self, Write};

use serde::Serialize;

use super::{json_text, label, values};
use crate::report::{StackTotal, Stacks};

/// The JSON of DHAT's viewer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dhat;

impl Dhat {
    /// Writes the stacks to `out`.
    pub fn export(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        let recording = &stacks.recording;
        let frames = stacks.frames.iter().map(label::function_and_line);
        let shape = DhatShape {
            dhat_file_version: 2,
            mode: "memprof",
            verb: "Allocated",
            bklt: true,
            bkacc: false,
            tu: "µs",
            mtu: "s",
            tuth: 10,
            cmd: &recording.program,
            pid: recording.pid,
            tg: recording.peak_ns / 1000,
            te: recording.duration_ns / 1000,
            // What only freed is no point that allocates.
            pps: (stacks.stacks.iter())
                .filter(|stack| values::values(&stack.figures).is_some())
                .map(|stack| PointShape::of(stacks, stack))
                .collect(),
            ftbl: ["[root]".to_owned()].into_iter().chain(frames).collect(),
        };
        json_text::write(&shape, out)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DhatShape<'a> {
    dhat_file_version: u32,
    mode: &'static str,
    verb: &'static str,
    /// Whether lifetimes are known; the viewer shows peak and end only if so.
    bklt: bool,
    /// Whether accesses are known.
    bkacc: bool,
    /// Unit of time, and a million of them.
    tu: &'static str,
    #[serde(rename = "Mtu")]
    mtu: &'static str,
    /// Lifetime below which blocks are called short-lived.
    tuth: u64,
    cmd: &'a str,
    pid: u32,
    /// Time of the peak and of the end.
    tg: u64,
    te: u64,
    pps: Vec<PointShape>,
    ftbl: Vec<String>,
}

/// A program point: a stack. `b` are bytes, `bk` blocks.
#[derive(Serialize)]
struct PointShape {
    tb: i64,
    tbk: i64,
    /// Sum of lifetimes.
    tl: u64,
    mb: i64,
    mbk: i64,
    gb: i64,
    gbk: i64,
    eb: i64,
    ebk: i64,
    /// Frames, innermost first, as indices into `ftbl`.
    fs: Vec<u32>,
}

impl PointShape {
    fn of(stacks: &Stacks, stack: &StackTotal) -> PointShape {
        let figures = &stack.figures;
        let mut fs = Vec::new();
        let mut node = stack.node;
        while node != 0 {
            let at = &stacks.nodes[node as usize];
            fs.push(at.frame + 1);
            node = at.parent;
        }
        PointShape {
            tb: figures.allocated.bytes,
            tbk: figures.count,
            tl: 0,
            mb: figures.at_peak.bytes.max(figures.live.bytes),
            mbk: figures.at_peak_count.max(figures.live_count),
            gb: figures.at_peak.bytes,
            gbk: figures.at_peak_count,
            eb: figures.live.bytes,
            ebk: figures.live_count,
            fs,
        }
    }
}
