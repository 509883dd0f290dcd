//! Contexts: what is known of the machine, the program and lastwords itself.
//!
//! Standing facts (system, processor, memory, boot time) are read once per process. What belongs
//! to the crashed process alone, such as its peak memory, is read only by that process itself:
//! another one, reporting later, leaves it out rather than guess.
//!
//! Not offered: the compiler's version, environment variables, command-line arguments (they hold
//! secrets).

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sentry::protocol::{AppContext, Context, DeviceContext, OsContext, RuntimeContext, Value};

use super::{Scene, cut, limits, mend};
use crate::detect::{Crash, Ending, Runtime, signal};

/// Key of the context about the crashed process.
pub const PROCESS: &str = "process";

/// Key of the context about lastwords itself.
pub const LASTWORDS: &str = "lastwords";

/// How long after its start the last sign of life of a process came that nobody saw die.
const LAST_SIGN: &str = "last_sign_seconds";

/// The machine that reports, which is the machine that saw the crash.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Name of the system's kernel: `Linux`.
    pub system: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Build of the kernel.
    pub build: Option<String>,
    /// Name of the distribution, as `/etc/os-release` gives it.
    pub distribution: Option<String>,
    /// Version of the distribution.
    pub distribution_version: Option<String>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processors this process may use.
    pub processors: Option<usize>,
    /// When the machine was started.
    pub booted: Option<SystemTime>,
}

impl Machine {
    /// The facts of this machine, read at the first call.
    pub fn this() -> &'static Machine {
        static THIS: OnceLock<Machine> = OnceLock::new();
        THIS.get_or_init(Machine::read)
    }

    fn read() -> Machine {
        let mut machine = Machine {
            memory: read_field("/proc/meminfo", "MemTotal:").map(kibibytes),
            processors: std::thread::available_parallelism().ok().map(Into::into),
            booted: read_field("/proc/stat", "btime").and_then(|seconds| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
            }),
            ..Machine::default()
        };
        machine.name_system();
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        machine.distribution = assignment(&release, "NAME");
        machine.distribution_version = assignment(&release, "VERSION_ID");
        machine
    }

    #[cfg(unix)]
    fn name_system(&mut self) {
        let name = rustix::system::uname();
        self.system = Some(name.sysname().to_string_lossy().into_owned());
        self.kernel = Some(name.release().to_string_lossy().into_owned());
        self.build = Some(name.version().to_string_lossy().into_owned());
    }

    #[cfg(not(unix))]
    fn name_system(&mut self) {
        self.system = Some(std::env::consts::OS.to_owned());
    }
}

/// What only the crashed process can say of itself while it still runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Most memory the process ever held, in bytes (`VmHWM`).
    pub peak_memory: Option<u64>,
    /// Memory in use by it, in bytes (`VmRSS`).
    pub memory: Option<u64>,
}

impl Usage {
    /// The usage of this process so far.
    #[must_use]
    pub fn of_this_process() -> Usage {
        Usage::read("/proc/self/status")
    }

    /// The usage so far of another process; nothing where it is gone.
    #[must_use]
    pub fn of_process(pid: u32) -> Usage {
        Usage::read(&format!("/proc/{pid}/status"))
    }

    fn read(path: &str) -> Usage {
        let status = std::fs::read_to_string(path).unwrap_or_default();
        Usage {
            peak_memory: field(&status, "VmHWM:").map(kibibytes),
            memory: field(&status, "VmRSS:").map(kibibytes),
        }
    }
}

/// All contexts of an event, by key. A context without a type of its own is named by its key.
pub fn contexts(scene: &Scene, machine: &Machine) -> BTreeMap<String, Context> {
    let mut contexts = scene.ambient.contexts.clone();
    contexts.insert("os".to_owned(), os(machine));
    contexts.insert("device".to_owned(), device(scene, machine));
    if let Some(runtime) = runtime(&scene.crash) {
        contexts.insert("runtime".to_owned(), runtime);
    }
    if let Some(trace) = &scene.ambient.trace {
        contexts.insert("trace".to_owned(), trace.clone().into());
    }
    contexts.insert("app".to_owned(), app(scene));
    contexts.insert(PROCESS.to_owned(), Context::Other(process(scene)));
    contexts.insert(LASTWORDS.to_owned(), Context::Other(lastwords(scene)));
    contexts
}

fn os(machine: &Machine) -> Context {
    let mut other = BTreeMap::new();
    put(&mut other, "distribution_name", machine.distribution.as_deref().map(text));
    put(&mut other, "distribution_version", machine.distribution_version.as_deref().map(text));
    OsContext {
        name: machine.system.clone(),
        version: machine.kernel.clone(),
        build: machine.build.clone(),
        kernel_version: machine.kernel.clone(),
        rooted: None,
        other,
    }
    .into()
}

fn device(scene: &Scene, machine: &Machine) -> Context {
    let mut other = BTreeMap::new();
    put(&mut other, "processor_count", machine.processors.map(Value::from));
    DeviceContext {
        name: scene.process.server_name.as_deref().and_then(mend::server_name),
        arch: Some(std::env::consts::ARCH.to_owned()),
        memory_size: machine.memory,
        boot_time: machine.booted.map(mend::timestamp),
        other,
        ..DeviceContext::default()
    }
    .into()
}

fn runtime(crash: &Crash) -> Option<Context> {
    let name = match crash.runtime {
        Runtime::Rust => "rust",
        Runtime::Go => "go",
        Runtime::Unknown => return None,
    };
    Some(
        RuntimeContext {
            name: Some(name.to_owned()),
            version: crash.runtime_version.clone(),
            ..RuntimeContext::default()
        }
        .into(),
    )
}

fn app(scene: &Scene) -> Context {
    let executable = scene.process.executable.as_deref().unwrap_or_default();
    let name = executable.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
    let mut other = BTreeMap::new();
    put(&mut other, "app_memory", scene.process.usage.memory.map(Value::from));
    AppContext {
        app_name: name.map(|name| cut::to_chars(name, limits::CONTEXT_STRING_CHARS)),
        app_start_time: scene.process.started.map(mend::timestamp),
        other,
        ..AppContext::default()
    }
    .into()
}

fn process(scene: &Scene) -> BTreeMap<String, Value> {
    let process = &scene.process;
    let uptime = process.started.and_then(|started| scene.crash.time.duration_since(started).ok());
    let mut map = BTreeMap::new();
    map.insert("pid".to_owned(), Value::from(process.pid));
    put(&mut map, "started", process.started.and_then(rfc3339).map(Value::from));
    let up = if process.found.is_some() { LAST_SIGN } else { "uptime_seconds" };
    put(&mut map, up, uptime.map(seconds));
    put(&mut map, "found_dead", process.found.and_then(rfc3339).map(Value::from));
    put(&mut map, "peak_memory_bytes", process.usage.peak_memory.map(Value::from));
    let cgroup = process.cgroup.unwrap_or_default();
    put(&mut map, "memory_limit_bytes", cgroup.limit.map(Value::from));
    put(&mut map, "memory_peak_bytes", cgroup.peak.map(Value::from));
    put(&mut map, "oom_kills_since_start", cgroup.oom_kills_since_start.map(Value::from));
    put(&mut map, "executable", process.executable.as_deref().map(text));
    put(&mut map, "executable_sha256", process.executable_sha256.as_deref().map(text));
    map.extend(process.ending.map(ending));
    map
}

/// How a process ended, as a key of its context and its value.
pub fn ending(ending: Ending) -> (String, Value) {
    match ending {
        Ending::Code(code) => ("exit_code".to_owned(), Value::from(code)),
        Ending::Signal(number) => ("signal".to_owned(), Value::from(signal::name(number))),
    }
}

fn lastwords(scene: &Scene) -> BTreeMap<String, Value> {
    let losses = &scene.losses;
    let beyond = scene.breadcrumbs.len().saturating_sub(scene.breadcrumb_limit);
    [
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("durable", Value::from(scene.durable)),
        ("breadcrumbs_overwritten", Value::from(losses.overwritten)),
        ("breadcrumbs_torn", Value::from(losses.torn)),
        ("breadcrumbs_cut", Value::from(losses.cut)),
        ("breadcrumbs_dropped", Value::from(losses.dropped)),
        ("breadcrumbs_beyond_limit", Value::from(beyond)),
        ("spans_missing", Value::from(losses.spans_missing)),
        ("panics_unreported", Value::from(losses.panics)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

fn put(map: &mut BTreeMap<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

fn text(value: &str) -> Value {
    Value::from(cut::to_chars(value, limits::CONTEXT_STRING_CHARS))
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> Value {
    Value::from((duration.as_secs_f64() * 1e3).round() / 1e3)
}

fn rfc3339(time: SystemTime) -> Option<String> {
    time::OffsetDateTime::from(mend::timestamp(time))
        .format(&time::format_description::well_known::Rfc3339)
        .ok()
}

fn kibibytes(count: u64) -> u64 {
    count.saturating_mul(1024)
}

fn read_field(path: &str, name: &str) -> Option<u64> {
    field(&std::fs::read_to_string(path).ok()?, name)
}

/// The number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The value of `KEY=value` or `KEY="value"`.
fn assignment(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    let value = line.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| cut::to_chars(value, limits::CONTEXT_STRING_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_read_by_name() {
        let status = "Name:\tx\nVmPeak:\t  10 kB\nVmHWM:\t  2048 kB\n";
        assert_eq!(field(status, "VmHWM:").map(kibibytes), Some(2 << 20));
        assert_eq!(field(status, "VmRSS:"), None);
        assert_eq!(field("VmHWM:\tmany", "VmHWM:"), None);
    }

    #[test]
    fn the_distribution_is_read_without_its_quotes() {
        let release = "PRETTY_NAME=\"Debian 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=12\n";
        assert_eq!(assignment(release, "NAME").as_deref(), Some("Debian GNU/Linux"));
        assert_eq!(assignment(release, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(assignment(release, "ID"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        let Usage { peak_memory, memory } = Usage::of_this_process();
        assert!(memory.is_some_and(|memory| memory > 0) && peak_memory >= memory);
    }
}
