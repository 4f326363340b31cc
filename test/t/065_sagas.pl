# A worker is killed in the middle of a compensation: each step is undone exactly once, in order, and the run keeps its error.

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
		"3": {"Type": "Task", "Resource": "sql:public.act", "Parameters": {"what": "do 3"}, "End": true}}}');
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
	}
}

$node->stop;
done_testing();
