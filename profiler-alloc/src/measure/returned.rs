//! What a function returns, as the compiler knows it: a future, a stream or a closure does its work
//! later, where an attribute does not see it.
//!
//! A macro sees how a type is written, and not what it is. So what it writes asks: a method is
//! called that is found in one place for a future, and in another for anything else.
//!
//! ```text
//! Returned::<T>::new().is_no_future()      of a future that of `Returned`, which wants more;
//!                                          else that of `Anything`, which `Returned` leads to
//! Pollable::<T>::new().item().poll_next()  a stream's own, with an item; else that of `NoStream`
//! Returned::<T>::new().is_no_closure()     of what can be called, that of `CalledLater`;
//!                                          else that of `Anything`
//! ```

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::Context;

/// What a function returns: no future, or the compiler says so.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<fn() -> T>);

/// Stands for anything that is no future.
#[derive(Debug)]
pub struct Anything(());

static ANYTHING: Anything = Anything(());

impl<T> Returned<T> {
    /// Of a function with that return type.
    #[inline(always)]
    #[expect(clippy::new_without_default, reason = "of no use but to macros")]
    pub const fn new() -> Returned<T> {
        Returned(PhantomData)
    }
}

/// The compiler finds this method before that of [`Anything`], if there is a future, or what
/// becomes one by `.await`.
impl<F: IntoFuture> Returned<F> {
    /// Refused.
    pub fn is_no_future(&self)
    where
        F: Measured,
    {
    }
}

impl<T> Deref for Returned<T> {
    type Target = Anything;

    #[inline(always)]
    fn deref(&self) -> &Anything {
        &ANYTHING
    }
}

impl Anything {
    /// As it should be.
    #[inline(always)]
    pub fn is_no_future(&self) -> bool {
        true
    }
}

/// No future is, whose type cannot be written with the scope in it.
#[diagnostic::on_unimplemented(
    message = "the attribute does not see the polls of the future that this function returns",
    label = "a future",
    note = "write an `async fn`, or return `impl Future<Output = …>`, `Pin<Box<dyn Future<Output = …>>>` or `BoxFuture`",
    note = "add the option `call_only` to measure only the call"
)]
pub trait Measured {}

/// What might be polled of what a function returns: no stream, or the compiler says so.
#[derive(Debug)]
pub struct Pollable<T>(Whole<T>);

/// The value itself.
#[derive(Debug)]
pub struct Whole<T>(PhantomData<fn() -> T>);

impl<T> Pollable<T> {
    /// Of a function with that return type.
    #[inline(always)]
    #[expect(clippy::new_without_default, reason = "of no use but to macros")]
    pub const fn new() -> Pollable<T> {
        Pollable(Whole(PhantomData))
    }
}

impl<T> Deref for Pollable<T> {
    type Target = Whole<T>;

    #[inline(always)]
    fn deref(&self) -> &Whole<T> {
        &self.0
    }
}

impl<P: DerefMut> Pollable<Pin<P>> {
    /// What is pinned. Never called.
    pub fn item(&self) -> Pin<&mut P::Target> {
        unreachable!("it is only for the compiler to look at")
    }
}

impl<T: ?Sized> Pollable<Box<T>> {
    /// What is in the box. Never called.
    pub fn item(&self) -> Pin<&mut T> {
        unreachable!("it is only for the compiler to look at")
    }
}

impl<T> Whole<T> {
    /// The value, as it would be polled. Never called.
    pub fn item(&self) -> Pin<&mut T> {
        unreachable!("it is only for the compiler to look at")
    }
}

/// Found by the compiler where nothing else has such a method: streams have theirs from a trait,
/// which it knows for a `dyn Stream`, a `T: Stream`, and wherever the trait is imported.
pub trait NoStream {
    /// Never called.
    fn poll_next(&self, context: &mut Context<'_>) -> NoItem;
}

impl<T: ?Sized> NoStream for Pin<&mut T> {
    fn poll_next(&self, _: &mut Context<'_>) -> NoItem {
        NoItem(())
    }
}

/// What comes of something that is no stream.
#[derive(Debug)]
pub struct NoItem(());

/// Has a type that [`NoItem`] alone is of.
#[diagnostic::on_unimplemented(
    message = "the attribute does not see the polls of the stream that this function returns",
    label = "a stream",
    note = "put it on the function that makes an item",
    note = "add the option `call_only` to measure only the call"
)]
pub trait IsNoItem {}

impl IsNoItem for NoItem {}

/// The compiler looks at what comes of a poll. Never called.
pub fn is_no_stream(_: impl IsNoItem) {}

/// The compiler finds this trait's method before that of `Anything`, if there is something to
/// call.
pub trait CalledLater<Arguments> {
    /// Refused.
    fn is_no_closure(&self) -> bool
    where
        Self: Limited;
}

macro_rules! called_later {
    ($($argument:ident)*) => {
        impl<F: FnOnce($($argument),*) -> R, R, $($argument),*> CalledLater<($($argument,)*)>
            for Returned<F>
        {
            fn is_no_closure(&self) -> bool
            where
                Self: Limited,
            {
                false
            }
        }
    };
}

called_later!();
called_later!(A);
called_later!(A B);
called_later!(A B C);
called_later!(A B C D);

impl Anything {
    /// As it should be.
    #[inline(always)]
    pub fn is_no_closure(&self) -> bool {
        true
    }
}

/// Nothing that is called later is: a limit would hold for what makes it alone.
#[diagnostic::on_unimplemented(
    message = "the limits of #[budget] do not hold for what the closure does that this function returns",
    label = "a closure",
    note = "call it in the function, or put the attribute on the function that calls it",
    note = "add the option `call_only` to measure only the call that makes it"
)]
pub trait Limited {}
