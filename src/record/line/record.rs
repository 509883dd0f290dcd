//! What a line in some logger's format says.

use serde_json::{Map, Value};
use tracing_core::Level;

use super::stamp::Stamp;
use crate::record::{SpanInfo, ThreadInfo};

/// A line as its format has it; what the format does not have is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    pub stamp: Option<Stamp>,
    pub level: Option<Level>,
    pub target: Option<String>,
    pub message: String,
    pub fields: Map<String, Value>,
    pub thread: ThreadInfo,
    pub spans: Vec<SpanInfo>,
    pub file: Option<String>,
    pub line: Option<u32>,
}

impl Record {
    /// Sets the thread from an id in digits or a name.
    pub fn set_thread(&mut self, text: &str) {
        let text = text.trim();
        match text.parse() {
            Ok(id) => self.thread.id = id,
            Err(_) if !text.is_empty() => self.thread.name = Some(text.to_owned()),
            Err(_) => {}
        }
    }

    /// Sets file and line from `FILE:LINE`.
    pub fn set_source(&mut self, source: (&str, u32)) {
        self.file = Some(source.0.to_owned());
        self.line = Some(source.1);
    }
}
