# Three steps, the third of which fails three times.  A worker, or the whole server, is killed in the middle of a
# compensation: each step is undone exactly once, the last one first, and the run keeps its error.  Then the same with
# compensations that a program outside does.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('sagas', "expense_flow.workers = 2\nexpense_flow.transaction_budget = 0\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE TABLE log (n serial, what text);
	CREATE TABLE gate (step text PRIMARY KEY);
	CREATE FUNCTION act(what text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.log (what) VALUES (act.what);
		PERFORM set_config('application_name', 'at ' || act.what, true);
		WHILE EXISTS (SELECT FROM public.gate WHERE step = act.what) LOOP
			PERFORM pg_sleep(0.02);
		END LOOP;
		IF act.what = 'do 3' THEN
			PERFORM expense_flow.fail('Third', 'the third step fails');
		END IF;
		RETURN act.what;
	END $$;
	SELECT expense_flow.create_workflow('three', '{"StartAt": "1", "States": {
		"1": {"Type": "Task", "Resource": "sql:public.act", "Parameters": {"what": "do 1"}, "Next": "2",
			"Compensate": {"Resource": "sql:public.act", "Parameters": {"what": "undo 1"}}},
		"2": {"Type": "Task", "Resource": "sql:public.act", "Parameters": {"what": "do 2"}, "Next": "3",
			"Compensate": {"Resource": "sql:public.act", "Parameters": {"what": "undo 2"}}},
		"3": {"Type": "Task", "Resource": "sql:public.act", "Parameters": {"what": "do 3"},
			"Retry": [{"ErrorEquals": ["Third"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 2}], "End": true}}}');
});

foreach my $step ('undo 2', 'undo 1')
{
	foreach my $crash (0, 1)
	{
		my $how = $crash ? 'postmaster' : 'worker';
		my $id = "$how $step";

		$node->safe_psql('postgres', qq{TRUNCATE log; INSERT INTO gate VALUES ('$step')});
		$node->safe_psql('postgres', qq{SELECT expense_flow.start_workflow('three', '{}', '$id')});
		ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'at $step'}),
			"$id: a worker is at it");
		is($node->safe_psql('postgres', qq{SELECT status || compensating FROM expense_flow.find_runs('$id')}), 'RUNNINGRUNNING',
			"$id: the run is open and compensates");
		if ($crash)
		{
			$node->kill9;
			ok(start_after_crash($node), "$id: started again");
		}
		else
		{
			my $pid = $node->safe_psql('postgres', qq{SELECT pid FROM pg_stat_activity WHERE application_name = 'at $step'});
			kill 'KILL', $pid;
			ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), "$id: killed");
		}
		$node->poll_query_until('postgres', qq{SELECT true});
		$node->safe_psql('postgres', 'DELETE FROM gate');
		ok($node->poll_query_until('postgres', qq{SELECT status <> 'RUNNING' FROM expense_flow.find_runs('$id')}), "$id: closed");
		is($node->safe_psql('postgres', qq{SELECT status, error, cause FROM expense_flow.find_runs('$id')}),
			'FAILED|Third|the third step fails', "$id: it keeps its error");
		is($node->safe_psql('postgres', q{SELECT string_agg(what, ',' ORDER BY n) FROM log}), 'do 1,do 2,undo 2,undo 1',
			"$id: each step undone once, the last one first");
		is($node->safe_psql('postgres', qq{SELECT count(*) FROM expense_flow.history JOIN expense_flow.find_runs('$id') USING (run_id) WHERE type = 'TaskFailed'}), '3',
			"$id: the third step had failed three times");
	}
}

# ---- outside ----

$node->safe_psql('postgres', q{
	CREATE TABLE taken (n serial, activity text, token text, attempt int);
	SELECT expense_flow.create_workflow('outside', '{"StartAt": "1", "States": {
		"1": {"Type": "Task", "Resource": "activity:out/do 1", "Next": "2",
			"Compensate": {"Resource": "activity:out/undo 1", "StartToCloseSeconds": 3600, "Parameters": {"id.$": "$.id"}}},
		"2": {"Type": "Task", "Resource": "activity:out/do 2", "Next": "3",
			"Compensate": {"Resource": "activity:out/undo 2", "StartToCloseSeconds": 2, "Parameters": {"id.$": "$.id"},
				"Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 100, "BackoffRate": 1.0}]}},
		"3": {"Type": "Fail", "Error": "Third"}}}');
	SELECT expense_flow.start_workflow('outside', '{}', 'outside')});

# What the program does: it takes the next task, and may be finished with it in the same transaction, so that no timeout comes between.
sub take
{
	my ($finish) = @_;
	my $complete = $finish ? q{PERFORM expense_flow.complete_activity(task.token, jsonb_build_object('id', task.activity));} : '';
	$node->safe_psql('postgres', qq{DO \$\$
		DECLARE
			task record;
		BEGIN
			SELECT * INTO STRICT task FROM expense_flow.poll_activity('out', wait => '100 s');
			INSERT INTO taken (activity, token, attempt) VALUES (task.activity, task.token, task.attempt);
			$complete
		END \$\$});
	return $node->safe_psql('postgres', 'SELECT activity FROM taken ORDER BY n DESC LIMIT 1');
}
is(take(1), 'do 1', 'the first step is done outside');
is(take(1), 'do 2', 'and the second');
is(take(0), 'undo 2', 'the second one is being undone');
$node->kill9;
ok(start_after_crash($node), 'when the server crashes');
is($node->safe_psql('postgres', q{SELECT status, compensating FROM expense_flow.find_runs('outside')}), 'RUNNING|RUNNING', 'the run still compensates');
is(take(1), 'undo 2', 'the program has died as well, so another attempt comes');
cmp_ok($node->safe_psql('postgres', q{SELECT max(attempt) FROM taken WHERE activity = 'undo 2'}), '>', 1, 'a later one');
my ($status, $out, $err) = $node->psql('postgres', q{SELECT expense_flow.complete_activity(token) FROM taken WHERE activity = 'undo 2' ORDER BY attempt LIMIT 1});
like($err, qr/the task of this token is not open/, 'the first attempt is worth nothing any more');
is(take(0), 'undo 1', 'the first step is being undone');
$node->kill9;
ok(start_after_crash($node), 'when the server crashes again');
is($node->safe_psql('postgres', q{SELECT expense_flow.complete_activity(token) FROM taken WHERE activity = 'undo 1'}), '', 'the program has survived, and its token is good');
ok($node->poll_query_until('postgres', q{SELECT status <> 'RUNNING' FROM expense_flow.find_runs('outside')}), 'the run closes');
is($node->safe_psql('postgres', q{SELECT status, error FROM expense_flow.find_runs('outside')}), 'FAILED|Third', 'and keeps its error');
is($node->safe_psql('postgres', q{SELECT string_agg(type || ' ' || h.state, ', ' ORDER BY event_id) FROM expense_flow.history h JOIN expense_flow.find_runs('outside') USING (run_id) WHERE type LIKE 'Compensation%'}),
	'CompensationStarted 2/Compensate, CompensationSucceeded 2/Compensate, CompensationStarted 1/Compensate, CompensationSucceeded 1/Compensate',
	'each step was undone once, the last one first');
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.activity_task}), '0', 'no task is left');

# ---- the interrupt that comes with a request to cancel, late ----

# It hits what cleans up and what compensates, neither of which the request concerns.
$node->safe_psql('postgres', q{
	TRUNCATE log;
	SELECT expense_flow.create_workflow('cleans up', '{"StartAt": "1", "States": {
		"1": {"Type": "Task", "Resource": "sql:public.act", "Parameters": {"what": "do 1"}, "Next": "Wait",
			"Compensate": {"Resource": "sql:public.act", "Parameters": {"what": "undo 1"}}},
		"Wait": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "Clean"}], "End": true},
		"Clean": {"Type": "Task", "Resource": "sql:public.act", "Parameters": {"what": "clean"}, "End": true}}}');
	INSERT INTO gate VALUES ('clean'), ('undo 1');
	SELECT expense_flow.start_workflow('cleans up', '{}', 'late')});
ok($node->poll_query_until('postgres', q{SELECT state = 'Wait' FROM expense_flow.find_runs('late')}), 'the run waits');
$node->safe_psql('postgres', q{SELECT expense_flow.cancel_workflow('late', 'no more')});
foreach my $step ('clean', 'undo 1')
{
	my $at_work = "FROM pg_stat_activity WHERE application_name = 'at $step'";

	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $at_work"), "$step: a worker is at it");
	is($node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $at_work"), 't', "$step: interrupted");
	$node->safe_psql('postgres', "DELETE FROM gate WHERE step = '$step'");
}
ok($node->poll_query_until('postgres', q{SELECT status <> 'RUNNING' FROM expense_flow.find_runs('late')}), 'the run closes');
is($node->safe_psql('postgres', q{SELECT status, error, cause FROM expense_flow.find_runs('late')}), 'CANCELED|Canceled|no more', 'it was canceled, and cleaned up');
is($node->safe_psql('postgres', q{SELECT string_agg(what, ',' ORDER BY n) FROM log}), 'do 1,clean,undo 1', 'and compensated, each once');

$node->stop;
done_testing();
