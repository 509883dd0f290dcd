//! Why a file is not an envelope, or has no event: an [`EnvelopeError`].

use std::fmt;

/// Why a file is not an envelope, or has no event.
#[derive(Debug)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The file has no first line.
    Empty,
    /// The first line is not a JSON object.
    Header {
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The header of an item is not a JSON object.
    ItemHeader {
        /// The item, from 1.
        item: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The length of an item is not a number of bytes.
    Length {
        /// The item, from 1.
        item: usize,
        /// What stands there instead.
        found: String,
    },
    /// The file ends inside an item.
    Short {
        /// The item, from 1.
        item: usize,
        /// Bytes that its header announces.
        length: u64,
        /// Bytes that are left.
        found: usize,
    },
    /// The payload of an item goes on behind its length.
    Unterminated {
        /// The item, from 1.
        item: usize,
    },
    /// There is no item of type `event`.
    NoEvent,
    /// There is no item of type `session`, where nothing else is expected.
    NoSession,
    /// The event is not a JSON object.
    Event {
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the envelope is empty"),
            Self::Header { .. } => f.write_str("the envelope's header is not a JSON object"),
            Self::ItemHeader { item, .. } => {
                write!(f, "the header of item {item} is not a JSON object")
            }
            Self::Length { item, found } => {
                write!(f, "the length of item {item} is {found}, not a number of bytes")
            }
            Self::Short { item, length, found } => {
                write!(f, "item {item} announces {length} bytes, but {found} are left")
            }
            Self::Unterminated { item } => {
                write!(f, "item {item} has no newline where its length ends")
            }
            Self::NoEvent => f.write_str("the envelope has no item of type `event`"),
            Self::NoSession => f.write_str("the envelope has no item of type `session`"),
            Self::Event { .. } => f.write_str("the event is not a JSON object"),
        }
    }
}

impl std::error::Error for EnvelopeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header { source } | Self::ItemHeader { source, .. } | Self::Event { source } => {
                Some(source)
            }
            _ => None,
        }
    }
}
