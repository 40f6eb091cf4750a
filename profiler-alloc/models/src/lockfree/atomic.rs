//! loom's atomics with the constructor of the real ones, which is `const`; shuttle's; or, with Miri, the real ones.
//!
//! An atomic of loom's exists from its first use on, and what uses it must come after that: a model touches what its threads
//! share before it starts them.

#[cfg(miri)]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(all(feature = "shuttle", not(miri)))]
pub use shuttle::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(not(any(feature = "shuttle", miri)))]
pub use tried::*;

#[cfg(not(any(feature = "shuttle", miri)))]
mod tried {
    use std::ops::Deref;
    use std::sync::OnceLock;

    use loom::sync::atomic;
    pub use loom::sync::atomic::{Ordering, fence};

    macro_rules! atomic {
        ($($name:ident: $value:ty),*) => {
            $(
                #[derive(Debug)]
                pub struct $name {
                    value: $value,
                    cell: OnceLock<atomic::$name>,
                }

                impl $name {
                    pub const fn new(value: $value) -> $name {
                        $name { value, cell: OnceLock::new() }
                    }
                }

                impl Deref for $name {
                    type Target = atomic::$name;

                    fn deref(&self) -> &atomic::$name {
                        self.cell.get_or_init(|| atomic::$name::new(self.value))
                    }
                }
            )*
        };
    }
    atomic!(AtomicBool: bool, AtomicU8: u8, AtomicU32: u32, AtomicU64: u64, AtomicUsize: usize);

    #[derive(Debug)]
    pub struct AtomicPtr<T> {
        cell: OnceLock<atomic::AtomicPtr<T>>,
    }

    impl<T> AtomicPtr<T> {
        pub const fn new(value: *mut T) -> AtomicPtr<T> {
            assert!(value.is_null());
            AtomicPtr {
                cell: OnceLock::new(),
            }
        }
    }

    impl<T> Deref for AtomicPtr<T> {
        type Target = atomic::AtomicPtr<T>;

        fn deref(&self) -> &atomic::AtomicPtr<T> {
            let null = || atomic::AtomicPtr::new(std::ptr::null_mut());
            self.cell.get_or_init(null)
        }
    }
}
