//! Known numbers of each container, for `memprof types`.
//!
//! ```text
//! memprof run --sample all -- cargo run --example types
//! memprof types --of live
//! ```
//!
//! It prints what it holds at the end, type by type: bytes, blocks, and which. The table must say
//! the same.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::OsString;
use std::future::Future;
use std::hint::black_box;
use std::mem;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// An element of 40 bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Order {
    number: u64,
    amounts: [u64; 4],
}

/// Another of 40 bytes: code for the one may be used for the other.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Invoice {
    amounts: [u64; 5],
}

/// A node of a list of our own.
pub struct Node {
    _number: u64,
    _next: Option<Box<Node>>,
}

trait Shape {
    fn area(&self) -> f64;
}

/// Behind `dyn`.
pub struct Circle {
    radius: f64,
    _name: [u8; 56],
}

impl Shape for Circle {
    fn area(&self) -> f64 {
        self.radius * self.radius
    }
}

async fn later(order: Order) -> u64 {
    std::future::ready(()).await;
    black_box(&order).number
}

/// Bytes and blocks held of a type, and what it is.
struct Ledger(Vec<(usize, usize, &'static str)>);

impl Ledger {
    fn holds(&mut self, bytes: usize, blocks: usize, name: &'static str) {
        self.0.push((bytes, blocks, name));
    }
}

#[inline(never)]
fn vectors(ledger: &mut Ledger) {
    let mut orders = Vec::new();
    for number in 0..black_box(1000) {
        orders.push(Order {
            number,
            ..Order::default()
        });
    }
    ledger.holds(orders.capacity() * 40, 1, "Vec<types::Order>");
    mem::forget(orders);
    let mut invoices = VecDeque::new();
    for _ in 0..black_box(100) {
        invoices.push_back(Invoice::default());
    }
    ledger.holds(invoices.capacity() * 40, 1, "VecDeque<types::Invoice>");
    mem::forget(invoices);
    let numbers: Vec<u32> = (0..black_box(500)).map(|number| number * 3).collect();
    let copy = black_box(&numbers).clone();
    ledger.holds((numbers.capacity() + copy.capacity()) * 4, 2, "Vec<u32>");
    mem::forget((numbers, copy));
    let nested = vec![vec![7_u16; black_box(30)]; black_box(20)];
    let inner = nested.iter().map(Vec::capacity).sum::<usize>() * 2;
    ledger.holds(nested.capacity() * 24, 1, "Vec<alloc::vec::Vec<u16>>");
    ledger.holds(inner, 20, "Vec<u16>");
    mem::forget(nested);
    let mut heap = BinaryHeap::new();
    for number in 0..black_box(77_i64) {
        heap.push((number, number));
    }
    ledger.holds(heap.capacity() * 16, 1, "BinaryHeap<(i64, i64)>");
    mem::forget(heap);
    let slice: Box<[f32]> = (0..black_box(300)).map(|number| number as f32).collect();
    ledger.holds(slice.len() * 4, 1, "Box<[f32]>");
    mem::forget(slice);
}

#[inline(never)]
fn texts(ledger: &mut Ledger) {
    let mut text = String::new();
    for _ in 0..black_box(50) {
        text.push_str(black_box("a line of some length\n"));
    }
    let more = format!("{}:{}", black_box(17), black_box("name"));
    let owned = black_box("owned").to_owned();
    let texts = [text.capacity(), more.capacity(), owned.capacity()];
    let names: Vec<String> = (0..black_box(40))
        .map(|number| number.to_string())
        .collect();
    let inner = names.iter().map(String::capacity).sum::<usize>();
    ledger.holds(texts.iter().sum::<usize>() + inner, 43, "String");
    ledger.holds(names.capacity() * 24, 1, "Vec<alloc::string::String>");
    mem::forget((text, more, owned, names));
    let shared: Arc<str> = Arc::from(black_box("shared text"));
    ledger.holds((16 + shared.len()).next_multiple_of(8), 1, "Arc<str>");
    mem::forget(shared);
    let path = PathBuf::from(black_box("/a/path")).join(black_box("below"));
    ledger.holds(path.capacity(), 1, "PathBuf");
    mem::forget(path);
    let os = OsString::from(black_box(String::from("os")));
    ledger.holds(os.capacity(), 1, "String");
    mem::forget(os);
}

#[inline(never)]
fn boxes(ledger: &mut Ledger) {
    let mut list = None;
    for number in 0..black_box(25) {
        list = Some(Box::new(Node {
            _number: number,
            _next: list,
        }));
    }
    ledger.holds(25 * size_of::<Node>(), 25, "Box<types::Node>");
    mem::forget(list);
    let shape: Box<dyn Shape> = Box::new(Circle {
        radius: black_box(2.0),
        _name: [0; 56],
    });
    black_box(shape.area());
    ledger.holds(size_of::<Circle>(), 1, "Box<types::Circle>");
    mem::forget(shape);
    let future: Pin<Box<dyn Future<Output = u64>>> = Box::pin(later(Order::default()));
    let bytes = size_of_val(&*future);
    ledger.holds(bytes, 1, "Box<types::later::{async_fn_env#0}>");
    mem::forget(future);
    let counted = Rc::new([black_box(3_u64); 9]);
    ledger.holds(16 + 72, 1, "Rc<[u64; 9]>");
    mem::forget(counted);
    let shared = Arc::new(black_box(Order::default()));
    ledger.holds(16 + 40, 1, "Arc<types::Order>");
    mem::forget(shared);
    let slice: Rc<[u16]> = Rc::from(vec![black_box(1_u16); 12]);
    ledger.holds(16 + 24, 1, "Rc<[u16]>");
    mem::forget(slice);
    let mut linked = LinkedList::new();
    for _ in 0..black_box(11) {
        linked.push_back(Invoice::default());
    }
    ledger.holds(11 * 56, 11, "LinkedList<types::Invoice>");
    mem::forget(linked);
}

/// Bytes of a table of hashbrown with room for `capacity`: its buckets, and a byte for each and
/// 16.
fn table_bytes(capacity: usize, element: usize) -> usize {
    let buckets = match capacity {
        0..4 => 4,
        4..8 => 8,
        more => (more * 8 / 7).next_power_of_two(),
    };
    (buckets * element).next_multiple_of(16) + buckets + 16
}

#[inline(never)]
fn maps(ledger: &mut Ledger) {
    let mut by_number = HashMap::new();
    for number in 0..black_box(600_u64) {
        by_number.insert(number, Order::default());
    }
    let bytes = table_bytes(by_number.capacity(), 48);
    ledger.holds(bytes, 1, "HashMap<u64, types::Order>");
    mem::forget(by_number);
    let seen: HashSet<u128> = (0..black_box(100)).collect();
    ledger.holds(table_bytes(seen.capacity(), 16), 1, "HashSet<u128>");
    mem::forget(seen);
    let mut ordered = BTreeMap::new();
    for number in 0..black_box(11_u64) {
        ordered.insert(number, [number; 3]);
    }
    ledger.holds(8 + 11 * 8 + 11 * 24 + 8, 1, "BTreeMap<u64, [u64; 3]>, leaf");
    mem::forget(ordered);
    let mut set = BTreeSet::new();
    for number in 0..black_box(10_u32) {
        set.insert(number);
    }
    ledger.holds(8 + 11 * 4 + 4, 1, "BTreeSet<u32>, leaf");
    mem::forget(set);
}

fn main() {
    let mut ledger = Ledger(Vec::with_capacity(64));
    vectors(&mut ledger);
    texts(&mut ledger);
    boxes(&mut ledger);
    maps(&mut ledger);
    for (bytes, blocks, name) in &ledger.0 {
        println!("{bytes} {blocks} {name}");
    }
}
