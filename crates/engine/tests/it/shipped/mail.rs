//! The connector that is not HTTP, against a mail server on a real line.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use nexus_engine::connectors::CallError;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::World;
use crate::vendor::stand_in::StandIn;

/// Keeps the mails it gets; its last words are scripted, then yes. An empty one is the end of the line.
#[derive(Clone, Default)]
struct Office {
    mails: Arc<Mutex<Vec<String>>>,
    last_words: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Office {
    async fn open(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let office = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(office.clone().serve(stream));
            }
        });
        port
    }

    async fn serve(self, stream: TcpStream) -> Option<()> {
        let mut line = BufReader::new(stream);
        line.write_all(b"220 office\r\n").await.ok()?;
        loop {
            let mut command = String::new();
            line.read_line(&mut command).await.ok().filter(|n| *n > 0)?;
            let answer = match command.split([' ', '\r']).next().unwrap_or_default() {
                "EHLO" => "250 office",
                "QUIT" => "221 bye",
                "DATA" => {
                    line.write_all(b"354 go on\r\n").await.ok()?;
                    let mut mail = String::new();
                    while !mail.ends_with("\r\n.\r\n") {
                        line.read_line(&mut mail).await.ok().filter(|n| *n > 0)?;
                    }
                    self.mails.lock().expect("unpoisoned").push(mail);
                    let word = self.last_words.lock().expect("unpoisoned").pop_front().unwrap_or("250 queued");
                    if word.is_empty() {
                        return None;
                    }
                    word
                }
                _ => "250 yes",
            };
            line.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }

    fn mails(&self) -> Vec<String> {
        self.mails.lock().expect("unpoisoned").clone()
    }
}

#[tokio::test]
async fn a_mail_is_called_like_every_operation_and_its_servers_words_are_judged_like_every_answer() {
    let office = Office::default();
    let port = office.open().await;
    let world = World::at("smtp", StandIn::recorder().await, |_| {}).await;
    let settings = json!({"host": "127.0.0.1", "port": port, "security": "plain", "from": "Hub <hub@example.com>"});
    world.account_of("main", settings, json!({"password": "-"})).await;
    let letter = json!({"to": ["Lead <lead@example.com>"], "bcc": ["boss@example.com"], "subject": "Tomorrow", "text": "At 10:00."});
    let sent = world.call_keyed("visit-7", "send", letter.clone()).await.expect("sent");
    assert_eq!((sent.output["code"].as_u64(), sent.output["text"].as_str()), (Some(250), Some("queued")));
    let id = sent.output["message_id"].as_str().expect("an id").to_owned();
    assert!(id.ends_with("@example.com>"), "{id}");
    let mail = office.mails().remove(0);
    for line in [
        format!("Message-ID: {id}"),
        "From: Hub <hub@example.com>".into(),
        "Subject: Tomorrow".into(),
        "At 10:00.".into(),
    ] {
        assert!(mail.contains(&line), "{line} in {mail}");
    }
    // Not now: again, under the same id.
    office.last_words.lock().expect("unpoisoned").push_back("451 4.3.0 later");
    let again = world.call_keyed("visit-8", "send", letter.clone()).await.expect("at the second time");
    let mails = office.mails();
    let id = again.output["message_id"].as_str().expect("an id");
    assert_eq!((again.requests, mails.iter().filter(|mail| mail.contains(id)).count()), (2, 2));
    // Never.
    office.last_words.lock().expect("unpoisoned").push_back("550 5.1.1 no such user");
    let error = world.call("send", letter.clone()).await.expect_err("refused");
    assert!(matches!(&error, CallError::Refused { message, .. } if message == "550 5.1.1 no such user"), "{error}");
    // The last word is missing: it may have been sent, and is not sent again.
    office.last_words.lock().expect("unpoisoned").push_back("");
    let before = office.mails().len();
    let error = world.call("send", letter.clone()).await.expect_err("nobody knows");
    assert!(matches!(error, CallError::Unsure { .. }), "{error}");
    assert_eq!(office.mails().len(), before + 1);
    // What is no address is the caller's mistake.
    let error = world.call("send", json!({"to": ["nobody"], "subject": "S", "text": "T"})).await.expect_err("no mail");
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[tokio::test]
async fn a_password_is_not_sent_over_a_plain_line() {
    let office = Office::default();
    let port = office.open().await;
    let world = World::at("smtp", StandIn::recorder().await, |_| {}).await;
    let settings =
        json!({"host": "127.0.0.1", "port": port, "security": "plain", "username": "hub", "from": "hub@example.com"});
    world.account_of("main", settings, json!({"password": "secret"})).await;
    let error =
        world.call("send", json!({"to": ["a@example.com"], "subject": "S", "text": "T"})).await.expect_err("refused");
    assert!(error.to_string().contains("without TLS"), "{error}");
    assert!(office.mails().is_empty());
}
