//! Who watches a program that dies.

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Its own hook, and a sweep afterwards.
    Hook,
    /// Its parent, which was itself.
    Wrap,
    /// A process beside it.
    Monitor,
    /// `lastwords run`, and it has never heard of lastwords.
    Plain,
}

impl Setting {
    pub const ALL: [Setting; 4] = [Setting::Hook, Setting::Wrap, Setting::Monitor, Setting::Plain];

    pub fn word(self) -> &'static str {
        match self {
            Setting::Hook => "hook",
            Setting::Wrap => "wrap",
            Setting::Monitor => "monitor",
            Setting::Plain => "plain",
        }
    }
}
