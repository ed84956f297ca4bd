//! Which CI service this runs on, if any.

use crate::Surroundings;

/// A CI service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// Another one: it sets `CI`, as they all do.
    Other,
}

impl Service {
    /// The service, by the variables that it sets.
    #[must_use]
    pub fn of(surroundings: &Surroundings) -> Option<Self> {
        let is_set = |name| {
            let value = surroundings.non_empty(name);
            value.is_some_and(|value| value != "false" && value != "0")
        };
        if is_set("GITHUB_ACTIONS") {
            Some(Self::GitHub)
        } else if is_set("GITLAB_CI") {
            Some(Self::GitLab)
        } else {
            is_set("CI").then_some(Self::Other)
        }
    }

    /// Its name in the event log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_by_what_they_set() {
        for (vars, expected) in [
            (vec![], None),
            (vec![("CI", "true")], Some(Service::Other)),
            (vec![("CI", "false")], None),
            (
                vec![("CI", "1"), ("GITLAB_CI", "true")],
                Some(Service::GitLab),
            ),
            (
                vec![("CI", "1"), ("GITHUB_ACTIONS", "true")],
                Some(Service::GitHub),
            ),
        ] {
            let surroundings = Surroundings {
                vars: vars
                    .iter()
                    .map(|(n, v)| ((*n).into(), (*v).into()))
                    .collect(),
                ..Surroundings::default()
            };
            assert_eq!(Service::of(&surroundings), expected, "{vars:?}");
        }
    }
}
