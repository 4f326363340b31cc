# As many branches of a Parallel or Map as there are workers run at the same time: each waits until all have come.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('workers', "expense_flow.workers = 8\n");
$node->start;
# A sequence is not transactional: a number drawn is seen by everybody at once.
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE SEQUENCE arrived;
	CREATE FUNCTION meet() RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		number int := nextval('public.arrived');
		place int := (number - 1) / 8;
	BEGIN
		WHILE (SELECT last_value FROM public.arrived) < 8 * (place + 1) LOOP
			PERFORM pg_sleep(0.005);
		END LOOP;
		RETURN place;
	END $$});

sub task
{
	my ($name) = @_;
	return qq{{"StartAt": "$name", "States": {"$name": {"Type": "Task", "Resource": "sql:public.meet", "TimeoutSeconds": 120, "End": true}}}};
}
my $task = task('Meet');
my $branches = join ', ', map { task("Meet$_") } 1 .. 8;
$node->safe_psql('postgres', qq{
	SELECT expense_flow.create_workflow('parallel', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [$branches]}}}');
	SELECT expense_flow.create_workflow('map', '{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": $task}}}');
	SELECT expense_flow.create_workflow('window', '{"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 8, "End": true, "ItemProcessor": $task}}}')});

my $all = sub { my ($place) = @_; return '[' . join(', ', ($place) x 8) . ']' };
is($node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('parallel') AS run \gset
	SELECT expense_flow.get_result(:'run')}), $all->(0), 'eight branches of a Parallel meet');
is($node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('map', '[1, 2, 3, 4, 5, 6, 7, 8]') AS run \gset
	SELECT expense_flow.get_result(:'run')}), $all->(1), 'eight items of a Map meet');
is($node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('window', jsonb_agg(i)) AS run FROM generate_series(1, 24) i \gset
	SELECT count(DISTINCT place), min(n), max(n) FROM (SELECT place, count(*) AS n
		FROM jsonb_array_elements(expense_flow.get_result(:'run')) AS place GROUP BY 1) AS meetings}),
	'3|8|8', 'and eight at a time of more items');
$node->stop;
done_testing();
