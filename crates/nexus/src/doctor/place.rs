//! What this machine and the configuration hold: ports, key, settings.

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use super::Finding;
use crate::{config::Config, serve::read_key};

/// Every address can be listened on, or our hub does already.
pub(super) fn ports(config: &Config, running: bool) -> Vec<Finding> {
    let check = |address: String| match TcpListener::bind(&address) {
        Ok(_) if running => Finding::warn(
            "port",
            format!("{address} is free although a hub runs"),
            "that hub listens elsewhere; is this its configuration?",
        ),
        Ok(_) => Finding::ok("port", format!("{address} is free")),
        Err(_) if running => Finding::ok("port", format!("{address} is in use, as a hub runs")),
        Err(e) => Finding::fail("port", format!("{address}: {e}"), "choose another with --listen or [server] listen"),
    };
    config.server.addresses().into_iter().map(check).collect()
}

/// The key of the secrets is there, of its form, and nobody else's.
pub(super) fn key(config: &Config) -> Finding {
    let given = std::env::var("NEXUS_ENCRYPTION_KEY").ok().filter(|k| !k.is_empty());
    let file = config.data.key_path();
    let shown = file.display();
    if given.is_none() && !file.exists() {
        let used = crate::offline::has_database(&config.data.dir);
        return if used {
            let remedy =
                format!("put the key at {shown} or into NEXUS_ENCRYPTION_KEY; without it the stored secrets are lost");
            Finding::fail("key", format!("the folder has a database, but there is no key at {shown}"), remedy)
        } else {
            Finding::ok("key", format!("the first start makes one at {shown}"))
        };
    }
    if let Err(failure) = read_key(given.as_deref(), None, &file) {
        return Finding::fail("key", failure.to_string(), "give the key that the folder was made with");
    }
    if given.is_some() {
        return Finding::ok("key", "from NEXUS_ENCRYPTION_KEY");
    }
    let open = std::fs::metadata(&file).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    if open {
        return Finding::warn("key", format!("others on this machine can read {shown}"), format!("chmod 600 {shown}"));
    }
    Finding::ok("key", format!("{shown}; keep a copy elsewhere, it is in no backup"))
}

/// Settings that are allowed but should be meant.
pub(super) fn risks(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut warn = |detail: String, remedy: &str| findings.push(Finding::warn("settings", detail, remedy));
    for address in config.server.addresses() {
        if address.starts_with("0.0.0.0:") || address.starts_with("[::]:") {
            warn(
                format!("{address} is reached from every network"),
                "put a TLS proxy before it, or listen on 127.0.0.1",
            );
        }
    }
    if config.server.cors_origins.iter().any(|origin| origin == "*") {
        warn("every web page may read answers (cors_origins = *)".into(), "name the origins");
    }
    if config.server.trusted_proxies.iter().any(|network| network.ends_with("/0")) {
        warn("everybody is a trusted proxy and may claim any address".into(), "name your proxies' networks");
    }
    if config.ingress.rate_limit.0.is_none() {
        warn("signed events have no rate limit".into(), "set [ingress] rate_limit, for example \"10/s\"");
    }
    if config.alerts.discord.is_none() && config.alerts.url.is_none() {
        warn("nobody is alerted of critical failures".into(), "set [alerts] discord or url");
    }
    findings
}
