# What the server runs out of: disk, connections, memory, locks, time.  Errors are clear, nothing is lost, and work
# goes on when there is enough again.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Start a server by a shell command that ends with pg_ctl's own ("$@").
sub start_by
{
	my ($node, @command) = @_;
	PostgreSQL::Test::Utils::system_or_bail(@command, 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o',
		'--cluster-name=' . $node->name, 'start');
	$node->_update_pid(1);
	return;
}

# A workflow of one Task without Retry.
sub create_task
{
	my ($node, $name, $resource) = @_;
	$node->safe_psql('postgres', qq{SELECT expense_flow.create_workflow('$name', '{"StartAt": "T", "States": {"T": {"Type": "Task",
		"Resource": "$resource", "Parameters": {}, "End": true}}}')});
	return;
}

sub outcome
{
	my ($node, $workflow) = @_;
	return $node->safe_psql('postgres', "SELECT status, error, cause FROM expense_flow.runs WHERE workflow = '$workflow' ORDER BY started_at DESC LIMIT 1");
}

# ---- disk ----

SKIP:
{
	my @unshare = unshare_mounts();
	skip 'no namespace for a small disk (unshare --user --mount)', 10 unless @unshare;

	my $node = new_node('disk', "expense_flow.workers = 2\n");
	my $disk = $node->basedir . '/disk';
	mkdir $disk or die;
	start_by($node, @unshare, 'sh', '-c', q{mount -t tmpfs -o size=48m none "$0" && chmod 700 "$0" && exec "$@"}, $disk);
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk'");
	$node->safe_psql('postgres', 'CREATE DATABASE small TABLESPACE small');
	$node->safe_psql('small', 'CREATE EXTENSION expense_flow');
	create_transfers($node, 'small');
	$node->safe_psql('small', start_transfers(1, 100));
	wait_for_runs($node, 'small', 'room for 100 runs');
	$node->append_conf('postgresql.conf', 'expense_flow.workers = 0');
	$node->reload;
	wait_for_processes($node, 'small', '1 0', 'paused');
	$node->safe_psql('small', start_transfers(101, 1000));
	$node->safe_psql('postgres', "COPY (SELECT 1) TO PROGRAM 'dd if=/dev/zero of=$disk/fill bs=8k || true'");

	# No run is started in halves.
	my $started = 1000;
	my $err = '';
	while ($err eq '' && $started < 20000)
	{
		$err = ($node->psql('small', start_transfers($started + 1, $started + 100)))[2];
		$started += 100 if $err eq '';
	}
	like($err, qr/could not extend file .*: No space left on device\n.*HINT:  Check free disk space/s, 'a start tells that the disk is full');
	my $offset = -s $node->logfile;
	$node->append_conf('postgresql.conf', 'expense_flow.workers = 2');
	$node->reload;
	ok($node->wait_for_log(qr/ERROR:  could not extend file.*No space left on device/, $offset), 'so do workers');
	is($node->safe_psql('small', q{SELECT count(*) FROM expense_flow.runs WHERE status NOT IN ('RUNNING', 'SUCCEEDED')}), '0', 'no run fails for it');
	$node->safe_psql('postgres', "COPY (SELECT 1) TO PROGRAM 'rm $disk/fill'");
	wait_for_runs($node, 'small', 'with room again, all go on');
	check_transfers($node, 'small', $started, 'disk full');
	$node->stop;
}

# ---- connections ----

my $node = new_node('few', "expense_flow.workers = 3\n");
$node->append_conf('postgresql.conf', "max_connections = 6\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\nmax_locks_per_transaction = 10\nmax_prepared_transactions = 0\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');
wait_for_processes($node, 'postgres', '1 3', 'workers are there');
my @sessions = map { session($node, 'postgres') } 1 .. 6;
$_->("SELECT 'here';", qr/here/) foreach @sessions;
like(($node->psql('postgres', 'SELECT 1'))[2], qr/too many clients already/, 'no connection is left');
$sessions[0]->(start_transfers(1, 100) . ';', qr/100/);
$sessions[1]->(q{SELECT count(expense_flow.get_result(run_id, '3 min')), 'results' FROM expense_flow.runs;}, qr/100\|results/);
pass('background processes need none of them');
$_->() foreach @sessions;
check_transfers($node, 'postgres', 100, 'no connections');

# ---- locks ----

# One session has all the locks that there are when runs come to be due, and another wants to start more.
$node->safe_psql('postgres', q{
	CREATE FUNCTION grab() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(1, i) FROM generate_series(1, 1000000) i'});
create_task($node, 'grab', 'sql:public.grab');
my $grabber = session($node, 'postgres');
my $starter = session($node, 'postgres');
my $later = start_transfers(101, 150) =~ s/workflow_id =>/start_delay => '5 s', workflow_id =>/r;
$starter->("$later;", qr/50/);
my $offset = -s $node->logfile;
$grabber->(q{
	DO $$
	BEGIN
		FOR i IN 1 .. 1000000 LOOP
			PERFORM pg_advisory_lock(2, i);
		END LOOP;
	EXCEPTION WHEN out_of_memory THEN
	END $$;
	SELECT 'grabbed';}, qr/grabbed/);
like($starter->(start_transfers(151, 200) . q{; \echo done}, qr/done/),
	qr/ERROR:  out of shared memory\n.*HINT:  You might need to increase "?max_locks_per_transaction/s, 'a start tells that there are no locks');
ok($node->wait_for_log(qr/ERROR:  out of shared memory\n(.*\n)?.*HINT:  .*\n(.*\n)*?.*CONTEXT:  .*run [0-9a-f-]+, branch 0/, $offset), 'so do workers');
$grabber->(q{SELECT 'released' FROM pg_advisory_unlock_all();}, qr/released/);
$starter->(start_transfers(151, 200) . ';', qr/50/);
$_->() foreach ($grabber, $starter);
wait_for_runs($node, 'postgres', 'with locks again, runs go on');
check_transfers($node, 'postgres', 200, 'out of locks');
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('grab')});
$node->safe_psql('postgres', start_transfers(201, 300));
wait_for_runs($node, 'postgres', 'an activity that takes all locks is alone with it');
is(outcome($node, 'grab'), 'FAILED|out_of_memory|out of shared memory', 'and fails');
check_transfers($node, 'postgres', 300, 'an activity without locks');

# ---- time ----

# Limits that an administrator sets for users' sessions are not for workers.
$node->append_conf('postgresql.conf', "statement_timeout = 200\nlock_timeout = 100\nidle_in_transaction_session_timeout = 300\n");
$node->restart;
$node->safe_psql('postgres', q{SET statement_timeout = 0;
	ALTER ROLE ALL SET statement_timeout = 200;
	ALTER DATABASE postgres SET lock_timeout = 100;
	CREATE FUNCTION slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1); UPDATE purse SET balance = balance WHERE id = 1';
	CREATE TABLE hold (n int)});
create_task($node, 'slow', 'sql:public.slow');
my $locker = session($node, 'postgres');
$locker->(q{SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT 'locked' FROM purse WHERE id = 1 FOR UPDATE;}, qr/locked/);
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('slow')});
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event_type = 'Lock'}, 'an activity waits for a lock');
is($node->safe_psql('postgres', q{SET statement_timeout = 0; SELECT 'after' FROM pg_sleep(0.5)}), 'after', 'longer than lock_timeout');
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event_type = 'Lock'}, 'it still waits');
like(($node->psql('postgres', q{SELECT expense_flow.get_result(run_id, '1 hour') FROM expense_flow.runs WHERE workflow = 'slow'}))[2],
	qr/canceling statement due to statement timeout/, 'a session that waits is subject to its limit');
$locker->(q{COMMIT; SELECT 'unlocked';}, qr/unlocked/);
$locker->();
wait_for_runs($node, 'postgres', 'it goes on');
is(outcome($node, 'slow'), 'SUCCEEDED||', 'and succeeds');

# A session that took a task and is ended before it commits has not taken it.
create_task($node, 'outside', 'activity:work/do');
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('outside')});
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.activity_task}, 'a task is there');
like(($node->psql('postgres', q{SELECT count(*) FROM expense_flow.poll_activity('nothing', wait => '1 hour')}))[2],
	qr/canceling statement due to statement timeout/, 'so is one that waits for a task');
my $taker = session($node, 'postgres');
$taker->(q{BEGIN; SELECT 'taken' FROM expense_flow.poll_activity('work');}, qr/taken/);
ok($node->wait_for_log(qr/terminating connection due to idle-in-transaction timeout/), 'and one that does not commit');
my $token;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'idle in transaction'});
$token = $node->safe_psql('postgres', q{SELECT token FROM expense_flow.poll_activity('work')});
like($token, qr/./, 'the task is there for another');
$node->safe_psql('postgres', "SELECT expense_flow.complete_activity('$token')");
wait_for_runs($node, 'postgres', 'who does it');

# ---- temporary files ----

$node->append_conf('postgresql.conf', "statement_timeout = 0\ntemp_file_limit = 100\nwork_mem = 64\n");
$node->restart;
$node->safe_psql('postgres', q{ALTER ROLE ALL RESET statement_timeout;
	CREATE FUNCTION big_sort() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM (SELECT i FROM generate_series(1, 200000) i ORDER BY i % 1000, i OFFSET 0) s'});
create_task($node, 'big_sort', 'sql:public.big_sort');
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('big_sort')});
$node->safe_psql('postgres', start_transfers(301, 400));
wait_for_runs($node, 'postgres', 'temporary files have a limit');
like(outcome($node, 'big_sort'), qr/^FAILED\|configuration_limit_exceeded\|temporary file size exceeds "?temp_file_limit"? \(100kB\)$/,	# 18 quotes it
	'which an activity exceeds');
check_transfers($node, 'postgres', 400, 'temporary files');
$node->stop;

# ---- memory ----

# 64 MB a piece, in processes that may have 600 MB.
start_by($node, 'sh', '-c', q{ulimit -v 600000 && exec "$@"}, 'sh');
$node->safe_psql('postgres', q{
	CREATE FUNCTION eat() RETURNS int LANGUAGE sql AS 'SELECT cardinality(array_agg(repeat(''x'', 64000000) || i)) FROM generate_series(1, 100) i';
	CREATE FUNCTION bite() RETURNS text LANGUAGE sql AS 'SELECT repeat(repeat(''x'', 1000000), 2000)'});
create_task($node, $_, "sql:public.$_") foreach ('eat', 'bite');
my @pids = pids($node, 'worker');
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow(w) FROM unnest('{eat,bite}'::text[]) w});
$node->safe_psql('postgres', start_transfers(401, 500));
wait_for_runs($node, 'postgres', 'memory has an end');
like(outcome($node, 'eat'), qr/^FAILED\|out_of_memory\|out of memory: Failed on request of size \d+/, 'an activity gets no more');
like(outcome($node, 'bite'), qr/^FAILED\|(program_limit_exceeded|XX000|internal_error)\|/, 'or asks for more than there can be');
check_transfers($node, 'postgres', 500, 'memory');
is(join(' ', pids($node, 'worker')), join(' ', @pids), 'and its worker lives on');
$node->stop;

done_testing();
