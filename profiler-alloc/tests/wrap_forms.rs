//! The attributes keep functions of all forms as they are, and compile where unsafe code is
//! forbidden.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::all, missing_docs)]

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::sync::{Mutex, MutexGuard};

use profiler_alloc::measure::{Output, profiles, set_output};
use profiler_alloc::{ProfilerAlloc, budget, elapsed_timer, profile, ram_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn quiet() {
    set_output(Output::writer(std::io::sink()));
}

/// Documented, and named in its own file.
#[profile]
#[elapsed_timer]
#[ram_profiler]
#[budget(max_heap = "1 GiB")]
pub fn generic<'a, T, const N: usize>(first: &'a T, _rest: [T; N]) -> &'a T
where
    T: Debug + 'a,
{
    assert!(!format!("{first:?}").is_empty());
    first
}

#[ram_profiler(summary)]
#[profile]
#[elapsed_timer(summary, name = "an iterator")]
fn gives_an_iterator(list: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let add = 1;
    list.iter().map(move |byte| {
        let more = *byte;
        more + add
    })
}

#[elapsed_timer]
#[profile]
fn borrows_mutably<'a>(list: &'a mut Vec<u8>, other: &mut [u8]) -> &'a mut u8 {
    other[0] = 1;
    list.push(1);
    list.last_mut().unwrap()
}

#[profile]
#[budget(no_leaks)]
fn asks(text: &str, mut by: i32) -> Result<i32, Box<dyn std::error::Error>> {
    by += 1;
    let number: i32 = text.trim().parse()?;
    if number < 0 {
        return Err("negative".into());
    }
    Ok(number / by)
}

#[profile]
fn takes_a_function(f: impl Fn(i32) -> i32, mut g: impl FnMut() -> i32) -> i32 {
    f(g()) + g()
}

#[profile]
fn never(message: &str) -> ! {
    panic!("{message}")
}

#[profile]
fn locks(mutex: Mutex<i32>) -> i32 {
    *mutex.lock().unwrap()
}

#[profile]
fn guards<'a>(mutex: &'a Mutex<i32>, _: u8) -> MutexGuard<'a, i32> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

#[profile]
fn cow<'a>(text: Cow<'a, str>, upper: bool) -> Cow<'a, str> {
    let extended: &str = match upper {
        true => &text.to_uppercase(),
        false => "x",
    };
    if extended.is_empty() {
        text
    } else {
        Cow::Owned(extended.to_owned())
    }
}

#[profile]
#[ram_profiler]
extern "C" fn foreign(number: i32) -> i32 {
    number + 1
}

#[profile]
fn empty() {}

#[profile]
#[rustfmt::skip]
fn on_one_line() -> Vec<u8> { vec![1; 100] }

#[profile]
fn configured(on: bool) -> i32 {
    let number = if on { 1 } else { 2 };
    #[cfg(not(any()))]
    {
        number
    }
    #[cfg(any())]
    {
        number + 1
    }
}

#[profile]
fn in_sequence(r#type: (i32, String), [first, .., last]: [i32; 4]) -> String {
    const LENGTH: usize = if cfg!(any()) { 1 } else { 2 };
    static NAME: &str = "static";
    fn inner() -> usize {
        LENGTH
    }
    let array = [0u8; { LENGTH + 1 }];
    let found = 'search: loop {
        for i in 0..10 {
            if i == 5 {
                break 'search i;
            }
        }
    };
    let closure = |a: i32| -> i32 {
        let doubled = a * 2;
        doubled + 1
    };
    let text = if let (1, ref name) = r#type
        && name.len() == 1
    {
        name.clone()
    } else {
        String::new()
    };
    format!(
        "{NAME}{}{found}{}{text}{first}{last}{}",
        array.len(),
        closure(1),
        inner()
    )
}

trait Shape {
    fn area(&self) -> f64;

    #[profile]
    #[elapsed_timer]
    fn describe(&self) -> String
    where
        Self: Debug,
    {
        format!("{self:?} {}", self.area())
    }
}

#[derive(Debug, Clone)]
struct Square<T>(T);

impl<T: Into<f64> + Copy> Shape for Square<T> {
    #[ram_profiler]
    #[profile]
    fn area(&self) -> f64 {
        let side: f64 = self.0.into();
        side * side
    }
}

impl<T: Display> Square<T> {
    /// By value.
    #[profile]
    #[elapsed_timer]
    #[must_use]
    fn into_text(self) -> String {
        self.0.to_string()
    }

    #[profile]
    fn change(&mut self, to: T) -> &mut Self {
        self.0 = to;
        self
    }

    #[profile]
    #[allow(clippy::boxed_local)]
    fn boxed(self: Box<Self>) -> T {
        self.0
    }

    #[profile]
    fn made(value: T) -> Self {
        Self(value)
    }
}

#[test]
fn functions_do_what_they_did() {
    quiet();
    assert_eq!(generic(&1, [1, 2, 3]), &1);
    assert!(gives_an_iterator(&[1, 2]).eq([2, 3]));
    let mut list = vec![];
    *borrows_mutably(&mut list, &mut [0]) = 9;
    assert_eq!(list, [9]);
    assert_eq!(asks(" 6", 1).unwrap(), 3);
    assert_eq!(takes_a_function(|a| a * 2, || 3), 9);
    assert_eq!(locks(Mutex::new(3)), 3);
    assert_eq!(*guards(&Mutex::new(3), 0), 3);
    assert_eq!(cow("a".into(), true), "A");
    assert_eq!(foreign(1), 2);
    empty();
    assert_eq!(on_one_line().len(), 100);
    let tables = profiles();
    let one_line = tables
        .iter()
        .find(|table| table.function.ends_with("::on_one_line"));
    assert_eq!(one_line.unwrap().lines[0].increment, Some(100));
    assert_eq!(configured(true), 1);
    assert_eq!(
        in_sequence((1, "b".to_owned()), [1, 2, 3, 4]),
        "static353b142"
    );
    assert!(std::panic::catch_unwind(|| never("x")).is_err());
}

#[test]
fn methods_do_what_they_did() {
    quiet();
    let mut square = Square(2.0_f32);
    assert_eq!(square.describe(), "Square(2.0) 4");
    assert_eq!(square.change(3.0).area(), 9.0);
    assert_eq!(square.clone().into_text(), "3");
    assert_eq!(Box::new(Square::made(1)).boxed(), 1);
}

#[test]
fn errors_leave_by_the_question_mark() {
    quiet();
    // What a function returns is not freed in it.
    let error =
        std::panic::catch_unwind(|| asks("x", 0)).map(|result| result.unwrap_err().to_string());
    assert!(error.is_err(), "the boxed error is left over");
}
