//! A checkup on the terminal, and as JSON.

use lastwords::StateDir;
use serde_json::{Value, json};

use super::finding::{Finding, Mark};
use super::{Checkup, place};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::cli::text::{Line, Role, counted};

/// Where the text of a finding begins.
const TEXT: usize = 21;

/// Prints the settings, then a line for each finding, then the sum.
pub fn print(checkup: &Checkup, out: &mut Output) -> Result<(), Error> {
    let widest = checkup.resolved.rows().map(|row| row.setting.name.len()).max().unwrap_or(0);
    for row in checkup.resolved.rows() {
        let origins: Vec<_> = row.origins.iter().map(ToString::to_string).collect();
        let mut line = Line::new();
        line.push(Role::Plain, row.setting.name).pad_to(widest + 2, 2);
        line.push(Role::Strong, &row.value);
        line.push(Role::Quiet, &format!("  ({})", origins.join(", ")));
        out.wrapped(&line, widest + 2)?;
    }
    out.blank()?;
    for finding in checkup.findings.iter() {
        out.wrapped(&finding_line(finding), TEXT)?;
    }
    out.blank()?;
    out.line(&sum(checkup))?;
    Ok(())
}

fn finding_line(finding: &Finding) -> Line {
    let role = match finding.mark {
        Mark::Ok => Role::Info,
        Mark::Note => Role::Warning,
        Mark::Problem => Role::Fatal,
    };
    let mut line = Line::new();
    line.push(role, finding.mark.word()).pad_to(9, 2);
    line.push(Role::Strong, finding.about).pad_to(TEXT, 2);
    line.push(Role::Plain, &finding.text);
    line
}

fn sum(checkup: &Checkup) -> Line {
    let problems = checkup.findings.marked(Mark::Problem) as u64;
    let mut line = Line::new();
    match problems {
        0 => line.push(Role::Info, "no problem"),
        _ => line.push(Role::Fatal, &counted(problems, "problem")),
    };
    line
}

/// All of it as one object.
pub fn to_json(checkup: &Checkup) -> Value {
    let settings = checkup.resolved.rows().map(|row| {
        let origins: Vec<_> = row.origins.iter().map(ToString::to_string).collect();
        json!({"name": row.setting.name, "value": row.value, "origins": origins})
    });
    let used = place::used(&checkup.state_dirs);
    json!({
        "well": !checkup.findings.has(Mark::Problem),
        "settings": settings.collect::<Vec<_>>(),
        "state_dirs": checkup.state_dirs.iter().map(|dir| state_dir(dir, Some(dir) == used)).collect::<Vec<_>>(),
        "reports": checkup.reports.to_json(),
        "sent_as": {
            "release": checkup.sent_as.release,
            "environment": checkup.sent_as.environment,
            "tags": checkup.sent_as.tags,
        },
        "sending": checkup.sending.to_json(),
        "findings": checkup.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
    })
}

fn state_dir(dir: &StateDir, used: bool) -> Value {
    json!({
        "path": dir.path.display().to_string(),
        "used": used,
        "exists": dir.exists,
        "mode": dir.mode.map(|mode| format!("{mode:04o}")),
        "owner": dir.owner,
        "free": dir.free,
        "trouble": dir.trouble,
    })
}
