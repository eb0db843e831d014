//! HTTPS with a local certificate, and everybody is led to it.

use std::path::Path;
use std::process::{Command, Output};

use super::traefik::HOST;
use super::{Traefik, repository};
use crate::harness::*;

fn certificate(folder: &Path, hosts: &[&str]) -> String {
    let output = Command::new(repository("traefik/certificate")).env("FOLDER", folder).args(hosts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs curl where the host of the routes is here, at these ports.
pub(super) fn curl(http: u16, https: u16, args: &[&str]) -> Output {
    let here = [http, https].map(|port| format!("{HOST}:{port}:127.0.0.1"));
    let resolve = here.iter().flat_map(|entry| ["--resolve", entry]);
    Command::new("curl").args(["-sS", "--noproxy", "*", "-m", "20"]).args(resolve).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_led_to_https_which_has_the_certificate() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    assert!(certificate(folder.path(), &[]).starts_with("made "));
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (authority, cert, key) = (file("authority.crt"), file("api.crt"), file("api.key"));
    let settings = [("TLS_CERTIFICATE", &*cert), ("TLS_KEY", &*key), ("HSTS_SECONDS", "60")];
    let urls = [
        ("STORE_URL", &shop.store),
        ("WAREHOUSE_ALPHA_URL", &shop.alpha.service),
        ("WAREHOUSE_BETA_URL", &shop.beta.service),
    ]
    .map(|(name, service)| (name, format!("http://{}", service.address())));
    let urls = urls.iter().map(|(name, url)| (*name, &**url));
    let traefik = Traefik::start(&urls.chain(settings).collect::<Vec<_>>()).await;
    let https = |path: &str| format!("https://{HOST}:{}{path}", traefik.https.number());
    let curl = |args: &[&str]| curl(traefik.web().port(), traefik.https.number(), args);

    let trusting = ["--cacert", &authority];
    kit::until("HTTPS answers", SOON, async || {
        let answer = curl(&[&trusting[..], &[&https("/store/health")]].concat());
        if said(&answer).contains("\"store\"") { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    let order = json!({ "items": [shop.books[0].line(1)] }).to_string();
    let place = ["-u", "alice@customer.com:alice123", "-H", "content-type: application/json", "-d", &order];
    let placed = curl(&[&trusting[..], &place, &["-i", &https("/store/orders")]].concat());
    let text = said(&placed);
    assert!(text.contains("201") && text.contains("SHIPPED"), "{placed:?}");
    assert!(text.to_lowercase().contains("strict-transport-security: max-age=60"), "{text}");
    let info = curl(&[&trusting[..], &[&https("/warehouses/beta/info")]].concat());
    assert!(said(&info).contains("warehouse-beta"), "{info:?}");

    for (method, code) in [("GET", 301), ("POST", 308)] {
        let path = "/store/orders?limit=1";
        let sent = curl(&["-X", method, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &traefik.url(path)]);
        assert_eq!(said(&sent), format!("{code} {}", https(path)), "{method}");
    }

    // Who does not know the authority, or speaks an old TLS, gets nothing.
    assert_eq!(curl(&[&https("/store/health")]).status.code(), Some(60));
    let old = curl(&[&trusting[..], &["--tls-max", "1.1", "--tlsv1.0", &https("/store/health")]].concat());
    assert!(!old.status.success(), "{old:?}");
}

#[test]
fn a_certificate_is_made_once_and_anew_for_other_hosts() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let read = || std::fs::read(folder.path().join("api.crt")).unwrap();
    assert!(certificate(folder.path(), &["shop.example", "api.localhost"]).starts_with("made "));
    let first = read();
    assert!(certificate(folder.path(), &["shop.example", "api.localhost"]).ends_with("still good\n"));
    assert_eq!(read(), first);
    assert!(certificate(folder.path(), &["other.example"]).starts_with("made "));
    assert_ne!(read(), first);
    let key = std::fs::metadata(folder.path().join("api.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600, "nobody else reads the key");
    assert!(!folder.path().join("authority.key").exists(), "nobody can sign with it");
}
