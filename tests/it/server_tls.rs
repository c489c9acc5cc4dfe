//! The agent behind TLS, as a browser, a program and an owner without a screen meet it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::support::agent::Agent;
use crate::support::command::Home;
use crate::support::free_port;

/// What `request` gets over TLS from a peer that `root` proves to be `localhost`.
fn ask(port: u16, root: &Path, request: &str) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut stream);
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_certificate_of_its_own_is_made_printed_and_replaced_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut agent = Agent::start(&data, "[tls]\nself_signed = true\n[collect]\nenabled = false\n");
    let (port, certificate) = (agent.address.port(), data.join("tls/cert.pem"));
    let answer = ask(port, &certificate, &get("/api/v1/session")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("anonymous"), "{answer}");
    // The commands too, when they are told whom to trust.
    let commands = Home::new();
    let status = |trusted: Option<&Path>| {
        let url = format!("https://localhost:{port}");
        let mut command = commands.command(&["token", "ls", "--url", &url]);
        command.env("HOLDFAST_TOKEN", agent.token());
        trusted.map(|path| command.env("HOLDFAST_CA_FILE", path));
        command.output().unwrap().status.code()
    };
    assert_eq!((status(Some(&certificate)), status(None)), (Some(0), Some(69)));
    // This host may speak in the clear.
    assert_eq!(agent.get("/livez").status, 200);
    // Over TLS the cookie keeps to TLS.
    let body = format!("{{\"token\":\"{}\"}}", agent.token());
    let login = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(port, &certificate, &login).unwrap();
    assert!(answer.contains("__Host-holdfast_session=") && answer.contains("; Secure"), "{answer}");

    // Another certificate takes its place at a reload.
    let other = tempfile::tempdir().unwrap();
    let mut second = Agent::start(&other.path().join("data"), "[tls]\nself_signed = true\n");
    second.stop();
    let old = home.path().join("old.pem");
    std::fs::copy(&certificate, &old).unwrap();
    for file in ["key.pem", "cert.pem"] {
        std::fs::copy(other.path().join("data/tls").join(file), data.join("tls").join(file)).unwrap();
    }
    assert_eq!(agent.post("/api/v1/config/reload", "application/json", "").status, 200);
    let fresh = (0..100_000).find(|_| ask(port, &certificate, &get("/livez")).is_ok());
    assert!(fresh.is_some(), "the new certificate is in use");
    assert!(ask(port, &old, &get("/livez")).is_err());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_address_of_the_network_needs_tls_and_with_it_is_served() {
    let home = Home::new();
    let open = format!("0.0.0.0:{}", free_port());
    let file = home.write("open.toml", &format!("listen = [\"{open}\"]\n"));
    let refused = home.run(&["validate", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(refused.error.contains("[tls]") && refused.error.contains("self_signed"), "{refused:?}");
    let file = home.write("tls.toml", &format!("listen = [\"{open}\"]\n[tls]\nself_signed = true\n"));
    assert_eq!(home.run(&["validate", "--config", file.to_str().unwrap()]).code, 0);
    for (text, part) in [
        (
            "[tls]\ncert_file = \"/nonexistent/c.pem\"\nkey_file = \"/nonexistent/k.pem\"\n",
            "/nonexistent/c.pem",
        ),
        (
            "[tls]\nself_signed = true\ncert_file = \"/etc/hostname\"\nkey_file = \"/etc/hostname\"\n",
            "only one",
        ),
        ("[tls]\ncert_file = \"/etc/hostname\"\n", "tls.key_file"),
    ] {
        let file = home.write("bad.toml", text);
        let refused = home.run(&["validate", "--config", file.to_str().unwrap()]);
        assert!(refused.code == 78 && refused.error.contains(part), "{refused:?}");
    }
}

#[test]
fn setup_for_a_network_makes_all_that_its_owner_needs() {
    let home = Home::new();
    let config = home.join("holdfast.toml");
    let arguments = |more: &[&'static str]| {
        let mut all = vec!["setup", "--yes", "--lan", "--json", "--config", "holdfast.toml"];
        all.extend(more);
        all
    };
    let ran = home.run(&arguments(&["--address", "127.0.0.1", "--user", "eva"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = ran.json();
    let password = said["lan"]["password"].as_str().unwrap().to_owned();
    let fingerprint = said["lan"]["certificate_sha256"].as_str().unwrap();
    assert!(fingerprint.len() == 95 && password.len() >= 20, "{said}");
    assert!(said["page"].as_str().unwrap().starts_with("https://127.0.0.1:3003"), "{said}");
    assert!(!std::fs::read_to_string(&config).unwrap().contains(&password));
    // What is there stays as it is.
    assert_eq!(home.run(&arguments(&[])).code, 2);

    let agent = Agent::start(&home.join("data"), "[tls]\nself_signed = true\n[collect]\nenabled = false\n");
    let body = format!("{{\"user\":\"eva\",\"password\":\"{password}\"}}");
    let login = agent.post("/api/v1/session", "application/json", &body);
    assert!(login.status == 201 && login.body.contains("user:eva"), "{login:?}");
}
