//! Tasks and lists of them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{LEVELS, TASKS, Validator};
use crate::{
    expression::{Place, Template},
    model::{
        Item, Task,
        task::{Case, Catch, ForTask, Foreach, Kind, ListenTask, TryTask},
    },
    plan::{
        Definition, ErrorFilter, ExtensionPlan, FlowId, ForPlan, ForeachPlan, ListenPlan, Node, ReadAs, Then, TryPlan,
        Work,
    },
    pointer::Pointer,
    problem::nearest,
};

const EXTENDABLE: [&str; 12] =
    ["call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait", "all"];

impl Validator<'_> {
    pub(super) fn task_list(&mut self, list: &[Item<Task>], at: &Pointer) -> Vec<Node> {
        self.siblings(list, at, true)
    }

    fn siblings(&mut self, list: &[Item<Task>], at: &Pointer, sequence: bool) -> Vec<Node> {
        if self.level >= LEVELS {
            self.problems.add(at, format!("tasks stand in tasks more than {LEVELS} levels deep"));
            return Vec::new();
        }
        self.level += 1;
        let mut seen = BTreeSet::new();
        let names: Vec<&str> = if sequence { list.iter().map(|item| item.name.as_str()).collect() } else { Vec::new() };
        let mut nodes = Vec::new();
        for (n, item) in list.iter().enumerate() {
            let place = at.index(n).key(&item.name);
            if !seen.insert(&item.name) {
                self.problems.add(
                    &place,
                    format!(
                        "a task {:?} already stands in this list; rename one, or `then` can't tell them apart",
                        item.name
                    ),
                );
            }
            if matches!(item.name.as_str(), "continue" | "exit" | "end") {
                self.problems.add(&place, format!("{:?} is a directive; give the task another name", item.name));
            }
            nodes.extend(self.node(&item.name, &item.value, &place, &names));
        }
        self.level -= 1;
        // Places in the list are those of the nodes only where each task is one.
        if sequence && nodes.len() == list.len() && !self.has_extensions() && !self.mended.any_in(at.as_str()) {
            for back in super::circle::endless(&nodes) {
                let place = Pointer::from_text(&nodes[back].pointer).key("then");
                self.problems.add(&place, "this leads back in a circle that nothing ends: no task in it has an `if` or chooses, waits, listens, calls, runs or raises anything; give one an `if`, or use `for` with `while`");
            }
        }
        nodes
    }

    pub(super) fn node(&mut self, name: &str, task: &Task, at: &Pointer, siblings: &[&str]) -> Option<Node> {
        self.tasks += 1;
        if self.tasks > TASKS {
            if self.tasks == TASKS + 1 {
                self.problems.add(at, format!("the flow has more than {TASKS} tasks"));
            }
            return None;
        }
        let base = &task.base;
        let if_ = base.if_.as_ref().and_then(|text| self.expression(text, &at.key("if"), Place::TaskInput));
        let input = base.input.as_ref();
        let input_schema =
            input.and_then(|i| i.schema.as_ref()).and_then(|s| self.schema(s, &at.key("input").key("schema")));
        let input_from = input
            .and_then(|i| i.from.as_ref())
            .and_then(|from| self.transform(from, &at.key("input").key("from"), Place::TaskInput));
        let timeout = base.timeout.as_ref().and_then(|t| self.timeout(t, &at.key("timeout"), Place::Task));
        let then = base.then.as_ref().map_or(Then::Continue, |then| self.then(then, &at.key("then"), siblings));
        let work = self.work(task, at, siblings);
        let output = base.output.as_ref();
        let output_as = output
            .and_then(|o| o.as_.as_ref())
            .and_then(|v| self.transform(v, &at.key("output").key("as"), Place::TaskOutput));
        let output_schema =
            output.and_then(|o| o.schema.as_ref()).and_then(|s| self.schema(s, &at.key("output").key("schema")));
        let export = base.export.as_ref();
        let export_as = export
            .and_then(|e| e.as_.as_ref())
            .and_then(|v| self.transform(v, &at.key("export").key("as"), Place::TaskExport));
        let export_schema =
            export.and_then(|e| e.schema.as_ref()).and_then(|s| self.schema(s, &at.key("export").key("schema")));
        Some(Node {
            name: name.to_owned(),
            pointer: at.as_str().to_owned(),
            defined_at: at.as_str().to_owned(),
            if_,
            input_schema,
            input_from,
            output_as,
            output_schema,
            export_as,
            export_schema,
            timeout,
            then,
            work: work?,
            extensible: !self.in_extension,
        })
    }

    fn then(&mut self, then: &str, at: &Pointer, siblings: &[&str]) -> Then {
        match then {
            "continue" => Then::Continue,
            "exit" => Then::Exit,
            "end" => Then::End,
            name => match siblings.iter().position(|sibling| *sibling == name) {
                Some(index) => Then::Task(index),
                None if self.mended.unnamed_beside(at) => Then::Continue,
                None => {
                    let hint = nearest(name, siblings.iter().copied().chain(["continue", "exit", "end"]));
                    self.problems.add(at, format!("there is no task {name:?} in this list; `then` leads only to tasks beside this one, or to continue, exit or end{hint}"));
                    Then::Continue
                }
            },
        }
    }

    fn work(&mut self, task: &Task, at: &Pointer, siblings: &[&str]) -> Option<Work> {
        match &task.kind {
            Kind::Call(call) => self.call(call, at),
            Kind::Do(task) => Some(Work::Do(self.task_list(&task.do_, &at.key("do")))),
            Kind::Emit(task) => self.emit(&task.emit, &at.key("emit")).map(Work::Emit),
            Kind::For(task) => self.for_(task, at).map(|plan| Work::For(Box::new(plan))),
            Kind::Fork(task) => {
                let at = at.key("fork").key("branches");
                if task.fork.branches.is_empty() {
                    self.problems.add(&at, "at least one branch is expected here");
                }
                let branches = self.siblings(&task.fork.branches, &at, false);
                Some(Work::Fork { branches, compete: task.fork.compete.unwrap_or(false) })
            }
            Kind::Listen(task) => self.listen(task, at).map(|plan| Work::Listen(Box::new(plan))),
            Kind::Raise(task) => {
                self.raise(&task.raise.error, &at.key("raise").key("error")).map(|plan| Work::Raise(Box::new(plan)))
            }
            Kind::Run(task) => self.run(task, at),
            Kind::Set(task) => match &task.set {
                Value::Object(map) if map.is_empty() => {
                    self.problems.add(&at.key("set"), "at least one field is expected here");
                    None
                }
                Value::String(text) => {
                    self.expression(text, &at.key("set"), Place::Task).map(Template::Expression).map(Work::Set)
                }
                Value::Object(_) => self.template(&task.set, &at.key("set"), Place::Task).map(Work::Set),
                _ => {
                    self.problems.add(&at.key("set"), "a map, or an expression, is expected here");
                    None
                }
            },
            Kind::Switch(task) => self.switch(&task.switch, &at.key("switch"), siblings).map(Work::Switch),
            Kind::Try(task) => self.try_(task, at).map(|plan| Work::Try(Box::new(plan))),
            Kind::Wait(task) => self.length(&task.wait, &at.key("wait"), Place::Task).map(Work::Wait),
        }
    }

    fn variable(&mut self, name: Option<&String>, default: &str, at: &Pointer) -> String {
        let name = name.map_or(default, |name| name.trim_start_matches('$'));
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || Place::TaskExport.arguments().contains(&name) {
            self.problems.add(
                at,
                format!(
                    "{name:?} can't name a variable: letters, digits and _, and none of {}",
                    Place::TaskExport.arguments().join(", ")
                ),
            );
        }
        name.to_owned()
    }

    fn within<T>(&mut self, variables: &[&str], inner: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.locals.len();
        self.locals.extend(variables.iter().map(|v| (*v).to_owned()));
        let result = inner(self);
        self.locals.truncate(outer);
        result
    }

    fn for_(&mut self, task: &ForTask, at: &Pointer) -> Option<ForPlan> {
        let clause = at.key("for");
        let items = self.expression(&task.for_.in_, &clause.key("in"), Place::Task);
        let each = self.variable(task.for_.each.as_ref(), "item", &clause.key("each"));
        let index = self.variable(task.for_.at.as_ref(), "index", &clause.key("at"));
        let (while_, tasks) = self.within(&[&each, &index], |this| {
            let while_ = task.while_.as_ref().map(|text| this.expression(text, &at.key("while"), Place::Task));
            (while_, this.task_list(&task.do_, &at.key("do")))
        });
        Some(ForPlan { each, at: index, items: items?, while_: while_.known()?, tasks })
    }

    fn listen(&mut self, task: &ListenTask, at: &Pointer) -> Option<ListenPlan> {
        let place = at.key("listen");
        self.correlations(&task.listen.to, &place.key("to"));
        let strategy = self.strategy(&task.listen.to, &place.key("to"), Place::Task);
        let read = match task.listen.read.as_deref() {
            None | Some("data") => ReadAs::Data,
            Some("envelope") => ReadAs::Envelope,
            Some("raw") => ReadAs::Raw,
            Some(other) => {
                self.problems
                    .add(&place.key("read"), format!("{other:?} is not known here; data, envelope and raw are"));
                ReadAs::Data
            }
        };
        let foreach = task.foreach.as_ref().map(|foreach| self.foreach(foreach, &at.key("foreach")));
        Some(ListenPlan { strategy: strategy?, read, foreach })
    }

    fn foreach(&mut self, foreach: &Foreach, at: &Pointer) -> ForeachPlan {
        let item = self.variable(foreach.item.as_ref(), "item", &at.key("item"));
        let index = self.variable(foreach.at.as_ref(), "index", &at.key("at"));
        for (key, part) in [("output", &foreach.output), ("export", &foreach.export)] {
            if part.as_ref().is_some_and(|part| part.schema.is_some()) {
                self.problems
                    .add(&at.key(key).key("schema"), "is not supported for single events; put it on the listen task");
            }
        }
        self.within(&[&item, &index], |this| {
            let tasks = foreach.do_.as_ref().map(|list| this.task_list(list, &at.key("do"))).unwrap_or_default();
            let output_as = foreach
                .output
                .as_ref()
                .and_then(|o| o.as_.as_ref())
                .and_then(|as_| this.transform(as_, &at.key("output").key("as"), Place::TaskOutput));
            let export_as = foreach
                .export
                .as_ref()
                .and_then(|e| e.as_.as_ref())
                .and_then(|as_| this.transform(as_, &at.key("export").key("as"), Place::TaskExport));
            ForeachPlan { item: item.clone(), at: index.clone(), tasks, output_as, export_as }
        })
    }

    fn switch(
        &mut self,
        cases: &[Item<Case>],
        at: &Pointer,
        siblings: &[&str],
    ) -> Option<Vec<(Option<crate::expression::Expression>, Then)>> {
        if cases.is_empty() {
            self.problems.add(at, "at least one case is expected here");
        }
        let mut plans = Vec::new();
        let mut default = false;
        for (n, case) in cases.iter().enumerate() {
            let place = at.index(n).key(&case.name);
            let when = match &case.value.when {
                Some(text) => Some(self.expression(text, &place.key("when"), Place::Task)),
                None if default => {
                    self.problems
                        .add(&place, "a second case without `when` can never be taken; give it one, or remove it");
                    None
                }
                None => {
                    default = true;
                    None
                }
            };
            plans.push((when, self.then(&case.value.then, &place.key("then"), siblings)));
        }
        // Every case is looked at before one of them fails the task.
        plans.into_iter().map(|(when, then)| Some((when.known()?, then))).collect()
    }

    fn try_(&mut self, task: &TryTask, at: &Pointer) -> Option<TryPlan> {
        let tasks = self.task_list(&task.try_, &at.key("try"));
        let catch = &task.catch;
        let at = at.key("catch");
        let as_ = self.variable(catch.as_.as_ref(), "error", &at.key("as"));
        // Conditions know the error by its own name and as $error.
        let (when, except_when, retry, errors) = self.within(&[&as_, "error"], |this| {
            let when = catch.when.as_ref().map(|text| this.expression(text, &at.key("when"), Place::Task));
            let except =
                catch.except_when.as_ref().map(|text| this.expression(text, &at.key("exceptWhen"), Place::Task));
            let retry = catch.retry.as_ref().map(|retry| this.retry_given(retry, &at.key("retry")));
            (when, except, retry, this.error_filter(catch, &at.key("errors").key("with")))
        });
        let handler = catch.do_.as_ref().map(|list| self.within(&[&as_], |this| this.task_list(list, &at.key("do"))));
        Some(TryPlan {
            tasks,
            errors,
            as_,
            when: when.known()?,
            except_when: except_when.known()?,
            retry: retry.known()?,
            handler,
        })
    }

    fn error_filter(&mut self, catch: &Catch, at: &Pointer) -> ErrorFilter {
        let mut filter = ErrorFilter::default();
        let empty = Map::new();
        let with = catch.errors.as_ref().and_then(|errors| errors.with.as_ref()).unwrap_or(&empty);
        for (key, value) in with {
            let place = at.key(key);
            let template = self.template(value, &place, Place::Task);
            match key.as_str() {
                "type" => filter.kind = template,
                "status" => filter.status = template,
                "instance" => filter.instance = template,
                "title" => filter.title = template,
                "detail" | "details" => filter.detail = template,
                other => {
                    let hint = nearest(other, ["type", "status", "instance", "title", "detail"]);
                    self.problems.add(
                        &place,
                        format!("errors have no {other:?}{hint}; type, status, instance, title and detail are known"),
                    );
                }
            }
        }
        filter
    }

    pub(super) fn extensions(&mut self, at: &Pointer) -> Vec<ExtensionPlan> {
        let workflow = self.workflow;
        let Some(extensions) = workflow.use_.as_ref().and_then(|u| u.extensions.as_ref()) else { return Vec::new() };
        self.in_extension = true;
        let mut plans = Vec::new();
        for (n, item) in extensions.iter().enumerate() {
            let place = at.index(n).key(&item.name);
            let extension = &item.value;
            if !EXTENDABLE.contains(&extension.extend.as_str()) {
                let hint = nearest(&extension.extend, EXTENDABLE);
                self.problems.add(
                    &place.key("extend"),
                    format!("{:?} can't be extended{hint}; known: {}", extension.extend, EXTENDABLE.join(", ")),
                );
            }
            let when =
                extension.when.as_ref().and_then(|text| self.expression(text, &place.key("when"), Place::TaskInput));
            let before =
                extension.before.as_ref().map(|list| self.task_list(list, &place.key("before"))).unwrap_or_default();
            let after =
                extension.after.as_ref().map(|list| self.task_list(list, &place.key("after"))).unwrap_or_default();
            plans.push(ExtensionPlan {
                name: item.name.clone(),
                extend: extension.extend.clone(),
                when,
                before,
                after,
            });
        }
        self.in_extension = false;
        plans
    }
}

/// `None`: nothing was given. `Some(None)`: it was, and is wrong.
trait Known<T> {
    fn known(self) -> Option<Option<T>>;
}

impl<T> Known<T> for Option<Option<T>> {
    fn known(self) -> Option<Option<T>> {
        match self {
            None => Some(None),
            Some(None) => None,
            Some(given) => Some(given),
        }
    }
}

impl Definition {
    /// The flows it runs.
    pub fn runs(&self) -> Vec<&FlowId> {
        let mut found = Vec::new();
        self.each_node(&mut |node| {
            if let Work::Run(plan) = &node.work {
                found.push(&plan.flow);
            }
        });
        found
    }

    /// Visits every task, outer ones first.
    pub fn each_node<'d>(&'d self, visit: &mut dyn FnMut(&'d Node)) {
        each(&self.tasks, visit);
        for extension in &self.extensions {
            each(&extension.before, visit);
            each(&extension.after, visit);
        }
    }
}

fn each<'d>(nodes: &'d [Node], visit: &mut dyn FnMut(&'d Node)) {
    for node in nodes {
        visit(node);
        match &node.work {
            Work::Do(nodes) | Work::Fork { branches: nodes, .. } => each(nodes, visit),
            Work::For(plan) => each(&plan.tasks, visit),
            Work::Inline { task, .. } => each(std::slice::from_ref(task), visit),
            Work::Listen(plan) => plan.foreach.iter().for_each(|foreach| each(&foreach.tasks, visit)),
            Work::Try(plan) => {
                each(&plan.tasks, visit);
                plan.handler.iter().for_each(|nodes| each(nodes, visit));
            }
            _ => {}
        }
    }
}
