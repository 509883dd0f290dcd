//! What is kept an eye on around a process, so that its end can be told: the counters of its memory cgroup,
//! by which the kernel's OOM killer is found out, and its resource limits.
//!
//! **Guarantee:** a kill by the OOM killer is told from one by somebody else as long as the two do not come
//! within one look of each other in the same cgroup. **Lost:** on machines without memory cgroups, the
//! difference; limits that the process changed after the last look.

use crate::detect::exit::Circumstances;
use crate::detect::oom::{MemoryCgroup, OomCounters, is_oom_kill};
use crate::detect::{Ending, ResourceLimits, exit};
use crate::report::CgroupMemory;

/// What is around one process.
#[derive(Debug, Default)]
pub(super) struct EndWatch {
    cgroup: Option<MemoryCgroup>,
    start: OomCounters,
    last: OomCounters,
    /// Its resource limits, which it may change itself.
    limits: ResourceLimits,
    pid: Option<u32>,
}

impl EndWatch {
    /// Begins with a process that lives.
    pub(super) fn of(pid: u32) -> EndWatch {
        let cgroup = MemoryCgroup::of_process(pid);
        let start = cgroup.as_ref().and_then(MemoryCgroup::read);
        EndWatch {
            cgroup: cgroup.filter(|_| start.is_some()),
            start: start.unwrap_or_default(),
            last: start.unwrap_or_default(),
            limits: ResourceLimits::of_process(pid),
            pid: Some(pid),
        }
    }

    /// Goes on with the cgroup of a process that is gone, where so many were killed before it began.
    pub(super) fn since(cgroup: MemoryCgroup, oom_kills: u64) -> EndWatch {
        let start = OomCounters { oom_kills, ..OomCounters::default() };
        EndWatch { cgroup: Some(cgroup), start, last: start, ..EndWatch::default() }
    }

    /// Looks once more: what was killed until now was another process.
    pub(super) fn look(&mut self) {
        if let Some(now) = self.cgroup.as_ref().and_then(MemoryCgroup::read) {
            self.last = now;
        }
        if let Some(pid) = self.pid {
            self.limits = ResourceLimits::of_process(pid);
        }
    }

    /// What the counters say of an end, where it is not known how it came about as of a kill.
    pub(super) fn end(&self, ending: Option<Ending>) -> (Circumstances, Option<CgroupMemory>) {
        let Some(now) = self.cgroup.as_ref().and_then(MemoryCgroup::read) else {
            return (Circumstances { oom: None, limits: self.limits }, None);
        };
        let is_kill = ending.is_none_or(exit::is_killed);
        let oom = (is_kill && is_oom_kill(&self.last, &now)).then_some(now);
        let memory = CgroupMemory::new(&now, Some(self.start.oom_kills));
        (Circumstances { oom, limits: self.limits }, Some(memory))
    }
}
