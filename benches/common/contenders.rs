//! The contenders that need no other crate: the floor, the yardsticks, `fmt`, and lastwords.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::Registry;

use super::workload::{SEVENTH_MESSAGE, Scene};

/// What stands around the contender's layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The layer alone, as it comes.
    Plain,
    /// The layer with a `Targets` filter of several directives.
    Targets,
    /// The same, beside a second layer with a filter of its own, which the event does not pass: a
    /// terminal that shows warnings.
    Two,
}

impl Setup {
    pub const ALL: [Setup; 3] = [Setup::Plain, Setup::Targets, Setup::Two];

    pub fn name(self) -> &'static str {
        match self {
            Setup::Plain => "plain",
            Setup::Targets => "Targets",
            Setup::Two => "2 layers",
        }
    }
}

/// A filter as services have them.
pub const DIRECTIVES: &str = "warn,service=info,service::raft::transport=debug,h2=off";

fn targets() -> Targets {
    Targets::from_str(DIRECTIVES).expect("the directives are right")
}

/// Looks whether one event, number 7, recorded by the function it is given, has arrived.
pub type Check = Box<dyn Fn(Scene, &dyn Fn()) -> Result<(), String>>;

/// Something that records events.
#[derive(Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    /// How it is set up.
    pub about: &'static str,
    /// Makes it this process's global subscriber.
    pub start: fn(Setup) -> Check,
}

/// The contenders without rivals. The first is the floor, the second the yardstick.
pub const OWN: [Contender; 5] = [
    Contender {
        name: "no-op",
        about: "a layer that does nothing: what `tracing` itself costs",
        start: start_no_op,
    },
    Contender {
        name: "control",
        about: "reads CLOCK_BOOTTIME and formats all fields into a reused thread-local String; \
                keeps nothing, knows no spans",
        start: |setup| start_control(setup, Control { raw: false }),
    },
    Contender {
        name: "raw control",
        about: "the same, with numbers and booleans copied as they are: the least that can be done",
        start: |setup| start_control(setup, Control { raw: true }),
    },
    Contender {
        name: "fmt",
        about: "`tracing_subscriber::fmt` with its defaults, without colours, into `io::sink`",
        start: start_fmt,
    },
    Contender {
        name: "lastwords",
        about: "an installed recorder on a region file, defaults; its layer always has a filter \
                (`info`, or the directives of the column)",
        start: start_lastwords,
    },
];

/// Makes `layer` this process's subscriber.
pub fn set_global<L>(setup: Setup, layer: L)
where
    L: Layer<Registry> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry();
    match setup {
        Setup::Plain => registry.with(layer).init(),
        Setup::Targets => registry.with(layer.with_filter(targets())).init(),
        Setup::Two => registry.with(layer.with_filter(targets())).with(neighbour()).init(),
    }
}

/// The second layer of [`Setup::Two`]: a no-op, so that only our own cost is measured.
fn neighbour<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    NoOp.with_filter(LevelFilter::WARN)
}

/// The floor.
pub struct NoOp;

impl<S: Subscriber> Layer<S> for NoOp {}

fn start_no_op(setup: Setup) -> Check {
    set_global(setup, NoOp);
    Box::new(|_, record| {
        record();
        let on = tracing::enabled!(target: super::workload::TARGET, tracing::Level::INFO);
        on.then_some(()).ok_or_else(|| "the event is filtered out".to_owned())
    })
}

thread_local! {
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// The yardstick: the least that a layer which keeps events has to do.
struct Control {
    /// Whether numbers are copied instead of formatted.
    raw: bool,
}

struct Formatted<'a>(&'a mut String);

impl Visit for Formatted<'_> {
    fn record_u64(&mut self, _field: &Field, value: u64) {
        let _ = write!(self.0, "{value}");
    }

    fn record_bool(&mut self, _field: &Field, value: bool) {
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn record_str(&mut self, _field: &Field, value: &str) {
        self.0.push_str(value);
    }

    fn record_debug(&mut self, _field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{value:?}");
    }
}

struct Raw<'a>(&'a mut String);

impl Raw<'_> {
    fn copy(&mut self, bytes: &[u8]) {
        // SAFETY: nobody reads the text: it is appended to, taken as bytes, and cleared.
        unsafe { self.0.as_mut_vec() }.extend_from_slice(bytes);
    }
}

impl Visit for Raw<'_> {
    fn record_u64(&mut self, _field: &Field, value: u64) {
        self.copy(&value.to_ne_bytes());
    }

    fn record_bool(&mut self, _field: &Field, value: bool) {
        self.copy(&[u8::from(value)]);
    }

    fn record_str(&mut self, _field: &Field, value: &str) {
        self.0.push_str(value);
    }

    fn record_debug(&mut self, _field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{value:?}");
    }
}

impl<S: Subscriber> Layer<S> for Control {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            if self.raw {
                event.record(&mut Raw(buffer));
            } else {
                event.record(&mut Formatted(buffer));
            }
            std::hint::black_box(buffer.as_bytes());
        });
        SEEN.set(std::hint::black_box(now.tv_nsec as u64));
    }
}

fn start_control(setup: Setup, control: Control) -> Check {
    let raw = control.raw;
    set_global(setup, control);
    Box::new(move |_, record| {
        record();
        let (number, flag): (&[u8], &[u8]) =
            if raw { (&7_u64.to_ne_bytes(), &[1]) } else { (b"7", b"true") };
        let expected = [SEVENTH_MESSAGE.as_bytes(), number, b"db-03-17a:7080", flag].concat();
        let bytes = BUFFER.with_borrow_mut(std::mem::take).into_bytes();
        let right = bytes == expected && SEEN.get() != 0;
        right.then_some(()).ok_or_else(|| format!("the buffer holds {bytes:?}"))
    })
}

/// A writer into a shared buffer.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start_fmt(setup: Setup) -> Check {
    set_global(setup, fmt::layer().with_ansi(false).with_writer(io::sink));
    Box::new(|scene, _| {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || scene.within(|record| record(7..8)));
        let bytes = captured.0.lock().expect("not poisoned");
        let text = String::from_utf8_lossy(&bytes);
        let span = if scene == Scene::Span { "request{id=90210" } else { "" };
        [SEVENTH_MESSAGE, "shard=7", "peer=\"db-03-17a:7080\"", "leader=true", span]
            .iter()
            .all(|part| text.contains(part))
            .then_some(())
            .ok_or_else(|| format!("it wrote {text:?}"))
    })
}

fn start_lastwords(setup: Setup) -> Check {
    let builder = match setup {
        Setup::Plain => lastwords::builder(),
        Setup::Targets | Setup::Two => lastwords::builder().filter(DIRECTIVES),
    };
    let recorder = builder.install().expect("the settings are right");
    let registry = tracing_subscriber::registry().with(recorder.layer());
    match setup {
        Setup::Plain | Setup::Targets => registry.init(),
        Setup::Two => registry.with(neighbour()).init(),
    }
    Box::new(move |scene, record| {
        record();
        region_file()?;
        let crumbs = recorder.breadcrumbs();
        let crumb = crumbs.last().ok_or("there are no breadcrumbs")?;
        let data = |key: &str| crumb.data.get(key).cloned().unwrap_or_default();
        let span = match scene {
            Scene::Outside => "",
            Scene::Nested => "step:step:step",
            Scene::Span | Scene::Enter | Scene::NewSpan => "request",
        };
        let right = crumb.message.as_deref() == Some(SEVENTH_MESSAGE)
            && data("shard") == 7
            && data("peer") == "db-03-17a:7080"
            && data("leader") == true
            && data("span").as_str().unwrap_or("") == span
            && (span != "request" || data("spans")[0]["id"] == 90_210);
        right.then_some(()).ok_or_else(|| format!("the last breadcrumb is {crumb:?}"))
    })
}

/// Whether this process's region lies in a file, as in production.
fn region_file() -> Result<(), String> {
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(|error| error.to_string())?;
    let mapped = maps.lines().any(|line| line.ends_with(".region") && !line.contains("memfd:"));
    mapped.then_some(()).ok_or_else(|| "the region is not a file".to_owned())
}
