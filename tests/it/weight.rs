//! What services weigh: the memory that PID 1 keeps for them once it has read its configuration.

use crate::harness::{Init, eventually_within};
use std::fmt::Write as _;
use std::time::Duration;

/// What so many services take that do nothing: KiB that PID 1 has for itself alone, and its file cannot give back. The
/// first look that is within the bound, or the least of many.
fn of_services(count: usize, bound: u64) -> u64 {
    let mut text = String::from("[defaults]\nlogging = { driver = 'none' }\n");
    for n in 0..count {
        let _ = writeln!(text, "[services.s{n:04}]\ncommand = ['sleep', '1000']");
    }
    let init = Init::config(&text).env("HOME", "/").start();
    eventually_within(Duration::from_secs(60), "all run", || {
        init.err().lines().filter(|line| line.contains(": started (")).count() == count
    });
    let mut least = u64::MAX;
    // What is in use while the last ones start is given back a moment later.
    for _ in 0..2_000 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", init.pid_outside())).unwrap();
        // Not `Private_Dirty`: pages of a program file that was just built count there until they are written back.
        let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
        least = least.min(line.trim().trim_end_matches(" kB").parse().unwrap());
        if least <= bound {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    init.signal(libc::SIGTERM);
    init.end_within(Duration::from_secs(60)).expect(0);
    least
}

/// A tree of keys, the text itself and a list of everything that each step made were kept for as long as rinit ran:
/// 3,724 KiB for 1,000 services. A debug build has stacks of 64 KiB for its children, and the allocator of another C library, which keeps
/// them: what this holds there is coarse. The released file is what counts (`RINIT_BIN`).
#[test]
fn a_thousand_services_weigh_no_more_than_600_kib_and_ten_no_more_than_72() {
    let debug = if Init::rinit_binary().contains("/debug/") { 900 } else { 0 };
    for (count, most) in [(1_000, 600), (10, 72)] {
        let bound = most * 11 / 10 + debug;
        let found = of_services(count, bound);
        assert!(found <= bound, "{count} services: {found} KiB, expected {most}");
    }
}
