//! Envelopes as a server reads them: <https://develop.sentry.dev/sdk/data-model/envelopes/>.
//!
//! Not by the types of `sentry`, which know less than a server does: contexts of a type of its own, for
//! one, are no event to them.

use serde_json::Value;

/// What matters of an envelope here.
#[derive(Default)]
pub struct Envelope {
    pub event: Option<Value>,
    /// Whether a minidump is attached.
    pub has_minidump: bool,
}

impl Envelope {
    /// Reads all of it.
    ///
    /// # Panics
    /// If it is none: a contender that sends such has failed.
    pub fn read(bytes: &[u8]) -> Envelope {
        let (_, mut rest) = line(bytes);
        let mut envelope = Envelope::default();
        while !rest.is_empty() {
            let (header, behind) = line(rest);
            let header: Value = serde_json::from_slice(header).expect("an item's header");
            // Without a length the payload is a line.
            let length = match header["length"].as_u64() {
                Some(length) => usize::try_from(length).expect("a length"),
                None => line(behind).0.len(),
            };
            let (payload, behind) = behind.split_at(length);
            rest = behind.strip_prefix(b"\n").unwrap_or(behind);
            envelope.take(&header, payload);
        }
        envelope
    }

    fn take(&mut self, header: &Value, payload: &[u8]) {
        match header["type"].as_str() {
            Some("event") => {
                self.event = Some(serde_json::from_slice(payload).expect("an event"));
            }
            Some("attachment") if header["attachment_type"] == "event.minidump" => {
                self.has_minidump |= payload.starts_with(b"MDMP");
            }
            _ => {}
        }
    }
}

/// The first line and what is behind it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}
