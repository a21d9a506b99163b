//! Where the hub is, which token to show and whom to trust: flags, then the environment, then the files a hub leaves beside its data.

use std::path::{Path, PathBuf};

use crate::Error;

/// Where a hub listens when nothing else is said.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// The file with the first admin token, in the data folder of a hub.
pub const TOKEN_FILE: &str = "admin.token";

/// What a caller knows already; everything absent is looked for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Base URL; else `NEXUS_URL`, else [`DEFAULT_URL`].
    pub url: Option<String>,
    /// Token; else `NEXUS_TOKEN`, else a token file.
    pub token: Option<String>,
    /// Data folder of the hub, for its token file.
    pub data: Option<PathBuf>,
    /// File of further certificates to trust, in PEM; else `NEXUS_CA`. Beside the public authorities, or those of the file
    /// that `SSL_CERT_FILE` names. Read where the URL begins with `https://`.
    pub ca: Option<PathBuf>,
}

/// The environment as [`Settings::resolve`] sees it; a function, so that tests need not change the real one.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Base URL and token. A token file that lies in a folder nobody named is shown to this machine only: the token of
    /// a hub that happens to lie in the working directory is no business of a remote one.
    pub(crate) fn resolve(self, env: Env<'_>) -> Result<(String, Option<String>), Error> {
        let filled = |text: Option<String>| text.filter(|t| !t.trim().is_empty());
        let url = filled(self.url).or_else(|| filled(env("NEXUS_URL"))).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let url = url.trim_end_matches('/').to_owned();
        let local = is_loopback(&url)?;
        if let Some(token) = filled(self.token).or_else(|| filled(env("NEXUS_TOKEN"))) {
            return Ok((url, Some(token.trim().to_owned())));
        }
        let mut folders = Vec::new();
        folders.extend(self.data);
        folders.extend(filled(env("NEXUS_DATA")).map(PathBuf::from));
        if local {
            folders.extend([PathBuf::from("nexus-data"), PathBuf::from(".")]);
        }
        for folder in folders {
            if let Some(token) = read_token(&folder)? {
                return Ok((url, Some(token)));
            }
        }
        Ok((url, None))
    }
}

fn read_token(folder: &Path) -> Result<Option<String>, Error> {
    let file = folder.join(TOKEN_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|t| !t.is_empty())),
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Ok(None),
        // Another user's token is not ours to show; a hub in dev mode needs none.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        Err(e) => Err(Error::Local(format!("{} can't be read: {e}", file.display()))),
    }
}

fn is_loopback(url: &str) -> Result<bool, Error> {
    let wrong =
        |why: &str| Error::Setting(format!("{url:?} is no URL of a hub: {why}; write for example {DEFAULT_URL}"));
    let uri: http::Uri = url.parse().map_err(|_| wrong("it can't be parsed"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it does not begin with http:// or https://"));
    }
    let host = uri.host().ok_or_else(|| wrong("it has no host"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Ok(host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_the_environment_over_the_default() {
        let env = |name: &str| (name == "NEXUS_URL").then(|| "http://10.0.0.1:1/".to_owned());
        let flag = Settings { url: Some("http://localhost:9".into()), token: Some("t".into()), ..Settings::default() };
        assert_eq!(flag.resolve(&env).expect("valid"), ("http://localhost:9".into(), Some("t".into())));
        assert_eq!(Settings::default().resolve(&env).expect("valid").0, "http://10.0.0.1:1");
        assert!(Settings { url: Some("localhost:80".into()), ..Settings::default() }.resolve(&none).is_err());
    }

    #[test]
    fn the_token_file_of_the_named_folder_is_used() {
        let folder = std::env::temp_dir().join(format!("nexus-client-discover-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join(TOKEN_FILE), "nxs_abc\n").expect("written");
        let settings = Settings { data: Some(folder.clone()), ..Settings::default() };
        assert_eq!(settings.resolve(&none).expect("valid").1.as_deref(), Some("nxs_abc"));
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
