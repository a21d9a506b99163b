//! Mail against a real server on a real line: who is let in, what arrives, and every way in which it can go wrong.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_core::{sign::Secret, time::Timestamp};
use nexus_outbound::{
    Client, ClientOptions, Kind, Reach,
    smtp::{Mail, MailError, MailServer, RECIPIENTS_MAX, Reply, Security},
};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use crate::{
    server::{Server, client, options},
    tls::{AUTHORITY, Here, acceptor},
};

/// `\0user\0secret` in base64.
const PLAIN: &str = "AUTH PLAIN AHVzZXIAc2VjcmV0";

/// How a post office behaves.
#[derive(Clone, Debug, Default)]
struct Manners {
    security: Security,
    /// Says that it knows STARTTLS.
    offers: bool,
    /// Sends a line behind its answer to STARTTLS, before TLS.
    injects: bool,
    /// What it answers to commands that begin so, instead of yes; an empty answer is silence, `!` the end of the line.
    answers: Vec<(&'static str, &'static str)>,
}

/// What it heard.
#[derive(Clone, Debug, Default)]
struct Heard {
    commands: Arc<Mutex<Vec<String>>>,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Heard {
    fn commands(&self) -> Vec<String> {
        self.commands.lock().expect("unpoisoned").clone()
    }

    fn mails(&self) -> Vec<String> {
        self.mails.lock().expect("unpoisoned").clone()
    }
}

async fn office(manners: Manners) -> (Server, Heard) {
    let heard = Heard::default();
    let keeps = heard.clone();
    let server = Server::start(move |stream| {
        let (manners, heard) = (manners.clone(), keeps.clone());
        async move {
            if manners.security == Security::Tls {
                let Ok(stream) = acceptor().accept(stream).await else { return };
                serve(BufReader::new(stream), &manners, &heard, true).await;
            } else if let Some(stream) = serve(BufReader::new(stream), &manners, &heard, true).await
                && let Ok(stream) = acceptor().accept(stream.into_inner()).await
            {
                serve(BufReader::new(stream), &Manners { offers: false, ..manners }, &heard, false).await;
            }
        }
    })
    .await;
    (server, heard)
}

/// Speaks SMTP until the end, or until TLS is asked for: then the line is given back.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut line: BufReader<S>,
    manners: &Manners,
    heard: &Heard,
    greets: bool,
) -> Option<BufReader<S>> {
    if greets && line.write_all(b"220 office.example ESMTP\r\n").await.is_err() {
        return None;
    }
    loop {
        let mut command = String::new();
        if line.read_line(&mut command).await.ok()? == 0 {
            return None;
        }
        let command = command.trim_end().to_owned();
        heard.commands.lock().expect("unpoisoned").push(command.clone());
        let scripted =
            manners.answers.iter().find(|(begins, _)| command.starts_with(begins)).map(|(_, answer)| *answer);
        let word = command.split(' ').next().unwrap_or_default();
        let answer = match (scripted, word) {
            (Some(""), _) => std::future::pending().await,
            (Some("!"), _) => return None,
            (Some(answer), _) => answer.to_owned(),
            (None, "EHLO") if manners.offers => "250-office.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN".to_owned(),
            (None, "EHLO") => "250-office.example\r\n250 AUTH PLAIN LOGIN".to_owned(),
            (None, "STARTTLS") if manners.injects => "220 go\r\n250 injected".to_owned(),
            (None, "STARTTLS") => "220 go".to_owned(),
            (None, "AUTH") => {
                if command == PLAIN { "235 welcome" } else { "535 5.7.8 wrong user or password" }.to_owned()
            }
            (None, "DATA") => "354 go on".to_owned(),
            (None, "QUIT") => "221 bye".to_owned(),
            (None, _) => "250 yes".to_owned(),
        };
        line.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        if word == "STARTTLS" && answer.starts_with("220") {
            return Some(line);
        }
        if word == "DATA" && answer.starts_with("354") {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if line.read_line(&mut mail).await.ok()? == 0 {
                    return None;
                }
            }
            heard.mails.lock().expect("unpoisoned").push(mail);
            match manners.answers.iter().find(|(begins, _)| *begins == ".").map(|(_, answer)| *answer) {
                Some("!") => return None,
                Some("") => std::future::pending().await,
                Some(answer) => line.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?,
                None => line.write_all(b"250 2.0.0 queued as 7\r\n").await.ok()?,
            }
        }
    }
}

fn through(server: &Server, security: Security, login: bool) -> MailServer {
    let login = login.then(|| ("user".to_owned(), Secret::from("secret")));
    let (host, port) = ("hooks.example".to_owned(), server.address.port());
    MailServer { host, port, security, login, reach: Reach::Private, hello: "hub.example".into() }
}

fn mail() -> Mail {
    Mail {
        from: "Hub <hub@example.com>".into(),
        to: vec!["Lead <lead@example.com>".into()],
        bcc: vec!["boss@example.com".into()],
        subject: "Ваш заказ".into(),
        text: Some("One\r\n.hidden dot\r\nBlue".into()),
        message_id: "0a1b2c".into(),
        ..Mail::default()
    }
}

async fn send(client: &Client, server: &MailServer, mail: &Mail) -> Result<Reply, MailError> {
    client.mail(server, mail, Timestamp::from_secs(1_700_000_000), Duration::from_secs(10)).await
}

fn trusting() -> Client {
    let options = ClientOptions { extra_ca: AUTHORITY.to_vec(), ..options() };
    Client::with_resolver(options, Arc::new(Here)).expect("a client")
}

#[tokio::test]
async fn a_mail_arrives_over_each_kind_of_line_with_the_calls_key_as_its_id() {
    for (security, login) in [(Security::StartTls, true), (Security::Tls, true), (Security::Plain, false)] {
        let (server, heard) =
            office(Manners { security, offers: security == Security::StartTls, ..Manners::default() }).await;
        let reply = send(&trusting(), &through(&server, security, login), &mail()).await.expect("taken");
        let wanted = Reply { code: 250, text: "2.0.0 queued as 7".into(), message_id: "<0a1b2c@example.com>".into() };
        assert_eq!(reply, wanted, "{security:?}");
        let mails = heard.mails();
        assert_eq!(mails.len(), 1);
        let has = |text: &str| assert!(mails[0].contains(text), "{text} in {}", mails[0]);
        has("Message-ID: <0a1b2c@example.com>\r\n");
        has("From: Hub <hub@example.com>\r\n");
        has("To: Lead <lead@example.com>\r\n");
        has("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n");
        has("Subject: =?utf-8?b?");
        // A line that begins with a dot has it doubled on the way.
        has("\r\n..hidden dot\r\n");
        assert!(!mails[0].contains("boss@"), "the blind copy is seen by nobody");
        let commands = heard.commands();
        assert!(commands.contains(&"RCPT TO:<lead@example.com>".into()), "{commands:?}");
        assert!(commands.contains(&"RCPT TO:<boss@example.com>".into()), "{commands:?}");
        assert_eq!(commands.iter().any(|c| c == PLAIN), login);
        assert!(commands.contains(&"EHLO hub.example".into()), "{commands:?}");
    }
}

#[tokio::test]
async fn text_and_html_go_as_alternatives() {
    let (server, heard) = office(Manners { security: Security::Plain, ..Manners::default() }).await;
    let both = Mail { html: Some("<p>Hi</p>".into()), ..mail() };
    send(&trusting(), &through(&server, Security::Plain, false), &both).await.expect("taken");
    let mails = heard.mails();
    assert!(mails[0].contains("multipart/alternative") && mails[0].contains("<p>Hi</p>"), "{}", mails[0]);
}

#[tokio::test]
async fn a_mail_server_is_judged_by_its_address_like_every_endpoint() {
    let (server, heard) = office(Manners { security: Security::Plain, ..Manners::default() }).await;
    let public = MailServer { reach: Reach::Public, ..through(&server, Security::Plain, false) };
    let named = send(&trusting(), &public, &mail()).await.expect_err("its name leads inside");
    assert!(matches!(&named, MailError::NotSent(e) if e.kind == Kind::Refused), "{named}");
    for host in ["127.0.0.1", "localhost", "::1", "169.254.169.254"] {
        let public = MailServer { host: host.into(), ..public.clone() };
        let refused = send(&client(), &public, &mail()).await.expect_err("inside");
        assert!(matches!(&refused, MailError::NotSent(e) if e.kind == Kind::Refused), "{host}: {refused}");
    }
    let metadata = MailServer { host: "169.254.169.254".into(), ..through(&server, Security::Plain, false) };
    let refused = send(&client(), &metadata, &mail()).await.expect_err("never");
    assert!(matches!(&refused, MailError::NotSent(e) if e.kind == Kind::Refused), "{refused}");
    assert_eq!((server.accepted(), heard.commands().len()), (0, 0));
}

#[tokio::test]
async fn a_password_never_goes_over_an_open_line() {
    let (server, heard) = office(Manners { security: Security::Plain, ..Manners::default() }).await;
    let refused = send(&trusting(), &through(&server, Security::Plain, true), &mail()).await.expect_err("refused");
    assert!(refused.to_string().contains("without TLS"), "{refused}");
    // A server, or somebody before it, that hides STARTTLS.
    let refused = send(&trusting(), &through(&server, Security::StartTls, true), &mail()).await.expect_err("refused");
    assert!(matches!(&refused, MailError::NotSent(e) if e.kind == Kind::Tls), "{refused}");
    assert!(refused.to_string().contains("STARTTLS"), "{refused}");
    assert!(!heard.commands().iter().any(|c| c.starts_with("AUTH")), "{:?}", heard.commands());
}

#[tokio::test]
async fn words_before_tls_are_not_taken_for_words_after_it() {
    let (server, heard) = office(Manners { offers: true, injects: true, ..Manners::default() }).await;
    let refused = send(&trusting(), &through(&server, Security::StartTls, true), &mail()).await.expect_err("refused");
    assert!(matches!(&refused, MailError::NotSent(e) if e.kind == Kind::Protocol), "{refused}");
    assert!(!heard.commands().iter().any(|c| c.starts_with("AUTH")), "{:?}", heard.commands());
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_nobody_is_a_tls_error() {
    for security in [Security::Tls, Security::StartTls] {
        let (server, heard) = office(Manners { security, offers: true, ..Manners::default() }).await;
        let other = MailServer { host: "other.example".into(), ..through(&server, security, true) };
        let nobody = Client::with_resolver(options(), Arc::new(Here)).expect("a client");
        for refused in
            [send(&trusting(), &other, &mail()).await, send(&nobody, &through(&server, security, true), &mail()).await]
        {
            assert!(matches!(&refused, Err(MailError::NotSent(e)) if e.kind == Kind::Tls), "{refused:?}");
        }
        assert!(!heard.commands().iter().any(|c| c.starts_with("AUTH")));
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_number_wherever_it_comes() {
    for (command, answer, code) in [
        ("AUTH", "535 5.7.8 wrong user or password", 535),
        ("MAIL", "451 4.3.0 try again later", 451),
        ("RCPT", "550 5.1.1 no such user", 550),
        ("DATA", "554 5.7.1 not from you", 554),
        (".", "452 4.2.2 mailbox full", 452),
    ] {
        let manners = Manners { offers: true, answers: vec![(command, answer)], ..Manners::default() };
        let (server, heard) = office(manners).await;
        let reply = send(&trusting(), &through(&server, Security::StartTls, true), &mail()).await.expect("a reply");
        assert_eq!(reply.code, code, "{command}: {reply:?}");
        assert!(answer.ends_with(reply.text.trim_start_matches(char::is_numeric).trim()), "{command}: {reply:?}");
        assert_eq!(heard.mails().len(), usize::from(command == "."), "{command}");
    }
}

#[tokio::test]
async fn silence_and_a_broken_line_say_whether_the_mail_may_have_been_sent() {
    for (command, answer, may_be_sent) in [("MAIL", "", false), ("RCPT", "!", false), (".", "", true), (".", "!", true)]
    {
        let manners = Manners { security: Security::Plain, answers: vec![(command, answer)], ..Manners::default() };
        let (server, _) = office(manners).await;
        let server = through(&server, Security::Plain, false);
        let sent = trusting().mail(&server, &mail(), Timestamp::from_secs(0), Duration::from_millis(500)).await;
        let error = sent.expect_err("no word");
        assert_eq!(matches!(error, MailError::Unknown(_)), may_be_sent, "{command} {answer:?}: {error:?}");
        let (MailError::Unknown(line) | MailError::NotSent(line)) = &error else { panic!("{error:?}") };
        assert_eq!(line.kind, if answer.is_empty() { Kind::Timeout } else { Kind::Closed }, "{error}");
    }
}

#[tokio::test]
async fn what_is_no_mail_is_refused_before_anybody_is_dialed() {
    let (server, heard) = office(Manners { security: Security::Plain, ..Manners::default() }).await;
    let server = through(&server, Security::Plain, false);
    let many = (0..=RECIPIENTS_MAX).map(|n| format!("a{n}@example.com")).collect();
    for (wrong, word) in [
        (Mail { from: "nobody".into(), ..mail() }, "from"),
        (Mail { to: vec!["a@example.com\r\nBcc: b@example.com".into()], ..mail() }, "to"),
        (Mail { to: Vec::new(), bcc: Vec::new(), ..mail() }, "can't be written"),
        (Mail { to: many, ..mail() }, "recipients"),
        (Mail { text: None, ..mail() }, "neither text nor html"),
        (Mail { message_id: "a>b".into(), ..mail() }, "message_id"),
        (Mail { to: vec!["ж@example.com".into()], ..mail() }, "ASCII"),
    ] {
        let error = send(&trusting(), &server, &wrong).await.expect_err(word);
        assert!(matches!(&error, MailError::Bad(bad) if bad.0.contains(word)), "{word}: {error}");
    }
    // A subject can't add lines to the head.
    let sly = Mail { subject: "Hi\r\nBcc: b@example.com".into(), ..mail() };
    if send(&trusting(), &server, &sly).await.is_ok() {
        assert!(!heard.mails()[0].contains("\r\nBcc:"), "{}", heard.mails()[0]);
    }
}
