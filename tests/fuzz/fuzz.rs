//! One fuzzer for everything that reads text from outside: FUZZ_TARGET names what. One program is
//! built once, where a program for each would be linked twenty times.
//!
//! An input fails that panics, keeps the processor for more than 100 ms, or takes more than 64 MiB.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use switchboard::fuzz::TARGETS;

/// What one input may take.
const MAX_BYTES: usize = 64 << 20;
/// The processor time of one input.
const MAX_TIME: Duration = Duration::from_millis(100);

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What is fuzzed.
static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// The processor time of this thread: other programs on the machine do not count.
fn busy() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

fn choose() -> fn(&[u8]) {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let known = TARGETS.iter().map(|target| (target.name, target.run));
    let played: [(&str, fn(&[u8])); 2] = [
        ("soql", salesforce_simulator::fuzz::soql),
        ("sosl", salesforce_simulator::fuzz::sosl),
    ];
    let mut all = known.chain(played);
    let Some((_, run)) = all.find(|(known, _)| *known == name) else {
        panic!("FUZZ_TARGET={name:?} is none; see tests/fuzz/README.md");
    };
    run
}

fuzz_target!(|data: &[u8]| {
    let run = TARGET.get_or_init(|| {
        let run = choose();
        // What is made once and kept is no input's.
        run(data);
        run
    });
    HEAP.reset_peak_usage();
    let held = HEAP.current_usage();
    let before = busy();
    run(data);
    let mut took = busy() - before;
    if took > MAX_TIME {
        // Something else may have been made just now, or the machine was elsewhere.
        let before = busy();
        run(data);
        took = took.min(busy() - before);
    }
    let bytes = HEAP.peak_usage().saturating_sub(held);
    assert!(took <= MAX_TIME, "{took:?} for {} bytes", data.len());
    assert!(bytes <= MAX_BYTES, "{bytes} bytes for {}", data.len());
});
