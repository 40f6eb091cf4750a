//! Loads of eight kinds, each hard for a sampling recorder in its own way: what the recorder's cost
//! is measured on.
//!
//! `loads tiny|huge|deep|threads|bursts|kept|requests|parsed AMOUNT`

use std::collections::HashMap;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// So many blocks of 16 bytes, each freed at once.
#[inline(never)]
fn tiny(amount: usize) {
    for number in 0..amount {
        drop(black_box(Box::new([number; 2])));
    }
}

/// So many blocks of 64 MiB, of which one page is used.
fn huge(amount: usize) {
    for _ in 0..amount {
        let mut block: Vec<u8> = Vec::with_capacity(64 << 20);
        block.push(1);
        drop(black_box(block));
    }
}

/// A block at each of so many depths, held until the function at that depth returns.
#[inline(never)]
fn deep(depth: usize) {
    let block = black_box(Box::new(depth));
    if depth > 0 {
        deep(depth - 1);
    }
    drop(black_box(block));
}

/// Eight threads share the work of [`tiny`].
fn threads(amount: usize) {
    let each = [(); 8].map(|()| thread::spawn(move || tiny(amount / 8)));
    for thread in each {
        thread.join().expect("the thread does not panic");
    }
}

/// So many blocks ten times, with rests in between.
fn bursts(amount: usize) {
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(20));
        tiny(amount);
    }
}

/// Many blocks that are kept from the beginning, then so many that are not.
fn kept(amount: usize) {
    let kept: Vec<Box<[u8; 40]>> = (0..amount / 20).map(|n| Box::new([n as u8; 40])).collect();
    for number in 0..amount {
        black_box(Vec::<u8>::with_capacity(black_box(24 + (number & 63))));
    }
    drop(black_box(kept));
}

/// A server that makes its tables at the start, and answers so many requests, each from a few
/// strings and lists.
fn requests(amount: usize) {
    let table: HashMap<usize, String> = (0..amount)
        .map(|row| {
            (
                row,
                format!("row {row} of the table that is made at the start"),
            )
        })
        .collect();
    for request in 0..amount {
        let rows: Vec<String> = (0..8)
            .filter_map(|n| table.get(&((request * 31 + n) % amount)))
            .map(|row| row.to_uppercase())
            .collect();
        black_box(rows.join("\n"));
    }
}

/// What a parser makes: so many nodes, each in a box, that are dropped when the next document has
/// been parsed.
fn parsed(amount: usize) {
    struct Node {
        name: String,
        inner: Vec<Node>,
    }
    fn parse(name: usize, depth: usize) -> Node {
        let inner = (0..4 * usize::from(depth > 0)).map(|n| parse(4 * name + n, depth - 1));
        Node {
            name: format!("node {name}"),
            inner: inner.collect(),
        }
    }
    fn count(node: &Node) -> usize {
        node.name.len().min(1) + node.inner.iter().map(count).sum::<usize>()
    }
    const DEPTH: usize = 5;
    const NODES: usize = (4usize.pow(DEPTH as u32 + 1) - 1) / 3;
    let mut document = None;
    for _ in 0..amount / NODES {
        document = Some(black_box(parse(1, DEPTH)));
    }
    assert!(document.is_none_or(|document| count(&document) == NODES));
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [load, amount] = &arguments[..] else {
        panic!("usage: loads tiny|huge|deep|threads|bursts|kept|requests|parsed AMOUNT");
    };
    let amount = amount.parse().expect("a number");
    match load.as_str() {
        "tiny" => tiny(amount),
        "huge" => huge(amount),
        "deep" => (0..100).for_each(|_| deep(amount)),
        "threads" => threads(amount),
        "bursts" => bursts(amount),
        "kept" => kept(amount),
        "requests" => requests(amount),
        "parsed" => parsed(amount),
        other => panic!("there is no load {other}"),
    }
}
