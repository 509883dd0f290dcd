//! A sender with a courier that answers when it is told to.

use std::sync::mpsc::{Receiver, Sender as Channel, channel};

use super::*;
use crate::deliver::{Answer, NotAnswered};

/// Says when it has begun, and waits for the status to answer.
struct OnCommand {
    begun: Mutex<Channel<()>>,
    statuses: Mutex<Receiver<u16>>,
}

impl Courier for OnCommand {
    fn post(&self, _: &Dsn, _: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
        self.begun.lock().unwrap().send(()).unwrap();
        let status = self.statuses.lock().unwrap().recv().unwrap();
        Ok(Answer { status, ..Answer::default() })
    }
}

/// A sender of letters, what tells that a request has begun, and what ends it.
fn on_command() -> (Sender, Receiver<()>, Channel<u16>) {
    let ((begun, has_begun), (answer, statuses)) = (channel(), channel());
    let courier = OnCommand { begun: Mutex::new(begun), statuses: Mutex::new(statuses) };
    let courier: Arc<dyn Courier> = Arc::new(courier);
    let courier = Box::new(move || Arc::clone(&courier));
    let spawn: Spawn =
        |name, work| std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop);
    let means = Means { courier, spawn, say: |_| {}, rate_limit: 0 };
    (Sender::new(means), has_begun, answer)
}

fn send_letter(sender: &Sender, id: Uuid) {
    let dsn = "https://key@host.invalid/1".parse().unwrap();
    sender.published_in_memory(id, &dsn, b"{}\n".to_vec(), false);
    sender.release(id);
}

#[test]
fn a_letter_under_way_is_waited_for() {
    let (sender, has_begun, answer) = on_command();
    send_letter(&sender, Uuid::from_u128(1));
    has_begun.recv().unwrap();
    assert!(!sender.flush(Duration::from_millis(100)), "nobody has it yet");
    answer.send(200).unwrap();
    assert!(sender.flush(Duration::from_secs(20)));
    assert!(has_begun.try_recv().is_err(), "it is sent once");
}

#[test]
fn a_letter_that_was_taken_back_under_way_is_not_sent_again() {
    let (sender, has_begun, answer) = on_command();
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    send_letter(&sender, first);
    has_begun.recv().unwrap();
    sender.withdraw(first);
    // The server is not well: a letter would be kept.
    answer.send(503).unwrap();
    send_letter(&sender, second);
    has_begun.recv().unwrap();
    answer.send(200).unwrap();
    assert!(sender.flush(Duration::from_secs(20)));
    let state = sender.here().lock();
    assert!(!state.letters.contains(first) && !state.letters.contains(second));
}
