//! Random ids.
//!
//! **Guarantee:** the bytes come from the kernel at each call and no state is kept, so that an id can
//! be made when the thread's own values are destroyed (at the process's end), and a forked child
//! never repeats its parent's or its sibling's. A generator kept by a thread promises neither.

use sentry::types::Uuid;

/// A random id, UUID version 4.
pub(crate) fn id() -> Uuid {
    Uuid::from_bytes(as_version_4(random_bytes()))
}

/// Random bytes with the version and the variant of RFC 9562, section 5.4.
pub(super) fn as_version_4(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

#[cfg(target_os = "linux")]
fn random_bytes() -> [u8; 16] {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; 16];
    // Up to 256 bytes are given whole; only a kernel or a sandbox without the call refuses.
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(16) => bytes,
        _ => sentry::types::random_uuid().into_bytes(),
    }
}

#[cfg(not(target_os = "linux"))]
fn random_bytes() -> [u8; 16] {
    sentry::types::random_uuid().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (id(), id());
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 4);
        assert_eq!(one.get_variant(), sentry::types::UuidVariant::RFC4122);
    }
}
