# Whoever shows the end of a run waits until it is on disk: with the WAL writer stopped, nobody else flushes it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('flush', "expense_flow.workers = 1\nautovacuum = off\nwal_writer_delay = 10s\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	SELECT expense_flow.create_workflow('brief', '{"StartAt": "S", "States": {"S": {"Type": "Wait", "Seconds": 0, "Next": "T"}, "T": {"Type": "Succeed"}}}')});
wait_for_processes($node, 'postgres', '1 1', 'a worker runs');
my ($writer, $background) = map {
	$node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = '$_'")
} 'walwriter', 'background writer';
kill 'STOP', $writer, $background;

for my $reader (
	[ 'get_result()', q{SELECT expense_flow.get_result('RUN', '1 minute')} ],
	[ 'the view runs', q{SELECT status FROM expense_flow.runs WHERE run_id = 'RUN'} ],
	[ 'the view history', q{SELECT type FROM expense_flow.history WHERE run_id = 'RUN'} ],
	[ 'describe_run()', q{SELECT expense_flow.describe_run('RUN')} ])
{
	my ($title, $query) = @$reader;
	my $run = $node->safe_psql('postgres', "SELECT expense_flow.start_workflow('brief')");
	ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM expense_flow.closed_run WHERE run_id = '$run')"), 'a run ends');
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	is($node->safe_psql('postgres', "SELECT pg_current_wal_flush_lsn() < '$end'"), 't', 'its end is not on disk yet');
	$query =~ s/RUN/$run/;
	$node->safe_psql('postgres', $query);
	is($node->safe_psql('postgres', "SELECT pg_current_wal_flush_lsn() >= '$end'"), 't', "but is when $title has shown it");
}

kill 'CONT', $writer, $background;
$node->stop;
done_testing();
