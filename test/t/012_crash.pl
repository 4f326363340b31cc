# kill -9 of workers and of the postmaster in the middle of runs that move money: each step once, no money lost.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

# Commits must survive a crash of the postmaster only, so fsync may stay off.
my $node = new_node('crash', "expense_flow.workers = 4\nexpense_flow.transaction_budget = 0\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION record(transfer int) RETURNS int LANGUAGE sql AS
		'SELECT pg_sleep(0.002); INSERT INTO trace VALUES ($1, ''record'') RETURNING transfer'});
my $started = 0;

# Try until the server answers.
sub ready
{
	return $node->poll_query_until('postgres', 'SELECT true');
}

sub start_more
{
	my ($n) = @_;
	$node->safe_psql('postgres', start_transfers($started + 1, $started + $n));
	$started += $n;
	return;
}

# In the middle: some are done, some are not.
sub in_the_middle
{
	my ($title) = @_;
	$node->poll_query_until('postgres', qq{SELECT count(*) > $started - 1900 FROM expense_flow.closed_run});
	return cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.closed_run'), '<', $started - 200, $title);
}

foreach my $round (1 .. 3)
{
	start_more(2000);
	in_the_middle("round $round: at work");
	my ($victim) = pids($node, 'worker');
	kill 'KILL', $victim;
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $victim"), "round $round: worker killed");
	wait_for_runs($node, 'postgres', "round $round: all done after the kill of a worker");
	check_transfers($node, 'postgres', $started, "round $round, worker");

	start_more(2000);
	in_the_middle("round $round: at work again");
	$node->kill9;
	ok(start_after_crash($node), "round $round: started again after the kill of the postmaster");
	wait_for_runs($node, 'postgres', "round $round: all done after the kill of the postmaster");
	check_transfers($node, 'postgres', $started, "round $round, postmaster");

	start_more(2000);
	in_the_middle("round $round: at work once more");
	$node->stop('immediate');
	$node->start;
	wait_for_runs($node, 'postgres', "round $round: all done after an immediate shutdown");
	check_transfers($node, 'postgres', $started, "round $round, shutdown");
}

# What is there when the server starts is taken up at once.
is( $node->safe_psql('postgres', q{
	SELECT count(*) FROM expense_flow.transition t WHERE NOT EXISTS (SELECT FROM expense_flow.run r WHERE r.run_id = t.run_id)}),
	'0', 'no orphans in the history');

$node->stop;
done_testing();
