//! Makes profiles like those of large programs: as many nodes as asked for, over the functions of
//! real binaries.

use std::fs;
use std::path::Path;

use memprof::profile::{Frame, builder::Builder};
use object::{Object, ObjectSymbol, SymbolKind};

/// Deepest stack.
const DEEPEST: usize = 60;
/// Shallowest stack.
const SHALLOWEST: usize = 20;
/// Call sites of a function, at the most.
const CALLS: u64 = 8;

/// A profile in the making.
pub struct Large {
    builder: Builder,
    functions: Vec<Function>,
    random: Random,
}

/// Where in a module a function is.
#[derive(Clone, Copy)]
struct Function {
    module: u16,
    address: u64,
    size: u64,
}

impl Large {
    /// Nothing yet.
    pub fn new() -> Large {
        Large {
            builder: Builder::new(),
            functions: Vec::new(),
            random: Random(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Calls go to `count` of the functions in the file at `path`.
    pub fn real(mut self, path: &Path, count: usize) -> Large {
        let module = self.builder.module(path);
        let bytes = fs::read(path).unwrap();
        let object = object::File::parse(&*bytes).unwrap();
        let mut functions: Vec<Function> = (object.symbols().chain(object.dynamic_symbols()))
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 16)
            .map(|symbol| Function {
                module,
                address: symbol.address(),
                size: symbol.size(),
            })
            .collect();
        assert!(!functions.is_empty(), "{} has symbols", path.display());
        functions.sort_by_key(|function| function.address);
        functions.dedup_by_key(|function| function.address);
        let step = (functions.len() / count).max(1);
        (self.functions).extend(functions.into_iter().step_by(step).take(count));
        self
    }

    /// Calls go to `count` functions of a file that is not there.
    pub fn made_up(mut self, path: &str, count: usize) -> Large {
        let module = self.builder.module(path);
        let made_up = (0..count as u64).map(|number| Function {
            module,
            address: 0x1000 + number * 256,
            size: 256,
        });
        self.functions.extend(made_up);
        self
    }

    /// The profile, of `nodes` nodes or a few more.
    pub fn of(mut self, nodes: usize) -> Builder {
        let mut path: Vec<Frame> = Vec::new();
        while self.builder.nodes.len() < nodes {
            // Most stacks share their outer part with the one before.
            let shared = self.random.below(path.len() as u64 + 1) as usize;
            path.truncate(shared);
            let depth = SHALLOWEST + self.random.below((DEEPEST - SHALLOWEST) as u64) as usize;
            while path.len() < depth {
                let frame = self.call();
                path.push(frame);
            }
            self.allocate(&path);
        }
        self.builder
    }

    /// The profile, of so many stacks, each a few calls from the one before.
    #[allow(dead_code, reason = "each user has a part")]
    pub fn of_stacks(mut self, stacks: usize) -> Builder {
        let mut path: Vec<Frame> = Vec::new();
        for _ in 0..stacks {
            let left = 1 + self.random.below(12) as usize;
            path.truncate(
                path.len()
                    .saturating_sub(left)
                    .max(SHALLOWEST.min(path.len())),
            );
            while path.len() < SHALLOWEST {
                let frame = self.call();
                path.push(frame);
            }
            for _ in 0..1 + self.random.below(12) {
                let frame = self.call();
                path.push(frame);
            }
            self.allocate(&path);
        }
        self.builder
    }

    /// Some call site of some function; a few functions are called far more often than the others.
    fn call(&mut self) -> Frame {
        let len = self.functions.len() as u64;
        let (one, other) = (self.random.below(len), self.random.below(len));
        let function = self.functions[(one * other / len) as usize];
        let call = self.random.below(CALLS);
        let offset = 1 + call * (function.size - 1) / CALLS;
        Frame::new(function.module, function.address + offset)
    }

    fn allocate(&mut self, outermost_first: &[Frame]) {
        let frames: Vec<Frame> = outermost_first.iter().rev().copied().collect();
        let stack = self.builder.stack(&frames);
        let (blocks, size) = (1 + self.random.below(100), 1 + self.random.below(5000));
        self.builder.allocated(stack, blocks * size, blocks);
        let freed = self.random.below(blocks + 1);
        self.builder.freed(stack, stack, freed * size, freed);
        let heap = self.builder.header.heap as i64;
        self.builder.heap_after(&frames, heap);
    }
}

/// The same numbers every time: xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
