//! For whom memory is: three routes of a shop, served by two threads.
//!
//! `/items/{id}` keeps what it has loaded in a cache, `/search` takes much and gives all of it
//! back, and `/login` leaves a note of 256 bytes behind each time.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Mutex;

use profiler_alloc::{Context, ProfilerAlloc};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[derive(Default)]
struct Shop {
    items: Mutex<HashMap<u64, Vec<u8>>>,
    notes: Mutex<Vec<Vec<u8>>>,
}

impl Shop {
    fn item(&self, id: u64) -> usize {
        let mut items = self.items.lock().unwrap();
        items.entry(id).or_insert_with(|| vec![1; 2000]).len()
    }

    fn search(&self, words: usize) -> usize {
        let found: Vec<Vec<u8>> = (0..words).map(|_| vec![1; 10_000]).collect();
        black_box(found).len()
    }

    fn log_in(&self) {
        self.notes.lock().unwrap().push(vec![1; 256]);
    }

    fn serve(&self, request: u64) {
        let route = ["/items/{id}", "/search", "/login"][(request % 3) as usize];
        let _context = profiler_alloc::context("route", route);
        match route {
            "/items/{id}" => drop(black_box(self.item(request % 64))),
            "/search" => drop(black_box(self.search(1 + request as usize % 10))),
            _ => self.log_in(),
        }
    }
}

fn main() {
    let shop = Shop::default();
    // Whose requests they are, on both threads.
    let tenants = ["acme", "zoo"].map(|tenant| Context::new("tenant", tenant));
    std::thread::scope(|scope| {
        for (number, tenant) in tenants.into_iter().enumerate() {
            let shop = &shop;
            scope.spawn(move || {
                let _tenant = tenant.enter();
                (0..300).for_each(|request| shop.serve(request + number as u64));
            });
        }
    });
}
