//! Text on its way to a terminal: escaped, measured, cut and wrapped.
//!
//! Everything pushed on a [`Line`] is escaped there, so a line holds nothing a terminal would obey:
//! no control character, no escape sequence, no change of writing direction. Widths are columns, as
//! a terminal counts them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is; `output` decides how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    Plain,
    /// What something died of.
    Cause,
    /// What the eye should find: headings, ids, the program's own functions.
    Strong,
    /// What repeats or matters less.
    Quiet,
    /// A place in source code.
    Place,
    /// A level, by its severity.
    Fatal,
    /// A level, by its severity.
    Error,
    /// A level, by its severity; also a warning of our own.
    Warning,
    /// A level, by its severity.
    Info,
    /// A level, by its severity.
    Debug,
}

/// One line of output, escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    role: Role,
    text: String,
    /// Whether the line must break before it.
    breaks: bool,
    /// Whether its spaces are no place to break.
    glued: bool,
}

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `text`, escaped.
    pub fn push(&mut self, role: Role, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.pieces.push(Piece { role, text: escape(text), breaks: false, glued: false });
        }
        self
    }

    /// Appends `text`, escaped, to stay on one line if there is room.
    pub fn push_glued(&mut self, role: Role, text: &str) -> &mut Self {
        self.pieces.push(Piece { role, text: escape(text), breaks: false, glued: true });
        self
    }

    /// Appends `text`, escaped, as as many lines as it has once [wrapped](Self::wrapped).
    pub fn push_lines(&mut self, role: Role, text: &str) -> &mut Self {
        for (i, line) in text.lines().enumerate() {
            let line = escape(&line.replace('\t', "    "));
            self.pieces.push(Piece { role, text: line, breaks: i > 0, glued: false });
        }
        self
    }

    /// Appends spaces until the line is `column` wide, but at least `gap` of them.
    pub fn pad_to(&mut self, column: usize, gap: usize) -> &mut Self {
        let missing = column.saturating_sub(self.width()).max(gap);
        self.push(Role::Plain, &" ".repeat(missing))
    }

    /// How many columns it takes unwrapped.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|piece| piece.text.width()).sum()
    }

    /// Its pieces, which are safe to print, without the spaces at its end.
    pub fn trimmed(&self) -> impl Iterator<Item = (Role, &str)> {
        let blank = |piece: &&Piece| piece.text.trim_end_matches(' ').is_empty();
        let kept = self.pieces.len() - self.pieces.iter().rev().take_while(blank).count();
        self.pieces[..kept].iter().enumerate().map(move |(i, piece)| {
            let last = i + 1 == kept;
            let text = piece.text.as_str();
            (piece.role, if last { text.trim_end_matches(' ') } else { text })
        })
    }

    /// Breaks it at spaces into lines of at most `width` columns, all but the first indented by
    /// `indent`. Words longer than a line are broken anywhere; without a width only the breaks of
    /// [`push_lines`](Self::push_lines) break.
    pub fn wrapped(&self, width: Option<usize>, indent: usize) -> Vec<Line> {
        let width = width.unwrap_or(usize::MAX);
        // A terminal too narrow for the indent still gets some text on each line.
        let indent = indent.min(width / 4 * 3);
        let mut wrap = Wrap { width, indent, lines: vec![Line::new()], column: 0 };
        for word in self.words() {
            wrap.word(&word);
        }
        wrap.lines
    }

    /// Its beginning in at most `columns`, with an ellipsis where the rest is cut.
    pub fn cut(&self, columns: usize) -> Line {
        let mut left = columns;
        let mut line = Line::new();
        let cuts = self.width() > columns;
        for Piece { role, text, .. } in &self.pieces {
            let fits = text.width() < left || (!cuts && text.width() == left);
            let text = if fits { text.clone() } else { cut_end(&format!("{text} "), left) };
            left -= text.width().min(left);
            line.pieces.push(Piece { role: *role, text, breaks: false, glued: false });
            if !fits {
                break;
            }
        }
        line
    }

    /// Its words with the spaces that follow them. A word may have pieces of several roles.
    fn words(&self) -> Vec<Vec<Piece>> {
        let mut words = Vec::new();
        let mut word: Vec<Piece> = Vec::new();
        for piece in &self.pieces {
            let mut breaks = piece.breaks;
            if piece.text.is_empty() && breaks {
                words.extend([std::mem::take(&mut word), vec![piece.clone()]]);
            }
            let spaces = if piece.glued { '\n' } else { ' ' };
            for part in piece.text.split_inclusive(spaces) {
                let ended = word.last().is_some_and(|last| last.text.ends_with(' '));
                if !word.is_empty() && (breaks || (ended && part != " ")) {
                    words.push(std::mem::take(&mut word));
                }
                word.push(Piece { text: part.to_owned(), breaks, ..*piece });
                breaks = false;
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }
}

/// The state of wrapping a line.
struct Wrap {
    width: usize,
    indent: usize,
    lines: Vec<Line>,
    column: usize,
}

impl Wrap {
    fn word(&mut self, word: &[Piece]) {
        let text: String = word.iter().map(|piece| piece.text.as_str()).collect();
        let needed = text.trim_end_matches(' ').width();
        let must = word.first().is_some_and(|piece| piece.breaks);
        let fits = self.column + needed <= self.width;
        let worth = self.column > self.indent && self.indent + needed <= self.width;
        if must || (!fits && worth) {
            self.next_line();
        }
        for piece in word {
            self.piece(piece);
        }
    }

    fn piece(&mut self, piece: &Piece) {
        let mut fitting = String::new();
        for c in piece.text.chars() {
            let columns = c.width().unwrap_or(0);
            if self.column + columns > self.width {
                if c == ' ' {
                    continue;
                }
                self.append(piece.role, std::mem::take(&mut fitting));
                self.next_line();
            }
            fitting.push(c);
            self.column += columns;
        }
        self.append(piece.role, fitting);
    }

    fn append(&mut self, role: Role, text: String) {
        let line = self.lines.last_mut().expect("wrapping begins with a line");
        match line.pieces.last_mut() {
            Some(last) if last.role == role => last.text.push_str(&text),
            _ if text.is_empty() => {}
            _ => line.pieces.push(Piece { role, text, breaks: false, glued: false }),
        }
    }

    fn next_line(&mut self) {
        let mut line = Line::new();
        line.push(Role::Plain, &" ".repeat(self.indent));
        self.lines.push(line);
        self.column = self.indent;
    }
}

/// Whether a terminal (or the reader's eye) could be led astray by `c`: control characters of both
/// sets, changes of writing direction, separators and invisible marks.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `text` with everything [unsafe](is_unsafe) made visible: `\n`, `\x1b`, `\u{202e}`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c.is_ascii_control() => escaped.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_unsafe(c) => escaped.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// How many columns `text` takes once [escaped](escape).
pub fn width(text: &str) -> usize {
    escape(text).width()
}

/// The beginning of `text` in at most `columns`, with an ellipsis where the rest is cut.
pub fn cut_end(text: &str, columns: usize) -> String {
    let text = escape(text);
    if text.width() <= columns {
        return text;
    }
    let mut kept = take(text.chars(), columns.saturating_sub(1)).into_iter().collect::<String>();
    if columns > 0 {
        kept.truncate(kept.trim_end().len());
        kept.push('…');
    }
    kept
}

/// The end of `text` in at most `columns`, with an ellipsis where the beginning is cut.
pub fn cut_start(text: &str, columns: usize) -> String {
    let text = escape(text);
    if text.width() <= columns {
        return text;
    }
    let kept = take(text.chars().rev(), columns.saturating_sub(1));
    let ellipsis = if columns > 0 { "…" } else { "" };
    ellipsis.chars().chain(kept.into_iter().rev()).collect()
}

/// As many characters as fit into `columns`.
fn take(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns;
    chars
        .take_while(|c| {
            let columns = c.width().unwrap_or(0);
            let fits = columns <= left;
            left = left.saturating_sub(columns);
            fits
        })
        .collect()
}

/// `1.2 GiB`.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "bytes";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    let digits = usize::from(unit != "bytes" && size < 100.0);
    format!("{size:.digits$} {unit}")
}

/// `count` with its noun: `1 frame`, `1,204 frames`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `1204` as `1,204`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
        let mut line = Line::new();
        line.push_lines(Role::Plain, text);
        let lines = line.wrapped(Some(width), indent);
        lines.iter().map(|line| line.trimmed().map(|(_, text)| text).collect()).collect()
    }

    #[test]
    fn nothing_a_terminal_obeys_survives() {
        let nasty = "a\x1b[31mb\x07c\u{9b}2Jd\u{202e}e\x7ff\r\n\u{200b}";
        assert_eq!(escape(nasty), "a\\x1b[31mb\\x07c\\u{9b}2Jd\\u{202e}e\\x7ff\\r\\n\\u{200b}");
        let mut line = Line::new();
        line.push(Role::Plain, nasty).push_lines(Role::Plain, nasty);
        assert!(line.trimmed().all(|(_, text)| !text.chars().any(is_unsafe)));
        assert_eq!(escape("żółć 日本 👩‍💻"), "żółć 日本 👩‍💻");
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(cut_end("abcdef", 6), "abcdef");
        assert_eq!(cut_end("abcdef", 5), "abcd…");
        assert_eq!(cut_end("abc def", 5), "abc…");
        assert_eq!(cut_end("日本語", 4), "日…");
        assert_eq!(cut_end("ab", 0), "");
        assert_eq!(cut_start("service::ingest", 7), "…ingest");
        assert_eq!(cut_start("日本語", 4), "…語");
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrapped("one two three", 8, 2), ["one two", "  three"]);
        assert_eq!(wrapped("one two", 7, 2), ["one two"]);
    }

    #[test]
    fn a_word_longer_than_a_line_breaks_anywhere() {
        assert_eq!(wrapped("abcdefghij", 6, 2), ["abcdef", "  ghij"]);
        assert_eq!(wrapped("x abcdefghij", 6, 2), ["x abcd", "  efgh", "  ij"]);
        assert_eq!(wrapped("日本語日本語", 5, 1), ["日本", " 語日", " 本語"]);
    }

    #[test]
    fn lines_of_the_text_stay_lines() {
        assert_eq!(wrapped("left\n\n  right\r\n", 80, 2), ["left", "", "    right"]);
        assert_eq!(wrapped("", 80, 2), [""]);
    }

    #[test]
    fn wrapping_ends_on_any_width() {
        for width in 0..6 {
            let lines = wrapped("some words 日本 and_a_long_one", width, 4);
            assert!(!lines.is_empty());
        }
    }

    #[test]
    fn counts_read_well() {
        assert_eq!(counted(1, "frame"), "1 frame");
        assert_eq!(counted(0, "frame"), "0 frames");
        assert_eq!(counted(1234567, "frame"), "1,234,567 frames");
    }

    #[test]
    fn bytes_have_a_fitting_unit() {
        assert_eq!(bytes(812), "812 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(300 << 20), "300 MiB");
        assert_eq!(bytes(u64::MAX), "16777216 TiB");
    }
}
