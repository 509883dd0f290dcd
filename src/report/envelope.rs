//! Envelopes: the files of the spool and the bodies of requests.
//!
//! [`Envelope::to_bytes`] writes one header line, then for each item a header line with the exact
//! length of its payload, the payload and a newline. The envelope's header names the event; it has
//! no `sent_at` until [`Envelope::set_sent_at`], and a DSN only if one was given.
//!
//! [`Envelope::parse`] reads files that anybody may have written: it never panics, allocates in
//! proportion to the file and not to what it announces, and its errors say which item is wrong and why. Unknown headers and
//! items are kept as they are, so that a newer version's files pass through.
//!
//! Not offered: typed items (but events, attachments and sessions), compression.

mod error;

use std::time::SystemTime;

use sentry::types::{Dsn, Uuid};
use serde_json::{Map, Value};

pub use error::EnvelopeError;

use super::mend;
use super::session::{SESSION, Session};

/// What the header says to us alone. It is never sent.
const PRIVATE: &str = "lastwords";

/// In it: the report stays on this machine.
const LOCAL: &str = "local";

/// In it: a session goes with the report, which is told by the first line alone.
const HAS_SESSION: &str = "session";

/// Data sent beside an event: the end of a program's stderr, a minidump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file name it is shown under.
    pub filename: String,
    /// Its media type, e.g. `text/plain`.
    pub content_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// An envelope: what is sent in one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    header: Map<String, Value>,
    /// The items, in order.
    pub items: Vec<Item>,
}

/// One item of an envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    header: Map<String, Value>,
    payload: Vec<u8>,
}

impl Envelope {
    /// An envelope about the event `id`, without items.
    #[must_use]
    pub fn new(id: Uuid) -> Envelope {
        let mut header = Map::new();
        header.insert("event_id".to_owned(), Value::from(id.simple().to_string()));
        Envelope { header, items: Vec::new() }
    }

    /// Names the DSN it is meant for. The DSN is not checked.
    #[must_use]
    pub fn with_dsn(mut self, dsn: &str) -> Envelope {
        self.set_dsn(dsn);
        self
    }

    /// As [`with_dsn`](Self::with_dsn).
    pub fn set_dsn(&mut self, dsn: &str) {
        self.header.insert("dsn".to_owned(), Value::from(dsn));
    }

    /// Names the DSN it is meant for.
    pub fn set_destination(&mut self, dsn: &Dsn) {
        self.set_dsn(&dsn_text(dsn));
    }

    /// Sets the time it is sent, which the server compares with its own clock.
    pub fn set_sent_at(&mut self, time: SystemTime) {
        self.header.insert("sent_at".to_owned(), Value::from(rfc3339(time)));
    }

    /// Says whether it stays on this machine unless a person asks for it, because it was recorded
    /// with sending switched off.
    pub fn set_local(&mut self, local: bool) {
        self.mark(LOCAL, local);
    }

    /// Sets a mark in what the header says to us alone, or takes it away.
    fn mark(&mut self, name: &str, is_set: bool) {
        if !self.header.get(PRIVATE).is_some_and(Value::is_object) {
            self.header.remove(PRIVATE);
        }
        if !is_set && !self.header.contains_key(PRIVATE) {
            return;
        }
        let ours = self.header.entry(PRIVATE).or_insert_with(|| Value::Object(Map::new()));
        let Some(ours) = ours.as_object_mut() else { return };
        match is_set {
            true => ours.insert(name.to_owned(), Value::from(true)),
            false => ours.remove(name),
        };
        if ours.is_empty() {
            self.header.remove(PRIVATE);
        }
    }

    /// Whether it stays on this machine unless a person asks for it. What we would have written, and
    /// is something else than a yes or no, is a yes: a doubt does not send.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let local = match self.header.get(PRIVATE) {
            None => return false,
            Some(ours) => ours.as_object().map(|ours| ours.get(LOCAL)),
        };
        match local {
            Some(None) => false,
            Some(Some(local)) => local.as_bool().unwrap_or(true),
            None => true,
        }
    }

    /// Adds an event, given as the bytes of a JSON object.
    pub fn push_event(&mut self, json: Vec<u8>) {
        let mut header = Map::new();
        header.insert("type".to_owned(), Value::from("event"));
        header.insert("content_type".to_owned(), Value::from("application/json"));
        self.items.push(Item { header, payload: json });
    }

    /// Puts another event in the place of its event item, or adds one if it has none.
    pub fn set_event(&mut self, json: Vec<u8>) {
        match self.items.iter_mut().find(|item| item.ty() == "event") {
            Some(item) => item.payload = json,
            None => self.push_event(json),
        }
    }

    /// Adds an attachment.
    pub fn push_attachment(&mut self, attachment: &Attachment) {
        let mut header = Map::new();
        header.insert("type".to_owned(), Value::from("attachment"));
        header.insert("filename".to_owned(), Value::from(attachment.filename.as_str()));
        header.insert("content_type".to_owned(), Value::from(attachment.content_type.as_str()));
        self.items.push(Item { header, payload: attachment.data.clone() });
    }

    /// Adds an attachment, in the place of an earlier one of the same name.
    pub fn set_attachment(&mut self, attachment: &Attachment) {
        let is_it = |item: &Item| {
            item.ty() == "attachment" && item.filename() == Some(&attachment.filename)
        };
        self.items.retain(|item| !is_it(item));
        self.push_attachment(attachment);
    }

    /// An envelope with a session and nothing else, which is about no event.
    #[must_use]
    pub fn of_session(session: &Session) -> Envelope {
        let mut envelope = Envelope { header: Map::new(), items: Vec::new() };
        envelope.set_session(session);
        envelope
    }

    /// Adds a session, in the place of an earlier one.
    pub fn set_session(&mut self, session: &Session) {
        self.items.retain(|item| item.ty() != SESSION);
        self.items.push(session.to_item());
        self.mark(HAS_SESSION, true);
    }

    /// Takes its session out.
    pub fn forget_session(&mut self) {
        self.items.retain(|item| item.ty() != SESSION);
        self.mark(HAS_SESSION, false);
    }

    /// Whether its header says that a session goes with it.
    #[must_use]
    pub fn says_session(&self) -> bool {
        let ours = self.header.get(PRIVATE).and_then(Value::as_object);
        ours.is_some_and(|ours| ours.get(HAS_SESSION) == Some(&Value::Bool(true)))
    }

    /// Its session alone, for the same destination, with the session's id; `None` where it has none that
    /// says its id.
    #[must_use]
    pub fn session_alone(&self) -> Option<(Uuid, Envelope)> {
        let item = self.items.iter().find(|item| item.ty() == SESSION)?;
        let session: Map<String, Value> = serde_json::from_slice(&item.payload).ok()?;
        let sid = Uuid::parse_str(session.get("sid")?.as_str()?).ok()?;
        let mut header = self.header.clone();
        header.remove("event_id");
        Some((sid, Envelope { header, items: vec![item.clone()] }))
    }

    /// Keeps what went with an earlier version of it: the attachments whose name it has none of, and the
    /// session if it has none.
    pub fn keep_companions_of(&mut self, earlier: Envelope) {
        for item in earlier.items {
            let has = |own: &Item| own.ty() == item.ty() && own.filename() == item.filename();
            let is_companion = ["attachment", SESSION].contains(&item.ty());
            if is_companion && !self.items.iter().any(has) {
                let is_session = item.ty() == SESSION;
                self.items.push(item);
                if is_session {
                    self.mark(HAS_SESSION, true);
                }
            }
        }
    }

    /// Whether it has an item of a type.
    #[must_use]
    pub fn has(&self, ty: &str) -> bool {
        self.items.iter().any(|item| item.ty() == ty)
    }

    /// The id of the event it is about, if its header names one.
    #[must_use]
    pub fn event_id(&self) -> Option<Uuid> {
        Uuid::parse_str(self.header.get("event_id")?.as_str()?).ok()
    }

    /// The DSN it is meant for, if its header names one. It is untrusted where the envelope was
    /// parsed.
    #[must_use]
    pub fn dsn(&self) -> Option<&str> {
        self.header.get("dsn")?.as_str()
    }

    /// The event of its first event item.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::NoEvent`] if there is none, [`EnvelopeError::Event`] if it is not a JSON
    /// object.
    pub fn event(&self) -> Result<Map<String, Value>, EnvelopeError> {
        let item = self.items.iter().find(|item| item.ty() == "event");
        let item = item.ok_or(EnvelopeError::NoEvent)?;
        serde_json::from_slice(&item.payload).map_err(|source| EnvelopeError::Event { source })
    }

    /// Without its items of a type, for a server that wants none of it for now.
    #[must_use]
    pub fn without(&self, ty: &str) -> Envelope {
        let items = self.items.iter().filter(|item| item.ty() != ty).cloned().collect();
        Envelope { header: self.header.clone(), items }
    }

    /// The envelope as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.with_header(&self.header)
    }

    /// The envelope as it goes to a server at `now`: without what its header says to us alone, and
    /// with the counts of what was never sent, if there are any.
    #[must_use]
    pub fn for_sending(&self, now: SystemTime, client_report: Option<&Value>) -> Vec<u8> {
        let mut header = self.header.clone();
        header.remove(PRIVATE);
        header.insert("sent_at".to_owned(), Value::from(rfc3339(now)));
        let mut bytes = self.with_header(&header);
        if let Some(report) = client_report {
            let mut header = Map::new();
            header.insert("type".to_owned(), Value::from("client_report"));
            Item { header, payload: report.to_string().into_bytes() }.append_to(&mut bytes);
        }
        bytes
    }

    fn with_header(&self, header: &Map<String, Value>) -> Vec<u8> {
        let payloads: usize = self.items.iter().map(|item| item.payload.len() + 128).sum();
        let mut bytes = Vec::with_capacity(payloads + 256);
        line(&mut bytes, header);
        for item in &self.items {
            item.append_to(&mut bytes);
        }
        bytes
    }

    /// Reads an envelope.
    ///
    /// An item without `length` ends at the next newline, as the protocol has it; the newline
    /// behind the last payload may be missing.
    ///
    /// # Errors
    ///
    /// The first [`EnvelopeError`] met; items are counted from 1.
    pub fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
        let (first, mut rest) = split_line(bytes);
        if first.trim_ascii().is_empty() {
            return Err(EnvelopeError::Empty);
        }
        let header =
            serde_json::from_slice(first).map_err(|source| EnvelopeError::Header { source })?;
        let mut items = Vec::new();
        while let Some(behind) = next_item(rest) {
            let (item, after) = Item::parse(behind, items.len() + 1)?;
            items.push(item);
            rest = after;
        }
        Ok(Envelope { header, items })
    }
}

impl Item {
    pub(super) fn new(header: Map<String, Value>, payload: Vec<u8>) -> Item {
        Item { header, payload }
    }

    /// The item's type: `event`, `attachment`, ...; empty where its header has none.
    #[must_use]
    pub fn ty(&self) -> &str {
        self.header.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The file name of an attachment.
    #[must_use]
    pub fn filename(&self) -> Option<&str> {
        self.header.get("filename")?.as_str()
    }

    /// The item's content.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        let mut header = self.header.clone();
        header.insert("length".to_owned(), Value::from(self.payload.len()));
        line(bytes, &header);
        bytes.extend_from_slice(&self.payload);
        bytes.push(b'\n');
    }

    fn parse(bytes: &[u8], number: usize) -> Result<(Item, &[u8]), EnvelopeError> {
        let (line, body) = split_line(bytes);
        let mut header: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|source| EnvelopeError::ItemHeader { item: number, source })?;
        let length = match header.remove("length") {
            None | Some(Value::Null) => {
                let (payload, rest) = split_line(body);
                return Ok((Item { header, payload: payload.to_vec() }, rest));
            }
            Some(length) => length
                .as_u64()
                .ok_or_else(|| EnvelopeError::Length { item: number, found: length.to_string() })?,
        };
        let short = EnvelopeError::Short { item: number, length, found: body.len() };
        let length = usize::try_from(length).ok().filter(|length| *length <= body.len());
        let (payload, rest) = body.split_at(length.ok_or(short)?);
        let rest = match rest {
            [] => rest,
            [b'\n', rest @ ..] => rest,
            _ => return Err(EnvelopeError::Unterminated { item: number }),
        };
        Ok((Item { header, payload: payload.to_vec() }, rest))
    }
}

/// A DSN as people write it; the SDK writes a key without a secret as `key:`.
#[must_use]
pub fn dsn_text(dsn: &Dsn) -> String {
    dsn.to_string().replacen(":@", "@", 1)
}

/// Where the next item begins; blank lines between items are passed over. `None` at the end.
fn next_item(mut rest: &[u8]) -> Option<&[u8]> {
    while let [b'\n', after @ ..] = rest {
        rest = after;
    }
    (!rest.is_empty()).then_some(rest)
}

/// The bytes before the first newline, and those behind it.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// A time as the protocol has it, within what it can name.
pub fn rfc3339(time: SystemTime) -> String {
    let time = time::OffsetDateTime::from(mend::timestamp(time));
    // A time that was mended always has a form.
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

fn line(bytes: &mut Vec<u8>, header: &Map<String, Value>) {
    // A map of JSON values always has a JSON text, and that text has no newline.
    bytes.extend_from_slice(serde_json::to_string(header).unwrap_or_default().as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> Uuid {
        Uuid::from_u128(0x1234)
    }

    fn envelope() -> Envelope {
        let mut envelope = Envelope::new(id());
        envelope.push_event(b"{\"level\":\"fatal\"}".to_vec());
        envelope.push_attachment(&Attachment {
            filename: "stderr.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            data: b"a\n\nb\n".to_vec(),
        });
        envelope
    }

    #[test]
    fn the_bytes_are_what_the_protocol_wants() {
        let text = String::from_utf8(envelope().to_bytes()).unwrap();
        assert_eq!(
            text,
            "{\"event_id\":\"00000000000000000000000000001234\"}\n\
             {\"content_type\":\"application/json\",\"length\":17,\"type\":\"event\"}\n\
             {\"level\":\"fatal\"}\n\
             {\"content_type\":\"text/plain\",\"filename\":\"stderr.txt\",\"length\":5,\
             \"type\":\"attachment\"}\na\n\nb\n\n"
        );
    }

    #[test]
    fn the_sdk_reads_what_we_write() {
        let mut sent = envelope().with_dsn("https://key@host.invalid/1");
        sent.set_sent_at(SystemTime::UNIX_EPOCH);
        let theirs = sentry::Envelope::from_slice(&sent.to_bytes()).unwrap();
        assert_eq!(theirs.uuid(), Some(&id()));
        assert_eq!(theirs.items().count(), 2);
    }

    #[test]
    fn what_is_sent_says_nothing_that_is_ours_alone() {
        let mut kept = envelope().with_dsn("https://key@host.invalid/1");
        assert!(!kept.is_local());
        kept.set_local(true);
        let kept = Envelope::parse(&kept.to_bytes()).unwrap();
        assert!(kept.is_local());
        let counts = serde_json::json!({"discarded_events": []});
        let sent = kept.for_sending(SystemTime::UNIX_EPOCH, Some(&counts));
        let text = String::from_utf8(sent.clone()).unwrap();
        assert!(!text.contains("lastwords"), "{text}");
        let sent = Envelope::parse(&sent).unwrap();
        assert_eq!(sent.header["sent_at"], "1970-01-01T00:00:00Z");
        assert_eq!(sent.dsn(), kept.dsn());
        let types: Vec<_> = sent.items.iter().map(Item::ty).collect();
        assert_eq!(types, ["event", "attachment", "client_report"]);
        assert_eq!(sent.items[2].payload(), b"{\"discarded_events\":[]}");
        assert_eq!(kept.without("attachment").items.len(), 1);
    }

    #[test]
    fn a_doubtful_mark_keeps_a_report_here() {
        for (header, local) in [
            (r#"{}"#, false),
            (r#"{"lastwords":{}}"#, false),
            (r#"{"lastwords":{"local":false,"more":1}}"#, false),
            (r#"{"lastwords":{"local":true}}"#, true),
            (r#"{"lastwords":{"local":"yes"}}"#, true),
            (r#"{"lastwords":7}"#, true),
        ] {
            let mut envelope = Envelope::parse(header.as_bytes()).unwrap();
            assert_eq!(envelope.is_local(), local, "{header}");
            envelope.set_local(!local);
            assert_eq!(envelope.is_local(), !local, "{header}");
        }
    }

    #[test]
    fn an_item_without_length_ends_at_its_line() {
        let parsed = Envelope::parse(b"{}\n{\"type\":\"event\"}\n{\"a\":1}\n").unwrap();
        assert_eq!(parsed.event().unwrap()["a"], 1);
        assert_eq!(parsed.event_id(), None);
    }

    #[test]
    fn errors_say_which_item_and_why() {
        let cases = [
            (&b""[..], "the envelope is empty"),
            (b"[]\n", "the envelope's header is not a JSON object"),
            (b"{}\nx\n", "the header of item 1 is not a JSON object"),
            (b"{}\n{\"length\":-1}\n", "the length of item 1 is -1, not a number of bytes"),
            (b"{}\n{\"length\":9}\nab", "item 1 announces 9 bytes, but 2 are left"),
            (b"{}\n{\"length\":1}\nab", "item 1 has no newline where its length ends"),
        ];
        for (bytes, message) in cases {
            assert_eq!(Envelope::parse(bytes).unwrap_err().to_string(), message);
        }
        let none = Envelope::new(id()).event().unwrap_err();
        assert_eq!(none.to_string(), "the envelope has no item of type `event`");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
            let mut written = Envelope::new(id());
            for data in payloads {
                written.push_attachment(&Attachment {
                    filename: "a\n\"b".to_owned(),
                    content_type: String::new(),
                    data,
                });
            }
            prop_assert_eq!(Envelope::parse(&written.to_bytes()).unwrap(), written);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Envelope::parse(&bytes).map(|envelope| envelope.event());
        }

        #[test]
        fn damaged_envelopes_are_read_without_panic(at in 0usize..200, byte: u8, end in 0usize..200) {
            let mut bytes = envelope().to_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(end.max(1));
            let _ = Envelope::parse(&bytes).map(|envelope| envelope.event());
        }
    }
}
