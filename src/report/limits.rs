//! The protocol's limits, each with its source. Nothing else in `report/` carries a number of its
//! own about what a server accepts.
//!
//! Two sources are named: **Sentry's documented limits** (the size limits of the SDK
//! documentation) and **Relay**, the server that normalises every event (measured against its own
//! library, version 0.10.1). Where a limit is counted in characters, a character is a Unicode
//! scalar value; all else is bytes.

/// Bytes of one event item as JSON. Sentry's documented limits: 1 MiB; over it the server answers
/// 413 and everything is lost.
pub const EVENT_BYTES: usize = 1024 * 1024;

/// Characters of a tag's key. Sentry's documented limits and Relay: 200.
pub const TAG_KEY_CHARS: usize = 200;

/// Characters of a tag's value. Sentry's documented limits and Relay: 200.
pub const TAG_VALUE_CHARS: usize = 200;

/// Tag keys that Relay drops without a word, or takes for something else.
pub const RESERVED_TAGS: [&str; 6] =
    ["dist", "environment", "filename", "function", "release", "user"];

/// Bytes of a release. Sentry's documented limits: 200 characters; Relay counts bytes and drops
/// the field above it.
pub const RELEASE_BYTES: usize = 200;

/// Releases that Relay drops, whatever their case.
pub const RESERVED_RELEASES: [&str; 3] = [".", "..", "latest"];

/// Bytes of an environment. Sentry's documented limits: 64 characters; Relay counts bytes and
/// drops the field above it.
pub const ENVIRONMENT_BYTES: usize = 64;

/// The environment that Relay drops, whatever its case.
pub const RESERVED_ENVIRONMENT: &str = "none";

/// Characters of a server name, which becomes a tag. Relay: 200.
pub const SERVER_NAME_CHARS: usize = 200;

/// Characters of an exception's value. Sentry's documented limits and Relay: 8192.
pub const VALUE_CHARS: usize = 8192;

/// Characters of an exception's type. Relay: 256.
pub const TYPE_CHARS: usize = 256;

/// Characters of a module. Relay: 256.
pub const MODULE_CHARS: usize = 256;

/// Characters of a function. Relay: 512.
pub const FUNCTION_CHARS: usize = 512;

/// Characters of a file name or path. Relay sets none; this one is ours: Linux's `PATH_MAX`.
pub const PATH_CHARS: usize = 4096;

/// Characters of a thread's name. Relay sets none; this one is ours.
pub const THREAD_NAME_CHARS: usize = 256;

/// Characters of a string in a mechanism's data. Relay: 2048 for all of it; lastwords puts one
/// string there.
pub const MECHANISM_DATA_CHARS: usize = 1024;

/// Frames of one stack. Sentry's documented limits and Relay: 250, the oldest 50 and the newest
/// 200.
pub const FRAMES_OLDEST: usize = 50;

/// See [`FRAMES_OLDEST`].
pub const FRAMES_NEWEST: usize = 200;

/// Debug images of one event. Relay sets none; this one is ours: a stack has at most some 250 frames.
pub const IMAGES: usize = 64;

/// Exceptions of one event. Relay sets none; this one is ours: a region has 16 panic slots.
pub const EXCEPTIONS: usize = 16;

/// Characters of a breadcrumb's message. Relay: 8192.
pub const CRUMB_MESSAGE_CHARS: usize = 8192;

/// Characters of a breadcrumb's category. Relay: 128.
pub const CRUMB_CATEGORY_CHARS: usize = 128;

/// Bytes of a breadcrumb's data as JSON. Sentry's documented limits and Relay: 2 KiB. (Relay does
/// not count keys; we do.)
pub const CRUMB_DATA_BYTES: usize = 2048;

/// How deep a breadcrumb's data may nest. Relay: 5, where `data` is the first level and the
/// scalars of the innermost object or array the last, so four objects or arrays.
pub const CRUMB_DATA_CONTAINERS: usize = 4;

/// Characters of a string in a context. Relay: 8192 bytes for a whole context.
pub const CONTEXT_STRING_CHARS: usize = 1024;

/// The last second the protocol's timestamps can name: the end of the year 9999. Relay drops what
/// lies outside of 1970 to there.
pub const LAST_TIMESTAMP: u64 = 253_402_300_799;
