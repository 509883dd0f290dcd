//! Programs that watch themselves, beside the same programs unwatched: what they are given, how they end
//! and what is left is the same, and each death is one event. Real processes, sessions and namespaces.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;

#[path = "supervision/support.rs"]
mod support;

#[path = "supervision/amid.rs"]
mod amid;
#[path = "supervision/beside.rs"]
mod beside;
#[path = "supervision/ends.rs"]
mod ends;
#[path = "supervision/given.rs"]
mod given;
#[path = "supervision/life.rs"]
mod life;
#[path = "supervision/names.rs"]
mod names;
#[path = "supervision/nested.rs"]
mod nested;
#[path = "supervision/refused.rs"]
mod refused;
#[path = "supervision/status.rs"]
mod status;
