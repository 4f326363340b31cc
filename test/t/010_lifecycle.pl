# The processes follow databases and the extension as they come and go.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('lifecycle', "expense_flow.workers = 2\nlog_min_messages = info\n");
$node->start;

# Databases without the extension are looked at and left.
$node->safe_psql('postgres', 'CREATE DATABASE plain');
wait_for_processes($node, 'plain', '0 0', 'no process stays in a database without the extension');
is(scalar(pids($node, 'launcher')), 1, 'one launcher');

# CREATE EXTENSION, and its rollback.
$node->safe_psql('postgres', 'CREATE DATABASE one');
$node->safe_psql('one', 'BEGIN; CREATE EXTENSION expense_flow; ROLLBACK');
$node->safe_psql('one', 'BEGIN; CREATE EXTENSION expense_flow; COMMIT');
wait_for_processes($node, 'one', '1 2', 'dispatcher and workers come with CREATE EXTENSION');
is( $node->safe_psql('one', "SELECT process, state, count(*) FROM expense_flow.runtime_status() WHERE database = 'one' AND process = 'dispatcher' GROUP BY 1, 2"),
	'dispatcher|running|1', 'runtime_status() shows them');

# DROP EXTENSION, and its rollback.
$node->safe_psql('one', 'BEGIN; DROP EXTENSION expense_flow; ROLLBACK');
wait_for_processes($node, 'one', '1 2', 'they are there when DROP EXTENSION has rolled back');
$node->safe_psql('one', 'DROP EXTENSION expense_flow');
wait_for_processes($node, 'one', '0 0', 'they leave with DROP EXTENSION');
$node->safe_psql('one', 'CREATE EXTENSION expense_flow');
$node->safe_psql('one', 'DROP EXTENSION expense_flow; DROP SCHEMA IF EXISTS expense_flow; CREATE EXTENSION expense_flow');
wait_for_processes($node, 'one', '1 2', 'dropped and created in a row: they are there');

# While a table is captured it needs CASCADE, and the table stays.
$node->safe_psql('one', q{CREATE TABLE kept AS SELECT 1 AS a; SELECT expense_flow.capture_changes('kept')});
isnt($node->psql('one', 'DROP EXTENSION expense_flow'), 0, 'not without CASCADE while a table is captured');
$node->safe_psql('one', 'DROP EXTENSION expense_flow CASCADE');
is($node->safe_psql('one', 'INSERT INTO kept VALUES (2); SELECT count(*) FROM kept'), '2', 'the table is there');
$node->safe_psql('one', 'CREATE EXTENSION expense_flow');
wait_for_processes($node, 'one', '1 2', 'and so are they, again');

# Who may not drop the extension cannot send them away.
$node->safe_psql('postgres', 'CREATE ROLE nobody_special LOGIN');
my @before = (pids($node, 'dispatcher'), pids($node, 'worker'));
isnt($node->psql('one', 'DROP EXTENSION expense_flow', extra_params => [ '-U', 'nobody_special' ]), 0, 'DROP EXTENSION by somebody else');
isnt($node->psql('one', 'ALTER EXTENSION expense_flow UPDATE', extra_params => [ '-U', 'nobody_special' ]), 0, 'ALTER EXTENSION, too');
is_deeply([ pids($node, 'dispatcher'), pids($node, 'worker') ], \@before, 'does nothing to them');
$node->safe_psql('one', 'ALTER EXTENSION expense_flow UPDATE');
wait_for_processes($node, 'one', '1 2', 'they come back after ALTER EXTENSION UPDATE');

# Other extensions do not matter.
my ($dispatcher) = pids($node, 'dispatcher');
my $other = $node->safe_psql('one', q{SELECT min(name) FROM pg_available_extensions WHERE name IN ('tcn', 'pgtap')});
$node->safe_psql('one', "CREATE EXTENSION $other; DROP EXTENSION $other") if $other ne '';
is((pids($node, 'dispatcher'))[0], $dispatcher, 'another extension comes and goes without them');

# Statements that need a database without sessions.
foreach my $round (1 .. 3)
{
	$node->safe_psql('postgres', 'CREATE DATABASE two TEMPLATE one');
	wait_for_processes($node, 'one', '1 2', "back in the template ($round)");
	wait_for_processes($node, 'two', '1 2', "and in its copy ($round)");
	$node->safe_psql('postgres', 'ALTER DATABASE two RENAME TO three');
	wait_for_processes($node, 'three', '1 2', "back in the renamed database ($round)");
	$node->safe_psql('postgres', 'DROP DATABASE three');
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname IN ('two', 'three')}), '0', 'databases dropped');

my $location = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$location'");
$node->safe_psql('postgres', 'ALTER DATABASE one SET TABLESPACE elsewhere');
wait_for_processes($node, 'one', '1 2', 'back in the moved database');

# A statement that fails, or whose user may not do it.
is($node->psql('postgres', 'ALTER DATABASE one RENAME TO plain'), 3, 'a rename that fails');
wait_for_processes($node, 'one', '1 2', 'back after a statement that failed');
($dispatcher) = pids($node, 'dispatcher');
isnt($node->psql('postgres', 'DROP DATABASE one', extra_params => [ '-U', 'nobody_special' ]), 0, 'not by everybody');
isnt($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE one', extra_params => [ '-U', 'nobody_special' ]), 0, 'nor a copy');
is((pids($node, 'dispatcher'))[0], $dispatcher, 'who may not drop a database cannot send its processes away');

# An open session keeps its right to be in the way.
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('one'), '-f', '-' ],
	'<', \my $session_in, '>', \my $session_out, '2>', \my $session_err);
$session_in = "SELECT 'connected';\n";
$session->pump until $session_out =~ /connected/;
my ($rc, $out, $err) = $node->psql('postgres', 'DROP DATABASE one');
like($err, qr/is being accessed by other users/, 'DROP DATABASE still fails for other sessions');
like($err, qr/There is 1 other session/, 'and counts none of ours');
wait_for_processes($node, 'one', '1 2', 'back after that');
$session_in .= "\\q\n";
$session->finish;
$node->safe_psql('postgres', 'DROP DATABASE one WITH (FORCE)');
is(processes($node, 'one'), '0 0', 'DROP DATABASE at once, with FORCE');

# Databases that already have it when the server starts.
$node->safe_psql('postgres', "CREATE DATABASE db$_") foreach (1 .. 5);
$node->safe_psql("db$_", 'CREATE EXTENSION expense_flow') foreach (1, 3, 5);
$node->restart;
wait_for_processes($node, "db$_", '1 2', "found at start: db$_") foreach (1, 3, 5);
is(processes($node, "db$_"), '0 0', "and not in db$_") foreach (2, 4);

$node->safe_psql('postgres', 'BEGIN; ALTER DATABASE db1 RENAME TO db1_new; ALTER DATABASE db3 RENAME TO db3_new; COMMIT');
wait_for_processes($node, $_, '1 2', "two renamed in one transaction: $_") foreach ('db1_new', 'db3_new');
$node->safe_psql('postgres', 'ALTER DATABASE db1_new RENAME TO db1; ALTER DATABASE db3_new RENAME TO db3');
wait_for_processes($node, $_, '1 2', "and back: $_") foreach ('db1', 'db3');

# One that is not open for connections.
$node->safe_psql('postgres', 'ALTER DATABASE db5 ALLOW_CONNECTIONS false');
$node->restart;
wait_for_processes($node, 'db3', '1 2', 'restarted');
is(processes($node, 'db5'), '0 0', 'not where connections are not allowed');
$node->safe_psql('postgres', 'ALTER DATABASE db5 ALLOW_CONNECTIONS true');
wait_for_processes($node, 'db5', '1 2', 'and there when they are');

# CREATE EXTENSION in a transaction that somebody else commits.
$node->safe_psql('db2', "BEGIN; CREATE EXTENSION expense_flow; PREPARE TRANSACTION 'create'");
is(processes($node, 'db2'), '0 0', 'nothing before COMMIT PREPARED');
$node->safe_psql('db2', "COMMIT PREPARED 'create'");
wait_for_processes($node, 'db2', '1 2', 'and everything after');

# Settings.
$node->append_conf('postgresql.conf', 'expense_flow.workers = 3');
$node->reload;
wait_for_processes($node, 'db3', '1 3', 'more workers after a reload');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 0');
$node->reload;
wait_for_processes($node, 'db3', '1 0', 'none, if so wanted');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 1');
$node->reload;
wait_for_processes($node, "db$_", '1 1', "db$_: fewer than before") foreach (1, 2, 3, 5);

# Whoever is terminated is replaced.
foreach my $kind ('worker', 'dispatcher', 'launcher')
{
	my ($pid) = pids($node, $kind);
	my $number = scalar(pids($node, $kind));
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	ok( $node->poll_query_until(
			'postgres',
			"SELECT count(*) FILTER (WHERE pid <> $pid) = $number AND count(*) = $number FROM pg_stat_activity WHERE backend_type = 'expense_flow $kind'"),
		"a terminated $kind is replaced");
}
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow %'});
wait_for_processes($node, "db$_", '1 1', "db$_: all terminated at once, all replaced") foreach (1, 2, 3, 5);
is(scalar(pids($node, 'launcher')), 1, 'the launcher, too');

# Cancel requests do nothing to processes that sleep.
@before = (pids($node, 'worker'), pids($node, 'dispatcher'), pids($node, 'launcher'));
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow %'});
$node->safe_psql('postgres', 'CREATE DATABASE after_cancel TEMPLATE db1');
wait_for_processes($node, 'after_cancel', '1 1', 'processes react after a cancel request');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid IN (" . join(',', @before) . ')') >= @before - 2,
	1, 'and are the same as before');

# kill -9 of a worker: the server restarts, and they with it.
my ($victim) = pids($node, 'worker');
kill 'KILL', $victim;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $victim"), 'killed');
wait_for_processes($node, "db$_", '1 1', "db$_: back after a crash") foreach (1, 2, 3, 5);

# Rights.
isnt($node->psql('db1', 'SELECT * FROM expense_flow.runtime_status()', extra_params => [ '-U', 'nobody_special' ]), 0, 'not for everybody');
$node->safe_psql('postgres', 'GRANT pg_monitor TO nobody_special');
is($node->psql('db1', 'SELECT * FROM expense_flow.runtime_status()', extra_params => [ '-U', 'nobody_special' ]), 0, 'but for pg_monitor');

$node->stop('smart');
pass('smart shutdown');
$node->start;
wait_for_processes($node, 'db1', '1 1', 'and up again');
$node->stop('fast');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|expense_flow.*(ERROR|FATAL)|TRAP/, 'no complaint in the log');

done_testing();
