# Steps of .ci/run, and what is done by hand. Needs https://just.systems; every line can be typed without it.

# Names of all recipes
default:
    @just --list

# All of CI, or the steps named: `just ci lints tests`
ci *steps:
    .ci/run {{steps}}

# What to run before a commit: some two minutes where all is built
quick:
    .ci/run lints
    cargo test --test tidy
    cargo test -p profiler-alloc --lib

# One test by name: `just test analyst tables`
test binary *arguments:
    cargo test --test {{binary}} -- {{arguments}}

# docs/commands.md from --help, and the snapshots; read the difference
refresh:
    MEMPROF_UPDATE_DOCS=1 cargo test --test analyst manual
    INSTA_UPDATE=always cargo test --test analyst

# The faults of docs/reliability.md at their full length: an hour
faults:
    MEMPROF_TEST_FULL=1 cargo test --test faults --test damaged

# What fuzzers find in ten minutes each; needs a nightly toolchain and cargo-fuzz
fuzz seconds="600":
    cargo +nightly fuzz run -s none --target-dir target/fuzz profile -- -max_total_time={{seconds}} -timeout=1 -malloc_limit_mb=256
    cargo +nightly fuzz run -s none --target-dir target/fuzz program -- -max_total_time={{seconds}} -timeout=1 -malloc_limit_mb=256

# What a stretch costs beside peers: docs/performance.md
peers *arguments:
    cargo run --release --manifest-path benches/peers/Cargo.toml -- {{arguments}}
