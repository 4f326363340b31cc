# Nothing runs on a standby.  Promoted, it goes on where the primary stopped.

use strict;
use warnings;
use FindBin;
use POSIX ();
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $primary = new_node('primary', "expense_flow.workers = 2\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($primary, 'postgres');
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# A paused primary leaves work that only the standby will do.
$primary->safe_psql('postgres', start_transfers(1, 100));
wait_for_runs($primary, 'postgres', 'the primary works');
$primary->append_conf('postgresql.conf', 'expense_flow.workers = 0');
$primary->reload;
wait_for_processes($primary, 'postgres', '1 0', 'the primary is paused');
$primary->safe_psql('postgres', start_transfers(101, 500));
$primary->safe_psql('postgres', q{
	CREATE FUNCTION about(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT $1 #>> '{state,branches,0,state}' $$;
	SELECT expense_flow.create_workflow('later', '{"Queries": {"about": "sql:public.about"}, "StartAt": "Later", "States": {"Later": {"Type": "Wait", "Seconds": 1, "End": true}}}');
	SELECT expense_flow.start_workflow('later', workflow_id => 'later')});
my $cursor = $primary->safe_psql('postgres', q{SELECT expense_flow.latest_cursor('account')});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow%'}), '0', 'no process on the standby');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.branch'), '401', 'the runs are there');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE status = 'SUCCEEDED'}), '100', 'and can be looked at');
is($standby->safe_psql('postgres', q{SELECT expense_flow.query_workflow('later') ->> 'status', expense_flow.query_workflow('later', 'variables'), expense_flow.query_workflow('later', 'about')}),
	'RUNNING|{}|"Later"', 'and asked');
like(($standby->psql('postgres', q{SELECT expense_flow.update_workflow('later', 'x')}))[2], qr/cannot execute update_workflow\(\) in a read-only transaction/, 'but not told anything');
like(($standby->psql('postgres', 'SELECT expense_flow.start_workflow(\'transfer\')'))[2], qr/read-only|recovery/, 'but not started');
like(($standby->psql('postgres', 'SELECT expense_flow.resume_after_restore()'))[2], qr/cannot execute resume_after_restore\(\) (in a read-only transaction|during recovery)/, 'nor is anything resumed');
like(($standby->psql('postgres', 'CALL expense_flow.run_pending()'))[2], qr/read-only|recovery/, 'nor can a session do the work');
is($standby->safe_psql('postgres', 'SELECT state FROM expense_flow.runtime_status()'), 'missing', 'runtime_status() says that nobody works');

$primary->stop('immediate');
$standby->promote;
wait_for_runs($standby, 'postgres', 'promoted, it does the work');
check_transfers($standby, 'postgres', 500, 'standby');
is($standby->safe_psql('postgres', 'SELECT held FROM expense_flow.restore_status()'), 'f', 'it is no copy, though on another timeline');
is($standby->safe_psql('postgres', "SELECT count(*) FROM expense_flow.read_changes('account', '$cursor')"), '0', 'cursors of the primary are good');
$standby->restart;
wait_for_processes($standby, 'postgres', '1 2', 'started again');
is($standby->safe_psql('postgres', 'SELECT held FROM expense_flow.restore_status()'), 'f', 'nor does it take itself for one later');

# ---- under load ----

# What was promoted becomes the primary of another, which acknowledges each commit.
$standby->backup('second');
my $last = PostgreSQL::Test::Cluster->new('last');
$last->init_from_backup($standby, 'second', has_streaming => 1);
$last->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$last->start;
$standby->append_conf('postgresql.conf', "synchronous_standby_names = '*'\nwal_sender_timeout = 0");
$standby->reload;
$standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'})
  or die 'no synchronous standby';
$standby->safe_psql('postgres', q{
	SELECT expense_flow.create_workflow('outside', '{"StartAt": "Outside", "States": {"Outside": {"Type": "Task", "Resource": "activity:work/do", "End": true}}}');
	SELECT count(expense_flow.start_workflow('outside', to_jsonb(i), 'outside-' || i)) FROM generate_series(1, 3) i});
my @tokens = map { $standby->safe_psql('postgres', q{SELECT token FROM expense_flow.poll_activity('work', wait => '1 min')}) } 1 .. 2;
$standby->safe_psql('postgres', "SELECT expense_flow.complete_activity('$tokens[0]', '\"by the primary\"')");

# Clients that start one run after the other and write down which were accepted.
my $dir = PostgreSQL::Test::Utils::tempdir();

sub start_client
{
	my ($number) = @_;
	PostgreSQL::Test::Utils::append_to_file("$dir/$number.sql", join '', map {
		my $n = 2 * $_ + $number;
		qq{SELECT $n FROM expense_flow.start_workflow('transfer', jsonb_build_object('transfer', $n,
			'from', $n % 20 + 1, 'to', $n * 7 % 20 + 1, 'amount', $n % 13), workflow_id => 'transfer-$n');\n}
	} 1001 .. 21000);
	my $pid = fork // die;
	return $pid if $pid;
	open STDOUT, '>', "$dir/$number.out";
	open STDERR, '>', '/dev/null';
	exec 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $standby->connstr('postgres'), '-f', "$dir/$number.sql" or POSIX::_exit(1);
}
my @clients = map { start_client($_) } (0, 1);
wait_for($standby, 'postgres', q{SELECT count(*) > 800 FROM expense_flow.runs WHERE workflow = 'transfer'}, 'the load is on');
$standby->stop('immediate');
waitpid $_, 0 foreach @clients;
$last->promote;
wait_for($last, 'postgres', q{SELECT count(*) = 2 FROM expense_flow.branch}, 'promoted under load, it does the work');
my @accepted = map { split /\n/, PostgreSQL::Test::Utils::slurp_file("$dir/$_.out") } (0, 1);
cmp_ok(scalar @accepted, '>', 200, 'runs were accepted by the primary');
is( $last->safe_psql('postgres', 'SELECT count(*) FROM (VALUES ' . join(', ', map { "($_)" } @accepted) . q{) AS accepted (n)
		WHERE 3 <> (SELECT count(DISTINCT what) FROM trace WHERE transfer = n)}),
	'0', 'none of those was lost');
my $n = $last->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE workflow = 'transfer'});
check_transfers($last, 'postgres', $n, 'nothing twice');

# External activities: done is done, taken is taken.
is($last->safe_psql('postgres', q{SELECT expense_flow.get_result(run_id) FROM expense_flow.runs WHERE status = 'SUCCEEDED' AND workflow = 'outside'}),
	'"by the primary"', 'what was completed on the primary is done');
is($last->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.poll_activity('work', max_tasks => 10)}), '1', 'what it had not handed out is handed out, no more');
$last->safe_psql('postgres', "SELECT expense_flow.complete_activity('$tokens[1]', '\"by the standby\"')");
wait_for($last, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.runs WHERE workflow = 'outside' AND status = 'RUNNING'}, 'and a token of the primary is good');
$last->stop;

done_testing();
