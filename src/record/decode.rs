//! From the words of a region to values: the other side of `encode`.
//!
//! **Guarantee:** whatever the bytes are, decoding ends, in time linear in their number, in a value
//! or in `None`. Nothing is trusted: every length is checked against the bytes that are there, and
//! text that is not UTF-8 is shown with replacement characters.

use serde_json::{Map, Number, Value};
use tracing_core::Level;

use super::encode::{NO_TEXT, ty};

/// Bytes still to be read.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn text(&mut self, len: usize) -> Option<String> {
        Some(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    /// `Some(None)` is a text that is not there.
    fn static_text(&mut self) -> Option<Option<String>> {
        match self.u16()? {
            NO_TEXT => Some(None),
            len => Some(Some(self.text(len.into())?)),
        }
    }
}

/// The static parts of a callsite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Callsite {
    pub(crate) level: Level,
    pub(crate) line: Option<u32>,
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) module: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) fields: Vec<String>,
}

impl Callsite {
    pub(crate) fn decode(bytes: &mut Bytes<'_>) -> Option<Callsite> {
        let level = match bytes.u8()? {
            1 => Level::TRACE,
            2 => Level::DEBUG,
            3 => Level::INFO,
            4 => Level::WARN,
            5 => Level::ERROR,
            _ => return None,
        };
        let line = u32::from_ne_bytes(bytes.array()?);
        let fields = bytes.u8()?;
        Some(Callsite {
            level,
            line: (line != 0).then_some(line),
            name: bytes.static_text()??,
            target: bytes.static_text()??,
            module: bytes.static_text()?,
            file: bytes.static_text()?,
            fields: (0..fields).map(|_| bytes.static_text()?).collect::<Option<_>>()?,
        })
    }

    /// Bytes of what a record of this callsite repeats.
    pub(crate) fn text_bytes(&self) -> usize {
        let texts = [Some(&self.name), Some(&self.target), self.file.as_ref()];
        let texts = texts.into_iter().flatten().chain(&self.fields);
        texts.map(String::len).sum()
    }
}

/// Decodes values until the bytes end, into `fields`; a later value of a field replaces an
/// earlier one. `None` if the bytes make no sense.
pub(crate) fn values(
    bytes: &mut Bytes<'_>,
    callsite: &Callsite,
    fields: &mut Map<String, Value>,
) -> Option<()> {
    while !bytes.0.is_empty() {
        let index = usize::from(bytes.u8()?);
        let value = value(bytes)?;
        let name = match callsite.fields.get(index) {
            Some(name) => name.clone(),
            // Its name did not fit the static parts.
            None => format!("field_{index}"),
        };
        fields.insert(name, value);
    }
    Some(())
}

fn value(bytes: &mut Bytes<'_>) -> Option<Value> {
    Some(match bytes.u8()? {
        ty::U64 => Value::from(bytes.u64()?),
        ty::I64 => Value::from(i64::from_ne_bytes(bytes.array()?)),
        ty::F64 => {
            let number = f64::from_ne_bytes(bytes.array()?);
            // JSON has no infinities and no NaN.
            Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        ty::TRUE => Value::Bool(true),
        ty::FALSE => Value::Bool(false),
        ty::U128 => {
            let number = u128::from_ne_bytes(bytes.array()?);
            u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
        }
        ty::I128 => {
            let number = i128::from_ne_bytes(bytes.array()?);
            i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
        }
        ty::TEXT => {
            let len = bytes.u16()?;
            Value::String(bytes.text(len.into())?)
        }
        ty::CUT_TEXT => {
            let len = bytes.u16()?;
            let kept = bytes.text(len.into())?;
            let whole = u32::from_ne_bytes(bytes.array()?);
            let missing = u64::from(whole).saturating_sub(u64::from(len));
            Value::String(format!("{kept}… ({missing} more bytes)"))
        }
        ty::PANICKED => Value::String("<panicked>".into()),
        _ => return None,
    })
}

/// Adds the values in `added` to those in `values`, replacing those of the same fields: a field
/// that is recorded a million times takes the room of one.
pub(crate) fn replace_values(values: &mut Vec<u8>, added: &[u8]) {
    let mut replaced = [false; 256];
    for (index, _) in items(added) {
        replaced[usize::from(index)] = true;
    }
    let mut kept = Vec::with_capacity(values.len() + added.len());
    for (index, item) in items(values) {
        if !replaced[usize::from(index)] {
            kept.extend_from_slice(item);
        }
    }
    kept.extend_from_slice(added);
    *values = kept;
}

/// The encoded values in `bytes`, each with the index of its field.
pub(crate) fn items(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut ahead = Bytes(rest);
        let index = ahead.u8()?;
        value(&mut ahead)?;
        let (item, after) = rest.split_at(rest.len() - ahead.0.len());
        rest = after;
        Some((index, item))
    })
}

/// The bytes of words.
pub(crate) fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
