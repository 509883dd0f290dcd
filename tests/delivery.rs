//! From a death to its server: real programs, and a server that answers well, badly or not at all.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
mod faulty;

#[path = "delivery/support.rs"]
mod support;

#[path = "delivery/answers.rs"]
mod answers;
#[path = "delivery/disk.rs"]
mod disk;
#[path = "delivery/ends.rs"]
mod ends;
#[path = "delivery/limits.rs"]
mod limits;
#[path = "delivery/sessions.rs"]
mod sessions;
#[path = "delivery/silence.rs"]
mod silence;
#[path = "delivery/switch.rs"]
mod switch;
#[path = "delivery/tags.rs"]
mod tags;
