//! Whether the limits of this process leave room for what can be left: a file's symbols, a sweep.
//!
//! **Guarantee:** a limit on the address space (`RLIMIT_AS`) or on data (`RLIMIT_DATA`) that was meant for
//! the program is not reached by that: who watches, or sweeps at its start, has the same one,
//! and where memory is refused Rust programs abort. **Lost:** names, where there is little room. Of a memory
//! cgroup nothing is asked: what is mapped of a file counts for it, but can be taken back.

use rustix::process::{Resource, getrlimit};

/// Reading the symbols of a file takes so many times its size at most.
const TIMES: u64 = 2;

/// Bytes besides, and for a sweep: a region, the expressions that find secrets, and above all what a thread
/// costs, for whose allocations glibc reserves 64 MiB of address space, 128 for a moment.
const BESIDES: u64 = 192 * 1024 * 1024;

/// Bytes that a monitor needs.
const WATCH: u64 = 16 * 1024 * 1024;

/// Whether there is room for what needs no file.
pub(crate) fn is_enough() -> bool {
    is_enough_for(0)
}

/// Whether there is room to watch another process.
pub(crate) fn is_enough_to_watch() -> bool {
    is_left(WATCH)
}

/// Whether the symbols of a file of `bytes` can be read.
pub(super) fn is_enough_for(bytes: u64) -> bool {
    is_left(needed(bytes))
}

fn is_left(bytes: u64) -> bool {
    [(Resource::As, "VmSize:"), (Resource::Data, "VmData:")].into_iter().all(|(resource, name)| {
        let limit = getrlimit(resource).current;
        limit.is_none_or(|limit| limit.saturating_sub(used(name).unwrap_or(0)) >= bytes)
    })
}

fn needed(bytes: u64) -> u64 {
    bytes.saturating_mul(TIMES).saturating_add(BESIDES)
}

/// What of this process a limit counts: `VmSize` or `VmData` of `/proc/self/status` (proc_pid_status(5)), in
/// units of 1,024 bytes there.
fn used(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_uses() {
        for name in ["VmSize:", "VmData:"] {
            let used = used(name).expect("the kernel tells");
            assert!((1 << 16..1 << 46).contains(&used), "{used}");
        }
        assert!(needed(u64::MAX) == u64::MAX && needed(0) >= 1 << 20);
    }
}
