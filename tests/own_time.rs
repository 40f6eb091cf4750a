//! The recorder's own time, as it measured it, against what its budget allows, on loads of eight
//! kinds.

mod built;

use std::process::{Command, Stdio};

use memprof::profile;

/// The budget is looked at now and then: so much of it may be used before a look says that it is
/// used up. With eight threads on two processors, a sample's time often holds that of another
/// thread.
const OVERSHOOT: f64 = 1.5;
/// What the grant was spent on may be spent once more: on the frees of the blocks of the exact
/// beginning.
const GRANTS: f64 = 2.0;

struct Spent {
    samples_ns: u64,
    unsampled_ns: u64,
    allowed_ns: f64,
    cpu_ns: u64,
    interval: u64,
    samples: u64,
}

fn record(load: &str, amount: usize) -> Spent {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("loads.memprof");
    let status = Command::new(built::optimized_example("loads"))
        .args([load, &amount.to_string()])
        .env("MEMPROF_OUTPUT", &path)
        .env_remove("MEMPROF_SAMPLE")
        .env_remove("MEMPROF_OVERHEAD")
        .stdin(Stdio::null())
        .status()
        .expect("the example runs");
    assert!(status.success(), "{load}: {status}");
    let (profile, _) = profile::read(&path).expect("a profile");
    let header = &profile.header;
    let share = f64::from(header.budget_ppm) / 1e6;
    Spent {
        samples_ns: header.own_ns - header.unsampled_ns,
        unsampled_ns: header.unsampled_ns,
        allowed_ns: GRANTS * header.grant_ns as f64 + share * header.cpu_ns as f64,
        cpu_ns: header.cpu_ns,
        interval: header.interval_widest,
        samples: profile
            .stacks
            .iter()
            .map(|stack| stack.totals.alloc_samples)
            .sum(),
    }
}

#[test]
fn the_recorder_stays_within_its_budget_whatever_the_load() {
    let loads = [
        ("tiny", 50_000_000),
        ("huge", 200),
        ("deep", 2_000),
        ("threads", 20_000_000),
        ("bursts", 1_000_000),
        ("kept", 20_000_000),
        ("requests", 200_000),
        ("parsed", 4_000_000),
    ];
    let mut exceeded = Vec::new();
    for (load, amount) in loads {
        let spent = record(load, amount);
        let ms = |ns: f64| ns / 1e6;
        println!(
            "{load}: {:.1} ms of {:.1} ms allowed and {:.1} ms on what was not sampled, in {:.0} ms; {} samples, interval up to {} B",
            ms(spent.samples_ns as f64),
            ms(spent.allowed_ns),
            ms(spent.unsampled_ns as f64),
            ms(spent.cpu_ns as f64),
            spent.samples,
            spent.interval
        );
        assert!(
            spent.samples > 0 && spent.samples_ns > 0,
            "{load} was recorded"
        );
        if spent.samples_ns as f64 > OVERSHOOT * spent.allowed_ns {
            exceeded.push(load);
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:?}");
}
