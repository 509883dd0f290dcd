//! The `tracing` layer: every event becomes a record, every span a record and a serial number.
//!
//! **Guarantee:** recording an event takes no lock, allocates nothing and never panics, whatever
//! the program's `Debug` implementations do. **Lost:** nothing here; see
//! [`ring`](super::ring). Entering a span looks it up in the subscriber once; an event inside finds
//! it in a thread-local.
//!
//! Creating a span allocates once, to keep its fields for the day when the ring has forgotten
//! them. `tracing-subscriber` takes its own lock around a span's extensions; none is held while
//! code of the program runs.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::decode::replace_values;
use super::recording::Recording;
use super::region::{Region, encode_fields};
use super::ring::SPAN_STALE;
use super::thread::{self, Current, Entered};

/// Serial numbers of spans: unlike `span::Id` they are never used again.
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);
/// Numbers of layers, to tell the spans of one subscriber from those of another.
static NEXT_LAYER: AtomicU64 = AtomicU64::new(1);

/// Records events and spans as breadcrumbs.
pub(crate) struct BreadcrumbLayer<S> {
    recording: Arc<Recording>,
    number: u64,
    subscriber: PhantomData<fn(S)>,
}

impl<S> BreadcrumbLayer<S> {
    pub(crate) fn new(recording: Arc<Recording>) -> BreadcrumbLayer<S> {
        let number = NEXT_LAYER.fetch_add(1, Ordering::Relaxed);
        BreadcrumbLayer { recording, number, subscriber: PhantomData }
    }
}

/// What the subscriber keeps of a span for one layer.
struct Kept {
    layer: u64,
    serial: u64,
    parent: u64,
    /// All fields so far, encoded.
    values: Vec<u8>,
    /// The lease under which the span was last written.
    last_copy: u64,
    /// The oldest such lease of the span and its ancestors, or an older one.
    oldest_copy: u64,
}

/// The layers' own entries in a span's extensions: nearly always one.
struct KeptByLayers(Vec<Kept>);

impl KeptByLayers {
    fn of(&self, layer: u64) -> Option<&Kept> {
        self.0.iter().find(|kept| kept.layer == layer)
    }

    fn of_mut(&mut self, layer: u64) -> Option<&mut Kept> {
        self.0.iter_mut().find(|kept| kept.layer == layer)
    }
}

/// How old a copy of a span is: in leases, huge if it is of another region.
#[inline]
fn is_stale(region: &Region, copy: u64) -> bool {
    region.leases().wrapping_sub(copy) > SPAN_STALE
}

impl<S> BreadcrumbLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    /// Serial and oldest copy of a span.
    fn look_up(&self, span: &SpanRef<'_, S>) -> Option<Entered> {
        let extensions = span.extensions();
        let kept = extensions.get::<KeptByLayers>()?.of(self.number)?;
        Some(Entered {
            layer: self.number,
            id: span.id().into_u64(),
            serial: kept.serial,
            oldest_copy: kept.oldest_copy,
        })
    }

    /// The span an event is in, and its copies' age.
    #[inline]
    fn span_of(&self, event: &Event<'_>, context: &Context<'_, S>) -> Option<Entered> {
        if event.is_contextual() {
            return match thread::current(self.number) {
                Current::Span(span) => Some(span),
                Current::None => None,
                Current::Unknown => self.look_up(&context.lookup_current()?),
            };
        }
        self.look_up(&context.span(event.parent()?)?)
    }

    /// Writes again what the ring may forget of the spans around an event.
    #[cold]
    #[inline(never)]
    fn refresh(&self, region: &Region, innermost: Entered, context: &Context<'_, S>) {
        let Some(span) = context.span(&Id::from_u64(innermost.id)) else { return };
        let mut oldest = u64::MAX;
        for span in span.scope() {
            let copy = self.refresh_one(region, span.metadata(), &span);
            oldest = oldest.min(copy.unwrap_or(u64::MAX));
        }
        let mut extensions = span.extensions_mut();
        if let Some(kept) =
            extensions.get_mut::<KeptByLayers>().and_then(|kept| kept.of_mut(self.number))
        {
            kept.oldest_copy = oldest;
        }
        drop(extensions);
        thread::refresh_current(self.number, innermost.serial, oldest);
    }

    /// Writes one span again if its copy has reached half of the age at which it must be.
    fn refresh_one(
        &self,
        region: &Region,
        metadata: &'static Metadata<'static>,
        span: &SpanRef<'_, S>,
    ) -> Option<u64> {
        let mut extensions = span.extensions_mut();
        let kept = extensions.get_mut::<KeptByLayers>()?.of_mut(self.number)?;
        if region.leases().wrapping_sub(kept.last_copy) > SPAN_STALE / 2 {
            // No code of the program runs in here: the values are encoded already.
            let copy = region.record_span(metadata, kept.serial, kept.parent, &kept.values);
            kept.last_copy = copy.unwrap_or(kept.last_copy);
        }
        Some(kept.last_copy)
    }
}

impl<S> Layer<S> for BreadcrumbLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(region) = self.recording.region() else { return };
        let span = self.span_of(event, &context);
        if let Some(span) = span
            && is_stale(region, span.oldest_copy)
        {
            self.refresh(region, span, &context);
        }
        region.record_event(event, span.map_or(0, |span| span.serial));
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (Some(region), Some(span)) = (self.recording.region(), context.span(id)) else {
            return;
        };
        let parent = span.parent().and_then(|parent| self.look_up(&parent));
        let metadata = attributes.metadata();
        let mut values = Vec::new();
        let fields = metadata.fields().len();
        let record = |visitor: &mut dyn tracing_core::field::Visit| attributes.record(visitor);
        encode_fields(&[], fields, record, |bytes| values.extend_from_slice(bytes));
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        let parent_serial = parent.map_or(0, |parent| parent.serial);
        let copy = region.record_span(metadata, serial, parent_serial, &values).unwrap_or(0);
        let kept = Kept {
            layer: self.number,
            serial,
            parent: parent_serial,
            values,
            last_copy: copy,
            oldest_copy: parent.map_or(copy, |parent| parent.oldest_copy.min(copy)),
        };
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<KeptByLayers>() {
            Some(others) => others.0.push(kept),
            None => extensions.insert(KeptByLayers(vec![kept])),
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let (Some(region), Some(span)) = (self.recording.region(), context.span(id)) else {
            return;
        };
        let metadata = span.metadata();
        // Formatted first, and without the lock on the extensions: a `Debug` may log.
        let mut added = Vec::new();
        let write = |visitor: &mut dyn tracing_core::field::Visit| record.record(visitor);
        encode_fields(&[], record.len(), write, |bytes| added.extend_from_slice(bytes));
        let mut extensions = span.extensions_mut();
        let Some(kept) =
            extensions.get_mut::<KeptByLayers>().and_then(|kept| kept.of_mut(self.number))
        else {
            return;
        };
        replace_values(&mut kept.values, &added);
        let copy = region.record_span(metadata, kept.serial, kept.parent, &kept.values);
        kept.last_copy = copy.unwrap_or(kept.last_copy);
    }

    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let entered = context.span(id).and_then(|span| self.look_up(&span));
        // A span that cannot be looked up still takes its place, so that leaving it is right.
        let unknown = Entered { layer: self.number, id: id.into_u64(), serial: 0, oldest_copy: 0 };
        thread::push(entered.unwrap_or(unknown));
    }

    #[inline]
    fn on_exit(&self, id: &Id, _context: Context<'_, S>) {
        thread::pop(self.number, id.into_u64());
    }
}
