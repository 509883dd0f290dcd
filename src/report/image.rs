//! The modules of a crashed process as the protocol knows them: debug images.
//!
//! A frame that this machine could not name is an address; a server that has the debug info of the same
//! build names it by its image. So only modules with a build id are listed: `code_id` is the build id,
//! `debug_id` its first 16 bytes, filled up with zeros, read as a little-endian GUID. (Sentry's developer
//! documentation, "Debug identifiers".)

use sentry::protocol::{Addr, DebugImage, DebugMeta, SymbolicDebugImage, Value};
use sentry::types::{CodeId, DebugId};

use super::{cut, limits};
use crate::detect::{Crash, Image};

/// How many bytes a debug id is made of.
const GUID_BYTES: usize = 16;

/// The modules that the frames of a crash lie in, each once, in the order of their addresses.
pub fn debug_meta(crash: &Crash) -> DebugMeta {
    let frames = crash.exceptions.iter().flat_map(|exception| &exception.frames);
    let mut images: Vec<&Image> = frames.filter_map(|frame| frame.image.as_deref()).collect();
    images.sort_by_key(|image| image.base);
    images.dedup_by_key(|image| image.base);
    images.truncate(limits::IMAGES);
    DebugMeta { sdk_info: None, images: images.into_iter().filter_map(debug_image).collect() }
}

fn debug_image(image: &Image) -> Option<DebugImage> {
    let build_id = image.build_id.as_deref()?;
    Some(DebugImage::Symbolic(SymbolicDebugImage {
        name: cut::to_chars(&image.path, limits::PATH_CHARS),
        arch: Some(arch().to_owned()),
        image_addr: Addr(image.base),
        image_size: image.size,
        image_vmaddr: Addr(0),
        id: debug_id(build_id)?,
        code_id: Some(CodeId::new(build_id.to_owned())),
        debug_file: None,
    }))
}

/// This machine's architecture, and so the crashed process's, as Sentry calls it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

/// The debug id of a build id in hexadecimal digits; `None` where it is none.
fn debug_id(build_id: &str) -> Option<DebugId> {
    let digits = build_id.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut guid = [0; GUID_BYTES];
    for (byte, pair) in guid.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    DebugId::from_guid_age(&guid, 0).ok()
}

/// Writes an image's kind and keys as the protocol has them now: the type of the SDK writes their
/// older names, and leaves open what kind of file it is.
pub fn modern(image: &mut Value) {
    let Some(image) = image.as_object_mut().filter(|image| image["type"] == "symbolic") else {
        return;
    };
    if cfg!(target_os = "linux") {
        image.insert("type".to_owned(), Value::from("elf"));
    }
    for (old, new) in [("name", "code_file"), ("id", "debug_id")] {
        if let Some(value) = image.remove(old) {
            image.insert(new.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::Frame;

    #[test]
    fn a_debug_id_is_the_start_of_the_build_id_as_a_guid() {
        let id = debug_id("c0bcc3f19827fe653058404b2831d9e60ed7b1e5").unwrap();
        assert_eq!(id.to_string(), "f1c3bcc0-2798-65fe-3058-404b2831d9e6");
        assert_eq!(debug_id("ab").unwrap().to_string(), "000000ab-0000-0000-0000-000000000000");
        for none in ["", "abc", "zz", "ä"] {
            assert_eq!(debug_id(none), None, "{none}");
        }
    }

    #[test]
    fn each_module_of_a_stack_is_an_image_once() {
        let image = |base, build_id: Option<&str>| {
            let build_id = build_id.map(str::to_owned);
            Some(Arc::new(Image { base, size: 0x2000, path: "/srv/a".to_owned(), build_id }))
        };
        let frame = |image| Frame { address: Some(0x1234), image, ..Frame::default() };
        let ending = crate::detect::Ending::Signal(11);
        let time = std::time::SystemTime::UNIX_EPOCH;
        let crash = crate::detect::exit::silent_crash(ending, sentry::types::Uuid::nil(), time);
        let mut crash = crash.expect("a signal is a crash");
        crash.exceptions[0].frames = vec![
            frame(image(0x9000, Some("ab01"))),
            frame(image(0x1000, Some("cd02"))),
            frame(image(0x9000, Some("ab01"))),
            frame(image(0x5000, None)),
            frame(None),
        ];
        let mut json = serde_json::to_value(debug_meta(&crash)).unwrap();
        json["images"].as_array_mut().unwrap().iter_mut().for_each(modern);
        let bases: Vec<_> = json["images"].as_array().unwrap().iter().collect();
        assert_eq!(bases.len(), 2);
        assert_eq!(bases[0]["image_addr"], "0x1000");
        assert_eq!(bases[0]["image_size"], 0x2000);
        assert_eq!(bases[0]["code_file"], "/srv/a");
        assert_eq!(bases[0]["code_id"], "cd02");
        assert_eq!(bases[0]["debug_id"], "000002cd-0000-0000-0000-000000000000");
        if cfg!(target_os = "linux") {
            assert_eq!(bases[0]["type"], "elf");
        }
    }
}
