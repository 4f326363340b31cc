# Runs that are open when a database is dumped go on in the restored one, once they are told to.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('restore', "expense_flow.workers = 2\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'original');
$node->safe_psql('original', start_transfers(1, 50));
wait_for_runs($node, 'original', 'some runs are done');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 0');
$node->reload;
wait_for_processes($node, 'original', '1 0', 'paused');
$node->safe_psql('original', start_transfers(51, 120));

my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('original') ], 'dumped');
$node->append_conf('postgresql.conf', 'expense_flow.workers = 2');
$node->reload;
wait_for_runs($node, 'original', 'the original goes on by itself');
check_transfers($node, 'original', 120, 'original');

$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'restored');
wait_for_processes($node, 'restored', '1 2', 'workers are there');
is($node->safe_psql('restored', 'SELECT count(*) FROM expense_flow.branch'), '70', 'but rest');
$node->safe_psql('restored', start_transfers(121, 130));
wait_for($node, 'restored', 'SELECT count(*) = 70 FROM expense_flow.branch', 'while new runs run');
$node->safe_psql('restored', 'BEGIN; SELECT expense_flow.resume_after_restore(); ROLLBACK');
isnt($node->psql('restored', 'SET ROLE pg_monitor; SELECT expense_flow.resume_after_restore()'), 0, 'not everybody can wake them');
is($node->safe_psql('restored', 'SELECT count(*) FROM expense_flow.branch'), '70', 'they still rest');
$node->safe_psql('restored', 'SELECT expense_flow.resume_after_restore()');
wait_for_runs($node, 'restored', 'until they are told to go on');
check_transfers($node, 'restored', 130, 'restored');
check_transfers($node, 'original', 120, 'original, untouched');

# A copied database goes on with the open runs that it has got.
$node->safe_psql('original', q{
	SELECT expense_flow.create_workflow('later', '{"StartAt": "Later", "States": {"Later": {"Type": "Wait", "Seconds": 2, "End": true}}}');
	SELECT expense_flow.start_workflow('later')});
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE original');
wait_for_runs($node, $_, "$_: the timer goes off") foreach ('original', 'copied');

# Single-user mode: nothing runs, and nothing stands in the way.
$node->stop;
command_ok(
	[ 'bash', '-c', 'echo "SELECT count(*) FROM expense_flow.branch" | postgres --single -D "$0" original', $node->data_dir ],
	'single-user mode');
$node->start;
wait_for_processes($node, 'copied', '1 2', 'started again');
$node->stop;

done_testing();
