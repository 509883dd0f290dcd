//! Room 1, record: tracing events become breadcrumbs in a region.
mod breadcrumb;

pub use breadcrumb::{Breadcrumb, Losses, SpanInfo, ThreadInfo};
