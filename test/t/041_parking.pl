
# Steps that crash the process which executes them: after three crashes in a row the run is PAUSED, the others go on.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('parking', "expense_flow.workers = 3\nexpense_flow.transaction_budget = 0\nexpense_flow.crash_retry_delay = '100ms'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');

# The shell that the server starts knows its parent.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE fuse (on_fire boolean);
	INSERT INTO fuse VALUES (true);
	CREATE FUNCTION crash(signal text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
			IF (SELECT on_fire FROM fuse) THEN
				EXECUTE format('COPY (SELECT) TO PROGRAM %L', 'kill -' || signal || ' $PPID; sleep 60');
			END IF;
			RETURN 'survived';
		END $$;
	CREATE FUNCTION fine() RETURNS text LANGUAGE sql AS $$ SELECT 'fine' $$;
	SELECT expense_flow.create_workflow('boom', '{"StartAt": "First", "States": {
		"First": {"Type": "Task", "Resource": "sql:public.fine", "ResultPath": null, "Next": "Second"},
		"Second": {"Type": "Task", "Resource": "sql:public.fine", "ResultPath": null, "Next": "Boom"},
		"Boom": {"Type": "Task", "Resource": "sql:public.crash", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "Rescue"}], "End": true},
		"Rescue": {"Type": "Pass", "Result": "rescued", "End": true}}}');
	SELECT expense_flow.create_workflow('boom_once', '{"StartAt": "Boom", "States": {
		"Boom": {"Type": "Task", "Resource": "sql:public.crash", "End": true}}}');
	SELECT expense_flow.create_workflow('boom_soon', '{"TimeoutSeconds": 20, "StartAt": "Boom", "States": {
		"Boom": {"Type": "Task", "Resource": "sql:public.crash", "End": true}}}');
	SELECT expense_flow.create_workflow('boom_inside', '{"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
		{"StartAt": "Boom", "States": {"Boom": {"Type": "Task", "Resource": "sql:public.crash", "End": true}}},
		{"StartAt": "Fine", "States": {"Fine": {"Type": "Task", "Resource": "sql:public.fine", "End": true}}}]}}}');
	SELECT expense_flow.create_workflow('boom_message', '{"StartAt": "Listen", "States": {
		"Listen": {"Type": "Task", "Resource": "signal:go", "ResultPath": null, "Next": "Boom"},
		"Boom": {"Type": "Task", "Resource": "sql:public.crash", "Parameters": {"signal": "ABRT"}, "End": true}}}');
});

my $log = $node->logfile;
my $position = -s $log;

# How often a process has crashed since.
sub crashes
{
	my $text = slurp_file($log, $position);
	$position = -s $log;
	return scalar(() = $text =~ /was terminated by signal (?:6|9|11)\b/g);
}

sub wait_until_paused
{
	my ($id) = @_;
	return wait_for($node, 'postgres', "SELECT coalesce((SELECT status = 'PAUSED' FROM expense_flow.find_runs('$id')), false)", "$id: paused");
}

sub start
{
	my ($workflow, $signal, $more) = @_;
	$more //= '';
	return $node->psql('postgres', qq{SELECT expense_flow.start_workflow('$workflow', '{"signal": "$signal"}', '$workflow'$more)});
}

# Steps before the one that crashes, whose commits need not be flushed: they must not be repeated for ever instead.
start('boom', 'KILL');
wait_until_paused('boom');
is(crashes(), 3, 'boom: three crashes');
is( $node->safe_psql('postgres', q{
	SELECT state, paused_reason, due_at IS NULL FROM expense_flow.find_runs('boom')}),
	'Boom|3 processes in a row crashed while they executed state "Boom"|t', 'with a reason');
is( $node->safe_psql('postgres', q{
	SELECT d ->> 'status', d ->> 'paused_reason' = d #>> '{branches,0,paused_reason}', d #>> '{branches,0,status}', d #>> '{branches,0,paused_at}' IS NOT NULL
	FROM expense_flow.find_runs('boom') r, expense_flow.describe_run(r.run_id) d}),
	'PAUSED|t|PAUSED|t', 'as describe_run() says');
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE status = 'PAUSED'}), '1', 'found by its status');
like(slurp_file($log), qr/LOG:  run \S+, branch 0, is parked/, 'and the log tells');
my ($out, $err);
$node->psql('postgres', q{SELECT expense_flow.resume_workflow('nobody')}, stderr => \$err);
like($err, qr/does not exist|no run/, 'resume_workflow: not of no run');

# The rest of the system works on.
$node->safe_psql('postgres', start_transfers(1, 200));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 200 FROM expense_flow.runs WHERE workflow = 'transfer' AND status = 'SUCCEEDED'}),
	'others are advanced');
check_transfers($node, 'postgres', 200, 'others');
is(crashes(), 0, 'without another crash');

# A restart changes nothing.
$node->restart;
$node->safe_psql('postgres', start_transfers(201, 220));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 220 FROM expense_flow.runs WHERE workflow = 'transfer' AND status = 'SUCCEEDED'}),
	'after a restart, others are advanced');
is($node->safe_psql('postgres', q{SELECT status FROM expense_flow.find_runs('boom')}), 'PAUSED', 'and that run is not');

# Resumed while nothing has changed: again three crashes.
$position = -s $log;
is($node->safe_psql('postgres', q{SELECT expense_flow.resume_workflow('boom')}), '1', 'resumed');
foreach (1 .. 1800)
{
	last if slurp_file($log, $position) =~ /is parked/;
	usleep(100_000);
}
wait_until_paused('boom');
is(crashes(), 3, 'resumed in vain: three crashes');

# A request to cancel is delivered instead of executing the step.
$node->safe_psql('postgres', q{SELECT expense_flow.cancel_workflow('boom')});
ok($node->poll_query_until('postgres', q{SELECT status = 'CANCELED' FROM expense_flow.find_runs('boom')}), 'canceled while paused');
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.history h JOIN expense_flow.find_runs('boom') r USING (run_id) WHERE h.state = 'Rescue'}), '2', 'cleans up');

# One that could be repaired, and a branch of a Parallel.
start('boom_once', 'SEGV');
wait_until_paused('boom_once');
start('boom_inside', 'KILL');
wait_until_paused('boom_inside');
is( $node->safe_psql('postgres', q{
	SELECT string_agg(b.status, ',' ORDER BY b.branch_id) FROM expense_flow.branches b JOIN expense_flow.find_runs('boom_inside') r USING (run_id)}),
	'JOINING,PAUSED,DONE', 'boom_inside: the other branch has ended');
start('boom_message', 'ABRT');
ok($node->poll_query_until('postgres', q{SELECT bool_and(b.status = 'AWAITING') FROM expense_flow.branches b JOIN expense_flow.find_runs('boom_message') r USING (run_id)}), 'boom_message: waits');
$node->safe_psql('postgres', q{SELECT expense_flow.signal_workflow('boom_message', 'go')});
wait_until_paused('boom_message');
$node->safe_psql('postgres', 'UPDATE fuse SET on_fire = false');
foreach my $id ('boom_once', 'boom_inside', 'boom_message')
{
	$node->safe_psql('postgres', "SELECT expense_flow.resume_workflow('$id')");
	ok($node->poll_query_until('postgres', "SELECT status = 'SUCCEEDED' FROM expense_flow.find_runs('$id')"), "$id: resumed, and succeeded");
}
is($node->safe_psql('postgres', q{SELECT expense_flow.describe_run(run_id) ->> 'output' FROM expense_flow.find_runs('boom_inside')}),
	'["survived", "fine"]', 'as if nothing had happened');
$node->psql('postgres', q{SELECT expense_flow.resume_workflow('boom_once')}, stderr => \$err);
like($err, qr/is closed/, 'resume_workflow: not of a closed run');

# The run's deadline comes while it is paused.
$node->safe_psql('postgres', 'UPDATE fuse SET on_fire = true');
start('boom_soon', 'KILL');
wait_until_paused('boom_soon');
ok($node->poll_query_until('postgres', q{SELECT status = 'TIMED_OUT' FROM expense_flow.find_runs('boom_soon')}), 'boom_soon: times out');

# Killed once or twice, but not because of its step: nothing is paused, and no other run that was at work with it.
$node->safe_psql('postgres', 'UPDATE fuse SET on_fire = false');
$node->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION record(transfer int) RETURNS int LANGUAGE sql AS
		'SELECT pg_sleep(0.002); INSERT INTO trace VALUES ($1, ''record'') RETURNING transfer'});
$node->safe_psql('postgres', start_transfers(221, 2000));
foreach (1 .. 6)
{
	my ($victim) = pids($node, 'worker');
	next unless defined $victim;
	kill 'KILL', $victim;
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $victim");
}
ok($node->poll_query_until('postgres', q{SELECT count(*) = 2000 FROM expense_flow.runs WHERE workflow = 'transfer' AND status = 'SUCCEEDED'}),
	'workers killed: all runs succeed');
check_transfers($node, 'postgres', 2000, 'workers killed');

# A process that its step makes end, though in good order, counts as well.  (What somebody else ends does not.)
$node->safe_psql('postgres', q{SELECT expense_flow.create_workflow('long', '{"StartAt": "Long", "States": {
	"Long": {"Type": "Task", "Resource": "sql:public.long", "End": true}}}');
	CREATE SEQUENCE attempts;
	CREATE FUNCTION long() RETURNS void LANGUAGE sql AS $$
		SELECT CASE WHEN nextval('attempts') < 6 THEN pg_sleep(600) END $$;
	SELECT expense_flow.start_workflow('long', '{}', 'long')});
foreach my $attempt (1 .. 5)
{
	ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event = 'PgSleep'
		AND (SELECT last_value = $attempt FROM attempts)}), "long: attempt $attempt");
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event = 'PgSleep'});
}
ok($node->poll_query_until('postgres', q{SELECT status = 'SUCCEEDED' FROM expense_flow.find_runs('long')}), 'long: terminated five times, and succeeded');

# Where the server ends with each crash, to be started again by somebody, the crashes are counted as well.
my $suspects = $node->data_dir . '/pg_stat/expense_flow.suspects';

sub wait_for_end
{
	foreach (1 .. 1800)
	{
		return ok(1, 'the server has ended, and left its suspects') if -s $suspects && !-e $node->data_dir . '/postmaster.pid';
		usleep(100_000);
	}
	return ok(0, 'the server has ended, and left its suspects');
}

# It may end before pg_ctl has seen that it runs.
sub start_until_parked
{
	foreach (1 .. 1800)
	{
		last if slurp_file($log, $position) =~ /is parked/;
		start_after_crash($node) unless -e $node->data_dir . '/postmaster.pid';
		usleep(100_000);
	}
	return wait_until_paused('boom_off');
}

$node->append_conf('postgresql.conf', 'restart_after_crash = off');
$node->restart;
$node->safe_psql('postgres', q{
	UPDATE fuse SET on_fire = true;
	SELECT expense_flow.create_workflow('boom_off', '{"StartAt": "Boom", "States": {
		"Boom": {"Type": "Task", "Resource": "sql:public.crash", "End": true}}}')});
$position = -s $log;
start('boom_off', 'SEGV');
wait_for_end();
start_until_parked();
is(crashes(), 3, 'boom_off: three crashes');
ok(!-e $suspects, 'what was left is read once');

# A file that cannot be read counts for nothing.
sub overwrite
{
	my ($path) = @_;
	open my $file, '+<', $path or die $!;
	seek $file, 20, 0;
	print $file 'damaged';
	close $file;
	return;
}

foreach my $damage (sub { truncate $_[0], 100 }, \&overwrite)
{
	$position = -s $log;
	$node->psql('postgres', q{SELECT expense_flow.resume_workflow('boom_off')});
	wait_for_end();
	$damage->($suspects);
	start_until_parked();
	like(slurp_file($log, $position), qr/ignoring file "pg_stat.expense_flow.suspects"/, 'a damaged file is ignored');
	is(crashes(), 4, 'boom_off: one crash that is forgotten, and three');
}

$node->stop;
done_testing();
