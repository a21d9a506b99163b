//! The key that seals secrets: from the environment, or from a file that is made at the first start.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use nexus_engine::vault::VaultKey;
use ring::rand::{SecureRandom, SystemRandom};

use crate::output::Failure;

const FORM: &str =
    "a key is 32 bytes, written as 64 hexadecimal digits or as base64; make one with `openssl rand -hex 32`";

/// The key in force. `given` is `NEXUS_ENCRYPTION_KEY`, `previous` a comma-separated list of earlier keys; further lines of
/// the file are earlier keys, too.
pub(crate) fn read_key(given: Option<&str>, previous: Option<&str>, file: &Path) -> Result<VaultKey, Failure> {
    let mut keys = Vec::new();
    if let Some(given) = given {
        keys.push(parse(given).ok_or_else(|| Failure::usage(format!("NEXUS_ENCRYPTION_KEY: {FORM}")))?);
    } else {
        keys = read_or_make(file)?;
    }
    for text in previous.unwrap_or_default().split(',').filter(|t| !t.trim().is_empty()) {
        keys.push(parse(text).ok_or_else(|| Failure::usage(format!("NEXUS_ENCRYPTION_KEY_PREVIOUS: {FORM}")))?);
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or_else(|| Failure::usage(format!("{} is empty: {FORM}", file.display())))?;
    Ok(VaultKey::new(current, keys.collect()))
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let text = text.trim().as_bytes();
    let bytes = HEXLOWER_PERMISSIVE.decode(text).or_else(|_| BASE64.decode(text)).ok()?;
    bytes.try_into().ok()
}

fn read_or_make(file: &Path) -> Result<Vec<[u8; 32]>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let open_to_others = std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
            if open_to_others {
                tracing::warn!(file = %file.display(), "others on this machine can read the key of the secrets; `chmod 600` it");
            }
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let keys: Option<Vec<_>> = lines.map(parse).collect();
            keys.ok_or_else(|| Failure::usage(format!("{}: {FORM}", file.display())))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => make(file).map(|key| vec![key]),
        Err(e) => Err(Failure::failed(format!("{}: {e}", file.display()))),
    }
}

fn make(file: &Path) -> Result<[u8; 32], Failure> {
    let wrong = |e: std::io::Error| Failure::failed(format!("{} can't be made: {e}", file.display()));
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| Failure::failed("the system gave no randomness"))?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(wrong)?;
    writeln!(out, "{}", HEXLOWER.encode(&key)).and_then(|()| out.sync_all()).map_err(wrong)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("vault.key");
        let first = read_key(None, None, &file).expect("made");
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        let second = read_key(None, None, &file).expect("read");
        assert_eq!(first.derive("x"), second.derive("x"));
    }

    #[test]
    fn a_key_may_be_hex_or_base64_but_nothing_else() {
        let nowhere = Path::new("/nonexistent/key");
        let hex = "00".repeat(32);
        let base64 = BASE64.encode(&[0; 32]);
        let a = read_key(Some(&hex), None, nowhere).expect("hex");
        let b = read_key(Some(&base64), Some(&hex), nowhere).expect("base64");
        assert_eq!(a.derive("x"), b.derive("x"));
        assert_eq!(read_key(Some("password"), None, nowhere).expect_err("refused").exit_code(), 2);
    }
}
