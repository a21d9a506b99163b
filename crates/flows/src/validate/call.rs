//! Calls: HTTP, OpenAPI, functions of the hub and of the document.

use serde_json::{Map, Value};

use super::Validator;
use crate::{
    expression::{Place, Template, inside},
    model::{
        part::{Authentication, Endpoint, ExternalResource, Scheme},
        task::{CallTask, CallWith, HttpArguments, OpenApiArguments, RunTask},
    },
    plan::{AuthParameters, AuthPlan, AuthScheme, FlowId, HttpPlan, OpenApiPlan, RunPlan, Target, Wanted, Work},
    pointer::Pointer,
    problem::nearest,
    uri::UriTemplate,
};

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

impl Validator<'_> {
    pub(super) fn call(&mut self, task: &CallTask, at: &Pointer) -> Option<Work> {
        let with = at.key("with");
        match (&task.with, task.call.as_str()) {
            (Some(CallWith::Http(arguments)), _) => self.http(arguments, &with).map(|plan| Work::Http(Box::new(plan))),
            (Some(CallWith::OpenApi(arguments)), _) => {
                self.openapi(arguments, &with).map(|plan| Work::OpenApi(Box::new(plan)))
            }
            (_, protocol @ ("grpc" | "asyncapi" | "a2a" | "mcp")) => {
                self.problems.add(
                    &at.key("call"),
                    format!("{protocol} calls are not supported; http, openapi and functions are"),
                );
                None
            }
            (Some(CallWith::Other(arguments)), name) => self.function(name, Some(arguments), at),
            (None, name) => self.function(name, None, at),
        }
    }

    fn function(&mut self, call: &str, with: Option<&Map<String, Value>>, at: &Pointer) -> Option<Work> {
        let place = at.key("call");
        if call.contains("://") {
            self.problems.add(&place, "functions elsewhere are not supported; copy it under use.functions");
            return None;
        }
        let with = match with {
            None => Some(None),
            Some(arguments) => self.template(&Value::Object(arguments.clone()), &at.key("with"), Place::Task).map(Some),
        };
        if let Some((named, catalog)) = call.split_once('@') {
            if catalog != "default" {
                self.problems.add(
                    &place,
                    format!(
                        "the catalog {catalog:?} is not supported; functions of the hub are called as {named}@default"
                    ),
                );
                return None;
            }
            let Some((name, version)) =
                named.split_once(':').filter(|(name, version)| !name.is_empty() && super::is_semver(version))
            else {
                self.problems.add(&place, format!("{call:?} lacks a version; write name:1.0.0@default"));
                return None;
            };
            let with = with?.unwrap_or_else(|| Template::Plain(Value::Object(Map::new())));
            return Some(Work::Function { name: name.to_owned(), version: version.to_owned(), with });
        }
        let workflow = self.workflow;
        let known = workflow.use_.as_ref().and_then(|u| u.functions.as_ref());
        let Some(task) = known.and_then(|known| known.get(call)) else {
            if self.mended.any_in("/use") {
                return None;
            }
            let hint =
                nearest(call, known.into_iter().flat_map(|k| k.keys()).map(String::as_str).chain(["http", "openapi"]));
            self.problems.add(&place, format!("there is no function {call:?} under use.functions, and functions of the hub are called as name:version@default{hint}"));
            return None;
        };
        if self.calling.iter().any(|name| name == call) {
            self.problems
                .add(&place, format!("the function {call:?} calls itself: {} -> {call}", self.calling.join(" -> ")));
            return None;
        }
        self.calling.push(call.to_owned());
        // A function sees its own arguments, not the variables of the loops around its caller.
        let locals = std::mem::take(&mut self.locals);
        let mut node = self.node(call, task, &at.key(call), &[]);
        self.locals = locals;
        self.calling.pop();
        if let Some(node) = &mut node {
            node.defined_at = Pointer::root().key("use").key("functions").key(call).into_string();
        }
        Some(Work::Inline { with: with?, task: Box::new(node?) })
    }

    fn http(&mut self, arguments: &HttpArguments, at: &Pointer) -> Option<HttpPlan> {
        let method = arguments.method.to_ascii_lowercase();
        if !METHODS.contains(&method.as_str()) {
            self.problems.add(
                &at.key("method"),
                format!(
                    "{:?} is no method{}; known: {}",
                    arguments.method,
                    nearest(&method, METHODS),
                    METHODS.join(", ")
                ),
            );
        }
        let (target, authentication) = self.endpoint(&arguments.endpoint, &at.key("endpoint"));
        let headers = self.fields(arguments.headers.as_ref(), &at.key("headers"));
        let query = self.fields(arguments.query.as_ref(), &at.key("query"));
        let body = match &arguments.body {
            None => Some(None),
            Some(body) => self.template(body, &at.key("body"), Place::Task).map(Some),
        };
        let wanted = self.wanted(arguments.output.as_deref(), &at.key("output"));
        Some(HttpPlan {
            method: arguments.method.clone(),
            target: target?,
            authentication,
            headers: headers?,
            body: body?,
            query: query?,
            wanted,
            redirect: arguments.redirect.unwrap_or(false),
        })
    }

    fn openapi(&mut self, arguments: &OpenApiArguments, at: &Pointer) -> Option<OpenApiPlan> {
        let (document, document_authentication) = self.resource(&arguments.document, &at.key("document"));
        let parameters = match &arguments.parameters {
            None => Some(None),
            Some(map) => self.template(&Value::Object(map.clone()), &at.key("parameters"), Place::Task).map(Some),
        };
        let authentication = arguments
            .authentication
            .as_ref()
            .and_then(|authentication| self.authentication(authentication, &at.key("authentication")));
        let wanted = self.wanted(arguments.output.as_deref(), &at.key("output"));
        Some(OpenApiPlan {
            document: document?,
            document_authentication,
            operation_id: arguments.operation_id.clone(),
            parameters: parameters?,
            authentication,
            wanted,
            redirect: arguments.redirect.unwrap_or(false),
        })
    }

    fn resource(&mut self, resource: &ExternalResource, at: &Pointer) -> (Option<Target>, Option<AuthPlan>) {
        self.endpoint(&resource.endpoint, &at.key("endpoint"))
    }

    /// Headers and query: a map, or an expression that gives one. `Some(None)`: there are none.
    fn fields(&mut self, value: Option<&Value>, at: &Pointer) -> Option<Option<Template>> {
        match value {
            None => Some(None),
            Some(Value::Object(_)) => self.template(value?, at, Place::Task).map(Some),
            Some(Value::String(text)) if inside(text).is_some() => {
                self.expression(text, at, Place::Task).map(|expression| Some(Template::Expression(expression)))
            }
            Some(other) => {
                let kind = crate::model::read::kind(other);
                self.problems.add(at, format!("a map, or an expression that gives one, is expected here, not {kind}"));
                None
            }
        }
    }

    fn wanted(&mut self, output: Option<&str>, at: &Pointer) -> Wanted {
        match output {
            None | Some("content") => Wanted::Content,
            Some("response") => Wanted::Response,
            Some("raw") => Wanted::Raw,
            Some(other) => {
                self.problems.add(at, format!("{other:?} is not known here; content, response and raw are"));
                Wanted::Content
            }
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint, at: &Pointer) -> (Option<Target>, Option<AuthPlan>) {
        match endpoint {
            Endpoint::Uri(uri) => (self.target(uri, at), None),
            Endpoint::Config(config) => {
                let target = self.target(&config.uri, &at.key("uri"));
                let authentication = config
                    .authentication
                    .as_ref()
                    .and_then(|authentication| self.authentication(authentication, &at.key("authentication")));
                (target, authentication)
            }
        }
    }

    fn target(&mut self, uri: &str, at: &Pointer) -> Option<Target> {
        if inside(uri).is_some() {
            return self.expression(uri, at, Place::Task).map(Target::Expression);
        }
        match UriTemplate::parse(uri) {
            Ok(template) if uri.starts_with("http://") || uri.starts_with("https://") => {
                Some(Target::Template(template))
            }
            Ok(_) => {
                self.problems.add(at, format!("{uri:?} is neither http:// nor https://"));
                None
            }
            Err(error) => {
                self.problems.add(at, error);
                None
            }
        }
    }

    pub(super) fn authentication(&mut self, authentication: &Authentication, at: &Pointer) -> Option<AuthPlan> {
        let (key, scheme, parameters) = match authentication {
            Authentication::Use(name) => {
                let workflow = self.workflow;
                let known = workflow.use_.as_ref().and_then(|u| u.authentications.as_ref());
                return match known.and_then(|known| known.get(name)) {
                    Some(Authentication::Use(_)) => {
                        self.problems
                            .add(at, format!("use.authentications.{name} only names another; define it there"));
                        None
                    }
                    Some(found) => {
                        self.authentication(found, &Pointer::root().key("use").key("authentications").key(name))
                    }
                    None => {
                        self.unknown(
                            "authentication",
                            "authentications",
                            name,
                            known.into_iter().flat_map(|k| k.keys()),
                            &at.key("use"),
                        );
                        None
                    }
                };
            }
            Authentication::Basic(scheme) => ("basic", AuthScheme::Basic, scheme),
            Authentication::Bearer(scheme) => ("bearer", AuthScheme::Bearer, scheme),
            Authentication::OAuth2(scheme) => ("oauth2", AuthScheme::OAuth2, scheme),
            Authentication::Digest(_) => return self.no_authentication("digest", at),
            Authentication::Oidc(_) => return self.no_authentication("oidc", at),
            Authentication::Certificate(_) => return self.no_authentication("certificate", at),
        };
        let at = at.key(key);
        match parameters {
            Scheme::Secret { secret } => {
                self.secret_declared(secret, &at.key("use"));
                Some(AuthPlan { scheme, parameters: AuthParameters::Secret(secret.clone()) })
            }
            Scheme::Inline(map) => {
                self.auth_fields(scheme, map, &at);
                let parameters = self.template(&Value::Object(map.clone()), &at, Place::Task)?;
                Some(AuthPlan { scheme, parameters: AuthParameters::Inline(parameters) })
            }
        }
    }

    fn no_authentication(&mut self, key: &str, at: &Pointer) -> Option<AuthPlan> {
        self.problems
            .add(&at.key(key), format!("{key} is not supported; basic, bearer and oauth2 with client_credentials are"));
        None
    }

    fn auth_fields(&mut self, scheme: AuthScheme, map: &Map<String, Value>, at: &Pointer) {
        let (required, optional): (&[&str], &[&str]) = match scheme {
            AuthScheme::Basic => (&["username", "password"], &[]),
            AuthScheme::Bearer => (&["token"], &[]),
            AuthScheme::OAuth2 => {
                (&["authority", "grant", "client"], &["endpoints", "request", "issuers", "scopes", "audiences"])
            }
        };
        for key in required.iter().filter(|key| !map.contains_key(**key)) {
            self.problems.add(at, format!("the field {key:?} is missing"));
        }
        for key in map.keys().filter(|key| !required.contains(&key.as_str()) && !optional.contains(&key.as_str())) {
            let hint = nearest(key, required.iter().chain(optional).copied());
            self.problems.add(&at.key(key), format!("the field {key:?} is not supported here{hint}"));
        }
        if scheme != AuthScheme::OAuth2 {
            return;
        }
        if map.get("grant").is_some_and(|grant| grant != "client_credentials") {
            self.problems.add(&at.key("grant"), "only client_credentials is supported");
        }
        if let Some(method) = map.get("client").and_then(|client| client.get("authentication"))
            && method != "client_secret_basic"
            && method != "client_secret_post"
        {
            self.problems.add(
                &at.key("client").key("authentication"),
                "only client_secret_basic and client_secret_post are supported",
            );
        }
    }

    pub(super) fn run(&mut self, task: &RunTask, at: &Pointer) -> Option<Work> {
        let run = &task.run;
        let at = at.key("run");
        for (key, given) in [("container", &run.container), ("script", &run.script), ("shell", &run.shell)] {
            if given.is_some() {
                self.problems.add(
                    &at.key(key),
                    format!(
                        "{key} is not supported: a flow runs no programs on the hub's machine; call a service instead"
                    ),
                );
                return None;
            }
        }
        let Some(workflow) = &run.workflow else {
            self.problems.add(&at, "what to run is missing; `workflow` is supported");
            return None;
        };
        let at_flow = at.key("workflow");
        if workflow.version != "latest" && !super::is_semver(&workflow.version) {
            self.problems.add(&at_flow.key("version"), "a version such as '1.0.0', or latest, is expected here");
        }
        let document = &self.workflow.document;
        if workflow.namespace == document.namespace && workflow.name == document.name {
            self.problems
                .add(&at_flow, "a flow can't run itself; loop with `then`, or emit an event that starts it again");
        }
        let output = match run.return_.as_deref() {
            None | Some("stdout") => true,
            Some("none") => false,
            Some(other) => {
                self.problems.add(
                    &at.key("return"),
                    format!("{other:?} is for programs; a flow gives its output (stdout, the default) or none"),
                );
                true
            }
        };
        let input = match &workflow.input {
            None => None,
            Some(input) => Some(self.template(input, &at_flow.key("input"), Place::Task)?),
        };
        Some(Work::Run(Box::new(RunPlan {
            flow: FlowId {
                namespace: workflow.namespace.clone(),
                name: workflow.name.clone(),
                version: workflow.version.clone(),
            },
            input,
            wait: run.await_.unwrap_or(true),
            output,
        })))
    }
}
