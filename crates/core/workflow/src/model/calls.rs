//! Workflows that jobs of others call: they run for their callers' events, with what these give.

use std::collections::BTreeMap;

use crate::expr::Val;
use crate::yaml::Node;

use super::matrix::scalar;
use super::workflow::Workflow;

/// Gives called workflows their callers' events and inputs.
pub fn link(workflows: &mut [Workflow<'_>]) {
    let calls = calls(workflows);
    // A caller may be called itself, ten levels at most.
    for _ in 0..10 {
        for (caller, called, _) in &calls {
            let more: Vec<_> = workflows[*caller]
                .events
                .iter()
                .filter(|(event, _)| *event != "workflow_call")
                .copied()
                .collect();
            for (event, said) in more {
                if !workflows[*called].on(event) {
                    workflows[*called].events.push((event, said));
                }
            }
        }
    }
    for (index, workflow) in workflows.iter_mut().enumerate() {
        let given: Vec<Option<&Node>> = calls
            .iter()
            .filter(|(_, called, _)| *called == index)
            .map(|(.., with)| *with)
            .collect();
        workflow.inputs = inputs(workflow, &given);
    }
}

/// Caller, called, and what is given.
fn calls<'p>(workflows: &[Workflow<'p>]) -> Vec<(usize, usize, Option<&'p Node>)> {
    let mut found = Vec::new();
    for (caller, workflow) in workflows.iter().enumerate() {
        for job in &workflow.jobs {
            let path = job
                .uses
                .and_then(Node::str)
                .and_then(|uses| uses.strip_prefix("./"));
            let called =
                path.and_then(|path| workflows.iter().position(|other| other.source.path == path));
            if let Some(called) = called {
                found.push((caller, called, job.node.get("with")));
            }
        }
    }
    found
}

/// The inputs that are the same in every call.
fn inputs(workflow: &Workflow<'_>, given: &[Option<&Node>]) -> BTreeMap<String, Val> {
    let said = workflow
        .event("workflow_call")
        .and_then(|call| call.get("inputs"))
        .map(Node::entries)
        .unwrap_or_default();
    let mut known = BTreeMap::new();
    for (key, input) in said {
        let Some(name) = key.str() else { continue };
        let default = || input.get("default").map_or(Val::Null, scalar);
        let values: Vec<Val> = given
            .iter()
            .map(|with| {
                with.and_then(|with| with.get(name))
                    .map_or_else(default, scalar)
            })
            .collect();
        if let Some(first) = values
            .first()
            .filter(|first| values.iter().all(|value| value == *first))
        {
            known.insert(name.to_ascii_lowercase(), first.clone());
        }
    }
    known
}
