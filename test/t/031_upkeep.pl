# install_upkeep() with the real pg_cron: the jobs are registered, and really run.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# psql's answer, with an error's hint
sub answer
{
	my ($node, $database, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($database, $sql);
	return $rc == 0 ? $stdout : $stderr;
}

my $node = new_node('upkeep', "shared_preload_libraries = ''\n");
$node->start;
my $control = $node->config_data('--sharedir') . '/extension/pg_cron.control';
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');

like(answer($node, 'postgres', 'SELECT * FROM expense_flow.install_upkeep()'),
	qr/pg_cron is not available.*shared_preload_libraries.*cron\.database_name to 'postgres'/s, 'without pg_cron it says what to do');
is($node->safe_psql('postgres', 'SELECT expense_flow.remove_upkeep()'), '0', 'and there is nothing to remove');

SKIP:
{
	skip 'pg_cron is not installed', 1 unless -e $control;

	# pg_cron, and this library not preloaded: the sessions of pg_cron drive the runs too.
	$node->append_conf(
		'postgresql.conf', qq{
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
});
	$node->restart;
	like(answer($node, 'postgres', 'SELECT * FROM expense_flow.install_upkeep()'),
		qr/extension "pg_cron" is not installed.*Run CREATE EXTENSION pg_cron/s, 'pg_cron without its extension');
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
	is( $node->safe_psql('postgres', 'SELECT * FROM expense_flow.install_upkeep()'),
		"expense_flow purge (postgres)|* * * * *|CALL expense_flow.purge()\n"
		  . 'expense_flow run_pending (postgres)|* * * * *|CALL expense_flow.run_pending(wait_for_others => false)',
		'two jobs where the library is not preloaded');
	like(answer($node, 'postgres', q{SELECT * FROM expense_flow.install_upkeep('at noon')}), qr/invalid schedule/, 'a schedule that is none');
	like(answer($node, 'postgres', q{SELECT * FROM expense_flow.install_upkeep(NULL)}), qr/must not be null/, 'no schedule');
	$node->safe_psql('postgres', q{CREATE ROLE nobody LOGIN});
	like(answer($node, 'postgres', q{SET ROLE nobody; SELECT * FROM expense_flow.install_upkeep()}), qr/permission denied/, 'not for everybody');

	# @reboot: at once after a start, so that nobody waits for the next minute.
	$node->safe_psql('postgres', q{SELECT * FROM expense_flow.install_upkeep('@reboot', pending_schedule => '@reboot')});
	is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT jobname), bool_and(schedule = '@reboot') FROM cron.job}),
		'2|2|t', 'again: the jobs are replaced');

	$node->safe_psql('postgres', q{
		CREATE TABLE item (id integer PRIMARY KEY);
		SELECT expense_flow.capture_changes('item', notify => 'none');
		INSERT INTO item VALUES (1), (2);
		UPDATE expense_flow.change_event SET at = at - interval '10 days' WHERE key = '{"id": 1}';
		SELECT expense_flow.create_workflow('upkeep', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}')});
	my ($run) = $node->safe_psql('postgres', q{SELECT expense_flow.start_workflow('upkeep')}) =~ /([0-9a-f-]{36})/;
	$node->restart;
	ok( $node->poll_query_until('postgres', q{
			SELECT count(*) = 1 FROM expense_flow.change_event
			WHERE source_id = (SELECT source_id FROM expense_flow.event_source WHERE source = 'item')}),
		'pg_cron purges');
	ok($node->poll_query_until('postgres', "SELECT status = 'SUCCEEDED' FROM expense_flow.runs WHERE run_id = '$run'"),
		'pg_cron drives pending runs');
	ok( $node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM cron.job_run_details WHERE status = 'succeeded'}),
		'both jobs succeeded')
	  or diag($node->safe_psql('postgres', 'SELECT command, status, return_message FROM cron.job_run_details'));

	# With the library preloaded its own processes drive the runs.
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron, expense_flow'\n");
	$node->restart;
	is( $node->safe_psql('postgres', q{SELECT job FROM expense_flow.install_upkeep('0 3 * * *')}),
		'expense_flow purge (postgres)', 'one job where the library is preloaded');
	is($node->safe_psql('postgres', 'SELECT jobname, schedule FROM cron.job'), 'expense_flow purge (postgres)|0 3 * * *', 'the other is gone');

	# Another database: its jobs are made in pg_cron's, by the statements of the hint.
	$node->safe_psql('postgres', q{CREATE DATABASE "it's another"});
	$node->safe_psql(q{it's another}, 'CREATE EXTENSION expense_flow');
	my $hint = answer($node, q{it's another}, 'SELECT * FROM expense_flow.install_upkeep()');
	like($hint, qr/pg_cron keeps its jobs in database "postgres"/, 'in another database it says where the jobs belong');
	my ($statement) = $hint =~ /Run there: (.*)/;
	$node->safe_psql('postgres', $statement);
	is( $node->safe_psql('postgres', q{SELECT database, command FROM cron.job WHERE database <> 'postgres'}),
		q{it's another|CALL expense_flow.purge()}, 'what it says works');

	is($node->safe_psql('postgres', 'SELECT expense_flow.remove_upkeep(), expense_flow.remove_upkeep()'), '1|0', 'removed');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '1', q{and only this database's});
}

$node->stop;
done_testing();
