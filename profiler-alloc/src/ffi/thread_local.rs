//! What belongs to one thread, read in the hook.
//!
//! In a program these are the thread-locals of std. In the preload library they cannot be: a shared
//! library reads its thread-locals by a call of the loader's `__tls_get_addr`, which may have to
//! enlarge a table of the thread, and does so by `realloc`, which is ours, and would read one
//! again:
//!
//! ```text
//! malloc  ─▶ our thread-local ─▶ __tls_get_addr
//! realloc ─▶ our thread-local ─▶ __tls_get_addr
//! realloc ─▶ …
//! ```
//! A program gets there by loading some twenty libraries with thread-locals after its start. So in
//! the preload library each one has a place in the memory that every thread has from its start (the
//! initial-exec model), which is found by an addition:
//!
//! ```text
//! mov  rax, [rip + local@GOTTPOFF]      where it stands, from the thread's own address on
//! add  rax, fs:[0]                      the thread's own address
//! ```
//! The memory is zero at first, so a flag in front says whether there is a value.

/// Declares thread-locals as `std::thread_local!` does: `const` and without a destructor only.
#[cfg(not(feature = "preload"))]
macro_rules! thread_locals {
    ($($locals:tt)*) => { std::thread_local! { $($locals)* } };
}

#[cfg(feature = "preload")]
macro_rules! thread_locals {
    ($($(#[$meta:meta])* static $name:ident: $type:ty = const { $first:expr };)*) => {$(
        core::arch::global_asm!(
            concat!(".pushsection .tbss.memprof_", stringify!($name), ",\"awT\",@nobits"),
            concat!(".globl memprof_local_", stringify!($name)),
            concat!(".hidden memprof_local_", stringify!($name)),
            concat!(".type memprof_local_", stringify!($name), ", @object"),
            ".p2align 4",
            concat!("memprof_local_", stringify!($name), ":"),
            ".zero {size}",
            ".popsection",
            size = const size_of::<$crate::ffi::thread_local::Slot<$type>>(),
        );

        $(#[$meta])*
        static $name: $crate::ffi::thread_local::ThreadLocal<$type> = {
            #[inline(always)]
            fn slot() -> *const $crate::ffi::thread_local::Slot<$type> {
                let slot;
                // SAFETY: reads where the slot of the calling thread is, and nothing else. The
                // symbol is that of the block above, whose size and alignment are a slot's.
                #[cfg(target_arch = "x86_64")]
                unsafe {
                    core::arch::asm!(
                        concat!("mov {slot}, qword ptr [rip + memprof_local_", stringify!($name), "@GOTTPOFF]"),
                        "add {slot}, qword ptr fs:[0]",
                        slot = out(reg) slot,
                        options(pure, readonly, nostack),
                    );
                }
                // SAFETY: as above.
                #[cfg(target_arch = "aarch64")]
                unsafe {
                    core::arch::asm!(
                        "mrs {thread}, tpidr_el0",
                        concat!("adrp {slot}, :gottprel:memprof_local_", stringify!($name)),
                        concat!("ldr {slot}, [{slot}, :gottprel_lo12:memprof_local_", stringify!($name), "]"),
                        "add {slot}, {slot}, {thread}",
                        thread = out(reg) _,
                        slot = out(reg) slot,
                        options(pure, readonly, nostack),
                    );
                }
                slot
            }
            // SAFETY: `slot` gives the calling thread's own slot, zero when the thread begins.
            unsafe { $crate::ffi::thread_local::ThreadLocal::new(slot, || $first) }
        };
    )*};
}

pub(crate) use thread_locals;

#[cfg(feature = "preload")]
pub(crate) use preload::{Slot, ThreadLocal};

#[cfg(feature = "preload")]
mod preload {
    use core::cell::{Cell, UnsafeCell};
    use core::mem::MaybeUninit;

    /// The memory of one thread-local in one thread, at first zero.
    pub(crate) struct Slot<T> {
        has_value: Cell<bool>,
        value: UnsafeCell<MaybeUninit<T>>,
    }

    /// A thread-local.
    pub(crate) struct ThreadLocal<T: 'static> {
        slot: fn() -> *const Slot<T>,
        first: fn() -> T,
    }

    impl<T> ThreadLocal<T> {
        const IS_PLAIN: () = assert!(!core::mem::needs_drop::<T>() && align_of::<Slot<T>>() <= 16);

        /// # Safety
        /// `slot` gives a place that is the calling thread's alone, for as long as it runs, and all
        /// zero before the first call.
        pub(crate) const unsafe fn new(slot: fn() -> *const Slot<T>, first: fn() -> T) -> Self {
            let () = Self::IS_PLAIN;
            ThreadLocal { slot, first }
        }

        #[inline(always)]
        pub(crate) fn with<R>(&'static self, use_it: impl FnOnce(&T) -> R) -> R {
            let slot: *const Slot<T> = (self.slot)();
            // SAFETY: the slot is there for as long as the thread runs, and zero is a slot without
            // a value. The reference is not kept longer than this call.
            let slot = unsafe { &*slot };
            if !slot.has_value.get() {
                // SAFETY: no reference to the value was given away yet: there was none.
                unsafe { (*slot.value.get()).write((self.first)()) };
                slot.has_value.set(true);
            }
            // SAFETY: has a value, which is only ever shared from here on.
            use_it(unsafe { (*slot.value.get()).assume_init_ref() })
        }

        /// As [`with`](Self::with): it is always there.
        #[inline(always)]
        pub(crate) fn try_with<R>(&'static self, use_it: impl FnOnce(&T) -> R) -> Result<R, Gone> {
            Ok(self.with(use_it))
        }
    }

    /// Stands for `std::thread::AccessError`; never made.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Gone {}
}
