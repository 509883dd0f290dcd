//! The raw end of a stream.

/// The last bytes of a stream, as many as asked for.
#[derive(Debug)]
pub(super) struct Tail {
    /// A ring of at most `most` bytes; it grows as bytes come.
    bytes: Vec<u8>,
    /// Where the next byte goes, once the ring is full.
    next: usize,
    most: usize,
    /// Whether bytes came before those that are kept.
    has_lost: bool,
}

impl Tail {
    pub(super) fn new(most: u64) -> Tail {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Tail { bytes: Vec::new(), next: 0, most, has_lost: false }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.has_lost |= bytes.len() > self.most - self.bytes.len();
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
    fn to_vec(&self) -> Vec<u8> {
        let (newer, older) = self.bytes.split_at(self.next);
        [older, newer].concat()
    }

    /// The same from the first line that is whole: of a part of a line nobody knows what it is part
    /// of, and it may be a secret. A single line that is longer than all stays as it is cut.
    pub(super) fn whole_lines(&self) -> Vec<u8> {
        let mut bytes = self.to_vec();
        if self.has_lost
            && let Some(newline) = bytes.iter().position(|byte| *byte == b'\n')
            && newline + 1 < bytes.len()
        {
            bytes.drain(..=newline);
        }
        bytes
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
            let kept = &all[all.len().saturating_sub(most as usize)..];
            prop_assert_eq!(tail.to_vec(), kept);
            let newline = kept.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let cut = all.len() > kept.len() && newline < kept.len();
            prop_assert_eq!(tail.whole_lines(), &kept[if cut { newline } else { 0 }..]);
        }
    }
}
