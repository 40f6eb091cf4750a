//! Which span has let the calling thread into a scope.

use core::cell::RefCell;

use tracing::span::Id;

thread_local! {
    static ENTERED: RefCell<Option<Id>> = const { RefCell::new(None) };
}

/// That span has.
pub fn by(id: &Id) {
    ENTERED.with(|entered| *entered.borrow_mut() = Some(id.clone()));
}

/// True if that span had, which the thread leaves now.
pub fn leaves(id: &Id) -> bool {
    ENTERED.with(|entered| {
        let is_same = entered.borrow().as_ref() == Some(id);
        if is_same {
            *entered.borrow_mut() = None;
        }
        is_same
    })
}

/// True if any has.
pub fn is_in() -> bool {
    ENTERED.with(|entered| entered.borrow().is_some())
}
