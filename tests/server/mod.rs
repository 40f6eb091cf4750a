//! A server without a network: four routes, 64 requests at once on two workers, and a ledger of its
//! own of what each route allocated, freed and kept.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// The routes. What they do stands at [`serve`].
pub const ROUTES: [&str; 4] = ["/cache/{key}", "/leak", "/later", "/plain"];
/// Tasks that make requests, one after another.
pub const CLIENTS: u64 = 64;
/// Requests of each.
pub const REQUESTS: u64 = 40;

/// What a route did, in bytes and blocks.
#[derive(Default)]
pub struct Ledger {
    pub requests: AtomicU64,
    pub allocated: AtomicU64,
    pub allocations: AtomicU64,
    pub freed: AtomicU64,
    /// Kept by the cache, the leak, or whoever works in the background.
    pub kept: AtomicU64,
    pub most: AtomicU64,
}

pub struct Server {
    /// Of each client.
    requests: u64,
    pub ledgers: [Ledger; 4],
    cache: Mutex<Vec<Option<Vec<u8>>>>,
    leaked: Mutex<Vec<Vec<u8>>>,
    later: Mutex<Vec<Vec<u8>>>,
}

impl Server {
    /// For so many requests of each client. Has room for everything that it keeps, so that only
    /// requests allocate.
    pub fn new(requests: u64) -> Server {
        let room = (CLIENTS * requests) as usize;
        Server {
            requests,
            ledgers: Default::default(),
            cache: Mutex::new((0..16).map(|_| None).collect()),
            leaked: Mutex::new(Vec::with_capacity(room)),
            later: Mutex::new(Vec::with_capacity(room)),
        }
    }

    fn take(&self, route: usize, len: usize) -> Vec<u8> {
        let ledger = &self.ledgers[route];
        ledger.allocated.fetch_add(len as u64, Ordering::Relaxed);
        ledger.allocations.fetch_add(1, Ordering::Relaxed);
        ledger.kept.fetch_add(len as u64, Ordering::Relaxed);
        black_box(vec![1; len])
    }

    /// `by` frees what a request of `of` has taken.
    fn give_back(&self, of: usize, by: Option<usize>, block: Vec<u8>) {
        let len = block.capacity() as u64;
        self.ledgers[of].kept.fetch_sub(len, Ordering::Relaxed);
        if let Some(by) = by {
            self.ledgers[by].freed.fetch_add(len, Ordering::Relaxed);
        }
        drop(black_box(block));
    }

    /// One request: takes a buffer, waits, and does with another block what the route is for.
    pub async fn serve(&self, request: u64) {
        let route = (request % 4) as usize;
        let sizes = [100 + request as usize % 50, 3000, 700, 64];
        let buffer = self.take(route, 1000);
        go_on_later().await;
        let block = self.take(route, sizes[route]);
        go_on_later().await;
        match route {
            // The entry that was there goes, whoever put it there.
            0 => {
                let place = request as usize / 4 % 16;
                let before = self.cache.lock().unwrap()[place].replace(block);
                if let Some(before) = before {
                    self.give_back(0, Some(0), before);
                }
            }
            1 if request.is_multiple_of(5) => self.leaked.lock().unwrap().push(block),
            2 => self.later.lock().unwrap().push(block),
            _ => self.give_back(route, Some(route), block),
        }
        go_on_later().await;
        self.give_back(route, Some(route), buffer);
        let ledger = &self.ledgers[route];
        ledger.requests.fetch_add(1, Ordering::Relaxed);
        let all = 1000 + sizes[route] as u64;
        ledger.most.fetch_max(all, Ordering::Relaxed);
    }

    /// In the background, in no context: frees what `/later` has left.
    pub async fn clean_up(&self) {
        loop {
            let block = self.later.lock().unwrap().pop();
            if let Some(block) = block {
                self.give_back(2, None, block);
            }
            let served: u64 = self.ledgers.iter().map(Ledger::served).sum();
            if served == CLIENTS * self.requests {
                return;
            }
            go_on_later().await;
        }
    }

    /// Requests of a client, in turn of all routes.
    pub fn requests(&self, client: u64) -> impl Iterator<Item = u64> + use<> {
        let first = client * self.requests;
        first..first + self.requests
    }
}

impl Ledger {
    pub fn served(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Lets others go on, without an allocation.
fn go_on_later() -> impl Future<Output = ()> {
    struct Later(bool);
    impl Future for Later {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if self.0 {
                return Poll::Ready(());
            }
            self.0 = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    Later(false)
}
