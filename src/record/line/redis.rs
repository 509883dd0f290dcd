//! Records of Redis and its kin: `1:M 02 Jan 2026 03:04:05.678 # message`.

use tracing_core::Level;

use super::record::Record;
use super::stamp::Stamp;
use super::text::is_number;

/// Reads such a line: process, role, time and a sign for the level.
pub fn parse(line: &str) -> Option<Record> {
    let (process, rest) = line.split_once(':')?;
    let role = rest.chars().next().filter(|role| "MSCX".contains(*role))?;
    let (stamp, rest) = Stamp::leading(rest[1..].strip_prefix(' ')?)?;
    let (sign, message) = rest.strip_prefix(' ')?.split_once(' ')?;
    let level = match sign {
        "." => Level::DEBUG,
        "-" | "*" => Level::INFO,
        "#" => Level::WARN,
        _ => return None,
    };
    let mut record = Record {
        level: Some(level),
        stamp: Some(stamp),
        target: Some("redis".to_owned()),
        message: message.to_owned(),
        ..Record::default()
    };
    record.thread.id = process.parse().ok().filter(|_| is_number(process))?;
    record.fields.insert("role".to_owned(), role.to_string().into());
    Some(record)
}
