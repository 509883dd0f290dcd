//! Programs under the wrapper, beside the same programs without it: output, exit and signals are
//! the same. Real processes, process groups, terminals and PID namespaces.
#![cfg(target_os = "linux")]

mod common;

#[path = "supervise/support.rs"]
mod support;

#[path = "supervise/exits.rs"]
mod exits;
#[path = "supervise/group.rs"]
mod group;
#[path = "supervise/inherited.rs"]
mod inherited;
#[path = "supervise/init.rs"]
mod init;
#[path = "supervise/signals.rs"]
mod signals;
#[path = "supervise/stderr.rs"]
mod stderr;
#[path = "supervise/terminal.rs"]
mod terminal;
