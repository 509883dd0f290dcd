//! Room 3, report: a crash, breadcrumbs, tags and context become an event.
mod scene;

pub use scene::{ProcessInfo, Scene};
