//! The limits of a process that end it by a signal: CPU time (SIGXCPU) and the size of files (SIGXFSZ).
//!
//! **Guarantee:** what is said is the process's own soft limit, as the kernel knows it when it is asked,
//! also of a zombie that nobody has waited for yet. **Lost:** the limits of a process that is gone, and
//! of one whose limits may not be read; they are left out.

/// The limits of a process, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// The CPU time in seconds at which SIGXCPU is sent first; `None` where there is no such limit.
    pub cpu_seconds: Option<u64>,
    /// The size in bytes beyond which no file may grow; `None` where there is no such limit.
    pub file_bytes: Option<u64>,
}

impl ResourceLimits {
    /// The limits of another process that lives, or that is a zombie still.
    #[must_use]
    pub fn of_process(pid: u32) -> ResourceLimits {
        // On other systems there is no such file.
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        ResourceLimits {
            cpu_seconds: soft(&text, "Max cpu time"),
            file_bytes: soft(&text, "Max file size"),
        }
    }
}

/// The soft limit in the line of `/proc/PID/limits` that begins with `name`; `None` for `unlimited`.
fn soft(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              5                    9                    seconds
Max file size             unlimited            unlimited            bytes
";

    #[test]
    fn the_soft_limit_counts() {
        assert_eq!(soft(LIMITS, "Max cpu time"), Some(5));
        assert_eq!(soft(LIMITS, "Max file size"), None);
        assert_eq!(soft(LIMITS, "Max core file size"), None);
    }

    #[test]
    fn a_process_that_is_gone_has_no_limits() {
        assert_eq!(ResourceLimits::of_process(u32::MAX), ResourceLimits::default());
    }
}
