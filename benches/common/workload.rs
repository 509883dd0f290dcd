//! What every contender records: one event, in a few surroundings.

use std::hint::black_box;

use tracing::{Span, info, info_span};

/// The message and the target of every event; `7` is its number.
pub const SEVENTH_MESSAGE: &str = "applied entry 7 of term 41";
pub const TARGET: &str = "service::raft";

/// One event: three fields and two format arguments.
#[inline(never)]
pub fn event(number: u64) {
    let peer = black_box("db-03-17a:7080");
    let term = black_box(41_u64);
    info!(
        target: TARGET,
        shard = number & 0xFF,
        peer,
        leader = number & 1 == 1,
        "applied entry {} of term {}",
        number,
        term
    );
}

fn request() -> Span {
    info_span!(target: TARGET, "request", id = black_box(90_210_u64), method = "GET")
}

fn nested(depth: usize, run: &mut dyn FnMut()) {
    if depth == 0 {
        return run();
    }
    let span = info_span!(target: TARGET, "step", depth);
    let _inside = span.enter();
    nested(depth - 1, run);
}

/// Where the event is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// In no span.
    Outside,
    /// In a span with two fields, entered once for all events.
    Span,
    /// In three spans, entered once for all events.
    Nested,
    /// In an existing span that is entered and left around each event, as a polled future does.
    Enter,
    /// In a span that is made, entered, left and closed around each event, as a request does.
    NewSpan,
}

impl Scene {
    pub const ALL: [Scene; 5] =
        [Scene::Outside, Scene::Span, Scene::Nested, Scene::Enter, Scene::NewSpan];

    pub fn name(self) -> &'static str {
        match self {
            Scene::Outside => "outside",
            Scene::Span => "span",
            Scene::Nested => "3 spans",
            Scene::Enter => "enter+event",
            Scene::NewSpan => "new span+event",
        }
    }

    /// Prepares the surroundings, and calls `run` in them with a function that records events of
    /// the numbers it is given.
    pub fn within<R>(self, run: impl FnOnce(&dyn Fn(std::ops::Range<u64>)) -> R) -> R {
        let plain = |numbers: std::ops::Range<u64>| numbers.for_each(event);
        match self {
            Scene::Outside => run(&plain),
            Scene::Span => request().in_scope(|| run(&plain)),
            Scene::Nested => {
                let (mut run, mut result) = (Some(run), None);
                nested(3, &mut || result = run.take().map(|run| run(&plain)));
                result.expect("`nested` calls it once")
            }
            Scene::Enter => {
                let span = request();
                run(&|numbers| {
                    for number in numbers {
                        let _inside = span.enter();
                        event(number);
                    }
                })
            }
            Scene::NewSpan => run(&|numbers| {
                for number in numbers {
                    let span = request();
                    let _inside = span.enter();
                    event(number);
                }
            }),
        }
    }
}
