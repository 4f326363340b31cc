# External activities and signals on a server that does not preload the library, where nothing goes on by itself: polling
# looks again now and then; three signals that are awaited for a limited time; and what a dump keeps of open tasks.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plain');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nclient_min_messages = warning\nfsync = off\ntimezone = 'UTC'\n");
$node->start;

my $database = 'postgres';

sub sql
{
	my ($query) = @_;
	return $node->safe_psql($database, $query);
}

sub status_of
{
	my ($workflow_id) = @_;
	return sql("SELECT status, coalesce(output::text, error) FROM expense_flow.find_runs('$workflow_id')");
}

sql(q{
	CREATE EXTENSION expense_flow;
	SELECT expense_flow.create_workflow('one', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:plain/do", "End": true}}}')});

# ---- polling ----

is(sql(q{SELECT count(*) FROM expense_flow.poll_activity('plain')}), '0', 'nothing to take');
is(sql(q{SELECT count(*) FROM expense_flow.poll_activity('plain', wait => '100 ms')}), '0', 'not within a time, either');

my $poll = q{SELECT format('got %s', input), expense_flow.complete_activity(token, input) FROM expense_flow.poll_activity('plain', wait => '170 s')};
my $waits = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%got%' AND query NOT LIKE '%pg_stat_activity%' AND state = 'active'};

# A session that polls; returns a function that waits for its end and returns what it printed.
sub start_polling
{
	my ($title) = @_;
	my $out = '';
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($database), '-c', $poll ], '<', \undef, '>', \$out, '2>&1', IPC::Run::timeout(180));
	wait_for($node, $database, $waits, $title);
	return sub { $psql->finish; return $out };
}

my $polled = start_polling('a session waits for a task');
sql(q{SELECT expense_flow.start_workflow('one', '1', 'first'); CALL expense_flow.run_pending()});
is($polled->(), "got 1|\n", 'and finds the one that is scheduled meanwhile');
sql(q{CALL expense_flow.run_pending()});
is(status_of('first'), 'SUCCEEDED|1', 'the run goes on when somebody drives it');

$polled = start_polling('another session waits');
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%got%' AND query NOT LIKE '%pg_stat_activity%'});
like($polled->(), qr/canceling statement due to user request/, 'and can be interrupted');

# ---- three signals, thirty seconds for the second and the third one, sixty for all ----

# The session's clock stands at so many seconds after the start.
sub at
{
	my ($seconds, $statements) = @_;
	return sql("SET expense_flow.skipped_time = $seconds; $statements; CALL expense_flow.run_pending()");
}

sub signal
{
	my ($workflow_id, $name) = @_;
	return "SELECT expense_flow.signal_workflow('$workflow_id', '$name', '\"$name\"')";
}

sql(q{
	SELECT expense_flow.create_workflow('await signals', '{"StartAt": "One", "TimeoutSeconds": 60, "States": {
		"One": {"Type": "Task", "Resource": "signal:one", "ResultPath": "$.one", "Next": "Two"},
		"Two": {"Type": "Task", "Resource": "signal:two", "ResultPath": "$.two", "TimeoutSeconds": 30, "Next": "Three"},
		"Three": {"Type": "Task", "Resource": "signal:three", "ResultPath": "$.three", "TimeoutSeconds": 30, "End": true}}}')});

sub start_awaiting
{
	my ($workflow_id) = @_;
	sql("SELECT expense_flow.start_workflow('await signals', '{}', '$workflow_id'); CALL expense_flow.run_pending()");
}

start_awaiting('out of order');
at(5, signal('out of order', 'three'));
at(25, signal('out of order', 'two'));
is(sql(q{SELECT state FROM expense_flow.find_runs('out of order')}), 'One', 'the first one is awaited, whatever else has come');
at(50, signal('out of order', 'one'));
is(status_of('out of order'), 'SUCCEEDED|{"one": "one", "two": "two", "three": "three"}', 'all three came, in another order');
is(sql(q{SELECT string_agg(h.state, ' ' ORDER BY event_id) FROM expense_flow.history h JOIN expense_flow.find_runs('out of order') USING (run_id) WHERE type = 'TaskStateExited'}),
	'One Two Three', 'and were taken in their own');

start_awaiting('in order');
at(20, signal('in order', 'one'));
at(45, signal('in order', 'two'));
at(55, signal('in order', 'three'));
like(status_of('in order'), qr/^SUCCEEDED/, 'less than thirty seconds between, and less than sixty in all');

start_awaiting('gap');
at(5, signal('gap', 'one'));
at(25, 'SELECT');
is(status_of('gap'), 'RUNNING|', 'the second one may still come');
at(36, 'SELECT');
is(status_of('gap'), 'FAILED|States.Timeout', 'but not after thirty seconds');

start_awaiting('late');
at(25, signal('late', 'one'));
at(50, signal('late', 'two'));
at(55, 'SELECT');
is(status_of('late'), 'RUNNING|', 'the third one may still come');
at(61, 'SELECT');
is(status_of('late'), 'TIMED_OUT|States.Timeout', 'but not after sixty seconds, though it has waited for eleven only');

# ---- a dump ----

sql(q{
	CREATE TABLE token (name text PRIMARY KEY, token text);
	SELECT expense_flow.create_workflow('kept', '{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "activity:kept/a", "HeartbeatSeconds": 100000, "Retry": [{"ErrorEquals": ["Again"], "IntervalSeconds": 100000}],
			"Compensate": {"Resource": "activity:kept/undo a"}, "Next": "B"},
		"B": {"Type": "Task", "Resource": "activity:kept/b", "End": true}}}');
	SELECT expense_flow.start_workflow('kept', to_jsonb(w), w) FROM unnest(ARRAY['scheduled', 'started', 'retrying', 'canceled', 'compensating']) w;
	CALL expense_flow.run_pending();
	INSERT INTO token SELECT workflow_id, token FROM expense_flow.poll_activity('kept', 'w', max_tasks => 5);
	SELECT expense_flow.heartbeat_activity(token, to_jsonb(name || ' so far')) FROM token;
	SELECT expense_flow.complete_activity(token, to_jsonb(name)) FROM token WHERE name IN ('scheduled', 'compensating');
	SELECT expense_flow.fail_activity(token, 'Again') FROM token WHERE name = 'retrying';
	SELECT expense_flow.cancel_workflow('canceled');
	CALL expense_flow.run_pending();
	SELECT expense_flow.fail_activity_by_name('compensating', 'b', 'Failed');
	CALL expense_flow.run_pending()});
my $tasks = q{SELECT workflow_id, queue, activity, status, attempt, input, worker, heartbeat_details, scheduled_at, started_at, heartbeat_at FROM expense_flow.activity_tasks ORDER BY 1, 3};
my $before = sql($tasks);
is(sql(q{SELECT string_agg(workflow_id || ' ' || activity || ' ' || status, ', ' ORDER BY workflow_id) FROM expense_flow.activity_tasks}),
	'canceled a CANCELED, compensating undo a SCHEDULED, retrying a RETRYING, scheduled b SCHEDULED, started a STARTED', 'tasks in every state');

my $dump = "$PostgreSQL::Test::Utils::tmp_check/tasks.dump";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
$database = 'restored';
is(sql($tasks), $before, 'the restored database has the same tasks');
is(sql(q{SELECT expense_flow.complete_activity(token, '"by an old token"') FROM token WHERE name = 'started'}), '', 'a token that was handed out before is good');
like(($node->psql($database, q{SELECT expense_flow.complete_activity(token) FROM token WHERE name = 'started'}))[2], qr/the task of this token is not open/, 'once');
is(sql(q{SELECT cancel_requested FROM expense_flow.heartbeat_activity((SELECT token FROM token WHERE name = 'canceled'))}), 't',
	'whoever works on what was canceled is told so');
my $poll_all = q{SELECT activity, expense_flow.complete_activity(token, '"done"') FROM expense_flow.poll_activity('kept', max_tasks => 5) ORDER BY 1};
is(sql("SET client_min_messages = error; $poll_all"), '', 'what is scheduled is not handed out a second time');
sql('SELECT expense_flow.resume_after_restore()');
is(sql($poll_all), "b|\nundo a|", 'until somebody says that the first database will not go on with it');
sql(q{CALL expense_flow.run_pending('2 days')});
is(sql(q{SELECT workflow_id, activity, attempt, heartbeat_details, expense_flow.complete_activity(token, '"done"') FROM expense_flow.poll_activity('kept', max_tasks => 5) ORDER BY 1}),
	qq{retrying|a|2|"retrying so far"|\nstarted|b|1||}, 'the next attempt gets the details of the last heartbeat');
sql(q{CALL expense_flow.run_pending()});
is(sql(q{SELECT workflow_id, activity, expense_flow.complete_activity(token, '"done"') FROM expense_flow.poll_activity('kept', max_tasks => 5)}), 'retrying|b|', 'and the last task comes');
sql(q{CALL expense_flow.run_pending()});
is(sql(q{SELECT workflow_id, status, coalesce(output::text, error) FROM expense_flow.runs WHERE workflow = 'kept' ORDER BY 1}),
	qq{canceled|CANCELED|Canceled\ncompensating|FAILED|Failed\nretrying|SUCCEEDED|"done"\nscheduled|SUCCEEDED|"done"\nstarted|SUCCEEDED|"done"}, 'all runs end as they should');
$database = 'postgres';
is(sql($tasks), $before, 'which nothing in the first database notices');

$node->stop;
done_testing();
