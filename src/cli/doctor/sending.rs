//! The way to the server: the switch, the DSN, a proxy, and whether anybody answers.

use lastwords::config::{Settings, redacted};
use lastwords::deliver::{Client, Courier};
use lastwords::report::AsSent;
use serde_json::{Value, json};

use super::finding::{Findings, Mark};
use super::proxy::{self, Proxy};
use super::reach::{self, Reach};
use super::test_event;

/// What it is about.
const ABOUT: &str = "sending";

/// What was found out about sending.
#[derive(Debug)]
pub struct Sending {
    enabled: bool,
    dsn: Option<String>,
    proxy: Option<Proxy>,
    reach: Reach,
    test_event: Option<String>,
}

impl Sending {
    /// Looks at what sending depends on. Opens a connection only where reports would be sent.
    pub fn check(
        settings: &Settings,
        sent_as: &AsSent,
        send_test: bool,
        courier: Option<&dyn Courier>,
        findings: &mut Findings,
    ) -> Sending {
        let enabled = settings.enable_sentry;
        let shown = settings.dsn.as_ref().map(redacted);
        let mut sending = Sending {
            enabled,
            dsn: shown,
            proxy: None,
            reach: Reach::NotChecked(""),
            test_event: None,
        };
        let off = match (enabled, &settings.dsn) {
            (false, _) => "sending is switched off: nothing leaves this machine",
            (true, None) => "no DSN is given: reports stay on this machine",
            (true, Some(dsn)) => {
                let scheme = dsn.scheme().to_string();
                let proxy = proxy::find(&scheme, &|name| std::env::var(name).ok());
                sending.proxy = proxy.filter(|_| !Client::new().goes_directly(dsn));
                sending.describe(&scheme, findings);
                sending.ask(dsn, sent_as, send_test, courier, findings);
                return sending;
            }
        };
        findings.note(ABOUT, off);
        if send_test {
            findings.problem(ABOUT, "the test event was not sent");
        }
        sending.reach = Reach::NotChecked(off);
        sending
    }

    fn describe(&self, scheme: &str, findings: &mut Findings) {
        let dsn = self.dsn.as_deref().unwrap_or_default();
        match scheme {
            "https" => findings.ok(ABOUT, format!("to {dsn}")),
            _ => findings.note(ABOUT, format!("to {dsn}, not encrypted")),
        }
        if let Some(Proxy { variable, address }) = &self.proxy {
            findings.note(ABOUT, format!("through the proxy {address} of {variable}"));
        }
    }

    fn ask(
        &mut self,
        dsn: &lastwords::sentry::types::Dsn,
        sent_as: &AsSent,
        send_test: bool,
        courier: Option<&dyn Courier>,
        findings: &mut Findings,
    ) {
        let Some(courier) = courier else {
            self.reach = Reach::NotChecked("this version sends nothing yet");
            let (mark, text) = self.reach.judge(None);
            findings.add(if send_test { Mark::Problem } else { mark }, ABOUT, text);
            return;
        };
        if send_test {
            let (id, envelope) = test_event::make(sent_as);
            self.test_event = Some(id.simple().to_string());
            self.reach = reach::send(courier, dsn, &envelope);
        } else {
            self.reach = reach::reach(courier, dsn);
        }
        let (mark, text) = self.reach.judge(self.test_event.as_deref());
        // A test that was asked for and not taken is never well.
        let failed = send_test && mark != Mark::Ok;
        findings.add(if failed { Mark::Problem } else { mark }, ABOUT, text);
    }

    /// What was found as JSON.
    pub fn to_json(&self) -> Value {
        let (status, words) = match &self.reach {
            Reach::Answered(answer, _) => (Some(answer.status), answer.words.clone()),
            Reach::NotAnswered(error) => (None, error.to_string()),
            Reach::NotChecked(why) => (None, (*why).to_owned()),
        };
        json!({
            "enabled": self.enabled,
            "dsn": self.dsn,
            "proxy": self.proxy.as_ref().map(|proxy| &proxy.address),
            "checked": !matches!(self.reach, Reach::NotChecked(_)),
            "status": status,
            "words": words,
            "test_event": self.test_event,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use lastwords::config::parse;
    use lastwords::deliver::{Answer, NotAnswered};
    use lastwords::report;
    use lastwords::sentry::types::Dsn;

    use super::*;

    /// Takes everything, and remembers it.
    #[derive(Default)]
    struct Keeper(Mutex<Vec<Vec<u8>>>);

    impl Courier for Keeper {
        fn post(&self, _: &Dsn, envelope: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
            self.0.lock().unwrap().push(envelope.to_vec());
            Ok(Answer { status: 200, ..Answer::default() })
        }
    }

    fn check(settings: &Settings, send_test: bool) -> (usize, Findings, Sending) {
        let keeper = Keeper::default();
        let mut findings = Findings::default();
        let sent_as = report::as_sent(None, "dev", &[]);
        let sending = Sending::check(settings, &sent_as, send_test, Some(&keeper), &mut findings);
        let sent = keeper.0.lock().unwrap().len();
        (sent, findings, sending)
    }

    #[test]
    fn nothing_is_opened_where_nothing_would_be_sent() {
        let dsn = parse::dsn("https://key@host.invalid/1");
        let off = Settings { enable_sentry: false, dsn: dsn.clone(), ..Settings::default() };
        for (settings, send_test) in
            [(off.clone(), false), (Settings::default(), false), (off, true)]
        {
            let (sent, findings, sending) = check(&settings, send_test);
            assert_eq!(sent, 0);
            assert_eq!(findings.has(Mark::Problem), send_test);
            assert_eq!(sending.to_json()["checked"], false);
        }
    }

    #[test]
    fn an_event_is_sent_only_if_asked_for() {
        let dsn = parse::dsn("https://key@host.invalid/1");
        let settings = Settings { dsn, ..Settings::default() };
        let (sent, findings, sending) = check(&settings, false);
        assert_eq!((sent, findings.has(Mark::Problem)), (1, false));
        assert_eq!(sending.to_json()["test_event"], Value::Null);
        let (sent, _, sending) = check(&settings, true);
        assert_eq!(sent, 1);
        assert!(sending.to_json()["test_event"].is_string());
        assert!(!sending.to_json().to_string().contains("key@"));
    }
}
