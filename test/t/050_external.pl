# External activities: long polling, and worker processes that are killed at random.  EXPENSE_FLOW_LONG: 10,000 activities.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_node('external', "max_connections = 100\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
wait_for_processes($node, 'postgres', '1 4', 'the workers run');
$node->safe_psql(
	'postgres', q{
	SELECT expense_flow.create_workflow('double', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:numbers/double",
		"StartToCloseSeconds": 3, "Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1000, "BackoffRate": 1.0}], "End": true}}}')});

# Sessions that wait for tasks execute nothing, and one is waked by the commit.  What a statement at work has done is
# not in the statistics yet; but a process that looks now and then is switched to.
sub switches
{
	my $switches = 0;
	foreach my $pid (@_)
	{
		$switches += $1 if slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
	}
	return $switches;
}
my @waiting = map { start_program($node, 'psql', '-Xq', '-c', "SELECT input FROM expense_flow.poll_activity('numbers', wait => '100 s')") } 1 .. 50;
wait_for($node, 'postgres', q{SELECT count(*) = 50 FROM pg_stat_activity WHERE query LIKE '%poll_activity%' AND wait_event_type = 'Extension'}, 'sessions wait');
my @pids = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%poll_activity%' AND wait_event_type = 'Extension' ORDER BY pid});
usleep(1_500_000);
my $before = switches(@pids);
usleep(5_000_000);
my $after = switches(@pids);
SKIP:
{
	skip 'no /proc', 1 unless $after > 0;
	cmp_ok($after - $before, '<', 200, 'those who wait do nothing: not even look once a second');
}
my $began = time;
$node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('double', '21', 'first')});
wait_for($node, 'postgres', q{SELECT count(*) = 1 FROM expense_flow.activity_tasks WHERE status = 'STARTED'}, 'one of them is waked');
cmp_ok(time - $began, '<', 5, 'by the commit');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%poll_activity%' AND pid <> pg_backend_pid()});
waitpid $_, 0 for @waiting;
$node->safe_psql('postgres', q{SELECT expense_flow.terminate_workflow('first')});

# Workers that die at random.
my $runs = long_tests(400, 10000);
my %workers;

sub start_worker
{
	$workers{ start_client($node, "$FindBin::RealBin/../example_worker.py", 'numbers', 'worker') } = 1;
}
start_worker() for 1 .. 8;
$node->safe_psql('postgres', qq{SELECT count(expense_flow.start_workflow('double', to_jsonb(n), 'run ' || n)) FROM generate_series(1, $runs) n});
my $kills = 0;
my $deadline = time + 300 + $runs / 10;
while (time < $deadline)
{
	# By what has been done, not by the clock: however fast they are, some die in the middle.
	usleep(10_000);
	my $open = $node->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.branch');
	last if $open == 0;
	next if $runs - $open <= $kills * $runs / 30;
	my $victim = (keys %workers)[ rand keys %workers ];
	kill 'KILL', $victim;
	waitpid $victim, 0;
	delete $workers{$victim};
	$kills++;
	start_worker();
}
for my $pid (keys %workers) { kill 'KILL', $pid; waitpid $pid, 0; }
cmp_ok($kills, '>', 0, "workers were killed ($kills times)");
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE workflow_id LIKE 'run %' AND status = 'SUCCEEDED' AND output = to_jsonb(2 * input::int)}),
	$runs, 'each activity was completed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.history h WHERE type = 'ActivitySucceeded'}), $runs, 'and each once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.activity_task'), '0', 'none is left');

$node->stop;
done_testing();
