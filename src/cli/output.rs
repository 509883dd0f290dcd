//! Standard output: locked once, buffered, with colours only where they are wanted.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstyle::{AnsiColor, Style};

use super::args::ColorWhen;
use super::json;
use super::text::{Line, Role};

/// Standard output and what it can do.
pub struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    color: bool,
    width: Option<usize>,
    terminal: bool,
}

impl Output {
    /// Locks standard output.
    pub fn stdout(color: ColorWhen) -> Self {
        let lock = io::stdout().lock();
        let terminal = lock.is_terminal();
        Self {
            color: use_color(color, terminal, |name| std::env::var(name).ok()),
            width: columns(std::env::var("COLUMNS").ok().as_deref(), || terminal_width(&lock)),
            writer: BufWriter::with_capacity(64 << 10, lock),
            terminal,
        }
    }

    /// How many columns there are; `None` where nothing limits a line, as in a file or a pipe.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Writes `line` without the spaces at its end.
    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        for (role, text) in line.trimmed() {
            let style = if self.color { style(role) } else { Style::new() };
            write!(self.writer, "{style}{text}{style:#}")?;
        }
        self.writer.write_all(b"\n")
    }

    /// Writes `line` wrapped to the width there is.
    pub fn wrapped(&mut self, line: &Line, indent: usize) -> io::Result<()> {
        line.wrapped(self.width, indent).iter().try_for_each(|line| self.line(line))
    }

    /// Writes `line` cut to the width there is.
    pub fn cut(&mut self, line: &Line) -> io::Result<()> {
        match self.width {
            Some(columns) => self.line(&line.cut(columns)),
            None => self.line(line),
        }
    }

    /// Writes an empty line.
    pub fn blank(&mut self) -> io::Result<()> {
        self.line(&Line::new())
    }

    /// Writes a JSON document that is one line already.
    pub fn json_line(&mut self, document: &str) -> io::Result<()> {
        match self.terminal {
            true => writeln!(self.writer, "{}", json::for_terminal(document)),
            false => writeln!(self.writer, "{document}"),
        }
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Forgets what is buffered: nobody reads it any more.
    pub fn discard(self) {
        drop(self.writer.into_parts());
    }
}

/// Whether to use colours: `--color`, else CLICOLOR_FORCE, else NO_COLOR, else as the terminal is.
fn use_color(when: ColorWhen, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let forced = set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").as_deref() != Some("0");
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if forced => true,
        ColorWhen::Auto if set("NO_COLOR") => false,
        ColorWhen::Auto => terminal && variable("TERM").as_deref() != Some("dumb"),
    }
}

/// The narrowest width that is believed; less is a terminal that does not know.
const NARROWEST: usize = 20;

/// The columns there are: COLUMNS if it is exported, else what the terminal says.
fn columns(variable: Option<&str>, terminal: impl Fn() -> Option<usize>) -> Option<usize> {
    let exported = variable.and_then(|text| text.parse().ok()).filter(|&n| n > 0);
    exported.or_else(terminal).map(|columns| columns.max(NARROWEST))
}

#[cfg(unix)]
fn terminal_width(stdout: &StdoutLock<'_>) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

#[cfg(not(unix))]
fn terminal_width(stdout: &StdoutLock<'_>) -> Option<usize> {
    stdout.is_terminal().then_some(80)
}

/// How a role looks. Only the 16 colours of the terminal's own palette, so a light background
/// works too.
fn style(role: Role) -> Style {
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    match role {
        Role::Plain => Style::new(),
        Role::Cause | Role::Fatal => color(AnsiColor::Red).bold(),
        Role::Strong => Style::new().bold(),
        Role::Quiet => Style::new().dimmed(),
        Role::Place => color(AnsiColor::Cyan),
        Role::Error => color(AnsiColor::Red),
        Role::Warning => color(AnsiColor::Yellow),
        Role::Info => color(AnsiColor::Green),
        Role::Debug => color(AnsiColor::Blue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colored(when: ColorWhen, terminal: bool, set: &[(&str, &str)]) -> bool {
        use_color(when, terminal, |name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_flag_beats_the_environment_and_that_the_terminal() {
        assert!(colored(ColorWhen::Auto, true, &[]));
        assert!(!colored(ColorWhen::Auto, false, &[]));
        assert!(!colored(ColorWhen::Auto, true, &[("NO_COLOR", "1")]));
        assert!(colored(ColorWhen::Auto, true, &[("NO_COLOR", "")]));
        assert!(!colored(ColorWhen::Auto, true, &[("TERM", "dumb")]));
        assert!(colored(ColorWhen::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!colored(ColorWhen::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(colored(ColorWhen::Auto, true, &[("CLICOLOR_FORCE", "0")]));
        assert!(colored(ColorWhen::Always, false, &[("NO_COLOR", "1")]));
        assert!(!colored(ColorWhen::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn columns_come_from_the_environment_then_the_terminal() {
        assert_eq!(columns(Some("120"), || Some(80)), Some(120));
        assert_eq!(columns(Some("wide"), || Some(80)), Some(80));
        assert_eq!(columns(Some("0"), || None), None);
        assert_eq!(columns(None, || Some(3)), Some(NARROWEST));
    }
}
