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
like($node->safe_psql('restored', 'SELECT held, reason, held_runs FROM expense_flow.restore_status()'),
	qr/^t\|was loaded from a dump of database \d+ of system \d+\|70$/, 'for a reason that is shown');
$node->restart;
wait_for_processes($node, 'restored', '1 2', 'started again');
$node->safe_psql('restored', start_transfers(131, 132) . '; CALL expense_flow.run_pending()');
wait_for($node, 'restored', 'SELECT count(*) = 70 FROM expense_flow.branch', 'a restart does not wake them');
$node->safe_psql('restored', 'SELECT expense_flow.resume_after_restore()');
wait_for_runs($node, 'restored', 'until they are told to go on');
check_transfers($node, 'restored', 132, 'restored');
check_transfers($node, 'original', 120, 'original, untouched');

# A copied database rests, too; runs that are started in it run.
$node->safe_psql('original', q{
	SELECT expense_flow.create_workflow('later', '{"StartAt": "Later", "States": {"Later": {"Type": "Wait", "Seconds": 2, "End": true}}}');
	SELECT expense_flow.start_workflow('later')});
my $oid = $node->safe_psql('original', 'SELECT oid FROM pg_database WHERE datname = current_database()');
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE original');
wait_for_processes($node, 'copied', '1 2', 'the copy has workers');
is($node->safe_psql('copied', 'SELECT held, reason, held_runs FROM expense_flow.restore_status()'), "t|is a copy of database $oid|1", 'and is known as one');
$node->safe_psql('copied', start_transfers(121, 130));
wait_for($node, 'copied', 'SELECT count(*) = 1 FROM expense_flow.branch', 'its new runs run');
wait_for_runs($node, 'original', 'the timer of the original goes off');
$node->restart;
wait_for_processes($node, 'copied', '1 2', 'started again');
$node->safe_psql('copied', start_transfers(131, 132));
wait_for($node, 'copied', 'SELECT count(*) = 1 FROM expense_flow.branch', 'the copy still rests');
$node->safe_psql('copied', 'CALL expense_flow.run_pending(); SELECT expense_flow.resume_after_restore()');
is($node->safe_psql('copied', 'SELECT * FROM expense_flow.restore_status()'), 'f|||0', 'told to go on');
wait_for_runs($node, 'copied', 'its timer goes off');
is($node->safe_psql('original', 'SELECT held FROM expense_flow.restore_status()'), 'f', 'the original was never held');

# A template that has the extension, and no open runs, makes databases that are nobody's copy.
$node->safe_psql('postgres', 'CREATE DATABASE fresh TEMPLATE copied');
wait_for_processes($node, 'fresh', '1 2', 'a copy without open runs');
is($node->safe_psql('fresh', 'SELECT held FROM expense_flow.restore_status()'), 'f', 'is not held');

# Work outside that was dumped is not handed out twice: neither what is scheduled, nor, when it times out, what was taken.
$node->safe_psql('postgres', 'CREATE DATABASE work');
$node->safe_psql('work', q{
	CREATE EXTENSION expense_flow;
	SELECT expense_flow.create_workflow('outside', '{"StartAt": "Outside", "States": {"Outside": {"Type": "Task", "Resource": "activity:work/do",
		"HeartbeatSeconds": 2, "Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1}], "End": true}}}');
	SELECT expense_flow.start_workflow('outside', workflow_id => 'outside-' || i) FROM generate_series(1, 2) i});
wait_for($node, 'work', 'SELECT count(*) = 2 FROM expense_flow.activity_task', 'work outside is scheduled');
$node->safe_psql('work', q{SELECT expense_flow.poll_activity('work')});
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.work", '-d', $node->connstr('work') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('again'), "$dump.work" ], 'restored');
my ($rc, $out, $err) = $node->psql('again', q{SELECT count(*) FROM expense_flow.poll_activity('work', max_tasks => 10, wait => '5 s')});
is($out, '0', 'the copy hands out nothing');
like($err, qr/WARNING:  tasks of queue "work" are held back: this database was loaded from a dump/, 'and says why');
$node->safe_psql('again', 'SELECT expense_flow.resume_after_restore()');
is($node->safe_psql('again', q{SELECT workflow_id FROM expense_flow.poll_activity('work', wait => '1 min')}) =~ /^outside/, 1, 'until it is told to');

# Single-user mode: nothing runs, and nothing stands in the way.
$node->stop;
command_ok(
	[ 'bash', '-c', 'echo "SELECT count(*) FROM expense_flow.branch" | postgres --single -D "$0" original', $node->data_dir ],
	'single-user mode');
$node->start;
wait_for_processes($node, 'copied', '1 2', 'started again');
$node->stop;

done_testing();
