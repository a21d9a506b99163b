//! Stand-ins: which calls they answer, and how.

use serde::Serialize;
use serde_json::Value;

use super::{Called, What};
use crate::{
    effect::{Answer, HttpResponse, Outcome},
    error::{FlowError, Standard},
};

/// Answers calls in place of the outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Stub {
    /// Which calls.
    pub of: Selection,
    /// How.
    pub reply: Reply,
    /// How often; `None`: every time.
    pub times: Option<u32>,
}

/// Which calls; what is not given does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// Those of the task of this name, or at this pointer.
    pub task: Option<String>,
    /// With this method.
    pub method: Option<String>,
    /// To this URI; `*` stands for any run of characters.
    pub uri: Option<String>,
    /// Of this function.
    pub function: Option<String>,
}

/// What a stand-in does.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Answers so.
    Response(HttpResponse),
    /// Gives this value: of a function, as JSON of a request, as the output of a flow.
    Value(Value),
    /// Fails without an answer.
    Error(FlowError),
    /// Never answers.
    Silence,
}

impl Selection {
    /// True when the call is one of these.
    pub fn fits(&self, called: &Called) -> bool {
        let task = self.task.as_deref().is_none_or(|task| task == called.task || task == called.name);
        let call = match &called.what {
            What::Http { method, uri, .. } => {
                self.function.is_none()
                    && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                    && self.uri.as_deref().is_none_or(|wanted| like(wanted, uri))
            }
            What::Function { function, .. } => {
                self.method.is_none()
                    && self.uri.is_none()
                    && self.function.as_deref().is_none_or(|wanted| wanted == function)
            }
            What::Flow { .. } => self.method.is_none() && self.uri.is_none() && self.function.is_none(),
        };
        task && call
    }
}

impl Reply {
    /// The answer to a call. `None`: none ever comes.
    pub(super) fn answer(&self, what: &What) -> Option<Answer> {
        Some(match (self, what) {
            (Self::Silence, _) => return None,
            (Self::Response(response), What::Http { .. }) => Answer::Http(response.clone()),
            (Self::Value(value), What::Http { .. }) => Answer::Http(json_response(200, value)),
            (Self::Value(value), _) => Answer::Value { value: value.clone() },
            (Self::Error(error), _) => Answer::Failed { error: error.clone() },
            (Self::Response(_), _) => Answer::Failed {
                error: FlowError::new(Standard::Configuration, "a function is answered by `value`, not by `answer`"),
            },
        })
    }

    /// How a flow ends that is not at hand. `None`: it never does.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        Some(match self {
            Self::Silence => return None,
            Self::Value(output) => Outcome::Completed { output: output.clone() },
            Self::Error(error) => Outcome::Faulted { error: error.clone() },
            Self::Response(_) => Outcome::Faulted {
                error: FlowError::new(
                    Standard::Configuration,
                    "a flow is answered by `value` or `error`, not by `answer`",
                ),
            },
        })
    }
}

/// An HTTP response in JSON.
pub fn json_response(status: u16, body: &Value) -> HttpResponse {
    HttpResponse {
        status,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
    }
}

/// True when `text` is as `pattern` says, in which `*` stands for any run of characters.
pub fn like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("https://a/b", "https://a/b", true),
            ("https://a/b", "https://a/bc", false),
            ("https://a/*", "https://a/b?c=1", true),
            ("*/pets/*/name", "https://a/pets/7/name", true),
            ("*/pets/*/name", "https://a/pets/7/names", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(like(pattern, text), fits, "{pattern} {text}");
        }
    }
}
