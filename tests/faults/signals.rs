//! Signals every 50 microseconds whose handler allocates and frees, over an allocator that allows
//! it: whatever hangs or goes wrong is the profiler's doing.

use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::SeqCst};

use crate::Named;
use crate::child::{Place, times};
use crate::inner;

pub const TESTS: &[Named] = &[("signals::handler_allocates", handler_allocates)];

pub const ROLES: &[Named] = &[("interrupted", interrupted)];

/// Blocks of the program that the handler frees.
const OFFERED: usize = 4_321;

static OFFER: AtomicPtr<[u8; OFFERED]> = AtomicPtr::new(null_mut());
static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_: libc::c_int) {
    let mut block = black_box(Vec::<u8>::with_capacity(40));
    block.reserve_exact(80);
    drop(block);
    let offered = OFFER.swap(null_mut(), SeqCst);
    if !offered.is_null() {
        // SAFETY: a box that `interrupted` gave away; the swap gives it to one handler alone.
        drop(unsafe { Box::from_raw(offered) });
    }
    HANDLED.fetch_add(1, SeqCst);
}

fn interrupted() {
    inner::take_from_array();
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 50,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the handler has the type asked for and does what this program's allocator allows in a
    // signal.
    unsafe {
        libc::signal(libc::SIGALRM, handle as *const () as libc::sighandler_t);
        libc::setitimer(libc::ITIMER_REAL, &timer, null_mut());
    }
    let most = times(100_000, 5_000) as u64;
    while HANDLED.load(SeqCst) < most {
        if OFFER.load(SeqCst).is_null() {
            OFFER.store(Box::into_raw(Box::new([1; OFFERED])), SeqCst);
        }
        (0..20).for_each(|size| drop(black_box(vec![1u8; 1 + size])));
    }
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGALRM, libc::SIG_IGN) };
}

fn handler_allocates() {
    for sample in ["all", "4096"] {
        let place = Place::new();
        assert!(place.run("interrupted", sample).success());
        // A handler that lands between a counter's load and its store hides its own operations:
        // four at most.
        let handled = times(100_000, 5_000) as u64 * 2;
        let profile = place.check_totals(4 * handled, OFFERED as u64);
        assert!(
            profile.header.lost_reentrant > 0,
            "some came while the hook was at work"
        );
        // Of the blocks that handlers freed, one at most is left.
        for stack in profile.stacks.iter().filter(|_| sample == "all") {
            let totals = &stack.totals;
            let size = totals.alloc_bytes / totals.alloc_samples.max(1) as i64;
            let left = totals.live_bytes / OFFERED as i64;
            assert!(size != OFFERED as i64 || left <= 1, "{totals:?}");
        }
    }
}
