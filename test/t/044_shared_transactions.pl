# Iterations of a Map that end one after the other share a transaction: quick ones do, each still has its effect once,
# and nobody waits long for what such a transaction holds.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('shared', "expense_flow.workers = 1\nexpense_flow.iteration_budget = 1s\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE TABLE effect (map text, n int);
	CREATE TABLE purse (id int PRIMARY KEY, balance int NOT NULL);
	INSERT INTO purse SELECT i, 0 FROM generate_series(0, 9) i;
	CREATE FUNCTION item(map text, n int) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.effect VALUES (map, n);
		IF map = 'purses' THEN
			UPDATE public.purse SET balance = balance + 1 WHERE id = n * 7 % 10;
		ELSIF map = 'patient' AND n = 20 THEN
			-- the others' effects are to be seen, though this transaction may have been theirs
			WHILE (SELECT count(*) FROM public.effect e WHERE e.map = 'patient') < 60 LOOP
				PERFORM pg_sleep(0.002);
			END LOOP;
		ELSIF map = 'failing' AND n % 10 = 0 THEN
			PERFORM expense_flow.fail('Tenth', n::text);
		END IF;
		RETURN n;
	END $$});
foreach my $map ('quick', 'purses', 'patient', 'failing')
{
	my $tolerated = $map eq 'failing' ? '"ToleratedFailurePercentage": 10,' : '';
	$node->safe_psql('postgres', qq{SELECT expense_flow.create_workflow('$map', '{"StartAt": "M", "States": {"M": {"Type": "Map", $tolerated
		"ItemSelector": {"map": "$map", "n.\$": "\$\$.Map.Item.Value"}, "End": true, "ItemProcessor": {"StartAt": "T", "States": {
			"T": {"Type": "Task", "Resource": "sql:public.item", "TimeoutSeconds": 150, "End": true}}}}}}')});
}

# Run a Map over the numbers up to n: its output is what it should be, and each effect is there once.
sub check
{
	my ($map, $n, $title) = @_;
	my $good = $map eq 'failing' ? 'i % 10 <> 0' : 'true';
	$node->safe_psql('postgres', "DELETE FROM effect WHERE map = '$map'");
	is($node->safe_psql('postgres', qq{
			SELECT expense_flow.start_workflow('$map', (SELECT jsonb_agg(i) FROM generate_series(1, $n) i)) AS run \\gset
			SELECT expense_flow.get_result(:'run') = (SELECT jsonb_agg(i) FROM generate_series(1, $n) i WHERE $good)}), 't', "$title: result");
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT n) FROM effect WHERE map = '$map'"),
		$map eq 'failing' ? join('|', ($n * 9 / 10) x 2) : "$n|$n", "$title: each effect once");
	return;
}

sub transactions
{
	my ($map) = @_;
	return $node->safe_psql('postgres', qq{SELECT count(DISTINCT t.xmin::text) FROM expense_flow.transition t
		WHERE t.state = 'T' AND t.run_id = (SELECT run_id FROM expense_flow.runs WHERE workflow = '$map' ORDER BY started_at DESC LIMIT 1)});
}

check('quick', 200, 'quick ones');
cmp_ok(transactions('quick'), '<', 100, 'quick ones share transactions');
check('failing', 200, 'with failures');

$node->append_conf('postgresql.conf', 'expense_flow.iteration_budget = 0');
$node->reload;
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid, 100000) FROM pg_stat_activity WHERE backend_type = \'expense_flow worker\'');
check('quick', 100, 'by themselves');
is(transactions('quick'), 100, 'with a budget of zero each has its own');

# An activity that takes long, and one that changes what another worker's transaction has changed.
$node->append_conf('postgresql.conf', "expense_flow.iteration_budget = 20ms\nexpense_flow.workers = 4");
$node->reload;
wait_for_processes($node, 'postgres', '1 4', 'four workers');
check('patient', 60, 'one that waits for the others');
check('purses', 2000, 'with locks in any order');
is($node->safe_psql('postgres', 'SELECT sum(balance), min(balance), max(balance) FROM purse'), '2000|200|200', 'the sum of all effects');
$node->stop;
done_testing();
