//! From the layers to the settings: [`resolve`].

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::form::{BREADCRUMBS, FLUSH, RATE_LIMIT, RING_SIZE, RING_STEP, SPOOL_LIMIT, STDERR_TAIL};
use super::layers::{Flags, Origin, Overrides};
use super::problem::{Fault, Problem};
use super::settings::{Settings, SuperviseMode};
use super::table::{Key, Setting, TABLE};
use super::{environment, parse, show};

/// What [`resolve`] yields.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// The values that were not used, in the order of [`TABLE`].
    pub problems: Vec<Problem>,
    origins: [Vec<Origin>; TABLE.len()],
}

impl Resolved {
    /// Where a setting's value came from. Tags and scrub keys may come from several places, lowest
    /// layer first; everything else comes from one.
    pub fn origins(&self, key: Key) -> &[Origin] {
        &self.origins[key as usize]
    }

    /// Every setting with its value and origin, in the order of [`TABLE`].
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        TABLE.iter().map(|setting| Row {
            setting,
            value: self.settings.show(setting.key),
            origins: self.origins(setting.key),
        })
    }
}

/// One setting as it was resolved, for people to read.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value as text, the key of a DSN redacted.
    pub value: String,
    /// Where the value came from; never empty.
    pub origins: &'a [Origin],
}

impl fmt::Display for Row<'_> {
    /// `ring_size = 1MiB (default)`, on one line whatever the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} (", self.setting.name, show::one_line(&self.value))?;
        for (index, origin) in self.origins.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{origin}")?;
        }
        f.write_str(")")
    }
}

/// Resolves every setting: the highest layer with a usable value decides. `env` looks up an
/// environment variable; a program passes `&|name| std::env::var_os(name)`.
pub fn resolve(
    code: &Overrides,
    env: &dyn Fn(&str) -> Option<OsString>,
    flags: &Flags,
) -> Resolved {
    let default = Settings::default();
    let mut layers = Resolver { env, flags, origins: Default::default(), problems: Vec::new() };

    // In the order of the table, which is the order of the problems.
    let enable_sentry =
        layers.boolean(Key::EnableSentry, code.enable_sentry, default.enable_sentry);
    // Whoever meant to switch sending off, and misspelt it, must not find out from a server.
    let misspelt = layers.problems.first().map(|problem| problem.origin);
    if let Some(origin) = misspelt {
        layers.origins[Key::EnableSentry as usize] = vec![origin];
    }
    let enable_sentry = enable_sentry && misspelt.is_none();
    let dsn = layers.text(Key::Dsn, given(code.dsn.clone()), parse::dsn);
    let release = layers.string(Key::Release, &code.release);
    let environment = layers.string(Key::Environment, &code.environment);
    let edition = layers.string(Key::Edition, &code.edition);
    let environment =
        environment.unwrap_or_else(|| environment::derive(release.as_deref(), edition.as_deref()));
    let tags = layers.tags(&code.tags);
    let tag_subcommand = layers.string(Key::TagSubcommand, &code.tag_subcommand);
    let filter = layers.text(Key::Filter, given(code.filter.clone()), parse::filter);
    let breadcrumbs =
        layers.within(Key::Breadcrumbs, code.breadcrumbs, &BREADCRUMBS, parse::count, |count| {
            count.to_string()
        });
    let ring_size =
        layers.within(Key::RingSize, code.ring_size, &RING_SIZE, parse::size, show::size);
    let ring_size = ring_size.map(|bytes| bytes - bytes % RING_STEP);
    let stderr_tail =
        layers.within(Key::StderrTail, code.stderr_tail, &STDERR_TAIL, parse::size, show::size);
    let state_dir = layers.directory(&code.state_dir);
    let spool_limit =
        layers.within(Key::SpoolLimit, code.spool_limit, &SPOOL_LIMIT, parse::size, show::size);
    let flush = layers.within(Key::Flush, code.flush, &FLUSH, parse::duration, show::duration);
    let rate_limit =
        layers.within(Key::RateLimit, code.rate_limit, &RATE_LIMIT, parse::count, |count| {
            count.to_string()
        });
    let scrub_keys = layers.scrub_keys(&code.scrub_keys);
    let supervise = layers.supervise(code.supervise);
    let sessions = layers.boolean(Key::Sessions, code.sessions, default.sessions);
    let minidump = layers.boolean(Key::Minidump, code.minidump, default.minidump);

    let settings = Settings {
        enable_sentry,
        dsn,
        release,
        environment,
        edition,
        tags,
        tag_subcommand,
        filter: filter.unwrap_or(default.filter),
        breadcrumbs: breadcrumbs.unwrap_or(default.breadcrumbs),
        ring_size: ring_size.unwrap_or(default.ring_size),
        stderr_tail: stderr_tail.unwrap_or(default.stderr_tail),
        state_dir,
        spool_limit: spool_limit.unwrap_or(default.spool_limit),
        flush: flush.unwrap_or(default.flush),
        rate_limit: rate_limit.unwrap_or(default.rate_limit),
        scrub_keys,
        supervise,
        sessions,
        minidump,
    };
    layers.finish(settings)
}

/// A value set in code: usable, or its text and what is wrong with it.
type FromCode<T> = Option<Result<T, (String, Fault)>>;

fn given<T>(value: Option<T>) -> FromCode<T> {
    value.map(Ok)
}

struct Resolver<'a> {
    env: &'a dyn Fn(&str) -> Option<OsString>,
    flags: &'a Flags,
    origins: [Vec<Origin>; TABLE.len()],
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    /// What the operator gave for a setting, lowest layer first. Blank values are not given.
    fn operator(&self, key: Key) -> Vec<(Origin, OsString)> {
        let setting = key.setting();
        let variables = setting.variables.iter().rev();
        let variables =
            variables.filter_map(|name| Some((Origin::Variable(name), (self.env)(name)?)));
        let flags = setting.flag.into_iter().flat_map(|flag| {
            self.flags.of(key).map(move |value| (Origin::Flag(flag.name), value.to_owned()))
        });
        let is_given = |(_, value): &(Origin, OsString)| match value.to_str() {
            Some(text) => !text.trim().is_empty(),
            None => true,
        };
        variables.chain(flags).filter(is_given).collect()
    }

    /// The value of the highest layer that has a usable one.
    fn highest<T>(
        &mut self,
        key: Key,
        code: FromCode<T>,
        parse: impl Fn(&OsStr) -> Result<T, Fault>,
    ) -> Option<T> {
        for (origin, raw) in self.operator(key).into_iter().rev() {
            match parse(&raw) {
                Ok(value) => {
                    self.came_from(key, origin);
                    return Some(value);
                }
                Err(fault) => self.refuse(key, origin, &raw, fault),
            }
        }
        match code? {
            Ok(value) => {
                self.came_from(key, Origin::Code);
                Some(value)
            }
            Err((shown, fault)) => {
                self.refuse(key, Origin::Code, shown.as_ref(), fault);
                None
            }
        }
    }

    fn text<T>(
        &mut self,
        key: Key,
        code: FromCode<T>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.highest(key, code, |raw| {
            parse(raw.to_str().ok_or(Fault::Encoding)?).ok_or(Fault::Form)
        })
    }

    fn boolean(&mut self, key: Key, code: Option<bool>, default: bool) -> bool {
        self.text(key, given(code), parse::boolean).unwrap_or(default)
    }

    fn string(&mut self, key: Key, code: &Option<String>) -> Option<String> {
        let code = code.clone().filter(|text| !text.trim().is_empty());
        self.text(key, given(code), |text| Some(text.to_owned()))
    }

    fn within<T: PartialOrd + Copy>(
        &mut self,
        key: Key,
        code: Option<T>,
        range: &RangeInclusive<T>,
        parse: impl Fn(&str) -> Option<T>,
        show: impl Fn(T) -> String,
    ) -> Option<T> {
        let admit = |value: T| if range.contains(&value) { Ok(value) } else { Err(Fault::Range) };
        let code = code.map(|value| admit(value).map_err(|fault| (show(value), fault)));
        self.highest(key, code, |raw| {
            let text = raw.to_str().ok_or(Fault::Encoding)?;
            admit(parse(text).ok_or(Fault::Form)?)
        })
    }

    /// A path is bytes to the system, so it need not be UTF-8.
    fn directory(&mut self, code: &Option<PathBuf>) -> Option<PathBuf> {
        let code = code.clone().filter(|path| !path.as_os_str().is_empty());
        self.highest(Key::StateDir, given(code), |raw| Ok(PathBuf::from(raw)))
    }

    /// The operator may take supervision away or change its mode, but not add it.
    fn supervise(&mut self, code: Option<SuperviseMode>) -> Option<SuperviseMode> {
        let only_off = code == Some(SuperviseMode::Off);
        self.highest(Key::Supervise, given(code), |raw| {
            let text = raw.to_str().ok_or(Fault::Encoding)?;
            let mode = parse::mode(text).ok_or(Fault::Form)?;
            if only_off && mode != SuperviseMode::Off {
                return Err(Fault::AddsSupervision);
            }
            Ok(mode)
        })
    }

    fn tags(&mut self, code: &[(String, String)]) -> Vec<(String, String)> {
        let mut tags = Vec::new();
        let entries = code.iter().map(|(key, value)| match key.trim() {
            "" => Err((format!("{key}={value}"), Fault::Form)),
            _ => Ok((key.clone(), value.clone())),
        });
        self.entries(Key::Tags, Origin::Code, entries, |tag| merge(&mut tags, tag));
        for (origin, raw) in self.operator(Key::Tags) {
            let text = Lossy::new(&raw);
            let entries = match origin {
                Origin::Flag(_) => {
                    vec![parse::tag(&text.text).ok_or_else(|| text.text.clone().into_owned())]
                }
                _ => parse::tags(&text.text),
            };
            let entries = entries.into_iter().map(|entry| match entry {
                Ok((key, value)) if text.lost(&key) || text.lost(&value) => {
                    Err((format!("{key}={value}"), Fault::Encoding))
                }
                entry => entry.map_err(|entry| (entry, Fault::Form)),
            });
            self.entries(Key::Tags, origin, entries, |tag| merge(&mut tags, tag));
        }
        tags
    }

    fn scrub_keys(&mut self, code: &[String]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        let entries = code.iter().filter(|name| !name.trim().is_empty()).cloned().map(Ok);
        self.entries(Key::ScrubKeys, Origin::Code, entries, &mut add);
        for (origin, raw) in self.operator(Key::ScrubKeys) {
            let text = Lossy::new(&raw);
            let entries = parse::names(&text.text)
                .into_iter()
                .map(|name| if text.lost(&name) { Err((name, Fault::Encoding)) } else { Ok(name) });
            self.entries(Key::ScrubKeys, origin, entries, &mut add);
        }
        names
    }

    /// Takes the good entries of one layer, and reports the bad ones.
    fn entries<T>(
        &mut self,
        key: Key,
        origin: Origin,
        entries: impl IntoIterator<Item = Result<T, (String, Fault)>>,
        mut add: impl FnMut(T),
    ) {
        for entry in entries {
            match entry {
                Ok(entry) => {
                    add(entry);
                    self.came_from(key, origin);
                }
                Err((entry, fault)) => self.refuse(key, origin, entry.as_ref(), fault),
            }
        }
    }

    /// Reports a bad value, once however often it stands in one place.
    fn refuse(&mut self, key: Key, origin: Origin, value: &OsStr, fault: Fault) {
        let problem = Problem::new(key, origin, value, fault);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn came_from(&mut self, key: Key, origin: Origin) {
        let origins = &mut self.origins[key as usize];
        if origins.last() != Some(&origin) {
            origins.push(origin);
        }
    }

    /// Now that every value is known, each problem can say what is used instead.
    fn finish(mut self, settings: Settings) -> Resolved {
        for problem in &mut self.problems {
            if !matches!(problem.key, Key::Tags | Key::ScrubKeys) {
                problem.settle(settings.show(problem.key));
            }
        }
        for origins in &mut self.origins {
            if origins.is_empty() {
                origins.push(Origin::Default);
            }
        }
        Resolved { settings, problems: self.problems, origins: self.origins }
    }
}

/// A key's later value takes the place of the earlier one.
fn merge(tags: &mut Vec<(String, String)>, (key, value): (String, String)) {
    match tags.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => tags.push((key, value)),
    }
}

/// A list that may not be UTF-8, of which the entries that are can still be used.
struct Lossy<'a> {
    text: Cow<'a, str>,
    complete: bool,
}

impl<'a> Lossy<'a> {
    fn new(raw: &'a OsStr) -> Self {
        Lossy { text: raw.to_string_lossy(), complete: raw.to_str().is_some() }
    }

    /// Whether a part of the text lost bytes.
    fn lost(&self, part: &str) -> bool {
        !self.complete && part.contains(char::REPLACEMENT_CHARACTER)
    }
}

#[cfg(test)]
mod tests;
