//! Walks that change the stack, against the system's unwinder, which follows there too.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, on_stack};

use super::*;

/// Our walk from here, whether it changed the stack, and the system's.
#[inline(never)]
fn both(oracle: &Oracle) -> (Vec<usize>, End, bool) {
    let registers = Registers::capture();
    let mut memory = StackMemory::at(registers.sp, &mut OwnStack::find());
    let mut ours = Vec::new();
    let mut tables = oracle.known.tables();
    let end = walk(registers, &mut memory, &mut tables, |found, _| {
        ours.push(found.site.address());
        ControlFlow::Continue(())
    });
    let theirs = theirs();
    let start = theirs
        .iter()
        .position(|address| Some(address) == ours.first());
    let theirs = &theirs[start.expect("the caller is in both")..];
    // Of code that was interrupted, ours is one further on.
    let is_same = |(ours, theirs): (&usize, &usize)| ours == theirs || *ours == theirs + 1;
    assert!(
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same),
        "{ours:x?}\n{theirs:x?}"
    );
    (ours, end, memory.is_changed())
}

#[test]
fn a_stack_that_was_grown_is_left_for_the_threads_own() {
    let oracle = Oracle::new("grown");
    let (inner, end, is_changed) = stacker::grow(64 << 10, || both(&oracle));
    assert_eq!((end, is_changed), (End::Complete, true));
    let (outer, ..) = both(&oracle);
    assert_eq!(inner.last(), outer.last());
    assert!(inner.len() > outer.len());
    let stack = DefaultStack::new(64 << 10).unwrap();
    let (inner, end, is_changed) = on_stack(stack, || both(&oracle));
    assert_eq!((end, is_changed), (End::Complete, true));
    assert_eq!(inner.last(), outer.last());
}

#[test]
fn a_walk_may_change_the_stack_often() {
    fn descend(oracle: &Oracle, depth: usize) -> (Vec<usize>, End, bool) {
        match depth {
            0 => both(oracle),
            _ => stacker::grow(64 << 10, || descend(oracle, depth - 1)),
        }
    }
    let oracle = Oracle::new("often");
    for depth in [1, 2, 10, 100] {
        let (_, end, _) = descend(&oracle, depth);
        assert_eq!(end, End::Complete, "{depth}");
    }
    // Above the bound there is an end, if not the outermost frame.
    fn too_deep(oracle: &Oracle, depth: usize) -> End {
        match depth {
            0 => oracle.walk(Registers::capture()).1,
            _ => stacker::grow(64 << 10, || too_deep(oracle, depth - 1)),
        }
    }
    assert_eq!(too_deep(&oracle, 300), End::CutOff(Why::OtherStack));
}

#[test]
fn a_coroutine_is_left_for_whoever_resumes_it_now() {
    let oracle: &Oracle = Box::leak(Box::new(Oracle::new("coroutine")));
    let mut coroutine = Coroutine::new(|yielder, mut oracle: Option<&'static Oracle>| {
        while let Some(known) = oracle {
            let (ours, end, is_changed) = both(known);
            assert_eq!((end, is_changed), (End::Complete, true));
            oracle = yielder.suspend(ours);
        }
    });
    let first = coroutine.resume(Some(oracle)).as_yield().unwrap();
    let second = coroutine.resume(Some(oracle)).as_yield().unwrap();
    assert_ne!(first, second);
    assert_eq!(
        (first.len(), first.last()),
        (second.len(), second.last()),
        "one line apart"
    );
    assert!(coroutine.resume(None).as_return().is_some());
}
