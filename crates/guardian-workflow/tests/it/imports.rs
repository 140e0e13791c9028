//! Importers: what is accepted, what is refused, and that what was imported runs.

use guardian_workflow::import::{Imported, asl, serverless};
use guardian_workflow::simulate::{Stubs, simulate};
use guardian_workflow::{ActionSpec, Catalog, Outcome, validate};
use serde_json::{Value, json};

fn catalog(imported: &Imported) -> Catalog {
    imported.actions.iter().fold(Catalog::new(), |catalog, name| catalog.with(ActionSpec::new(name)).unwrap())
}

/// Imports, validates and runs; the outcome and how many losses there were.
fn run(imported: &Imported, input: Value, stubs: Value) -> (Option<Outcome>, usize) {
    let catalog = catalog(imported);
    let report = validate(&imported.definition, &catalog);
    assert!(report.is_valid(), "{report}\n{}", imported.definition.to_value());
    let stubs: Stubs = serde_json::from_value(stubs).unwrap();
    (simulate(&imported.definition, &catalog, input, &stubs).unwrap().outcome, imported.losses.len())
}

fn result(found: (Option<Outcome>, usize)) -> Value {
    match found {
        (Some(Outcome::Result(value)), 0) => value,
        other => panic!("{other:?}"),
    }
}

fn asl_run(machine: &Value, input: Value, stubs: Value) -> (Option<Outcome>, usize) {
    run(&asl::import(&machine.to_string()).unwrap(), input, stubs)
}

#[test]
fn states_pass_choose_and_transform() {
    let machine = json!({"StartAt": "Big?", "States": {
        "Big?": {"Type": "Choice", "Choices": [
            {"Variable": "$.order.total", "NumericGreaterThan": 100, "Next": "Approve"},
            {"And": [{"Variable": "$.order.note", "IsPresent": true}, {"Variable": "$.order.note", "StringMatches": "urgent*"}], "Next": "Approve"}],
            "Default": "Done"},
        "Approve": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:approve",
            "Parameters": {"total.$": "$.order.total", "text.$": "States.Format('order {} of {}', $.order.id, 'acme')", "plain": "=x"},
            "ResultSelector": {"ok.$": "$.approved"}, "ResultPath": "$.approval", "Next": "Done"},
        "Done": {"Type": "Pass", "Parameters": {"approved.$": "$.approval", "id.$": "$.order.id"}, "End": true}}});
    let stubs = json!({"actions": {"arn:aws:lambda:us-east-1:1:function:approve": {"result": {"approved": true, "by": "x"}}}});
    let input = json!({"order": {"id": "7", "total": 500}});
    assert_eq!(result(asl_run(&machine, input, stubs.clone())), json!({"approved": {"ok": true}, "id": "7"}));
    let imported = asl::import(&machine.to_string()).unwrap();
    let trace = simulate(
        &imported.definition,
        &catalog(&imported),
        json!({"order": {"id": "7", "total": 500}}),
        &serde_json::from_value(stubs).unwrap(),
    )
    .unwrap();
    assert_eq!(trace.calls[0].params, json!({"total": 500, "text": "order 7 of acme", "plain": "=x"}));
}

#[test]
fn states_loop_back_catch_and_try_again() {
    let machine = json!({"StartAt": "Ask", "States": {
        "Ask": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:ask", "ResultPath": "$.status",
            "Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 2.0}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Sorry"}], "Next": "Ready?"},
        "Ready?": {"Type": "Choice", "Choices": [{"Variable": "$.status", "StringEquals": "done", "Next": "Yes"}], "Default": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Ask"},
        "Yes": {"Type": "Succeed"},
        "Sorry": {"Type": "Fail", "Error": "Gone", "CausePath": "$.error.Error"}}});
    let ask = "arn:aws:lambda:us-east-1:1:function:ask";
    let stubs = |answers: Value| json!({"actions": {ask: answers}});
    let found =
        asl_run(&machine, json!({}), stubs(json!([{"result": "no"}, {"fail": "Flaky"}, {"result": "done"}])));
    assert_eq!(result(found), json!({"status": "done"}));
    let (outcome, _) = asl_run(&machine, json!({}), stubs(json!({"fail": "Down"})));
    let Some(Outcome::Failure(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("Gone", "Down"));
}

#[test]
fn states_map_and_go_side_by_side() {
    let machine = json!({"StartAt": "Each", "States": {
        "Each": {"Type": "Map", "ItemsPath": "$.list", "MaxConcurrency": 1, "ItemSelector": {"n.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index"},
            "ItemProcessor": {"StartAt": "Add", "States": {
                "Add": {"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($.n, $.at)"}, "End": true}}},
            "ResultPath": "$.sums", "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "a", "End": true}}},
            {"StartAt": "B", "States": {"B": {"Type": "Pass", "OutputPath": "$.sums", "End": true}}}], "End": true}}});
    assert_eq!(
        result(asl_run(&machine, json!({"list": [10, 20]}), json!({}))),
        json!(["a", [{"sum": 10}, {"sum": 21}]])
    );
}

#[test]
fn jsonata_as_far_as_it_goes() {
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.n > 5 and $states.input.name != '' %}", "Next": "T"}], "Default": "N"},
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"name": "{% $states.input.name & '!' %}"},
            "Assign": {"said": "{% $states.result.text %}"}, "Output": {"text": "{% $states.result.text %}"}, "Next": "E"},
        "E": {"Type": "Pass", "Output": {"said": "{% $said %}"}, "End": true},
        "N": {"Type": "Fail", "Error": "no"}}});
    let stubs = json!({"actions": {"arn:aws:states:::lambda:invoke": {"result": {"text": "hello"}}}});
    assert_eq!(result(asl_run(&machine, json!({"n": 6, "name": "ann"}), stubs)), json!({"said": "hello"}));
    let strange = json!({"QueryLanguage": "JSONata", "StartAt": "E", "States": {
        "E": {"Type": "Succeed", "Output": "{% $sum($states.input.list) %}"}}});
    assert_eq!(asl::import(&strange.to_string()).unwrap().losses.len(), 1);
}

#[test]
fn machines_side_by_side_assign_variables_of_their_own() {
    let branch = |at: u32, read: &str| {
        let (first, second) = (format!("A{at}"), format!("B{at}"));
        json!({"StartAt": first, "States": {
            first.clone(): {"Type": "Pass", "Assign": {"x.$": format!("States.MathAdd($n, {at})"), "y": at}, "Next": second},
            second: {"Type": "Pass", "Parameters": {"x.$": read, "n.$": "$n"}, "End": true}}})
    };
    let machine = json!({"StartAt": "N", "States": {
        "N": {"Type": "Pass", "Assign": {"n.$": "$.n", "x_2": "mine"}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [branch(1, "$x"), branch(2, "$x"), branch(3, "$y")], "ResultPath": "$.both", "Next": "M"},
        "M": {"Type": "Map", "ItemsPath": "$.list", "ResultPath": "$.each", "ItemProcessor": {"StartAt": "I", "States": {
            "I": {"Type": "Pass", "Assign": {"x.$": "$"}, "Next": "J"},
            "J": {"Type": "Pass", "Parameters": {"x.$": "$x"}, "End": true}}}, "Next": "E"},
        "E": {"Type": "Pass", "Parameters": {"both.$": "$.both", "each.$": "$.each", "mine.$": "$x_2"}, "End": true}}});
    assert!(asl::faults(&machine).is_empty());
    let expected = json!({
        "both": [{"x": 11, "n": 10}, {"x": 12, "n": 10}, {"x": 3, "n": 10}],
        "each": [{"x": 7}, {"x": 8}, {"x": 9}], "mine": "mine"});
    assert_eq!(result(asl_run(&machine, json!({"n": 10, "list": [7, 8, 9]}), json!({}))), expected);
}

#[test]
fn what_a_state_assigns_is_of_its_result_its_input_or_its_error() {
    let machine = json!({"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:a", "ResultPath": "$.made", "Assign": {"made.$": "$.a"}, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 1, "Assign": {"given.$": "$.n"}, "Next": "F"},
        "F": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:b", "ResultPath": null, "Next": "E",
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": null, "Assign": {"code.$": "$.Error"}, "Next": "E"}]},
        "E": {"Type": "Pass", "Parameters": {"made.$": "$made", "given.$": "$given", "code.$": "$code"}, "End": true}}});
    let stubs = json!({"actions": {"arn:aws:lambda:us-east-1:1:function:a": {"result": {"a": 5}}, "arn:aws:lambda:us-east-1:1:function:b": {"fail": "Down"}}});
    let expected = json!({"made": 5, "given": 1, "code": "Down"});
    assert_eq!(result(asl_run(&machine, json!({"n": 1}), stubs)), expected);
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:a", "Assign": {"both": "{% $states.result.a + $states.input.n %}"}, "Next": "E"},
        "E": {"Type": "Pass", "Output": "{% $both %}", "End": true}}});
    let stubs = json!({"actions": {"arn:aws:lambda:us-east-1:1:function:a": {"result": {"a": 5}}}});
    assert_eq!(result(asl_run(&machine, json!({"n": 1}), stubs)), json!(6));
}

/// What is not understood is null of any type: a decision that hangs on it fails, with the node, and takes no way by accident.
#[test]
fn a_decision_that_cannot_be_represented_fails_where_it_is_made() {
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% $sum($states.input.prices) > 10 %}", "Next": "Dear"}], "Default": "Cheap"},
        "Dear": {"Type": "Pass", "Output": "dear", "End": true}, "Cheap": {"Type": "Pass", "Output": "cheap", "End": true}}});
    let (outcome, losses) = asl_run(&machine, json!({"prices": [7, 8]}), json!({}));
    assert_eq!(losses, 1);
    let Some(Outcome::Failure(failure)) = outcome else { panic!("{outcome:?}") };
    assert!(failure.node.as_ref().is_some_and(|node| node.as_str() == "C"), "{failure:?}");
}

/// Whether something is there can be asked of what the run was given, too.
#[test]
fn the_input_of_the_execution_can_be_asked_for() {
    let machine = json!({"StartAt": "P", "States": {
        "P": {"Type": "Pass", "Result": {}, "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$$.Execution.Input.wanted", "IsPresent": true, "Next": "Y"}], "Default": "N"},
        "Y": {"Type": "Pass", "Result": "there", "End": true}, "N": {"Type": "Pass", "Result": "absent", "End": true}}});
    assert_eq!(result(asl_run(&machine, json!({"wanted": null}), json!({}))), json!("there"));
    assert_eq!(result(asl_run(&machine, json!({}), json!({}))), json!("absent"));
}

#[test]
fn jsonata_is_refused_where_it_cannot_be_read_and_nowhere_else() {
    let machine = |text: &str| {
        json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {
            "S": {"Type": "Pass", "Output": {"x": [format!("{{% {text} %}}")]}, "End": true}}})
    };
    for text in [
        "10 + 5 * 2",
        "-$x.*.**.%.b[-1][[0..2]]",
        "$exists($states.input.a) ? $states.input.a : {}",
        "$match($states.input.mail, /^[a-z/]+@[^\\/]+$/i) and $not(null in $each($a, function($v) { $length($v) > 0 ? $v : null }))",
        "($e := $a.b; $n := 'it is' & \"x\"; $c[d = 'home']{'e': $e, k: {t: y}};)",
        "a^(>b, <`c d`)@$v#$i.$add(?, 2) ~> $sum /* all * of / it */",
        "1.5e-3 - 2 .. $x ?: $y ?? []",
        "${Substituted} & '${Other}'",
        "$x ~> |$|{\"a\": 1}|",
        "function($x)<n:n>{ $x }",
        "and.or.in in in",
    ] {
        let faults = asl::faults(&machine(text));
        assert!(faults.is_empty(), "{text}: {}", faults[0]);
    }
    for text in [
        "10 + * 2",
        "420.",
        "$.store.book[?(@.price < 10)].title",
        "$sum($x",
        "$sum $x",
        "[1, 2)",
        "1 +",
        "'a",
        "/a",
        "`a",
        "a == b",
        "a, ",
        "(,)",
        "!a",
        "a b",
        "/* a",
        "\"a\" \"b\"",
        "?",
        "+1",
    ] {
        assert!(!asl::faults(&machine(text)).is_empty(), "{text}");
    }
}

/// One machine around a state.
#[expect(clippy::needless_pass_by_value, reason = "a literal is written at each call")]
fn around(state: Value) -> Value {
    json!({"StartAt": "S", "States": {"S": state, "T": {"Type": "Succeed"}}})
}

#[test]
fn machines_that_keep_the_rules() {
    let task = "arn:aws:lambda:us-east-1:123456789012:function:x";
    for state in [
        json!({"Type": "Task", "Resource": "${Fn}", "Next": "T", "Credentials": {"RoleArn": "x"}}),
        json!({"Type": "Task", "Resource": task, "TimeoutSeconds": 60, "HeartbeatSeconds": 30, "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Parameters": {"a.$": "$$.Task.Token", "b.$": "$.x[0]['y z']", "c.$": "$..z[?(@.p > 5)]"}, "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Retry": [{"ErrorEquals": ["A", "States.Timeout"], "MaxDelaySeconds": 5, "JitterStrategy": "FULL"}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 0}], "Next": "T"}),
        json!({"Type": "Pass", "Parameters": {"x.$": "States.Array(1, 'a\\'b', $.c, States.UUID(), null, -1.5)"}, "Next": "T"}),
        json!({"Type": "Pass", "ResultPath": null, "InputPath": null, "Next": "T", "End": false}),
        json!({"Type": "Pass", "Assign": {"x.$": "$.a", "y": 1}, "Next": "T"}),
        json!({"Type": "Wait", "TimestampPath": "$.t", "Next": "T"}),
        json!({"Type": "Wait", "Timestamp": "2016-03-14T01:59:00Z", "Next": "T"}),
        json!({"Type": "Choice", "Choices": [{"Not": {"Variable": "$.a", "IsNull": true}, "Next": "T", "Comment": "x"}]}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "TimestampLessThanEqualsPath": "$.b", "Next": "T"}], "Default": "T"}),
        json!({"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, "Parameters": {"Bucket": "b", "Key.$": "$.k"}},
            "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}},
            "ToleratedFailurePercentage": 5, "Label": "x", "ItemBatcher": {"MaxItemsPerBatch": 10}, "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}}, "Next": "T"}),
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"x": "{% $states.input %}"}, "Next": "T"}),
        // A dot in front of a bracket, and several names in one.
        json!({"Type": "Pass", "Parameters": {"a.$": "$.[?(@.open > 0)]", "b.$": "$.[*].['bucket', 'key']", "c.$": "$.['odd name'].x"}, "Next": "T"}),
        // Names that are reserved, and are used.
        json!({"Type": "Task", "Resource": task, "Catch": [{"ErrorEquals": ["States.QuorumMet"], "Next": "T"}], "Retry": [{"ErrorEquals": ["States.TaskFailedId"]}], "Next": "T"}),
        // What cannot be represented may be of any type.
        json!({"Type": "Choice", "QueryLanguage": "JSONata", "Choices": [{"Condition": "{% $number($states.input.a) > 0 or $sum($states.input.b) > 0 %}", "Next": "T"}], "Default": "T"}),
        json!({"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% [1..5] %}", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}, "Next": "T"}),
        json!({"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": "{% $number($states.input[0]) %}", "Next": "T"}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.open[?(@.a == 1)]", "BooleanEquals": true, "Next": "T"}], "Default": "T"}),
    ] {
        let machine = around(state);
        let faults = asl::faults(&machine);
        assert!(faults.is_empty(), "{machine}: {}", faults[0]);
        let imported = asl::import(&machine.to_string()).unwrap();
        let report = validate(&imported.definition, &catalog(&imported));
        assert!(report.is_valid(), "{machine}\n{report}");
    }
}

#[test]
fn machines_that_break_the_rules() {
    let task = "arn:aws:lambda:us-east-1:123456789012:function:x";
    for machine in [
        json!([]),
        json!({"States": {"S": {"Type": "Succeed"}}}),
        json!({"StartAt": "S"}),
        json!({"StartAt": "S", "States": {}}),
        json!({"StartAt": "X", "States": {"S": {"Type": "Succeed"}}}),
        json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}, "Foo": 1}),
        json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}, "TimeoutSeconds": 0}),
        json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}, "U": {"Type": "Succeed"}}}),
        json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "Next": "U"}, "U": {"Type": "Pass", "Next": "S"}}}),
        json!({"StartAt": "S", "States": {"S": {"Type": "Parallel", "Branches": [{"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}], "End": true}}}),
        json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": {"Type": "Pass", "Parameters": {}, "End": true}}}),
        json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": {"Type": "Pass", "QueryLanguage": "JSONPath", "End": true}}}),
        json!({"QueryLanguage": "jq", "StartAt": "S", "States": {"S": {"Type": "Succeed"}}}),
    ] {
        assert!(!asl::faults(&machine).is_empty(), "{machine}");
    }
    for state in [
        json!({"Type": "Nothing", "Next": "T"}),
        json!({"Next": "T"}),
        json!({"Type": "Pass"}),
        json!({"Type": "Pass", "Next": "T", "End": true}),
        json!({"Type": "Pass", "Next": "X"}),
        json!({"Type": "Pass", "Next": "T", "Foo": 1}),
        json!({"Type": "Pass", "Next": "T", "ResultPath": "$.a[*]"}),
        json!({"Type": "Pass", "Next": "T", "ResultPath": "$variable"}),
        json!({"Type": "Pass", "Next": "T", "ResultPath": "$$.Execution"}),
        json!({"Type": "Pass", "Next": "T", "Parameters": {"a": {"b": 1, "b.$": "$.b"}}}),
        json!({"Type": "Pass", "Next": "T", "InputPath": "a.b"}),
        json!({"Type": "Pass", "Next": "T", "Parameters": {"a.$": 5}}),
        json!({"Type": "Pass", "Next": "T", "Parameters": {"a.$": "x"}}),
        json!({"Type": "Pass", "Next": "T", "Parameters": {"a.$": "States.Nothing($.x)"}}),
        json!({"Type": "Pass", "Next": "T", "Parameters": {"a.$": "States.Hash($.x)"}}),
        json!({"Type": "Pass", "Next": "T", "Output": 1}),
        json!({"Type": "Pass", "Next": "T", "Retry": []}),
        json!({"Type": "Task", "Next": "T"}),
        json!({"Type": "Task", "Resource": 5, "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "TimeoutSeconds": 10, "HeartbeatSeconds": 10, "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "TimeoutSeconds": 10, "TimeoutSecondsPath": "$.t", "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Retry": [{"ErrorEquals": []}], "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Retry": [{"ErrorEquals": ["States.ALL", "A"]}], "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}], "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Retry": [{"ErrorEquals": ["A"], "BackoffRate": 0.5}], "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 0}], "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Catch": [{"ErrorEquals": ["A"]}], "Next": "T"}),
        json!({"Type": "Task", "Resource": task, "Catch": [{"ErrorEquals": ["A"], "Next": "X"}], "Next": "T"}),
        json!({"Type": "Wait", "Next": "T"}),
        json!({"Type": "Wait", "Seconds": 5, "SecondsPath": "$.s", "Next": "T"}),
        json!({"Type": "Wait", "Seconds": -5, "Next": "T"}),
        json!({"Type": "Wait", "Timestamp": "tomorrow", "Next": "T"}),
        json!({"Type": "Choice", "Choices": []}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": 5, "Next": "T"}]}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": "x"}]}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "T"}]}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "IsString": true, "Next": "T"}]}),
        json!({"Type": "Choice", "Choices": [{"And": [{"Variable": "$.a", "IsNull": true, "Next": "T"}], "Next": "T"}]}),
        json!({"Type": "Choice", "Choices": [{"StringEquals": "x", "Next": "T"}]}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "Matches": "x", "Next": "T"}]}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "T"}], "End": true}),
        json!({"Type": "Parallel", "Branches": [], "Next": "T"}),
        json!({"Type": "Parallel", "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "T"}}}], "Next": "T"}),
        json!({"Type": "Map", "Next": "T"}),
        json!({"Type": "Map", "Iterator": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}, "Next": "T"}),
        json!({"Type": "Map", "MaxConcurrency": -1, "Iterator": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, "Next": "T"}),
        json!({"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, "Next": "T"}),
    ] {
        // `T` is reached in any case, so that it is not what is found.
        let machine = json!({"StartAt": "C", "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.c", "IsNull": true, "Next": "S"}], "Default": "T"},
            "S": state, "T": {"Type": "Succeed"}}});
        assert!(!asl::faults(&machine).is_empty(), "{machine}");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a literal is written at each call")]
fn serverless(tasks: Value) -> Imported {
    let document = json!({"document": {"dsl": "1.0.0", "namespace": "test", "name": "t", "version": "1.0.0"}, "do": tasks});
    serverless::import(&document.to_string()).unwrap()
}

#[test]
fn tasks_of_a_serverless_workflow() {
    let simple = serverless(json!([
        {"first": {"set": {"n": "${ .x + 1 }", "name": "ann"}}},
        {"choose": {"switch": [{"big": {"when": ".n > 5", "then": "call"}}, {"default": {"then": "small"}}]}},
        {"call": {"call": "score", "with": {"n": "${ .n }"}, "output": {"as": {"score": "${ .value }"}}, "then": "end"}},
        {"small": {"set": {"score": 0}}}
    ]));
    let stubs = json!({"actions": {"score": {"result": {"value": 99}}}});
    assert_eq!(result(run(&simple, json!({"x": 9}), stubs.clone())), json!({"score": 99}));
    assert_eq!(result(run(&simple, json!({"x": 1}), stubs)), json!({"score": 0}));

    let each = serverless(json!([
        {"loop": {"for": {"each": "pet", "in": ".pets", "at": "i"}, "do": [{"tell": {"call": "tell", "with": {"pet": "${ $pet.name }", "i": "${ $i }"}}}]}}
    ]));
    let (outcome, _) = run(
        &each,
        json!({"pets": [{"name": "a"}, {"name": "b"}]}),
        json!({"actions": {"tell": {"result": {"pets": []}}}}),
    );
    assert!(matches!(outcome, Some(Outcome::Result(_))), "{outcome:?}");

    let fork = serverless(
        json!([{"both": {"fork": {"branches": [{"a": {"set": {"v": 1}}}, {"b": {"set": {"v": 2}}}]}}}]),
    );
    assert_eq!(result(run(&fork, json!({}), json!({}))), json!([{"v": 1}, {"v": 2}]));

    let attempt = serverless(json!([
        {"guard": {"try": [{"call": {"call": "risky"}}], "catch": {"errors": {"with": {"type": "broken"}}, "as": "e",
            "retry": {"delay": {"seconds": 3}, "limit": {"attempt": {"count": 2}}, "backoff": {"exponential": {}}},
            "do": [{"mend": {"set": {"code": "${ $e.code }"}}}]}}},
        {"wait": {"wait": {"minutes": 5}}}
    ]));
    assert_eq!(
        result(run(&attempt, json!({}), json!({"actions": {"risky": {"fail": "broken"}}}))),
        json!({"code": "broken"})
    );
    assert_eq!(
        result(run(
            &attempt,
            json!({}),
            json!({"actions": {"risky": [{"fail": "broken"}, {"result": "ok"}]}})
        )),
        json!("ok")
    );

    let raise = serverless(
        json!([{"no": {"raise": {"error": {"type": "https://x/err", "status": 400, "title": "Bad"}}}}]),
    );
    let (outcome, _) = run(&raise, json!({}), json!({}));
    let Some(Outcome::Failure(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("https://x/err", "Bad"));

    let events = serverless(json!([
        {"say": {"emit": {"event": {"with": {"type": "order.placed", "data": {"id": "${ .id }"}}}}}},
        {"hear": {"listen": {"to": {"one": {"with": {"type": "order.paid"}}}}}},
        {"sub": {"run": {"workflow": {"namespace": "x", "name": "ship", "version": "latest", "input": {"paid": "${ .amount }"}}}}}
    ]));
    let stubs = json!({"actions": {"emit": {"result": null}}, "waits": {"hear": [{"amount": 5}]}, "workflows": {"ship": {"result": "shipped"}}});
    assert_eq!(result(run(&events, json!({"id": 7}), stubs)), json!("shipped"));

    let nested = serverless(json!([
        {"outer": {"do": [{"a": {"set": {"n": 1}}}, {"b": {"if": "${ .n > 1 }", "set": {"n": 9}}}], "then": "exit"}},
        {"never": {"set": {"n": 100}}}
    ]));
    // `never` is reached by nothing, which validation says.
    assert!(!validate(&nested.definition, &Catalog::new()).is_valid());
}

#[test]
fn what_a_serverless_workflow_has_beyond_is_listed() {
    let imported = serverless(json!([
        {"a": {"set": {"x": "${ [.list[] | .n] }"}, "export": {"as": "."}}},
        {"b": {"call": "http", "with": {"method": "get", "endpoint": "https://example.com"}, "timeout": {"after": {"seconds": 5}}}},
        {"c": {"listen": {"to": {"one": {"with": {"type": "t", "source": "s"}}}}, "strange": 1}}
    ]));
    let paths: Vec<&str> = imported.losses.iter().map(|loss| loss.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/do/0/a/export", "/do/0/a/set/x", "/do/2/c/strange", "/do/2/c/listen/to/one/with/source"]
    );
    for broken in [
        json!({"do": []}),
        json!({"document": {"dsl": "0.8", "namespace": "x", "name": "x", "version": "1"}, "do": [{"a": {"set": {}}}]}),
        json!({"document": {"dsl": "1.0.0", "namespace": "x", "name": "x", "version": "1"}, "do": [{"a": {"nothing": {}}}]}),
        json!({"document": {"dsl": "1.0.0", "namespace": "x", "name": "x", "version": "1"}, "do": [{"a": {"set": {}, "then": "z"}}]}),
        json!({"document": {"dsl": "1.0.0", "namespace": "x", "name": "x", "version": "1"}, "do": [{"a": {"wait": {"years": 1}}}]}),
    ] {
        assert!(serverless::import(&broken.to_string()).is_err(), "{broken}");
    }
}
