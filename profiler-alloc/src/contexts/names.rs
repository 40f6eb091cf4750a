//! The names of contexts: a number for each value of each key.
//!
//! ```text
//! context 5 │ key 2 │ "acme"
//! ```
//! Two threads that name the same context for the first time at once may make two numbers for it;
//! whoever adds contexts up does so by name.

use core::cell::Cell;

use profiler_alloc_format::contexts::{MAX_CONTEXTS, MAX_KEY_LEN, MAX_KEYS, MAX_VALUE_LEN, OTHER};

use crate::ffi::thread_local::thread_locals;
use crate::lockfree::index::Index;
use crate::lockfree::texts::{Fitting, Texts, hash};

/// A context's number; 0 is none.
pub type Id = u32;

/// One more than the highest number: contexts, one of each key that takes what no longer fits, and
/// 0.
pub const IDS: usize = 1 + MAX_CONTEXTS + MAX_KEYS;

/// Stands for a key without a name.
const UNNAMED: &str = "(unnamed)";

static KEYS: Texts = Texts::new(1 + MAX_KEYS, MAX_KEY_LEN);
static VALUES: Texts = Texts::new(IDS, MAX_VALUE_LEN);
/// From the hash of key and value to the context, which would otherwise be looked for in two steps.
static CONTEXTS: Index = Index::new(8);

/// Contexts that a thread has named lately and finds without hashing.
const LATEST: usize = 16;

thread_locals! {
    /// By where the value stands: a literal stands where it stood. What is found is compared, as
    /// another text may stand there by now.
    static NAMED: [Cell<Id>; LATEST] = const { [const { Cell::new(0) }; LATEST] };
}

/// The number of the context; one that takes the rest of the key if there are too many. `None` if
/// there are too many keys, or the system refuses memory.
#[inline]
pub fn context(key: &str, value: &str) -> Option<Id> {
    // Words of a text are eight bytes; its length tells texts apart that begin in one word.
    let place = ((value.as_ptr() as usize / 8) ^ value.len()) % LATEST;
    let (key, value) = (KEYS.fitting(or_unnamed(key)), VALUES.fitting(value));
    let is_it = |context: Id| {
        let context = context as usize;
        VALUES.is(context, value) && KEYS.is(VALUES.owner(context) as usize, key)
    };
    let latest = NAMED.try_with(|named| named[place].get()).unwrap_or(0);
    if latest != 0 && is_it(latest) {
        return Some(latest);
    }
    let hash = hash(hash(0, key), value);
    let context = match CONTEXTS.find(hash, |number| is_it(number as Id)) {
        Some(context) => Some(context as Id),
        None => add(hash, key, value),
    };
    let _ = NAMED.try_with(|named| named[place].set(context.unwrap_or(0)));
    context
}

#[cold]
fn add(hash: u64, key: Fitting<'_>, value: Fitting<'_>) -> Option<Id> {
    let key = KEYS.find_or_add(0, key, MAX_KEYS)?;
    let Some(context) = VALUES.find_or_add(key, value, MAX_CONTEXTS) else {
        return other(key);
    };
    CONTEXTS.insert(hash, context.into());
    Some(context)
}

/// The context that takes what no longer fits of a key.
#[cold]
fn other(key: u32) -> Option<Id> {
    let at = MAX_CONTEXTS + key as usize;
    let is_written = VALUES.write(at, key, VALUES.fitting(OTHER));
    is_written.then_some(at as Id)
}

fn or_unnamed(key: &str) -> &str {
    match key {
        "" => UNNAMED,
        key => key,
    }
}

/// The number of a context's key, from 1.
#[inline]
pub fn key_of(context: Id) -> u32 {
    VALUES.owner(context as usize)
}

/// Whether the context takes what no longer fitted of its key.
pub fn is_other(context: Id) -> bool {
    context as usize > MAX_CONTEXTS
}

/// Every context that was ever named.
pub fn all() -> impl Iterator<Item = Id> {
    (1..IDS as Id).filter(|&context| key_of(context) != 0)
}

/// Calls `read` with the key and the value of a context.
pub fn with_name<R>(context: Id, read: impl FnOnce(&[u8], &[u8]) -> R) -> R {
    let mut key = [0; MAX_KEY_LEN];
    let mut value = [0; MAX_VALUE_LEN];
    let key = KEYS.read(key_of(context) as usize, &mut key);
    let value = VALUES.read(context as usize, &mut value);
    read(key, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(context: Id) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        with_name(context, |key, value| (text(key), text(value)))
    }

    #[test]
    fn a_name_has_one_number_and_a_number_one_name() {
        let orders = context("names route", "/orders/{id}").unwrap();
        let rows = context("names route", "/rows").unwrap();
        let of_other_key = context("names tenant", "/rows").unwrap();
        assert!(orders != rows && rows != of_other_key);
        assert_eq!(context("names route", "/orders/{id}"), Some(orders));
        assert_eq!(name(orders), ("names route".into(), "/orders/{id}".into()));
        assert_eq!(key_of(orders), key_of(rows));
        assert_ne!(key_of(rows), key_of(of_other_key));
        let lengths = (0..40).map(|len| "x".repeat(len));
        for value in lengths {
            let id = context("names length", &value).unwrap();
            assert_eq!(name(id).1, value);
        }
        let unnamed = context("", "").unwrap();
        assert_eq!(name(unnamed), ("(unnamed)".into(), String::new()));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(200);
        let id = context("names long", &long).unwrap();
        assert_eq!(context("names long", &long), Some(id));
        let kept = name(id).1;
        assert_eq!(kept, format!("{}…", "é".repeat(126)));
        assert!(kept.len() <= MAX_VALUE_LEN);
        for len in [255, 256] {
            let whole = "y".repeat(len);
            assert_eq!(name(context("names long", &whole).unwrap()).1, whole);
        }
    }

    #[test]
    fn a_text_that_stands_where_another_stood_is_another() {
        let mut value = String::from("names place a");
        let first = context("names place", &value).unwrap();
        assert_eq!(context("names place", &value), Some(first));
        value.replace_range(12.., "b");
        let second = context("names place", &value).unwrap();
        assert_eq!(name(second).1, "names place b");
        // Nor is one of another key.
        let of_other_key = context("names other place", &value).unwrap();
        assert_eq!(name(of_other_key).0, "names other place");
        assert_eq!(context("names place", "names place a"), Some(first));
    }

    #[test]
    fn threads_that_name_at_once_agree() {
        let numbers: Vec<_> = std::thread::scope(|scope| {
            let name_all = || (0..100).map(|n| context("names threads", &n.to_string()));
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || name_all().collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for other in &numbers {
            let name = |id: &Option<Id>| name(id.unwrap());
            assert!(other.iter().map(name).eq(numbers[0].iter().map(name)));
        }
    }
}
