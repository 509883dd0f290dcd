//! What is made outside of a process, compared with what the process would have made itself: here the
//! process is this one, which copies its own stack as a signal handler does.

mod files;
mod own_stack;
#[cfg(target_arch = "x86_64")]
mod signal;
mod walks;

use super::modules::Modules;
use super::*;
use crate::record::LoadedModule;

/// The modules of the fixtures, or of any object loaded at `base`.
fn one_module(base: u64, size: u64, path: &str, build_id: &str) -> Modules {
    Modules::of_record(&[LoadedModule {
        base,
        size,
        path: path.to_owned(),
        build_id: Some(build_id.to_owned()),
    }])
}

fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.function.as_deref().unwrap_or("?")).collect()
}
