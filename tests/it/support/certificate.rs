//! Certificates for servers of the tests.

use std::path::Path;
use std::process::Command;

/// Writes a self-signed certificate for the host `name` and its key, PEM.
pub fn self_signed(name: &str, key: &Path, certificate: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .args([key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .expect("no openssl: install it with `apt-get install openssl`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
}

/// The same, ended a day ago.
pub fn expired(name: &str, key: &Path, certificate: &Path) {
    self_signed(name, key, certificate);
    let ended = certificate.with_extension("ended");
    let output = Command::new("openssl")
        .args(["x509", "-days", "-1", "-in"])
        .args([certificate.as_os_str(), "-signkey".as_ref(), key.as_os_str()])
        .args(["-out".as_ref(), ended.as_os_str()])
        .output()
        .expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(ended, certificate).expect("renamed");
}

/// Seconds since 1970 at which a certificate ends, by openssl.
pub fn expiry(certificate: &Path) -> f64 {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
        .arg(certificate)
        .output()
        .expect("openssl");
    let text = String::from_utf8(output.stdout).expect("text");
    let text = text.trim().trim_start_matches("notAfter=").replace(' ', "T");
    let at = holdfast::base::time::Timestamp::parse(&text).unwrap_or_else(|| panic!("a time, not {text}"));
    at.millis() as f64 / 1000.0
}
