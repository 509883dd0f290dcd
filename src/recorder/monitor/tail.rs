//! The raw end of a stream.

/// The last bytes of a stream, as many as asked for.
#[derive(Debug)]
pub(super) struct Tail {
    /// A ring of at most `most` bytes; it grows as bytes come.
    bytes: Vec<u8>,
    /// Where the next byte goes, once the ring is full.
    next: usize,
    most: usize,
}

impl Tail {
    pub(super) fn new(most: u64) -> Tail {
        Tail { bytes: Vec::new(), next: 0, most: usize::try_from(most).unwrap_or(usize::MAX) }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut bytes = &bytes[bytes.len().saturating_sub(self.most)..];
        let growth = bytes.len().min(self.most - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..growth]);
        bytes = &bytes[growth..];
        while !bytes.is_empty() {
            let fits = bytes.len().min(self.most - self.next);
            self.bytes[self.next..self.next + fits].copy_from_slice(&bytes[..fits]);
            self.next = (self.next + fits) % self.most;
            bytes = &bytes[fits..];
        }
    }

    /// The bytes in the order of the stream.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let (newer, older) = self.bytes.split_at(self.next);
        [older, newer].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_end_of_all_that_was_pushed(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20),
            most in 0u64..40,
        ) {
            let mut tail = Tail::new(most);
            chunks.iter().for_each(|chunk| tail.push(chunk));
            let all = chunks.concat();
            prop_assert_eq!(tail.to_vec(), &all[all.len().saturating_sub(most as usize)..]);
        }
    }
}
