# Messages while background workers run: signals wait for no activity, cancelling interrupts one, and what was sent
# survives a crash.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('messages', "expense_flow.workers = 4\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE TABLE effect (what text);
	CREATE FUNCTION long() RETURNS void LANGUAGE sql AS $$ INSERT INTO effect VALUES ('long'); SELECT pg_sleep(600) $$;
	CREATE FUNCTION short() RETURNS void LANGUAGE sql AS $$ INSERT INTO effect VALUES ('short'); SELECT pg_sleep(1) $$;
	CREATE FUNCTION clean() RETURNS void LANGUAGE sql AS $$ INSERT INTO effect VALUES ('clean') $$;
	SELECT expense_flow.create_workflow('long', '{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "sql:public.long", "Retry": [{"ErrorEquals": ["States.ALL"]}], "Catch": [{"ErrorEquals": ["Canceled"], "Next": "B"}], "End": true},
		"B": {"Type": "Task", "Resource": "sql:public.clean", "End": true}}}');
	SELECT expense_flow.create_workflow('short', '{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "sql:public.short", "Next": "B"},
		"B": {"Type": "Task", "Resource": "signal:go", "End": true}}}');
	SELECT expense_flow.create_workflow('wait', '{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "signal:go", "End": true}}}');
	SELECT expense_flow.create_workflow('timeout', '{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "signal:go", "TimeoutSeconds": 1, "End": true}}}');
});

sub value { return $node->safe_psql('postgres', $_[0]) }
sub status { return value("SELECT status FROM expense_flow.find_runs('$_[0]')") }

sub until_status
{
	my ($workflow_id, $status, $title) = @_;
	return ok($node->poll_query_until('postgres', "SELECT status FROM expense_flow.find_runs('$workflow_id')", $status), $title);
}

sub start { return value("SELECT expense_flow.start_workflow('$_[0]', '{}', '$_[1]')") }

sub until_sleeping
{
	my ($n) = @_;
	return $node->poll_query_until('postgres', qq{SELECT count(*) = $n FROM pg_stat_activity
		WHERE backend_type = 'expense_flow worker' AND wait_event = 'PgSleep'});
}

# A signal while an activity is at work.
start('short', 'short');
until_sleeping(1);
my $began = time();
value(q{SELECT expense_flow.signal_workflow('short', 'go', '"now"')});
cmp_ok(time() - $began, '<', 0.9, 'the signal does not wait for the activity');
until_status('short', 'SUCCEEDED', 'and is there when the run comes to wait for it');
is(value(q{SELECT output FROM expense_flow.find_runs('short')}), '"now"', 'with its payload');

# Woken by the commit; timed out without one.
start('wait', 'wait');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM expense_flow.branches WHERE status = 'AWAITING' AND due_at IS NULL});
$began = time();
value(q{SELECT expense_flow.signal_workflow('wait', 'go', '1')});
until_status('wait', 'SUCCEEDED', 'a signal wakes the run that waits');
cmp_ok(time() - $began, '<', 5, 'at once');
start('timeout', 'timeout');
until_status('timeout', 'FAILED', 'without a signal the timeout ends the wait');

# Many at once: the rest and the signal race, and none is missed.
$node->pgbench('-n -c 4 -j 2 -t 250', 0, [qr{actually processed: 1000/1000}], [qr{^$}], 'start and signal at once',
	{ '040_race' => q{
		\set id random(1, 1000000000000)
		SELECT expense_flow.start_workflow('wait', '{}', 'race ' || :id);
		SELECT expense_flow.signal_workflow('race ' || :id, 'go', to_jsonb(:id));
	}});
wait_for_runs($node, 'postgres', 'all of them got their signal');
is(value(q{SELECT count(*) FROM expense_flow.runs WHERE workflow_id LIKE 'race %' AND 'race ' || (output #>> '{}') = workflow_id}), '1000', 'each its own');
is(value(q{SELECT count(*) FROM expense_flow.message}), '0', 'no message is left');

# Cancelling interrupts the statement; the Catch that names the error cleans up.
value('DELETE FROM effect');
start('long', 'long');
until_sleeping(1);
value(q{SELECT expense_flow.cancel_workflow('long', 'enough')});
until_status('long', 'CANCELED', 'the statement was interrupted');
is(value(q{SELECT string_agg(what, ' ') FROM effect}), 'clean', 'its effects are undone, and the run has cleaned up');
is(value(q{SELECT cause FROM expense_flow.find_runs('long')}), 'enough', 'the reason is the cause');

# Another run on another worker is not hit.
start('long', "long $_") foreach 1 .. 2;
until_sleeping(2);
value(q{SELECT expense_flow.cancel_workflow('long 1')});
until_status('long 1', 'CANCELED', 'one of two is canceled');
is(status('long 2'), 'RUNNING', 'the other runs on');
ok(until_sleeping(1), 'in its first attempt');
is(value(q{SELECT retry_count FROM expense_flow.find_runs('long 2')}), '0', 'which was not disturbed');

# Terminating interrupts it too, and runs nothing.
value('DELETE FROM effect');
value(q{SELECT expense_flow.terminate_workflow('long 2', 'at once')});
ok(until_sleeping(0), 'the worker has stopped');
is(status('long 2'), 'TERMINATED', 'the run was ended');
is(value('SELECT count(*) FROM effect'), '0', 'nothing was done');

# Messages that were sent before a crash are there after it, whether awaited or not.
start('wait', 'crash 1');
start('short', 'crash 2');
until_sleeping(1);
value(q{ALTER SYSTEM SET expense_flow.workers = 0; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'expense_flow worker'});
value(q{SELECT expense_flow.signal_workflow(w, 'go', to_jsonb(w)) FROM (VALUES ('crash 1'), ('crash 2')) v (w)});
value(q{ALTER SYSTEM RESET expense_flow.workers});
$node->kill9;
ok(start_after_crash($node), 'started again after the kill of the postmaster');
until_status("crash $_", 'SUCCEEDED', "run $_ got its signal after the crash") foreach 1 .. 2;

$node->stop;
done_testing();
