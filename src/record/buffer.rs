//! The bytes of one record in the making: an array on the stack of the thread that records it.
//!
//! **Guarantee:** only bytes that were written are ever read, and none outside of the array; the
//! checks are one comparison for each write. Nothing is zeroed beforehand: most records use a
//! fortieth of the array.

use std::mem::MaybeUninit;

use super::layout::RECORD_WORDS;

/// Bytes that a record may have.
const BYTES: usize = RECORD_WORDS * 8;

/// Bytes appended one after another, at most [`RECORD_WORDS`] words.
pub(super) struct Buffer {
    /// One word more than is used, so that the last one can be filled up without a case.
    words: [MaybeUninit<u64>; RECORD_WORDS + 1],
    /// Bytes written: all before it are initialised. Never above `BYTES`.
    len: usize,
}

impl Buffer {
    #[inline]
    pub(super) fn new() -> Buffer {
        Buffer { words: [const { MaybeUninit::uninit() }; RECORD_WORDS + 1], len: 0 }
    }

    /// Bytes written so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    /// When they do not fit; callers compare with their limit first.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        assert!(len <= BYTES - self.len);
        // SAFETY: the assertion leaves `len` bytes from `self.len` on inside of `words`, and
        // `bytes` is borrowed from elsewhere, so the two do not overlap.
        unsafe { copy(bytes.as_ptr(), self.bytes_mut().add(self.len), len) };
        self.len += len;
    }

    /// Appends an array: as `push`, for a length that is known when it is compiled.
    #[inline]
    pub(super) fn push_array<const N: usize>(&mut self, bytes: [u8; N]) {
        assert!(N <= BYTES - self.len);
        // SAFETY: as in `push`.
        unsafe { self.bytes_mut().add(self.len).cast::<[u8; N]>().write(bytes) };
        self.len += N;
    }

    /// Overwrites bytes that were written before.
    ///
    /// # Panics
    /// When they were not.
    #[inline]
    pub(super) fn patch<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        assert!(at <= self.len && N <= self.len - at);
        // SAFETY: the assertion keeps the write among the initialised bytes.
        unsafe { self.bytes_mut().add(at).cast::<[u8; N]>().write(bytes) };
    }

    /// Takes back all but the first `len` bytes.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes from `from` on.
    pub(super) fn bytes_from(&self, from: usize) -> &[u8] {
        assert!(from <= self.len);
        // SAFETY: all bytes before `self.len` are initialised.
        unsafe {
            let first = self.words.as_ptr().cast::<u8>().add(from);
            std::slice::from_raw_parts(first, self.len - from)
        }
    }

    /// All bytes as words, the last one filled up with zeros.
    #[inline]
    pub(super) fn as_words(&mut self) -> &mut [u64] {
        let words = self.len.div_ceil(8);
        // SAFETY: `len` is at most `BYTES`, and `words` has eight bytes behind those. Then all
        // bytes of the first `words` words are initialised, and a `u64` has no invalid values.
        unsafe {
            self.bytes_mut().add(self.len).cast::<u64>().write_unaligned(0);
            std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), words)
        }
    }

    #[inline]
    fn bytes_mut(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }
}

/// Copies `len` bytes. Most texts of a record are shorter than a call of the C library's `memcpy`
/// is worth: up to 16 bytes are copied as two words that may overlap.
///
/// # Safety
/// * `from` can be read for `len` bytes and `to` written for as many.
/// * The two do not overlap.
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: every access lies within `len` bytes of its pointer: in each case the width is at
    // most `len`, and the second access ends exactly at `len`.
    unsafe {
        match len {
            0 => {}
            1..4 => {
                to.write(from.read());
                to.add(len / 2).write(from.add(len / 2).read());
                to.add(len - 1).write(from.add(len - 1).read());
            }
            4..8 => {
                copy_ends::<[u8; 4]>(from, to, len - 4);
            }
            8..=16 => {
                copy_ends::<[u8; 8]>(from, to, len - 8);
            }
            _ => std::ptr::copy_nonoverlapping(from, to, len),
        }
    }
}

/// Copies the `T` at the start and the one at `last`.
///
/// # Safety
/// Both can be read from `from` and written to `to`; `T` is an array of bytes.
#[inline]
unsafe fn copy_ends<T: Copy>(from: *const u8, to: *mut u8, last: usize) {
    // SAFETY: by the caller's promise; an array of bytes needs no alignment.
    unsafe {
        let (first, second) = (from.cast::<T>().read(), from.add(last).cast::<T>().read());
        to.cast::<T>().write(first);
        to.add(last).cast::<T>().write(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_copied_whole() {
        let source: Vec<u8> = (0..100).collect();
        for len in 0..source.len() {
            for offset in 0..9 {
                let mut buffer = Buffer::new();
                buffer.push(&vec![0xEE; offset]);
                buffer.push(&source[..len]);
                buffer.push_array([0xDD, 0xCC]);
                assert_eq!(buffer.bytes_from(offset)[..len], source[..len]);
                let words = buffer.as_words();
                let bytes = super::super::decode::bytes_of(words);
                assert_eq!(bytes[offset + len..offset + len + 2], [0xDD, 0xCC]);
                assert!(bytes[offset + len + 2..].iter().all(|byte| *byte == 0), "padding");
            }
        }
    }

    #[test]
    fn it_can_be_filled_to_the_last_byte_and_no_further() {
        let mut buffer = Buffer::new();
        buffer.push(&vec![7; BYTES]);
        assert_eq!(buffer.as_words().len(), RECORD_WORDS);
        let one_more = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| buffer.push(&[1])));
        assert!(one_more.is_err());
    }
}
