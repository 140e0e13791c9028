//! Which fields a state may have.

/// Fields that every state may have.
const COMMON: [&str; 3] = ["Type", "Comment", "QueryLanguage"];

/// What a state may have besides, in both languages, and in one of them.
pub(super) struct Fields {
    both: &'static [&'static str],
    path: &'static [&'static str],
    jsonata: &'static [&'static str],
}

const PATHS: [&str; 2] = ["InputPath", "OutputPath"];

pub(super) fn of(kind: &str) -> Option<Fields> {
    Some(match kind {
        "Pass" => Fields {
            both: &["Next", "End", "Assign"],
            path: &["InputPath", "OutputPath", "Result", "ResultPath", "Parameters"],
            jsonata: &["Output"],
        },
        "Task" => Fields {
            both: &[
                "Next",
                "End",
                "Assign",
                "Resource",
                "Retry",
                "Catch",
                "TimeoutSeconds",
                "HeartbeatSeconds",
                "Credentials",
            ],
            path: &[
                "InputPath",
                "OutputPath",
                "Parameters",
                "ResultPath",
                "ResultSelector",
                "TimeoutSecondsPath",
                "HeartbeatSecondsPath",
            ],
            jsonata: &["Arguments", "Output"],
        },
        "Choice" => Fields { both: &["Choices", "Default", "Assign"], path: &PATHS, jsonata: &["Output"] },
        "Wait" => Fields {
            both: &["Next", "End", "Assign", "Seconds", "Timestamp"],
            path: &["InputPath", "OutputPath", "SecondsPath", "TimestampPath"],
            jsonata: &["Output"],
        },
        "Succeed" => Fields { both: &[], path: &PATHS, jsonata: &["Output"] },
        "Fail" => Fields { both: &["Error", "Cause"], path: &["ErrorPath", "CausePath"], jsonata: &[] },
        "Parallel" => Fields {
            both: &["Next", "End", "Assign", "Branches", "Retry", "Catch"],
            path: &["InputPath", "OutputPath", "Parameters", "ResultPath", "ResultSelector"],
            jsonata: &["Arguments", "Output"],
        },
        "Map" => Fields {
            both: &[
                "Next",
                "End",
                "Assign",
                "Retry",
                "Catch",
                "ItemProcessor",
                "Iterator",
                "ItemReader",
                "ItemSelector",
                "ItemBatcher",
                "ResultWriter",
                "MaxConcurrency",
                "ToleratedFailurePercentage",
                "ToleratedFailureCount",
                "Label",
            ],
            path: &[
                "InputPath",
                "OutputPath",
                "Parameters",
                "ResultPath",
                "ResultSelector",
                "ItemsPath",
                "MaxConcurrencyPath",
                "ToleratedFailurePercentagePath",
                "ToleratedFailureCountPath",
            ],
            jsonata: &["Items", "Output"],
        },
        _ => return None,
    })
}

impl Fields {
    /// Why a field may not be here; `None` if it may.
    pub(super) fn refuse(&self, name: &str, jsonata: bool) -> Option<&'static str> {
        if COMMON.contains(&name) || self.both.contains(&name) {
            return None;
        }
        match (self.path.contains(&name), self.jsonata.contains(&name), jsonata) {
            (true, _, false) | (_, true, true) => None,
            (true, _, true) => Some("it belongs to JSONPath, and the state uses JSONata"),
            (_, true, false) => Some("it belongs to JSONata, and the state uses JSONPath"),
            _ => Some("a state of this type has no such field"),
        }
    }
}
