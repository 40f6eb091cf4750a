//! A reference to a static, for constants.

use core::fmt;

/// What `&'static T` is, also in a constant. Rust before 1.91 refuses a constant that refers to
/// memory which changes: of
///
/// ```text
/// static SLOT: AtomicU64 = AtomicU64::new(0);
/// thread_local! { static OWN: Cell<&'static AtomicU64> = const { Cell::new(&SLOT) }; }
/// ```
///
/// it says "encountered reference to mutable memory". A pointer it lets pass.
pub struct StaticRef<T: 'static>(*const T);

impl<T> StaticRef<T> {
    pub const fn new(value: &'static T) -> StaticRef<T> {
        StaticRef(value)
    }

    #[inline(always)]
    pub fn get(self) -> &'static T {
        // SAFETY: the pointer was made of a reference that is valid for ever, in `new`, which is
        // the only way to make one.
        unsafe { &*self.0 }
    }
}

impl<T> Clone for StaticRef<T> {
    fn clone(&self) -> StaticRef<T> {
        *self
    }
}

impl<T> Copy for StaticRef<T> {}

impl<T> fmt::Debug for StaticRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// SAFETY: all that can be had of it is a shared reference, which other threads may have as well.
unsafe impl<T: Sync> Sync for StaticRef<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for StaticRef<T> {}
