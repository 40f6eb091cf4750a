//! A program whose allocator is another is told so, instead of getting an empty profile.

use profiler_alloc::{Recording, StartError};

#[test]
fn starting_without_the_allocator_says_what_to_do() {
    assert!(!profiler_alloc::is_installed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let error = Recording::builder().path(&path).start().unwrap_err();
    assert!(matches!(error, StartError::NotInstalled));
    assert!(error.to_string().contains("#[global_allocator]"));
    assert!(!path.exists());
    assert_eq!(profiler_alloc::stats(), profiler_alloc::Stats::default());
}
