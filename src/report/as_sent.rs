//! What a server takes of the settings, before there is any report: for a warning at the start, and
//! for `lastwords doctor`.

use std::collections::BTreeMap;
use std::fmt;

use super::mend;

/// A value that is sent otherwise than it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is: `release`, `environment` or `tag KEY`.
    pub name: String,
    /// As it was given.
    pub given: String,
    /// As it is sent; `None` where nothing is left of it.
    pub sent: Option<String>,
}

/// Release, environment and static tags as a server takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AsSent {
    /// The release.
    pub release: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// What is not as it was given.
    pub changed: Vec<Change>,
}

/// Mends the values as a report does.
#[must_use]
pub fn as_sent(release: Option<&str>, environment: &str, tags: &[(String, String)]) -> AsSent {
    let mut result = AsSent {
        release: release.and_then(mend::release),
        environment: mend::environment(environment),
        ..AsSent::default()
    };
    if let Some(given) = release.filter(|given| !given.trim().is_empty()) {
        result.note("release".to_owned(), given, result.release.clone());
    }
    result.note("environment".to_owned(), environment, result.environment.clone());
    for (key, value) in tags {
        let (sent_key, sent_value) = (mend::tag_key(key), mend::tag_value(value));
        let sent = sent_key.as_ref().zip(sent_value.as_ref());
        let sent = sent.map(|(key, value)| format!("{key}={value}"));
        let name = key.replace(char::is_control, " ");
        result.note(format!("tag {name}"), &format!("{key}={value}"), sent);
        result.tags.extend(sent_key.zip(sent_value));
    }
    result
}

impl AsSent {
    fn note(&mut self, name: String, given: &str, sent: Option<String>) {
        if sent.as_deref() != Some(given) {
            self.changed.push(Change { name, given: given.to_owned(), sent });
        }
    }
}

impl fmt::Display for Change {
    /// One line: `release "a/b" is sent as "a-b": a server would lose it`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ", self.name, self.given)?;
        match &self.sent {
            Some(sent) => write!(f, "is sent as {sent:?}: a server would lose it as it is"),
            None => f.write_str("is not sent: nothing in it is what a server takes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_keeps_is_not_spoken_of() {
        let tags = [("dgraph".to_owned(), "alpha".to_owned())];
        let sent = as_sent(Some("alpha@24.1.0"), "prod-oss", &tags);
        assert_eq!(sent.changed, []);
        assert_eq!(sent.tags.into_iter().collect::<Vec<_>>(), tags);
        assert_eq!(as_sent(None, "dev", &[]).changed, []);
    }

    #[test]
    fn what_a_server_would_lose_is_named() {
        let tags = [("a b".to_owned(), "x\ny".to_owned()), ("empty".to_owned(), String::new())];
        let sent = as_sent(Some("feature/x"), "none", &tags);
        let said: Vec<_> = sent.changed.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        release "feature/x" is sent as "feature-x": a server would lose it as it is
        environment "none" is sent as "env-none": a server would lose it as it is
        tag a b "a b=x\ny" is sent as "a-b=x y": a server would lose it as it is
        tag empty "empty=" is not sent: nothing in it is what a server takes
        "#);
    }
}
