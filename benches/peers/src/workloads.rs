//! What programs do with memory: from bare pairs of allocation and free to whole programs' work.

mod churn;
mod crossing;
mod curves;
mod heap;
mod json;
mod server;
mod syntax;

/// One kind of work.
pub struct Workload {
    /// As on the command line.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Amount that takes about a second on the system's allocator.
    pub amount: usize,
    /// Does the work `amount` times on so many threads; gives a number that depends on the work
    /// alone.
    pub run: fn(usize, usize) -> u64,
}

/// All of them.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "pair",
        about: "a block of 64 bytes is allocated and freed at once",
        amount: 60_000_000,
        run: heap::pair,
    },
    Workload {
        name: "ring",
        about: "each block lives until 4,096 later ones were allocated; 16 to 527 bytes",
        amount: 20_000_000,
        run: heap::ring,
    },
    Workload {
        name: "growth",
        about: "vectors grow from nothing to 64 KiB by realloc",
        amount: 80_000,
        run: heap::growth,
    },
    Workload {
        name: "churn",
        about: "mixed sizes and lifetimes from eight sites, at call depths of 6 to 25",
        amount: 14_000_000,
        run: churn::run,
    },
    Workload {
        name: "crossing",
        about: "blocks are allocated by one thread and freed by another",
        amount: 12_000_000,
        run: crossing::run,
    },
    Workload {
        name: "json",
        about: "serde_json reads a document of 50 MB into values, walks and prints them",
        amount: 300_000,
        run: json::run,
    },
    Workload {
        name: "syntax",
        about: "a small language is parsed into boxed trees and arenas, names interned, constants folded",
        amount: 900,
        run: syntax::run,
    },
    Workload {
        name: "server",
        about: "a tokio server answers JSON requests of 16 clients over the local network",
        amount: 60_000,
        run: server::run,
    },
];

/// Workloads that show how the cost grows: with the depth of the stack, of stacks that come again
/// and of stacks that have to be walked, and with the number of distinct stacks.
pub const CURVES: &[Workload] = &[
    curve("depth-8", curves::at_depth::<8>),
    curve("depth-32", curves::at_depth::<32>),
    curve("depth-128", curves::at_depth::<128>),
    curve("depth-400", curves::at_depth::<400>),
    curve("walked-32", curves::under_callers::<32>),
    curve("walked-128", curves::under_callers::<128>),
    curve("walked-400", curves::under_callers::<400>),
    curve("stacks-64", curves::on_stacks::<6>),
    curve("stacks-1024", curves::on_stacks::<10>),
    curve("stacks-8192", curves::on_stacks::<13>),
    curve("stacks-32768", curves::on_stacks::<15>),
];

const fn curve(name: &'static str, run: fn(usize, usize) -> u64) -> Workload {
    Workload {
        name,
        about: "pairs of allocation and free",
        amount: 100_000,
        run,
    }
}

/// A small, fast generator of numbers that are the same in every run (xorshift).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Runs `work` on every one of `threads`, each with its number and its share of `amount`; gives the
/// sum.
fn on_threads(amount: usize, threads: usize, work: impl Fn(usize, usize) -> u64 + Sync) -> u64 {
    if threads == 1 {
        return work(0, amount);
    }
    std::thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || work(number, amount / threads)))
            .collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("no workload panics"))
            .fold(0, u64::wrapping_add)
    })
}
