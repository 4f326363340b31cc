# What TAP tests of the runtime have in common.

package ExpenseFlowTest;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_node processes wait_for_processes pids wait_for_runs start_after_crash long_tests);

# A server that preloads the library, not started.
sub new_node
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1);
	$node->append_conf(
		'postgresql.conf', qq{
shared_preload_libraries = 'expense_flow'
max_worker_processes = 24
max_prepared_transactions = 10
log_checkpoints = off
fsync = off
restart_after_crash = on
} . ($settings // ''));
	return $node;
}

# "dispatchers workers" of a database, as the server sees them.
sub processes
{
	my ($node, $database) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT count(*) FILTER (WHERE backend_type = 'expense_flow dispatcher') || ' ' ||
			count(*) FILTER (WHERE backend_type = 'expense_flow worker')
		FROM pg_stat_activity WHERE datname = '$database'});
}

sub wait_for_processes
{
	my ($node, $database, $expected, $title) = @_;
	my $ok = $node->poll_query_until(
		'postgres', qq{
		SELECT count(*) FILTER (WHERE backend_type = 'expense_flow dispatcher') || ' ' ||
			count(*) FILTER (WHERE backend_type = 'expense_flow worker')
		FROM pg_stat_activity WHERE datname = '$database'}, $expected);
	return ok($ok, $title);
}

# Process ids of a kind ('worker', 'dispatcher', 'launcher').
sub pids
{
	my ($node, $kind) = @_;
	return split /\n/,
	  $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'expense_flow $kind' ORDER BY pid");
}

# Until no run is open any more.
sub wait_for_runs
{
	my ($node, $database, $title) = @_;
	return ok($node->poll_query_until($database, 'SELECT NOT EXISTS (SELECT FROM expense_flow.branch)'), $title);
}

# After a kill -9 of the postmaster the lock files count as held until the dead process was reaped, and its
# children have gone.
sub start_after_crash
{
	my ($node) = @_;
	foreach (1 .. 600)
	{
		return 1 if $node->start(fail_ok => 1);
		usleep(100_000);
	}
	return 0;
}

# How long a test under random faults goes on, in seconds.
sub long_tests
{
	my ($short, $long) = @_;
	return $ENV{EXPENSE_FLOW_LONG} ? $long : $short;
}

1;
