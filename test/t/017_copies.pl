# Copies of a server: recovered to a point in time, or started from a backup, they do not go on with the original's
# runs until told to.  In binary-upgrade mode nothing runs.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $original = PostgreSQL::Test::Cluster->new('original');
$original->init(has_archiving => 1, allows_streaming => 1);
$original->append_conf('postgresql.conf', "shared_preload_libraries = 'expense_flow'\nexpense_flow.workers = 2\nmax_worker_processes = 24\nfsync = off\n");
$original->start;
$original->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE TABLE done (n int);
	CREATE FUNCTION do_it(n int) RETURNS void LANGUAGE sql AS 'INSERT INTO done VALUES ($1)';
	SELECT expense_flow.create_workflow('pay', '{"StartAt": "Pay", "States": {
		"Pay": {"Type": "Task", "Resource": "activity:bank/pay", "TimeoutSeconds": 3000, "ResultPath": null, "Next": "Booked"},
		"Booked": {"Type": "Task", "Resource": "sql:public.do_it", "Parameters": {"n.$": "$.n"}, "End": true}}}');
	SELECT expense_flow.create_workflow('soon', '{"StartAt": "Soon", "States": {
		"Soon": {"Type": "Task", "Resource": "signal:go", "ResultPath": null, "Next": "Done"},
		"Done": {"Type": "Task", "Resource": "sql:public.do_it", "Parameters": {"n.$": "$.n"}, "End": true}}}')});
my $cursor = $original->safe_psql('postgres', q{SELECT expense_flow.latest_cursor('account')});
$original->backup('base');
$original->safe_psql('postgres', q{
	SELECT expense_flow.start_workflow('pay', '{"n": 1}', 'pay-1');
	SELECT expense_flow.start_workflow('soon', '{"n": 2}', 'soon')});
wait_for($original, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.activity_task}, 'an external activity is scheduled');
$original->safe_psql('postgres', q{SELECT pg_create_restore_point('here')});
$original->safe_psql('postgres', q{SELECT pg_switch_wal()});
my $token = $original->safe_psql('postgres', q{SELECT token FROM expense_flow.poll_activity('bank')});
$original->safe_psql('postgres', "SELECT expense_flow.complete_activity('$token')");
wait_for($original, 'postgres', 'SELECT count(*) = 1 FROM done', 'the original has paid');

# What every copy has to do.
sub check_copy
{
	my ($copy, $reason, $title) = @_;
	wait_for_processes($copy, 'postgres', '1 2', "$title: workers are there");
	like($copy->safe_psql('postgres', 'SELECT held, reason, held_runs FROM expense_flow.restore_status()'), $reason, "$title: the reason is shown");
	like(PostgreSQL::Test::Utils::slurp_file($copy->logfile), qr/open runs of database "postgres" rest: it was/, "$title: and logged");
	my ($rc, $out, $err) = $copy->psql('postgres', q{
		SELECT * FROM expense_flow.poll_activity('bank', max_tasks => 10);
		SELECT * FROM expense_flow.poll_activity('bank', max_tasks => 10)});
	is($rc . $out, '0', "$title: nothing is handed out");
	is(scalar(() = $err =~ /WARNING:  tasks of queue "bank" are held back: this database was/g), 1, "$title: a worker is told why, once");
	like($err, qr/HINT: .*resume_after_restore/, "$title: and what to do");

	like(($copy->psql('postgres', "SELECT * FROM expense_flow.read_changes('account', '$cursor')"))[2], qr/cursor "$cursor" is not of this feed/,
		"$title: a cursor of the original is refused");

	# Neither a message, nor a session that works itself, nor another start of the server wakes what rests.
	$copy->safe_psql('postgres', q{SELECT expense_flow.signal_workflow('soon', 'go')});
	$copy->safe_psql('postgres', q{CALL expense_flow.run_pending()});
	$copy->restart;
	wait_for_processes($copy, 'postgres', '1 2', "$title: started again");
	$copy->safe_psql('postgres', q{SELECT expense_flow.start_workflow('pay', '{"n": 3}', 'pay-3')});
	wait_for($copy, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.poll_activity('bank', max_tasks => 10) WHERE workflow_id = 'pay-3'}, "$title: new runs go on");
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM done'), '0', "$title: the others rest");

	$copy->safe_psql('postgres', 'SELECT expense_flow.resume_after_restore()');
	wait_for($copy, 'postgres', 'SELECT count(*) = 1 FROM done WHERE n = 2', "$title: told to, they go on");
	is($copy->safe_psql('postgres', q{SELECT workflow_id FROM expense_flow.poll_activity('bank', max_tasks => 10)}), 'pay-1', "$title: and tasks are handed out");
	is($copy->safe_psql('postgres', 'SELECT * FROM expense_flow.restore_status()'), 'f|||0', "$title: nothing is held any more");
	$copy->restart;
	wait_for_processes($copy, 'postgres', '1 2', "$title: started again");
	is($copy->safe_psql('postgres', 'SELECT held FROM expense_flow.restore_status()'), 'f', "$title: for good");
	$copy->stop;
	return;
}

my $pitr = PostgreSQL::Test::Cluster->new('pitr');
$pitr->init_from_backup($original, 'base', has_restoring => 1, standby => 0);
$pitr->append_conf('postgresql.conf', "recovery_target_name = 'here'\nrecovery_target_action = 'promote'\narchive_mode = off\n");
$pitr->start;
$pitr->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it does not end to recover';
check_copy($pitr, qr/^t\|was restored from a backup \(timeline 1, now 2\)\|2$/, 'point in time');

# A backup that is started as it is; with the runs in it.
$original->safe_psql('postgres', q{
	DELETE FROM done;
	SELECT expense_flow.start_workflow('pay', '{"n": 1}', 'pay-1')});
wait_for($original, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.activity_task}, 'an external activity is scheduled again');
$original->backup('later');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($original, 'later');
$copy->append_conf('postgresql.conf', 'archive_mode = off');
$copy->start;
check_copy($copy, qr/^t\|was restored from a backup \(timeline 1, now 1\)\|2$/, 'backup');

# The original goes on, whatever it is restarted with.
$original->stop('immediate');
$original->start;
wait_for_processes($original, 'postgres', '1 2', 'the original is started after a crash');
is($original->safe_psql('postgres', 'SELECT held FROM expense_flow.restore_status()'), 'f', 'and is no copy');
is($original->safe_psql('postgres', "SELECT count(*) FROM expense_flow.read_changes('account', '$cursor')"), '0', 'and its cursors are good');

# pg_upgrade starts servers with -b.
$original->stop;
my @pg_ctl = ('pg_ctl', '-w', '-D', $original->data_dir, '-l', $original->logfile);
command_ok([ @pg_ctl, '-o', '-b', 'start' ], 'binary-upgrade mode');
is((PostgreSQL::Test::Utils::run_command([ 'psql', '-XAtq', '-d', $original->connstr('postgres'), '-c',
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow%'} ]))[0], '0', 'no process of ours');
is((PostgreSQL::Test::Utils::run_command([ 'psql', '-XAtq', '-d', $original->connstr('postgres'), '-c',
		q{SELECT count(*) FROM expense_flow.runtime_status()} ]))[0], '0', 'nor shared memory');
command_ok([ @pg_ctl, 'stop' ], 'stopped');

# pg_upgrade, within one major version: the tables find themselves in another cluster, as in a copy.
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(allows_streaming => 1);
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'expense_flow'\nexpense_flow.workers = 2\nmax_worker_processes = 24\nfsync = off\n");
my $bindir = (PostgreSQL::Test::Utils::run_command([ $ENV{PG_CONFIG} || 'pg_config', '--bindir' ]))[0];
{
	# it leaves files where it is called
	my $where = PostgreSQL::Test::Utils::tempdir();
	command_ok([ 'sh', '-c', 'cd "$0" && exec "$@"', $where, 'pg_upgrade', '-b', $bindir, '-B', $bindir, '-d', $original->data_dir, '-D', $new->data_dir,
			'-p', $original->port, '-P', $new->port, '-s', $new->host, '-U', (getpwuid($<))[0] ],
		'pg_upgrade');
}
$new->start;
wait_for_processes($new, 'postgres', '1 2', 'upgraded: workers are there');
like($new->safe_psql('postgres', 'SELECT held, reason, held_runs FROM expense_flow.restore_status()'), qr/^t\|is a copy of one of system \d+\|2$/, 'upgraded: it might be a copy');
$new->safe_psql('postgres', 'SELECT expense_flow.resume_after_restore()');
$new->safe_psql('postgres', q{SELECT expense_flow.signal_workflow('soon', 'go')});
wait_for($new, 'postgres', 'SELECT count(*) = 1 FROM done WHERE n = 2', 'upgraded: work goes on');

# From another major version it goes on by itself.
$new->safe_psql('postgres', q{
	SELECT expense_flow.start_workflow('soon', '{"n": 5}', 'soon');
	UPDATE expense_flow.installation_origin SET system_identifier = 1, timeline = 7, server_version = server_version - 1});
$new->restart;
wait_for_processes($new, 'postgres', '1 2', 'of another major version');
is($new->safe_psql('postgres', 'SELECT held FROM expense_flow.restore_status()'), 'f', 'is no copy');
is($new->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.installation_origin WHERE system_identifier = 1'), '0', 'and is known here from now on');
$new->stop;

$original->start;
wait_for_processes($original, 'postgres', '1 2', 'back in normal mode');
$original->safe_psql('postgres', q{SELECT expense_flow.signal_workflow('soon', 'go')});
wait_for($original, 'postgres', 'SELECT count(*) = 1 FROM done WHERE n = 2', 'work goes on');
$original->stop;

done_testing();
