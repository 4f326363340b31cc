# Used-up resources: a tiny queue, no background worker slots, no database slots; and no preloading at all.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# ---- a queue of 16 ----

my $node = new_node('tiny', "expense_flow.workers = 2\nexpense_flow.queue_size = 16\nexpense_flow.max_databases = 1\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');
$node->safe_psql('postgres', start_transfers(1, 10000));
$node->safe_psql('postgres', start_transfers($_, $_)) foreach (10001 .. 10050);
wait_for_runs($node, 'postgres', '10,050 runs through a queue of 16');
check_transfers($node, 'postgres', 10050, 'tiny queue');
cmp_ok($node->safe_psql('postgres', q{SELECT table_reads FROM expense_flow.runtime_status() WHERE process = 'dispatcher'}),
	'>', 20, 'the table was read for what found no place');

# More timers than find a place, due in another order than they were announced.
$node->safe_psql('postgres', q{
	CREATE TABLE woken (n int, at timestamptz);
	CREATE FUNCTION woken(n int) RETURNS void LANGUAGE sql AS 'INSERT INTO woken VALUES ($1, clock_timestamp())';
	SELECT expense_flow.create_workflow('later', '{"StartAt": "Later", "States": {
		"Later": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Woken"},
		"Woken": {"Type": "Task", "Resource": "sql:public.woken", "Parameters": {"n.$": "$.n"}, "End": true}}}');
	SELECT count(expense_flow.start_workflow('later', jsonb_build_object('n', i, 'seconds', 4 - i / 100))) FROM generate_series(1, 300) i});
wait_for_runs($node, 'postgres', '300 timers through a heap of 16');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT n) FROM woken'), '300|300', 'each went off, once');

# Runs that fail for a reason of the system's do not keep others back, nor the processors busy.
$node->safe_psql('postgres', q{
	CREATE TABLE counted (n int);
	CREATE FUNCTION count_one(n int) RETURNS void LANGUAGE sql AS 'INSERT INTO counted VALUES ($1)';
	CREATE FUNCTION conflict() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '40001'; END $$;
	SELECT expense_flow.create_workflow('conflict', '{"StartAt": "Conflict", "States": {
		"Conflict": {"Type": "Task", "Resource": "sql:public.conflict", "Parameters": {}, "End": true}}}');
	SELECT expense_flow.create_workflow('good', '{"StartAt": "Good", "States": {
		"Good": {"Type": "Task", "Resource": "sql:public.count_one", "Parameters": {"n.$": "$.n"}, "End": true}}}');
	BEGIN;
	SELECT count(expense_flow.start_workflow('conflict')) FROM generate_series(1, 100) i;
	SELECT count(expense_flow.start_workflow('good', jsonb_build_object('n', i))) FROM generate_series(1, 100) i;
	COMMIT});
wait_for($node, 'postgres', 'SELECT count(*) = 100 FROM counted', '100 runs behind 100 that fail');
$node->safe_psql('postgres', q{
	DO $$
	DECLARE id text;
	BEGIN
		FOR id IN SELECT workflow_id FROM expense_flow.runs WHERE status = 'RUNNING' LOOP
			BEGIN
				PERFORM expense_flow.terminate_workflow(id);
			EXCEPTION WHEN SQLSTATE 'EF006' THEN	-- it has failed 20 times, and then for good
			END;
		END LOOP;
	END $$});
wait_for_runs($node, 'postgres', 'terminated');

# A run that has used up its turn finds the queue full.
$node->append_conf('postgresql.conf', "expense_flow.workers = 1\nexpense_flow.transaction_budget = 0");
$node->reload;
wait_for_processes($node, 'postgres', '1 1', 'a single worker');
$node->safe_psql('postgres', q{
	CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.3)';
	SELECT expense_flow.create_workflow('naps', '{"StartAt": "One", "States": {
		"One": {"Type": "Task", "Resource": "sql:public.nap", "Parameters": {}, "Next": "Two"},
		"Two": {"Type": "Task", "Resource": "sql:public.nap", "Parameters": {}, "Next": "Three"},
		"Three": {"Type": "Task", "Resource": "sql:public.nap", "Parameters": {}, "End": true}}}');
	SELECT expense_flow.start_workflow('naps')});
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event = 'PgSleep'}, 'it naps');
$node->safe_psql('postgres', q{SELECT count(expense_flow.start_workflow('good', jsonb_build_object('n', i))) FROM generate_series(1, 100) i});
wait_for_runs($node, 'postgres', 'and is not forgotten');

# A run that never waits does not keep its worker for itself, nor does one that kills its worker each time.
$node->safe_psql('postgres', q{
	TRUNCATE counted;
	CREATE FUNCTION suicide() RETURNS void LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
	SELECT expense_flow.create_workflow('endless', '{"StartAt": "Again", "States": {
		"Again": {"Type": "Task", "Resource": "sql:public.count_one", "Parameters": {"n": 0}, "ResultPath": null, "Next": "Ever"},
		"Ever": {"Type": "Choice", "Choices": [{"Variable": "$.stop", "IsPresent": true, "Next": "Stop"}], "Default": "Again"},
		"Stop": {"Type": "Succeed"}}}');
	SELECT expense_flow.create_workflow('suicide', '{"StartAt": "Suicide", "States": {
		"Suicide": {"Type": "Task", "Resource": "sql:public.suicide", "Parameters": {}, "End": true}}}');
	SELECT expense_flow.start_workflow('endless', workflow_id => 'endless')});
wait_for($node, 'postgres', 'SELECT count(*) > 5 FROM counted', 'an endless run is at work');
$node->safe_psql('postgres', q{
	SELECT count(expense_flow.start_workflow('good', jsonb_build_object('n', i))) FROM generate_series(1, 20) i;
	SELECT expense_flow.start_workflow('suicide', workflow_id => 'suicide')});
wait_for($node, 'postgres', 'SELECT count(*) = 20 FROM counted WHERE n > 0', 'others get their turn');
$node->safe_psql('postgres', q{SELECT expense_flow.terminate_workflow('endless')});
$node->safe_psql('postgres', q{SELECT count(expense_flow.start_workflow('good', jsonb_build_object('n', i))) FROM generate_series(21, 40) i});
wait_for($node, 'postgres', 'SELECT count(*) = 40 FROM counted WHERE n > 0', 'in spite of one that kills its worker, too');
$node->safe_psql('postgres', q{SELECT expense_flow.terminate_workflow('suicide')});
wait_for_runs($node, 'postgres', 'none is left');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 2');
$node->reload;

# A second database finds no slot.
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION expense_flow');
$node->wait_for_log(qr/runs no workers in database \d+: out of database slots/);
$node->safe_psql('second', 'DROP EXTENSION expense_flow');
wait_for_processes($node, 'postgres', '1 2', 'and the first is served as before');
$node->stop;

# ---- background worker slots ----

# One for the launcher, one for the dispatcher, one for a worker.
$node = new_node('slots', "expense_flow.workers = 4\n");
$node->append_conf('postgresql.conf', 'max_worker_processes = 4');	# and logical replication's launcher
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');
wait_for_processes($node, 'postgres', '1 1', 'one worker of four');
$node->wait_for_log(qr/could not start a worker of expense_flow for database \d+: out of background worker slots/);
$node->safe_psql('postgres', start_transfers(1, 100));
wait_for_runs($node, 'postgres', 'work goes on with fewer workers');

$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
my $offset = -s $node->logfile;
$node->restart;
$node->wait_for_log(qr/could not start a worker of expense_flow/, $offset);
wait_for_processes($node, 'postgres', '1 0', 'no worker at all');
$node->safe_psql('postgres', start_transfers(101, 200));
wait_for_runs($node, 'postgres', 'work goes on in the dispatcher');
check_transfers($node, 'postgres', 200, 'few workers');
is(scalar(() = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /could not start a worker of expense_flow/g), 2, 'the log says so once a start');

$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$node->restart;
$node->wait_for_log(qr/could not start a dispatcher of expense_flow for database \d+: out of background worker slots/);
is(processes($node, 'postgres'), '0 0', 'no dispatcher either');
$node->safe_psql('postgres', start_transfers(201, 210));
$node->safe_psql('postgres', 'CALL expense_flow.run_pending()');
check_transfers($node, 'postgres', 210, 'a session does the work');
$node->safe_psql('postgres', start_transfers(211, 220));
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;
wait_for_processes($node, 'postgres', '1 4', 'all there again');
wait_for_runs($node, 'postgres', 'and at work');
check_transfers($node, 'postgres', 220, 'enough workers');

# A place that becomes free is taken.
$node->append_conf('postgresql.conf', "max_worker_processes = 4");
$node->restart;
wait_for_processes($node, 'postgres', '1 1', 'one worker again');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 0');
$node->reload;
wait_for_processes($node, 'postgres', '1 0', 'paused');
$node->safe_psql('postgres', start_transfers(221, 230));
$node->safe_psql('other', 'CREATE EXTENSION expense_flow');
wait_for_processes($node, 'other', '1 0', 'another database takes the free place');
is($node->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.branch'), '10', 'nothing runs while it is paused');
$node->safe_psql('other', 'DROP EXTENSION expense_flow');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 1');
$node->reload;
wait_for_runs($node, 'postgres', 'until it no longer is');
$node->stop;

# ---- without preloading ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
my ($rc, $out, $err) = $node->psql('postgres', start_transfers(231, 240) . ';' . start_transfers(241, 250));
is(scalar(() = $err =~ /NOTICE/g), 1, 'one notice says that nobody runs it');
$node->safe_psql('postgres', 'CALL expense_flow.run_pending()');
check_transfers($node, 'postgres', 250, 'without preloading');
is($node->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.runtime_status()'), '0', 'runtime_status() has nothing to show');
($rc, $out, $err) = $node->psql('postgres', q{LOAD 'expense_flow'; SET expense_flow.workers = 1});
like($err, qr/cannot be changed now/, 'settings are defined all the same');
$node->stop;

done_testing();
