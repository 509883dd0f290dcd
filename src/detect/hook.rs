//! The panic hook.
//!
//! **Guarantee:** it never panics, never waits for a lock of the panicking thread, and does its work
//! in this order, so that whatever goes wrong later finds what was done before:
//! 1. the facts (event id, message, place, thread) into a panic slot of the region: no allocation,
//!    no lock, no system call but the clocks and, once a thread, its id and name; below a monitor a
//!    line in its ledger, before anything is printed;
//! 2. the raw return addresses beside them;
//! 3. the caller's `publish`, which symbolicates and writes the report elsewhere than on this
//!    thread and waits for it, for a bounded time;
//! 4. the hook that was there before;
//! 5. the caller's `after_hooks`: where the runtime aborts next, the last chance to send something.
//!
//! It may touch: the region, this thread's plain thread-locals, the unwinder. It never touches:
//! `tracing`, `sentry`, standard error, the allocator, user code (a payload's `Display`
//! included). **Lost:** with 16 panics waiting to be reported, a further one waits for a slot, for a
//! bounded time; if it gets none it is counted, and the previous hook runs all the same.
//!
//! A panic inside a `Debug` that a breadcrumb formats is caught by the recorder; it is no event, and
//! the previous hook does not hear of it, because without lastwords it would not have happened.

use std::any::Any;
use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Once, OnceLock};

use super::NoUnwind;
use crate::record::{
    Facts, LedgerEntry, LedgerKind, Recording, Region, flags, hash_message, hash_place,
    panic_clocks, panicking_thread,
};

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync + 'static>;

/// How many frames are walked at most; a recursion may be endless.
const MOST_WALKED: usize = 10_000;

/// Carries panics on, from the slot they are written to.
pub(crate) trait Carrier: Send + Sync {
    /// Reports panic `number` of `region`, or has it reported and waits for that.
    fn publish(&self, region: &Region, number: u64);

    /// Every hook has run; if the runtime `aborts` once this returns, what can still be sent is waited
    /// for, for a bounded time.
    fn after_hooks(&self, aborts: bool);

    /// Waits until `region` has room for another panic, for a bounded time.
    fn make_room(&self, region: &Region);
}

/// Where the panics of a thread go.
pub(crate) struct Sink {
    /// Whose slots they are written to.
    pub(crate) recording: Arc<Recording>,
    /// Who is told of each panic whose slot is written.
    pub(crate) carrier: Box<dyn Carrier>,
    /// The region of the monitor above, whose ledger says that its panics are reported here.
    pub(crate) ledger: Option<Arc<Region>>,
}

/// The sink of all threads that have none of their own.
static INSTALLED: OnceLock<Sink> = OnceLock::new();

thread_local! {
    /// The last two panics of this thread, the later first, each with the region it is in; zeros for
    /// one that was not recorded.
    static LAST: Cell<[(u64, u64); 2]> = const { Cell::new([(0, 0); 2]) };
    /// Whether panics of this thread are none of the program's.
    static IGNORED: Cell<bool> = const { Cell::new(false) };
    /// The sink that [`with_sink`] has set, or null.
    static OWN: Cell<*const Sink> = const { Cell::new(std::ptr::null()) };
}

/// Says that panics of this thread are not to be reported: it is lastwords' own, and catches them.
pub(crate) fn ignore_this_thread() {
    IGNORED.set(true);
}

/// Whether this thread is lastwords' own.
pub(crate) fn is_own_thread() -> bool {
    IGNORED.get()
}

/// Puts the hook before the one that is set now, for all threads.
pub(crate) fn install(sink: Sink) {
    let _ = INSTALLED.set(sink);
    set_hook_once();
}

/// Runs `f`, which must not unwind, with the panics of this thread going to `sink`.
pub(crate) fn with_sink<R>(sink: Sink, f: impl FnOnce() -> R) -> R {
    /// Sets the pointer back, also if `f` unwinds all the same.
    struct Restore(*const Sink);
    impl Drop for Restore {
        fn drop(&mut self) {
            OWN.set(self.0);
        }
    }
    set_hook_once();
    let _restore = Restore(OWN.replace(&raw const sink));
    f()
}

fn set_hook_once() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let previous: Hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_caught_by_us(info) {
                remember((0, 0));
                return;
            }
            // SAFETY: the pointer is null or that of the `Sink` in a `with_sink` that this thread
            // is still inside of, which restores the one before when it returns or unwinds.
            let own = unsafe { OWN.get().as_ref() };
            let sink = own.or(INSTALLED.get()).filter(|_| !IGNORED.get());
            let aborts = sink.is_some_and(|sink| on_panic(sink, info));
            previous(info);
            if let Some(sink) = sink {
                sink.carrier.after_hooks(aborts);
            }
        }));
    });
}

/// Whether lastwords catches this panic, so that nobody is to hear of it: it is in a `Debug` that a
/// breadcrumb formats, or in a thread of lastwords' own. One that cannot unwind is caught by nobody.
fn is_caught_by_us(info: &PanicHookInfo<'_>) -> bool {
    cfg!(panic = "unwind")
        && (crate::record::is_formatting() || IGNORED.get())
        && no_unwind(info, message(info.payload()).text).is_none()
}

/// Reports a panic; whether the runtime aborts after the hook.
fn on_panic(sink: &Sink, info: &PanicHookInfo<'_>) -> bool {
    let Some(region) = sink.recording.region() else { return false };
    let slot = region.claim_slot().or_else(|| {
        sink.carrier.make_room(region);
        region.claim_slot()
    });
    let Some(slot) = slot else {
        region.count_lost_panic();
        return false;
    };
    let message = message(info.payload());
    let no_unwind = no_unwind(info, message.text);
    let chained_to = chain(region, slot.number, no_unwind);
    let (file, line, column) =
        info.location().map_or(("", 0, 0), |at| (at.file(), at.line(), at.column()));
    let thread = panicking_thread();
    let (boot, wall) = panic_clocks();
    let mut set = if cfg!(panic = "abort") { flags::ABORT } else { 0 };
    set |= if thread.main { flags::MAIN } else { 0 };
    set |= if message.placeholder { flags::PLACEHOLDER } else { 0 };
    set |= if no_unwind.is_some() { flags::NO_UNWIND } else { 0 };
    slot.write_facts(&Facts {
        message: message.text,
        file,
        line,
        column,
        thread: thread.id,
        name: thread.name,
        flags: set,
        span: thread.span,
        boot,
        wall,
        chained_to,
    });
    if let Some(ledger) = &sink.ledger {
        ledger.note_in_ledger(&LedgerEntry {
            event_id: slot.event_id(),
            kind: LedgerKind::Panic,
            pid: std::process::id(),
            thread: thread.id,
            place: hash_place(file, line, column),
            message: hash_message(message.printed.as_bytes()),
        });
    }
    let mut walked = 0;
    walk(|address| {
        slot.write_address(walked, address);
        walked += 1;
        walked < MOST_WALKED
    });
    slot.finish_addresses(walked);
    sink.carrier.publish(region, slot.number);
    cfg!(panic = "abort") || no_unwind.is_some()
}

/// Gives the return addresses of this thread's stack to `each` until it says false.
#[inline]
pub(crate) fn walk(mut each: impl FnMut(u64) -> bool) {
    let mut step = |frame: &backtrace::Frame| each(frame.ip() as u64);
    // SAFETY: what this function leaves out is the crate's own lock, which only Windows'
    // symbol library needs; the unwinder of every other system may run on several threads at once.
    #[cfg(not(windows))]
    unsafe {
        backtrace::trace_unsynchronized(&mut step);
    }
    #[cfg(windows)]
    backtrace::trace(&mut step);
}

fn no_unwind(info: &PanicHookInfo<'_>, message: &str) -> Option<NoUnwind> {
    NoUnwind::of(message, info.location().map_or("", |location| location.file()))
}

/// Remembers a panic of this thread, and gives the last two before it.
fn remember(panic: (u64, u64)) -> [(u64, u64); 2] {
    let earlier = LAST.get();
    LAST.set([panic, earlier[0]]);
    earlier
}

/// Finds out which panic of this thread this one belongs to, and remembers it; 0 for none.
fn chain(region: &Region, number: u64, no_unwind: Option<NoUnwind>) -> u64 {
    let [last, before] = remember((region.id(), number));
    let in_this_region = |panic: (u64, u64)| if panic.0 == region.id() { panic.1 } else { 0 };
    match no_unwind {
        Some(NoUnwind::InCleanup) => {
            // The destructor's panic was the last, and the one that was unwinding came before it.
            let (last, before) = (in_this_region(last), in_this_region(before));
            if last != 0 && before != 0 {
                region.chain_panics(last, before);
            }
            last
        }
        Some(NoUnwind::AtBoundary) => in_this_region(last),
        Some(NoUnwind::ByItself) | None => 0,
    }
}

struct Message<'a> {
    text: &'a str,
    /// What the standard library's own hook prints.
    printed: &'a str,
    placeholder: bool,
}

/// The text of a payload, or a placeholder that names its type where that can be known without
/// running code of the program.
fn message(payload: &(dyn Any + Send)) -> Message<'_> {
    let plain = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = if plain.is_some() {
        plain
    } else if let Some(text) = payload.downcast_ref::<Box<str>>() {
        Some(&**text)
    } else if let Some(text) = payload.downcast_ref::<Arc<str>>() {
        Some(&**text)
    } else {
        payload.downcast_ref::<std::borrow::Cow<'static, str>>().map(|text| &**text)
    };
    match text {
        Some(text) => Message { text, printed: plain.unwrap_or(UNPRINTED), placeholder: false },
        None => Message { text: placeholder(payload), printed: UNPRINTED, placeholder: true },
    }
}

/// What the standard library's hook prints for a payload that is no plain string.
const UNPRINTED: &str = "Box<dyn Any>";

/// What stands for a payload of a type that nothing is known of.
pub(crate) const UNKNOWN_PAYLOAD: &str = "<panic payload of unknown type>";

fn placeholder(payload: &(dyn Any + Send)) -> &'static str {
    macro_rules! first_of {
        ($($ty:ty),* $(,)?) => {
            $(if payload.is::<$ty>() {
                return concat!("<panic payload of type ", stringify!($ty), ">");
            })*
        };
    }
    first_of!(
        i8,
        i16,
        i32,
        i64,
        i128,
        isize,
        u8,
        u16,
        u32,
        u64,
        u128,
        usize,
        f32,
        f64,
        bool,
        char,
        (),
        std::io::Error,
        std::fmt::Error,
        std::num::ParseIntError,
        std::str::Utf8Error,
        std::string::FromUtf8Error,
        std::process::ExitCode,
        Box<dyn std::error::Error + Send + Sync>,
        Box<dyn std::error::Error + Send>,
        Box<dyn Any + Send>,
    );
    UNKNOWN_PAYLOAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(payload: &(dyn Any + Send)) -> &str {
        message(payload).text
    }

    #[test]
    fn payloads_that_hold_text_give_it() {
        assert_eq!(text_of(&"static"), "static");
        assert_eq!(text_of(&String::from("string")), "string");
        assert_eq!(text_of(&Box::<str>::from("boxed")), "boxed");
        assert_eq!(text_of(&std::borrow::Cow::Borrowed("cow")), "cow");
    }

    #[test]
    fn other_payloads_give_their_type() {
        struct Unheard;
        assert_eq!(text_of(&7i32), "<panic payload of type i32>");
        let error = std::io::Error::other("x");
        assert_eq!(text_of(&error), "<panic payload of type std::io::Error>");
        assert_eq!(text_of(&Unheard), UNKNOWN_PAYLOAD);
    }
}
