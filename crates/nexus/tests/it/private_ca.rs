//! A hub whose certificate an authority of one's own has signed: who names that authority reaches it, who does not is told
//! what is wrong and what to do.

use std::{path::Path, process::Output};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use crate::hub::{Hub, PATIENCE, nexus, text};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority that nobody knows.
fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A hub for `localhost` that shows a certificate of `authority`, which lies in its folder as `ca.pem`.
async fn hub(dir: &Path, authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Hub {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let cert = params.signed_by(&key, authority).expect("a certificate");
    let files = [("ca.pem", authority.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())];
    for (name, pem) in files {
        std::fs::write(dir.join(name), pem).expect("written");
    }
    let mut hub = Hub::start(dir, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]).await;
    hub.url = hub.url.replace("127.0.0.1", "localhost");
    hub
}

/// Runs a command in the hub's folder, where `ca.pem` lies.
async fn ask(hub: &Hub, url: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = nexus(&hub.data);
    command.args(["--url", url, "--token", &hub.token()]).args(args).envs(env.iter().copied());
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").expect("it runs")
}

/// Its output, where it ended well.
async fn good(hub: &Hub, args: &[&str], env: &[(&str, &str)]) -> String {
    let output = ask(hub, &hub.url, args, env).await;
    assert!(output.status.success(), "{args:?} {env:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What it said when it failed.
async fn refused(hub: &Hub, url: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let output = ask(hub, url, args, env).await;
    assert_eq!(output.status.code(), Some(1), "{args:?}: {} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stderr)
}

const TAIL: [&str; 7] = ["tail", "--filter", "order.*", "--since", "0", "--count", "1"];

#[tokio::test]
async fn a_hub_with_a_certificate_of_ones_own_is_reached_by_commands_and_streams_that_name_its_authority() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = hub(dir.path(), &authority(), |_| ()).await;
    let named = ["--ca", "ca.pem"];
    good(&hub, &[&named[..], &["publish", "order.created", r#"{"id":7}"#]].concat(), &[]).await;
    let tailed = [&named[..], &TAIL].concat();
    assert!(good(&hub, &tailed, &[]).await.contains("order.created"));
    for variable in ["NEXUS_CA", "SSL_CERT_FILE"] {
        assert!(good(&hub, &["health"], &[(variable, "ca.pem")]).await.contains("healthy"));
        assert!(good(&hub, &TAIL, &[(variable, "ca.pem")]).await.contains("order.created"));
    }
    // The flag wins over the variable, and adds to what `SSL_CERT_FILE` names.
    let other = dir.path().join("other.pem");
    std::fs::write(&other, authority().pem()).expect("written");
    let health = [&named[..], &["health"]].concat();
    for variable in ["NEXUS_CA", "SSL_CERT_FILE"] {
        good(&hub, &health, &[(variable, "other.pem")]).await;
    }
    hub.stop().await;
}

#[tokio::test]
async fn who_does_not_know_the_authority_is_told_so_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = hub(dir.path(), &authority(), |_| ()).await;
    std::fs::write(dir.path().join("other.pem"), authority().pem()).expect("written");
    for args in [&["health"][..], &TAIL, &["consume", "orders"], &["export", "log.jsonl"]] {
        for env in [&[][..], &[("NEXUS_CA", "other.pem")]] {
            let said = refused(&hub, &hub.url, args, env).await;
            assert!(said.contains("no authority that is known here has signed it"), "{args:?}: {said}");
            assert!(said.contains("--ca FILE"), "{args:?}: {said}");
            assert!(!said.contains("nexus serve"), "{args:?}: a hub does run: {said}");
        }
    }
    let doctor = ask(&hub, &hub.url, &["doctor"], &[]).await;
    let said = text(&doctor.stdout);
    assert!(said.contains("no authority that is known here") && !said.contains("none runs here"), "{said}");
    // A file that can't be used is no silent nothing.
    let missing = ask(&hub, &hub.url, &["--ca", "missing.pem", "health"], &[]).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("--ca missing.pem can't be read"), "{}", text(&missing.stderr));
    hub.stop().await;
}

#[tokio::test]
async fn another_name_than_the_certificates_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = hub(dir.path(), &authority(), |_| ()).await;
    let address = hub.url.replace("localhost", "127.0.0.1");
    for args in [&["--ca", "ca.pem", "health"][..], &[&["--ca", "ca.pem"][..], &TAIL].concat()] {
        let said = refused(&hub, &address, args, &[]).await;
        assert!(said.contains("it is for localhost, not for 127.0.0.1"), "{args:?}: {said}");
        assert!(said.contains("--url"), "{args:?}: {said}");
    }
    let plain = hub.url.replace("https://", "http://");
    let said = refused(&hub, &plain, &["health"], &[]).await;
    assert!(said.contains("https://"), "{said}");
    hub.stop().await;
}

#[tokio::test]
async fn a_certificate_that_expired_and_one_for_no_server_are_refused_by_their_reason() {
    let authority = authority();
    let dir = tempfile::tempdir().expect("a folder");
    let over = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    };
    let expired = hub(dir.path(), &authority, over).await;
    let said = refused(&expired, &expired.url, &["--ca", "ca.pem", "health"], &[]).await;
    assert!(said.contains("expired") && said.contains("days ago"), "{said}");
    expired.stop().await;
    let dir = tempfile::tempdir().expect("a folder");
    let signs = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signer = hub(dir.path(), &authority, signs).await;
    let said = refused(&signer, &signer.url, &["--ca", "ca.pem", "health"], &[]).await;
    assert!(said.contains("CA:TRUE") && said.contains("CA:FALSE"), "{said}");
    signer.stop().await;
}
