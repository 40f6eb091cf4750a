//! A server that leaks a little: a table from its start, much churn, and a line that makes notes
//! and gives most of them back.
//!
//! `notes SECONDS REQUESTS` answers so many requests a second. Of the 40 notes that 20 requests
//! make, one stays for ever.

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::time::{Duration, Instant};

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

struct Server {
    table: Vec<Vec<u8>>,
    sessions: VecDeque<Vec<u8>>,
    notes: HashMap<u64, Vec<u8>>,
}

impl Server {
    fn start() -> Server {
        let row = |number: usize| {
            let row = vec![number as u8; 320];
            row
        };
        Server {
            table: (0..30_000).map(row).collect(),
            sessions: VecDeque::new(),
            notes: HashMap::new(),
        }
    }

    fn answer(&mut self, request: u64) {
        for part in 0..2 {
            let note = note(request);
            if part == 0 && request.is_multiple_of(20) {
                self.notes.insert(request, note);
            }
        }
        self.meet(request);
        black_box(self.page(request));
    }

    /// A hundred sessions, of sizes that differ, the oldest of which ends.
    fn meet(&mut self, request: u64) {
        let length = 200 + (request.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52);
        let session = vec![1; length as usize];
        self.sessions.push_back(session);
        if self.sessions.len() > 100 {
            self.sessions.pop_front();
        }
    }

    fn page(&self, request: u64) -> String {
        let row = &self.table[request as usize % self.table.len()];
        let lines = (0..20).map(|line| format!("{request} {line} {}\n", row[line]));
        let lines: Vec<String> = lines.collect();
        lines.concat()
    }
}

fn note(request: u64) -> Vec<u8> {
    let note = vec![request as u8; 256];
    black_box(note)
}

fn main() {
    let mut numbers = std::env::args().skip(1).flat_map(|text| text.parse());
    let (seconds, requests) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(4_000));
    let mut server = Server::start();
    let (start, end) = (Instant::now(), Duration::from_secs(seconds));
    for request in 0.. {
        let at = Duration::from_nanos(request * 1_000_000_000 / requests);
        if at >= end {
            break;
        }
        std::thread::sleep(at.saturating_sub(start.elapsed()));
        server.answer(request);
    }
    // All that a server has is live when it is stopped.
    std::process::exit(0);
}
