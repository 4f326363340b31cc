# kill -9 of workers and of the postmaster in the middle of nested Parallel and Map: each item's effect exactly once,
# and exact results.  EXPENSE_FLOW_LONG makes it go on for a minute; EXPENSE_FLOW_SEED repeats a run's choices.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $rounds = long_tests(5, 40);
my $seed = $ENV{EXPENSE_FLOW_SEED} // int(rand(1_000_000));
srand($seed);
diag("EXPENSE_FLOW_SEED=$seed");

my $node = new_node('forks', "expense_flow.workers = 4\nlog_min_messages = fatal\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE TABLE effect (forest int, place text, n int);
	CREATE FUNCTION leaf(forest int, place text, n int) RETURNS int LANGUAGE sql AS
		'INSERT INTO effect VALUES ($1, $2, $3) RETURNING n * 2'});

# A Parallel of: a Map of Maps; a Map of Parallels, a few at a time, each item in two steps; a Map that tolerates
# the failure of every tenth item.
my $leaf = sub {
	my ($place, $next) = @_;
	return qq{{"Type": "Task", "Resource": "sql:public.leaf", "Parameters": {"forest.\$": "\$\$.Execution.Input.forest",
		"place": "$place", "n.\$": "\$.n"}, $next}};
};
my $number = '"ItemSelector": {"n.$": "$$.Map.Item.Value"}';
my $maps = qq{{"StartAt": "Outer", "States": {"Outer": {"Type": "Map", "ItemsPath": "\$.outer", "End": true,
	"ItemProcessor": {"StartAt": "Inner", "States": {"Inner": {"Type": "Map", $number, "End": true,
		"ItemProcessor": {"StartAt": "Leaf", "States": {"Leaf": @{[$leaf->('maps', '"End": true')]}}}}}}}}}};
my $parallels = qq{{"StartAt": "Few", "States": {"Few": {"Type": "Map", "ItemsPath": "\$.few", $number, "MaxConcurrency": 3, "End": true,
	"ItemProcessor": {"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
		{"StartAt": "First", "States": {"First": @{[$leaf->('first', '"ResultPath": null, "Next": "Second"')]},
			"Second": @{[$leaf->('second', '"End": true')]}}},
		{"StartAt": "Third", "States": {"Third": @{[$leaf->('third', '"End": true')]}}}]}}}}}}};
my $tolerant = qq{{"StartAt": "Most", "States": {"Most": {"Type": "Map", "ItemsPath": "\$.most", $number, "ToleratedFailurePercentage": 10, "End": true,
	"ItemProcessor": {"StartAt": "Is", "States": {"Is": {"Type": "Choice", "Default": "Good",
			"Choices": [{"Variable": "\$.n", "NumericLessThan": 0, "Next": "Bad"}]},
		"Bad": @{[$leaf->('bad', '"Next": "Fail"')]}, "Fail": {"Type": "Fail", "Error": "Bad"},
		"Good": @{[$leaf->('good', '"End": true')]}}}}}}};
$node->safe_psql('postgres', qq{SELECT expense_flow.create_workflow('forest', '{"StartAt": "All", "States": {
	"All": {"Type": "Parallel", "End": true, "Branches": [$maps, $parallels, $tolerant]}}}')});

my $input = q{jsonb_build_object('forest', f,
	'outer', (SELECT jsonb_agg((SELECT jsonb_agg(o * 100 + i) FROM generate_series(1, 10) i)) FROM generate_series(1, 5) o),
	'few', (SELECT jsonb_agg(i) FROM generate_series(1, 20) i),
	'most', (SELECT jsonb_agg(CASE WHEN i % 10 = 0 THEN -i ELSE i END) FROM generate_series(1, 50) i))};
my $output = q{jsonb_build_array(
	(SELECT jsonb_agg((SELECT jsonb_agg(2 * (o * 100 + i)) FROM generate_series(1, 10) i)) FROM generate_series(1, 5) o),
	(SELECT jsonb_agg(jsonb_build_array(2 * i, 2 * i)) FROM generate_series(1, 20) i),
	(SELECT jsonb_agg(2 * i) FROM generate_series(1, 50) i WHERE i % 10 <> 0))};
my $effects = 5 * 10 + 3 * 20 + 50;
my $started = 0;
my $batch = 20;

sub count_effects
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM effect');
}

# Start some runs and wait for a random part of their effects; are they in the middle of it then?
sub come_to_the_middle
{
	foreach (1 .. 20)
	{
		my $before = $started * $effects;
		my $wanted = $before + int($batch * $effects * (0.02 + rand(0.6)));
		my ($first, $last) = ($started + 1, $started + $batch);
		$node->safe_psql('postgres', qq{
			SELECT count(expense_flow.start_workflow('forest', $input)) FROM generate_series($first, $last) f});
		$started = $last;
		usleep(2000) until count_effects() >= $wanted;
		return 1 if count_effects() < $started * $effects;
		wait_for_runs($node, 'postgres', 'too late: all done before the kill');
	}
	return 0;
}

sub check
{
	my ($title) = @_;
	wait_for_runs($node, 'postgres', "$title: all runs end");
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (forest, place, n)), count(DISTINCT forest) FROM effect'),
		join('|', $started * $effects, $started * $effects, $started), "$title: each effect once");
	is($node->safe_psql('postgres', qq{SELECT status, output = $output, count(*) FROM expense_flow.runs GROUP BY 1, 2}),
		"SUCCEEDED|t|$started", "$title: exact results");
	return;
}

my %kills = (
	worker => sub {
		my @pids;
		usleep(1000) until @pids = pids($node, 'worker');
		my $victim = $pids[ rand @pids ];
		kill 'KILL', $victim;
		$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $victim");
	},
	terminated => sub {
		foreach (1 .. 10)
		{
			my @pids = pids($node, 'worker');
			$node->safe_psql('postgres', "SELECT pg_terminate_backend($pids[rand @pids])") if @pids;
			usleep(int(rand(5000)));
		}
	},
	postmaster => sub {
		$node->kill9;
		start_after_crash($node) or die 'the server does not start';
	});
my @order = ('worker', 'postmaster', 'terminated');

foreach my $round (0 .. $rounds - 1)
{
	my $kind = $order[ $round % @order ];
	ok(come_to_the_middle(), "round $round: at work");
	$kills{$kind}->();
	check("round $round, $kind");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.branch'), '0', 'nothing is left');
$node->stop;
done_testing();
