//! Scrubbing what a report is made of, before it is shaped.
//!
//! **Guarantee:** everything that the program wrote itself (messages, log lines, fields, tags, names of
//! threads) is scrubbed whole, before the report cuts any of it to a limit: the first half of a secret
//! would not be recognised. A private key that was logged line by line is told by its first line.
//! What is shaped later is scrubbed again, as a whole, when the report is written.

use serde_json::{Map, Value};

use super::{FILTERED, Scrubber};
use crate::record::Breadcrumb;
use crate::report::Scene;

impl Scene {
    /// Scrubs it.
    pub fn scrub(&mut self, scrubber: &Scrubber) {
        for exception in &mut self.crash.exceptions {
            text(&mut exception.value, scrubber);
            text(&mut exception.ty, scrubber);
        }
        let crashed = self.crash.thread.as_mut().and_then(|thread| thread.name.as_mut());
        let others = self.crash.threads.iter_mut().filter_map(|thread| thread.name.as_mut());
        crashed.into_iter().chain(others).for_each(|name| text(name, scrubber));
        tags(&mut self.tags, scrubber);
        let theirs = std::mem::take(&mut self.ambient.tags);
        let mut theirs: Vec<(String, String)> = theirs.into_iter().collect();
        tags(&mut theirs, scrubber);
        self.ambient.tags = theirs.into_iter().collect();
        breadcrumbs(&mut self.breadcrumbs, scrubber);
    }
}

/// Scrubs tags, keys included.
pub fn tags(tags: &mut [(String, String)], scrubber: &Scrubber) {
    for (key, value) in tags {
        if scrubber.rules().names.hides(key, value) {
            *value = FILTERED.to_owned();
        } else {
            text(value, scrubber);
        }
        text(key, scrubber);
    }
}

/// Scrubs breadcrumbs, the oldest first.
pub fn breadcrumbs(crumbs: &mut [Breadcrumb], scrubber: &Scrubber) {
    let mut in_key_block = begins_inside_key(crumbs);
    for crumb in crumbs {
        breadcrumb(crumb, &mut in_key_block, scrubber);
    }
}

/// Whether the first line that is there is one of a key whose beginning is not.
fn begins_inside_key(crumbs: &[Breadcrumb]) -> bool {
    let has = |crumb: &&Breadcrumb, mark| crumb.message.contains(mark);
    let first = crumbs.iter().find(|crumb| has(crumb, BEGIN) || has(crumb, END));
    first.is_some_and(|crumb| !crumb.message.contains(BEGIN))
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

fn breadcrumb(crumb: &mut Breadcrumb, in_key_block: &mut bool, scrubber: &Scrubber) {
    let (begins, ends) = (crumb.message.contains(BEGIN), crumb.message.contains(END));
    if *in_key_block && (ends || is_base64(&crumb.message)) {
        crumb.message = FILTERED.to_owned();
    } else {
        text(&mut crumb.message, scrubber);
    }
    // A line that is something else ends the block only once its last line has come.
    *in_key_block = (*in_key_block || begins) && !ends;
    fields(&mut crumb.fields, scrubber);
    for span in &mut crumb.spans {
        fields(&mut span.fields, scrubber);
    }
}

/// Whether a line may be one of a key's.
fn is_base64(line: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let line = line.trim();
    !line.is_empty() && line.bytes().all(is_one)
}

fn fields(fields: &mut Map<String, Value>, scrubber: &Scrubber) {
    if fields.is_empty() {
        return;
    }
    let mut value = Value::Object(std::mem::take(fields));
    scrubber.value(&mut value);
    if let Value::Object(scrubbed) = value {
        *fields = scrubbed;
    }
}

fn text(text: &mut String, scrubber: &Scrubber) {
    if let Some(scrubbed) = scrubber.text(text) {
        *text = scrubbed;
    }
}
