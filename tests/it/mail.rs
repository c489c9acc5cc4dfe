//! Mail, against a real server.

use holdfast::channels::Verdict;
use holdfast::model::notice::NoticeKind;

use super::support::certificate::self_signed;
use super::support::delivering::{deliver, deliver_with, notice, plan};
use super::support::mail::MailServer;

const AGAIN: Verdict = Verdict::Retry { after: None };

fn section(server: &MailServer, to: &str, more: &str) -> String {
    format!(
        "[[channel.email]]\nname = \"mail\"\nhost = \"localhost\"\nport = {}\nfrom = \"nas <nas@example.org>\"\nto = [{to}]\ntimeout = \"2s\"\n{more}\n",
        server.port
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_as_a_person_would_write_it() {
    let mut server = MailServer::start();
    let mut odd = notice(NoticeKind::Firing);
    odd.alerts[0].title = String::from("Der Speicher l\u{e4}uft voll\r\nBcc: everybody@example.org");
    odd.alerts[0].message = String::from(".\nF\u{fc}nf GiB sind frei.");
    let outcome = deliver(
        &section(&server, "\"ops@example.org\", \"Anna <anna@example.org>\"", "tls = \"none\""),
        &odd,
    )
    .await;
    assert_eq!(
        (outcome.verdict, outcome.answer.as_str()),
        (Verdict::Delivered, "250 2.0.0 taken as 1"),
        "{outcome:?}"
    );
    let taken = server.taken();
    assert_eq!(taken["from"], "nas@example.org");
    assert_eq!(taken["to"], serde_json::json!(["ops@example.org", "anna@example.org"]));
    let text = taken["text"].as_str().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    for line in [
        "From: nas <nas@example.org>",
        "To: ops@example.org, Anna <anna@example.org>",
        "Message-ID: <ops-sample-1795166565250@nas>",
        "References: <sample-1795166565250@nas>",
        "Date: Fri, 20 Nov 2026 09:22:45 +0000",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert!(head.contains("Subject: Critical on nas: Der Speicher =?utf-8?"), "{head}");
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(
        body.starts_with(".\r\nF=C3=BCnf GiB sind frei.")
            || body.starts_with(".\r\nF\u{fc}nf GiB sind frei."),
        "{body}"
    );
    let shown = &outcome.exchange;
    assert!(
        shown.request.starts_with("MAIL FROM:<nas@example.org>\nRCPT TO:<ops@example.org>\n"),
        "{shown:?}"
    );
    assert!(shown.response.ends_with("message: 250 2.0.0 taken as 1"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_recipient_costs_one_recipient_and_nobody_gets_two_copies() {
    let mut server = MailServer::start();
    let plain = "tls = \"none\"";
    let refused =
        deliver(&section(&server, "\"refused@example.org\"", plain), &notice(NoticeKind::Firing)).await;
    assert_eq!(refused.verdict, Verdict::Refused);
    assert!(
        refused.answer.contains("refused for refused@example.org: ")
            && refused.answer.contains("no such user here"),
        "{refused:?}"
    );
    let two = section(&server, "\"refused@example.org\", \"ops@example.org\"", plain);
    let some = deliver(&two, &notice(NoticeKind::Firing)).await;
    assert_eq!(some.verdict, Verdict::Delivered);
    assert!(some.answer.contains("refused for refused@example.org"), "{some:?}");
    assert_eq!(server.taken()["to"], serde_json::json!(["ops@example.org"]));
    let plan = plan(&section(&server, "\"ops@example.org\", \"busy@example.org\"", plain));
    let mut channel = plan.make();
    for _ in 0..2 {
        let later = deliver_with(&plan, &mut *channel, &notice(NoticeKind::Firing)).await;
        assert_eq!(later.verdict, AGAIN);
        assert!(later.answer.contains("not taken now for busy@example.org: "), "{later:?}");
    }
    assert_eq!(server.taken()["to"], serde_json::json!(["ops@example.org"]));
    let slow = deliver(&section(&server, "\"slow@example.org\"", plain), &notice(NoticeKind::Firing)).await;
    assert_eq!((slow.verdict, slow.answer.as_str()), (AGAIN, "no complete answer within 2s"));
    // Whatever was sent twice would stand before this.
    deliver(&section(&server, "\"last@example.org\"", plain), &notice(NoticeKind::Firing)).await;
    assert_eq!(server.taken()["to"], serde_json::json!(["last@example.org"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_is_insisted_on_the_server_is_verified_and_the_password_stays_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    self_signed("localhost", &key, &certificate);
    let mut server = MailServer::encrypted(&key, &certificate);
    let login = |password: &str| {
        format!("user = \"me\"\npassword = \"{password}\"\ntls_ca_file = \"{}\"", certificate.display())
    };
    let to = "\"ops@example.org\"";
    let outcome = deliver(&section(&server, to, &login("right-password")), &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, Verdict::Delivered, "{outcome:?}");
    let taken = server.taken();
    assert_eq!((&taken["encrypted"], &taken["user"]), (&true.into(), &"me".into()));
    assert!(!format!("{outcome:?}").contains("right-password"), "{outcome:?}");
    let outcome = deliver(&section(&server, to, &login("wrong-password")), &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, Verdict::Refused);
    assert!(
        outcome.answer.starts_with("login: ") && !format!("{outcome:?}").contains("wrong-password"),
        "{outcome:?}"
    );
    let unknown = "user = \"me\"\npassword = \"right-password\"";
    let outcome = deliver(&section(&server, to, unknown), &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, AGAIN);
    assert!(outcome.answer.starts_with("TLS: ") && outcome.answer.contains("certificate"), "{outcome:?}");
    let bare = MailServer::start();
    let outcome = deliver(&section(&bare, to, &login("right-password")), &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, AGAIN);
    assert!(outcome.answer.contains("does not offer to encrypt"), "{outcome:?}");
}
