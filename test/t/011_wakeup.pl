# Workers do what committed transactions have made ready, at once; where nothing is due nobody does anything.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The alarm for a deadlock check, which may still come after the lock was granted, would wake who is to be waked otherwise.
my $node = new_node('wakeup', "expense_flow.workers = 3\nautovacuum = off\ndeadlock_timeout = '10min'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');
wait_for_processes($node, 'postgres', '1 3', 'processes are there');

# Nothing starts before it is committed.
my $session = session($node, 'postgres');
$session->('BEGIN;' . start_transfers(1, 1) . "; SELECT 'open';", qr/open/);
$node->safe_psql('postgres', start_transfers(2, 2));
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.closed_run}, 'a run that was committed is run');
is($node->safe_psql('postgres', 'SELECT count(*) FROM trace WHERE transfer = 1'), '0', 'one that was not, is not');
$session->("COMMIT; SELECT 'committed';", qr/committed/);
wait_for($node, 'postgres', q{SELECT count(*) = 2 FROM expense_flow.closed_run}, 'until it is');
$session->('BEGIN;' . start_transfers(3, 3) . "; ROLLBACK; SELECT 'gone';", qr/gone/);
$session->('BEGIN; SAVEPOINT s;' . start_transfers(3, 3) . '; ROLLBACK TO s;' . start_transfers(3, 4) . "; COMMIT; SELECT 'done';", qr/done/);
wait_for_runs($node, 'postgres', 'all done');
check_transfers($node, 'postgres', 4, 'after savepoints');

# A worker wakes ahead of the commit.  If that takes long, it sleeps again until it is told.
$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
$session->('\\echo asked' . "\nSET synchronous_commit = on; " . start_transfers(5, 5) . '; \\echo confirmed', qr/asked/);
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}, 'a commit waits for a standby');
wait_for($node, 'postgres', q{SELECT count(*) = 3 FROM pg_stat_activity WHERE wait_event IN ('ExpenseFlowWorkerIdle', 'Extension') AND backend_type = 'expense_flow worker'}, 'all workers sleep');
is($node->safe_psql('postgres', 'SELECT count(*) FROM trace WHERE transfer = 5'), '0', 'nothing was done ahead of it');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
wait_for_runs($node, 'postgres', 'and it is run after it');
check_transfers($node, 'postgres', 5, 'after a commit that waited');

# Many at once.
$node->safe_psql('postgres', start_transfers(6, 2000));
wait_for_runs($node, 'postgres', 'a transaction that starts 2,000 runs');
check_transfers($node, 'postgres', 2000, 'many');

# Whoever waits for a result is woken.
is( $node->safe_psql('postgres', q{
	SELECT expense_flow.start_workflow('transfer', '{"transfer": 2001, "from": 2, "to": 8, "amount": 12}') AS run_id \gset
	SELECT expense_flow.get_result(:'run_id', '100s')}),
	'2001', 'get_result() waits');

# A worker that dies in the middle of an activity, or that is interrupted.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE gate (name text);
	CREATE FUNCTION slow(name text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO gate VALUES (name);
		PERFORM pg_advisory_lock(1), pg_advisory_unlock(1);
		RETURN name;
	END $$;
	SELECT expense_flow.create_workflow('slow', '{"StartAt": "Slow", "States": {
		"Slow": {"Type": "Task", "Resource": "sql:public.slow", "Parameters": {"name.$": "$.name"}, "End": true}}}')});
my $blocked = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event = 'advisory'};
$session->("SELECT pg_advisory_lock(1), 'locked';", qr/locked/);
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('slow', '{"name": "one"}')});
wait_for($node, 'postgres', "SELECT count(*) = 1 FROM ($blocked) b", 'an activity is at work');
like($node->safe_psql('postgres', q{SELECT query FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event = 'advisory'}),
	qr/run [0-9a-f-]{36}, branch 0/, 'pg_stat_activity shows the run');
is($node->safe_psql('postgres', q{SELECT count(*), count(run_id) FROM expense_flow.runtime_status() WHERE state = 'busy'}), '1|1', 'so does runtime_status()');
my $victim = $node->safe_psql('postgres', $blocked);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim)");
wait_for($node, 'postgres', "SELECT count(*) = 1 FROM ($blocked) b WHERE pid <> $victim", 'terminated: another worker goes on');
wait_for_processes($node, 'postgres', '1 3', 'and it is replaced');
$victim = (pids($node, 'dispatcher'))[0];
$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim)");
wait_for($node, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'expense_flow dispatcher' AND pid <> $victim", 'a new dispatcher');
$node->safe_psql('postgres', start_transfers(2002, 2010));
wait_for($node, 'postgres', 'SELECT count(*) = 1 FROM expense_flow.branch', 'work goes on beside the one that waits');
my $dispatcher = (pids($node, 'dispatcher'))[0];
$node->stop('fast');
$node->start;
ok(1, 'fast shutdown during an activity');
$session->() or 1;
wait_for_runs($node, 'postgres', 'after the restart the activity runs again and finishes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM gate'), '1', 'its effects are there once');

# What an activity leaves in the session of a worker is gone when the next run comes.
$node->safe_psql('postgres', q{
	CREATE FUNCTION litter() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE found text;
	BEGIN
		SELECT concat_ws(' ',
			(SELECT 'table' WHERE to_regclass('pg_temp.litter') IS NOT NULL),
			(SELECT 'statement' FROM pg_prepared_statements WHERE name = 'litter'),
			(SELECT 'lock' FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND classid = 0 AND objid = 4711),
			(SELECT 'setting' WHERE current_setting('litter.lies', true) = 'here')) INTO found;
		CREATE TEMP TABLE litter (n int);
		EXECUTE 'PREPARE litter AS SELECT 1';
		PERFORM pg_advisory_lock_shared(4711);
		PERFORM set_config('litter.lies', 'here', false);
		RETURN found;
	END $$;
	SELECT expense_flow.create_workflow('litter', '{"StartAt": "Litter", "States": {
		"Litter": {"Type": "Task", "Resource": "sql:public.litter", "Parameters": {}, "End": true}}}');
	SELECT count(expense_flow.start_workflow('litter')) FROM generate_series(1, 20)});
wait_for_runs($node, 'postgres', 'runs that leave things behind');
is($node->safe_psql('postgres', q{SELECT DISTINCT status, output FROM expense_flow.runs WHERE workflow = 'litter'}), 'SUCCEEDED|""', 'each finds a clean session');

# Change events are announced by the dispatcher, not by the transaction that makes them.
my $listener = session($node, 'postgres');
$listener->("LISTEN expense_flow_account; SELECT 'listening';", qr/listening/);
$node->safe_psql('postgres', q{INSERT INTO expense_flow.account (owner, card_number, balance, currency) VALUES ('Ann', '4711', 100, 'EUR')});
$dispatcher = (pids($node, 'dispatcher'))[0];
my $heard = '';
foreach (1 .. 1000)
{
	$heard = $listener->("SELECT 'still ' || 'here';", qr/still here/);
	last if $heard =~ /notification/;
}
like($heard, qr/"expense_flow_account" with payload ".*add.*" received from server process with PID $dispatcher/, 'NOTIFY comes from the dispatcher');
$listener->();

# Interrupted by DROP EXTENSION and DROP DATABASE.
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
$node->safe_psql('doomed', q{
	CREATE EXTENSION expense_flow;
	CREATE FUNCTION slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1000)';
	SELECT expense_flow.create_workflow('slow', '{"StartAt": "Slow", "States": {
		"Slow": {"Type": "Task", "Resource": "sql:public.slow", "Parameters": {}, "End": true}}}');
	SELECT expense_flow.start_workflow('slow') FROM generate_series(1, 2)});
wait_for($node, 'postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = 'doomed' AND wait_event = 'PgSleep'}, 'activities are at work');
$node->safe_psql('postgres', 'DROP DATABASE doomed');
ok(1, 'DROP DATABASE interrupts activities');
$node->safe_psql('postgres', 'CREATE DATABASE cleared');
$node->safe_psql('cleared', q{
	CREATE EXTENSION expense_flow;
	CREATE FUNCTION slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1000)';
	SELECT expense_flow.create_workflow('slow', '{"StartAt": "Slow", "States": {
		"Slow": {"Type": "Task", "Resource": "sql:public.slow", "Parameters": {}, "End": true}}}');
	SELECT expense_flow.start_workflow('slow') FROM generate_series(1, 2)});
wait_for($node, 'postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = 'cleared' AND wait_event = 'PgSleep'}, 'activities are at work again');
$node->safe_psql('cleared', 'DROP EXTENSION expense_flow');
ok(1, 'DROP EXTENSION interrupts activities');
wait_for_processes($node, 'cleared', '0 0', 'and the processes leave');

# A dispatcher waits for a lock when a timer comes in: the server waits on the same latch.
$session = session($node, 'postgres');
$session->("BEGIN; LOCK TABLE expense_flow.change_event; SELECT 'locked';", qr/locked/);
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'expense_flow dispatcher' AND datname = 'postgres'});
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'expense_flow dispatcher' AND wait_event_type = 'Lock'}, 'its successor waits for a lock');
$node->safe_psql('postgres', q{
	SELECT expense_flow.create_workflow('soon', '{"StartAt": "Soon", "States": {
		"Soon": {"Type": "Wait", "Seconds": 1, "End": true}}}')});
my $soon = $node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('soon')});
wait_for($node, 'postgres', q{SELECT timers = 1 FROM expense_flow.runtime_status() WHERE process = 'dispatcher'}, 'a timer');
$session->("COMMIT; SELECT 'unlocked';", qr/unlocked/);
wait_for($node, 'postgres', "SELECT count(*) = 1 FROM expense_flow.closed_run WHERE run_id = '$soon'", 'and the timer goes off');
$session->();

# Idle: 1,000 runs wait for a time.  Nobody executes anything until one is due.
$node->safe_psql('postgres', q{
	SELECT expense_flow.create_workflow('later', '{"StartAt": "Later", "States": {
		"Later": {"Type": "Wait", "SecondsPath": "$.seconds", "End": true}}}');
	SELECT count(expense_flow.start_workflow('later', '{"seconds": 100000}')) FROM generate_series(1, 999)});
wait_for($node, 'postgres', q{SELECT timers = 999 FROM expense_flow.runtime_status() WHERE process = 'dispatcher'}, '999 timers');
my $waiting = $node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('later', '{"seconds": 8}')});
wait_for($node, 'postgres', q{SELECT timers = 1000 FROM expense_flow.runtime_status() WHERE process = 'dispatcher'}, 'and a short one');

# Statistics of what was done before may come late; each look at them is itself a transaction of another database.
$node->safe_psql('postgres', 'CREATE DATABASE observer');
my $statistics = q{SELECT xact_commit + xact_rollback || ' ' || tup_returned FROM pg_stat_database WHERE datname = 'postgres'};
my ($before, $now) = ('', '');
ok($node->poll_query_until('observer', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type = 'client backend'}), 'no other session');
my $quiet_from = $node->safe_psql('observer', q{SELECT clock_timestamp()});
$node->poll_query_until('observer', "SELECT clock_timestamp() > '$quiet_from'::timestamptz + '2 s'");
$before = $node->safe_psql('observer', $statistics);
$node->poll_query_until('observer', "SELECT clock_timestamp() > '$quiet_from'::timestamptz + '5 s'");
is($node->safe_psql('observer', $statistics), $before, 'nobody executes anything while nothing is due');
wait_for($node, 'postgres', "SELECT count(*) = 1 FROM expense_flow.closed_run WHERE run_id = '$waiting'", 'and the timer goes off');
is( $node->safe_psql('postgres', "SELECT closed_at >= started_at + '8 s' AND closed_at < started_at + '10 s' FROM expense_flow.runs WHERE run_id = '$waiting'"),
	't', 'in time, and not early');

$node->stop;
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|TRAP|expense_flow worker.*ERROR/, 'no complaint in the log');

done_testing();
