# Definitions and data that are made to hurt: a clear error or the right answer, soon, and never a crash.  Each
# statement is under a timeout, which must not strike.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'expense_flow'
expense_flow.workers = 0
statement_timeout = '60s'
expense_flow.data_limit = 0
expense_flow.input_limit = 0
fsync = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

# The answer of a query, or "ERROR: ...".
sub answer
{
	my ($query) = @_;
	my ($code, $out, $err) = $node->psql('postgres', $query);
	return $code == 0 ? $out : $err =~ /ERROR:\s+(.*)/ ? "ERROR: $1" : "no answer: $err";
}

# The number of problems of a definition (an SQL expression of type text), and the first one.
sub problems
{
	my ($definition) = @_;
	return answer("SELECT count(*) || ' ' || coalesce(left((array_agg(problem ORDER BY n))[1], 60), '')
		FROM expense_flow.validate_workflow(($definition)::json) WITH ORDINALITY v (path, problem, n)");
}

# What a state makes of an input; both SQL expressions.
sub state
{
	my ($state, $input) = @_;
	return answer("SELECT left((r->>'status') || ' ' || coalesce(r->>'error' || ' ' || left(r->>'cause', 50), r->>'output'), 90)
		FROM expense_flow.test_state(($state)::json, ($input)::jsonb) r");
}

sub pass_state
{
	my ($field) = @_;
	return qq{'{"Type": "Pass", "End": true, ' || $field || '}'};
}

sub template
{
	my ($expression) = @_;
	return pass_state(qq{'"Parameters": {"x.\$": "' || $expression || '"}'});
}

sub machine
{
	my ($field) = @_;
	return qq{'{"StartAt": "A", "States": {"A": ' || @{[ pass_state($field) ]} || '}}'};
}

# ---- definitions ----

is(problems(q{repeat('[', 6000) || repeat(']', 6000)}), '2 must be an object, not an array', 'JSON of 6,000 levels');
like(
	problems(q{repeat('[', 10000) || repeat(']', 10000)}),
	qr/^(2 must be an object|ERROR: stack depth limit exceeded)/,
	'JSON of 10,000 levels: as deep as the stack allows');
is(problems(machine(q{'"Result": ' || repeat('{"a":', 5000) || '1' || repeat('}', 5000)})),
	'1 nested more than 1000 levels deep', 'a deep Result');
is(problems(q{'{"StartAt": "A", "States": {"A": {"Type": "Choice", "Default": "A", "Choices": [' ||
	repeat('{"Not":', 5000) || '1' || repeat('}', 5000) || ']}}}'}), '4 there is no terminal state (one with "End", or of type Succe', 'a deep choice rule');
is(problems(machine(q{'"InputPath": "$' || repeat('[?(@.a)]', 100000) || '"'})), '0 ', 'a path with 100,000 filters');
is(problems(machine(q{'"InputPath": "$[?(@.a' || repeat(' == 1 && @.a', 100000) || ')]"'})), '0 ', 'a filter with 100,000 terms');
like(problems(machine(q{'"InputPath": "$' || repeat('[?(@.a', 100000) || repeat(')]', 100000) || '"'})),
	qr/^1 invalid path/, '100,000 filters inside each other');
like(problems(machine(q{'"InputPath": "$[?' || repeat('(', 100000) || '@.a' || repeat(')', 100000) || ']"'})),
	qr/^1 invalid path/, '100,000 parentheses');
like(problems(machine(q{'"InputPath": "$[?(@.a =~ /x/' || repeat(' && @.a =~ /((x{9}){9}){9}/', 100000) || ')]"'})),
	qr/^1 invalid path/, '100,000 regular expressions');
like(problems(machine(q{'"Parameters": {"a.$": "' || repeat('States.Array(', 100000) || repeat(')', 100000) || '"}'})),
	qr/^1 The value for the field/, '100,000 calls inside each other');
is(problems(machine(q{'"ResultPath": "$' || repeat('.a', 1000000) || '"'})), '0 ', 'a path of a million names');
is(problems(q{'{"' || repeat('x', 7000000) || '": {' || rtrim(repeat('"a": 1,', 100000), ',') || '}}'}),
	'1000 duplicate key', 'many problems below a key of 7 MB');
is(problems(machine(q{'"Parameters": {' ||
	(SELECT string_agg('"a' || i || '.$": 1', ',') FROM generate_series(1, 100000) i) || '}'})),
	"1000 The value for the field 'a1.\$' must be a valid JSONPath or i", 'many problems in one template');
is(problems(q{'{"StartAt": "A", "States": {' ||
	(SELECT string_agg('"' || i || '": {}', ',') FROM generate_series(1, 200000) i) || '}}'}),
	'1000 there is no state "A" in the same "States"', '200,000 states');
is(problems(q{'[' || repeat('0,', 4500000) || '0]'}), '1 larger than 8388608 bytes', 'a definition of 9 MB');
is(problems(machine(q{'"Result": [1e131071, 1e131072, 1e-16383, 1e-16384, 1e999999999999999999999, 0e5]'})),
	'3 number with too many digits', 'numbers beyond double and beyond numeric');
is(problems(machine(q{'"Result": "\ud83d\ude00", "Comment": "\ud83d"'})),
	'1 Unicode low surrogate must follow a high surrogate', 'half of a surrogate pair');
is(problems(machine(q{'"Result": "\u0000"'})), '1 \\u0000 cannot be converted to text', 'a NUL');

# ---- data ----

is(state(template(q{'$..[?(@..a)].length()'}), q{repeat('{"a":', 3000) || '1' || repeat('}', 3000)}),
	'SUCCEEDED {"x": 3000}', 'a filter over each level of a deep document');
like(state(template(q{'$..*..*..*.length()'}), q{repeat('{"a":', 2000) || '1' || repeat('}', 2000)}),
	qr/^FAILED States.DataLimitExceeded/, 'a path that selects too much');
like(state(pass_state(q{'"ResultPath": "$' || repeat('.a', 1000000) || '"'}), q{'{}'}), qr/^FAILED States.Runtime .*too deeply/,
	'a ResultPath of a million levels');
like(state(template(q{'States.StringToJson($.t)'}), q{jsonb_build_object('t', repeat('[', 1000000) || repeat(']', 1000000))}),
	qr/^FAILED States.Runtime .*too deeply/, 'StringToJson of a million levels');
is(state(template(q{'States.StringToJson($.t)'}), q{jsonb_build_object('t', '["\ud83d\ude00", -1e-20, 12345678901234567890123]')}),
	'SUCCEEDED {"x": ["' . "\xf0\x9f\x98\x80" . '", -0.00000000000000000001, 12345678901234567890123]}',
	'StringToJson of a surrogate pair, and of numbers beyond double');
like(state(template(q{'States.StringToJson($.t)'}), q{jsonb_build_object('t', '["\ud83d"]')}),
	qr/^FAILED States.IntrinsicFailure/, 'StringToJson of half a surrogate pair');
like(state(template(q{'States.MathAdd($.a, $.b)'}), q{'{"a": 5e131071, "b": 5e131071}'}),
	qr/^FAILED States.IntrinsicFailure .*/, 'a sum beyond numeric');
like(state(q{'{"Type": "Wait", "SecondsPath": "$.a", "End": true}'}, q{'{"a": 1e400}'}), qr/^FAILED States.Runtime/,
	'to wait for a number of seconds beyond double');
is(state(q{'{"Type": "Choice", "Default": "X", "Choices": [{"Variable": "$.t", "StringMatches": "' || repeat('*a', 10000) ||
	'b", "Next": "B"}]}'}, q{jsonb_build_object('t', repeat('a', 100000), 'x', 1)}) =~ s/a+/a/r,
	'SUCCEEDED {"t": "a', 'StringMatches with 10,000 stars');
like(state(template(q{'$[?(@.t =~ /((a|aa|b)+)+c/)]'}), q{jsonb_build_object('t', repeat('a', 100000))}),
	qr/^SUCCEEDED \{"x": \[\]\}/, 'a regular expression made to backtrack');
like(state(template(q{'States.Format(''' || repeat('{}', 1000) || '''' || repeat(', $', 1000) || ')'}),
	q{jsonb_build_object('t', repeat('a', 1000000))}), qr/^FAILED States.IntrinsicFailure/, 'a text of 1 GB');
like(state(template(q{'States.Array($' || repeat(', $', 1000) || ')'}), q{jsonb_build_object('t', repeat('a', 1000000))}),
	qr/^FAILED States.DataLimitExceeded/, 'an array of 1 GB');

is(state(pass_state(q{'"InputPath": "$' || repeat('[?(@.a)]', 100000) || '"'}), q{'[{"a": 1}, {"b": 2}]'}),
	'SUCCEEDED [{"a": 1}]', '100,000 filters, one after the other');

# ---- depth, in a run ----

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION same(input jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT input';
	SELECT expense_flow.create_workflow('through', '{"StartAt": "P", "States": {
		"P": {"Type": "Pass", "Assign": {"v.$": "$"}, "Parameters": {"x.$": "$", "text.$": "States.JsonToString($)"}, "Next": "C"},
		"C": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": true, "Next": "M"}]},
		"M": {"Type": "Map", "ItemsPath": "$.x", "Iterator": {"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "sql:public.same", "End": true}}},
			"ResultPath": "$.mapped", "End": true}}}');
	SELECT expense_flow.create_workflow('itself', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "workflow:itself", "End": true}}}');
});
foreach my $stack ('2000kB', '7000kB')
{
	like(answer(qq{SET max_stack_depth = '$stack';
		SELECT length(r->>'text') || ' ' || (r->'mapped' = r->'x')
		FROM (SELECT expense_flow.run_workflow('through', (repeat('[', 9990) || repeat(']', 9990))::jsonb) AS r) x}),
		qr/^(19980 true|ERROR: .*stack depth limit exceeded)/, "data of 9,990 levels with a stack of $stack");
}
# What one session could read goes through processes with less stack, wherever the engine puts it into something else.
$node->safe_psql(
	'postgres', q{
	SELECT expense_flow.create_resource_alias('arn:aws:lambda:*:*:function:same', 'sql:public.same');
	SELECT expense_flow.create_resource_alias('arn:aws:states:*:*:stateMachine:*', 'workflow:*');
	SELECT expense_flow.create_workflow('deep pass', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
	SELECT expense_flow.create_workflow('deep ' || what, format('{"StartAt": "A", "States": {"A": {%s, "Next": "B"}, "B": {"Type": "Pass", "Parameters": {"x.$": "$"}, "End": true}}}', state)::json)
	FROM (VALUES
		('child', '"Type": "Task", "Resource": "workflow:deep pass"'),
		('execution', '"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "Parameters": {"StateMachineArn": "deep pass", "Input.$": "$"}'),
		('function', '"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "same", "Payload.$": "$"}'),
		('signal', '"Type": "Task", "Resource": "signal:go,stop"'),
		('error', '"Type": "Task", "Resource": "sql:public.unknown", "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$[0]", "Next": "B"}]'),
		('items', '"Type": "Map", "ItemSelector": {"v.$": "$$.Map.Item.Value", "input.$": "$$.Execution.Input"}, "Iterator": {"StartAt": "C", "States": {"C": {"Type": "Pass", "End": true}}}'),
		('branches', '"Type": "Parallel", "Branches": [{"StartAt": "C", "States": {"C": {"Type": "Pass", "End": true}}}]'))
		v (what, state);
});
is(answer(q{SET max_stack_depth = '7000kB';
	CREATE TABLE deep AS SELECT (repeat('[', 30000) || repeat(']', 30000))::jsonb AS data;
	SELECT count(expense_flow.start_workflow(w.name, data, w.name)) FROM deep, expense_flow.workflow w WHERE w.name ~ '^deep ' AND w.name <> 'deep pass';
	SELECT FROM deep, expense_flow.signal_workflow('deep signal', 'go', data);
	RESET max_stack_depth;
	CALL expense_flow.run_pending();
	SELECT workflow_id, status, error FROM expense_flow.runs WHERE workflow_id ~ '^deep ' AND status <> 'SUCCEEDED'}),
	'7', 'data of 30,000 levels in what the engine makes of it');
like(answer(q{SET max_stack_depth = '7000kB';
	SELECT expense_flow.start_workflow('through', (repeat('[', 40000) || repeat(']', 40000))::jsonb, 'deep');
	RESET max_stack_depth;
	CALL expense_flow.run_pending();
	SELECT status || ' ' || coalesce(error, '') FROM expense_flow.find_runs('deep')}),
	qr/(SUCCEEDED|FAILED States.Runtime|FAILED statement_too_complex)|^ERROR: .*stack depth limit exceeded/, 'data of 40,000 levels');
like(answer(q{SELECT expense_flow.run_workflow('itself')}), qr/^ERROR: .*stack depth limit exceeded/, 'a workflow whose child is itself, and so on');

# ---- a large array, in a run ----

$node->safe_psql(
	'postgres', q{
	CREATE TABLE input AS
		SELECT 'long' AS what, jsonb_build_object('items', jsonb_agg(repeat('x', 1000000))) AS data FROM generate_series(1, 200)
		UNION ALL
		SELECT 'many', jsonb_build_object('items', jsonb_agg(i)) FROM generate_series(1, 2000000) i;
	SELECT expense_flow.create_workflow('count', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true,
		"Parameters": {"n.$": "States.ArrayLength($.items)", "last.$": "$.items[-1:]", "few.$": "$.items[?(@ =~ /.{7}/ && @ > 1999998)]",
			"distinct.$": "States.ArrayLength(States.ArrayUnique($.items))"}}}}');
	SELECT expense_flow.create_workflow('last', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true,
		"OutputPath": "$.items[199]"}}}');
	SELECT expense_flow.create_workflow('map', '{"StartAt": "A", "States": {"A": {"Type": "Map", "ItemsPath": "$.items",
		"ItemSelector": {"i.$": "$$.Map.Item.Index"}, "End": true,
		"Iterator": {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}}}}');
});
is(answer(q{SELECT expense_flow.run_workflow('count', data) FROM input WHERE what = 'many'}),
	'{"n": 2000000, "few": [1999999, 2000000], "last": [2000000], "distinct": 2000000}', 'an array of 2,000,000 numbers');
is(answer(q{SELECT r->'n', r->'distinct', length(r->'last'->>0)
	FROM (SELECT expense_flow.run_workflow('count', data) AS r FROM input WHERE what = 'long') x}),
	'200|1|1000000', 'an array of 200 MB');
is(answer(q{SELECT jsonb_array_length(r), r->199
	FROM (SELECT expense_flow.run_workflow('map', data) AS r FROM input WHERE what = 'long') x}),
	'200|{"i": 199}', 'a Map over 200 MB');
like(answer(q{SET expense_flow.data_limit = 262144;
	SELECT expense_flow.run_workflow('last', data) FROM input WHERE what = 'long'}),
	qr/^ERROR: .*States.DataLimitExceeded/, 'an item of 1 MB where payloads are limited');

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION large(input jsonb) RETURNS text LANGUAGE sql AS $$SELECT repeat('x', 2000000)$$;
	SELECT expense_flow.create_workflow('large', '{"StartAt": "A", "States": {"A": {"Type": "Map", "End": true,
		"Iterator": {"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "sql:public.large", "End": true}}}}}}');
});
like(answer(q{SELECT expense_flow.run_workflow('large', (SELECT jsonb_agg(i) FROM generate_series(1, 140) i))}),
	qr/^ERROR: .*States.DataLimitExceeded/, 'a Map whose results are together larger than data can be');

# ---- what takes long can be interrupted ----

foreach my $case (
	[ 'a regular expression with back references', q{$[?(@.t =~ /(a*)*(a*)*\\\\1\\\\2(a*)*\\\\3b/)]} ],
	[ 'filters inside filters', q{$..[?(@..[?(@..[?(@..[?(@..nothing)])])])]} ])
{
	my ($what, $path) = @$case;
	my $start = time;
	my $result = answer("SET statement_timeout = '2s'; SELECT expense_flow.test_state(("
		  . template("'$path'") . ")::json, jsonb_build_object('t', repeat('a', 2000), 'd', (repeat('[', 800) || repeat(']', 800))::jsonb))");
	like($result, qr/^ERROR: canceling statement|SUCCEEDED/, "$what: an answer or a cancel");
	cmp_ok(time - $start, '<', 30, "$what: soon");
}

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $postmaster, 'the server is still the same');
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC:/, 'and no process of it has crashed');
$node->stop;
done_testing();
