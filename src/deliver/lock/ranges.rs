//! Which byte of the lock file stands for which [`Place`].

use super::Place;

/// Bits of an offset.
const BITS: u32 = 62;

/// Where a place's byte is. The file need not be that long.
pub fn offset(place: Place) -> i64 {
    match place {
        Place::Journal => 0,
        Place::Report(id) => {
            // All bits of the id count, and the result is from 1 to 2^62: an offset that no
            // arithmetic of the kernel's overflows.
            let folded = (id ^ (id >> BITS) ^ (id >> (2 * BITS))) & ((1 << BITS) - 1);
            i64::try_from(folded).unwrap_or_default() + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_byte() {
        assert_eq!(offset(Place::Journal), 0);
        for id in [0, 1, u128::MAX, 1 << 127, u128::from(u64::MAX)] {
            let offset = offset(Place::Report(id));
            assert!((1..=1 << BITS).contains(&offset), "{id}: {offset}");
        }
        let single_bits = (0..128).map(|bit| offset(Place::Report(1 << bit)));
        let distinct: std::collections::HashSet<_> = single_bits.collect();
        assert_eq!(distinct.len(), 62);
    }
}
