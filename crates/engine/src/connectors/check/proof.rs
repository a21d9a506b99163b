//! How requests prove whose they are, checked and compiled.

use super::{Check, May};
use crate::{
    connectors::{
        auth::{OAuth, Proof},
        manifest::{Auth, Grant, Place},
    },
    document::pointer::Pointer,
};

impl Check<'_> {
    pub(super) fn proof(&mut self, at: &Pointer) -> Proof {
        let may = May::Secrets;
        match &self.manifest.auth {
            Auth::None => Proof::None,
            Auth::ApiKey(key) => {
                let at = at.key("api_key");
                let header = match key.place {
                    Place::Header => self.header_name(&at.key("name"), &key.name),
                    Place::Query => None,
                };
                Proof::ApiKey { header, query: key.name.clone(), value: self.text(&at.key("value"), &key.value, may) }
            }
            Auth::Basic(basic) => {
                let at = at.key("basic");
                let username = self.text(&at.key("username"), &basic.username, may);
                Proof::Basic { username, password: self.text(&at.key("password"), &basic.password, may) }
            }
            Auth::Bearer(bearer) => {
                Proof::Bearer { token: self.text(&at.key("bearer").key("token"), &bearer.token, may) }
            }
            Auth::Hmac(hmac) => {
                let at = at.key("hmac");
                let known = ["method", "path", "query", "url", "body", "body_sha256", "timestamp"];
                Proof::Hmac {
                    key: self.text(&at.key("key"), &hmac.key, may),
                    message: self.text(&at.key("message"), &hmac.message, May::Own(&known)),
                    value: self.text(&at.key("value"), &hmac.value, May::Own(&["signature", "timestamp"])),
                    header: self.header_name(&at.key("header"), &hmac.header),
                    timestamp: hmac
                        .timestamp_header
                        .as_ref()
                        .and_then(|name| self.header_name(&at.key("timestamp_header"), name)),
                    how: hmac.clone(),
                }
            }
            Auth::Oauth2(oauth) => {
                let at = at.key("oauth2");
                let code = oauth.grant == Grant::AuthorizationCode;
                if code && oauth.authorize_url.is_none() {
                    self.wrong(&at.key("authorize_url"), "authorization_code needs the page where a person agrees");
                }
                let authorize = oauth.authorize_url.as_deref().unwrap_or_default();
                Proof::OAuth2(Box::new(OAuth {
                    authorize_url: self.text(&at.key("authorize_url"), authorize, May::Settings),
                    token_url: self.base(&at.key("token_url"), &oauth.token_url),
                    client_id: self.text(&at.key("client_id"), &oauth.client_id, may),
                    client_secret: self.text(&at.key("client_secret"), &oauth.client_secret, may),
                    said: oauth.clone(),
                }))
            }
        }
    }
}
