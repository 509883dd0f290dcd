//! Cutting a string to a limit: always at a character's boundary, and always visibly.
//!
//! A cut string ends in `...`, as Sentry's own cuts do; it is never longer than the limit, the
//! mark included. A string within its limit is returned as it is.

/// What a cut string ends in.
const MARK: &str = "...";

/// Cuts to `limit` characters.
pub fn to_chars(text: &str, limit: usize) -> String {
    // A string of no more bytes than the limit has no more characters either.
    if text.len() <= limit || text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    let room = limit.saturating_sub(MARK.len());
    let end = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
    marked(&text[..end], limit)
}

/// Cuts to `limit` bytes.
pub fn to_bytes(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len()));
    marked(&text[..end], limit)
}

/// Cuts a field in place to `limit` characters.
pub fn field(field: &mut String, limit: usize) {
    if field.len() > limit {
        *field = to_chars(field, limit);
    }
}

/// Cuts an optional field in place to `limit` characters.
pub fn optional(value: &mut Option<String>, limit: usize) {
    if let Some(value) = value {
        field(value, limit);
    }
}

fn marked(kept: &str, limit: usize) -> String {
    let mark = &MARK[..limit.min(MARK.len())];
    format!("{kept}{mark}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_string_within_its_limit_stays() {
        assert_eq!(to_chars("häuser", 6), "häuser");
        assert_eq!(to_bytes("häuser", 7), "häuser");
    }

    #[test]
    fn a_cut_falls_on_a_character() {
        assert_eq!(to_chars("ääääää", 5), "ää...");
        assert_eq!(to_bytes("ääääää", 8), "ää...");
        assert_eq!(to_bytes("ääää", 2), "..");
        assert_eq!(to_chars("abc", 0), "");
    }

    proptest! {
        #[test]
        fn no_cut_exceeds_its_limit(text in ".{0,64}", limit in 0usize..40) {
            prop_assert!(to_chars(&text, limit).chars().count() <= limit);
            prop_assert!(to_bytes(&text, limit).len() <= limit);
        }
    }
}
