# The disk of pg_wal is full: PANIC, and no start of the server until there is room.  Then everything is as if nothing
# had happened.  No step is blamed for it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my @unshare = unshare_mounts();
plan skip_all => 'no namespace for a small disk (unshare --user --mount)' unless @unshare;

# Nothing is removed from pg_wal, as if an archive or a standby lagged behind.
my $node = new_node('wal', q{
expense_flow.workers = 0
expense_flow.crash_retry_delay = 100ms
min_wal_size = 2MB
max_wal_size = 4MB
wal_keep_size = 1GB
}, '--wal-segsize=1');
my $wal = $node->data_dir . '/pg_wal';

# A process that has nothing to do but to keep the namespace, in which the server is started again and again.
my $keeper_in = '';
my $keeper_out = '';
my $keeper = IPC::Run::start(
	[   @unshare, 'sh', '-c', 'cp -a "$0" "$0.bare" && mount -t tmpfs -o size=64m none "$0" && chmod 700 "$0" && cp -a "$0.bare/." "$0"'
		  . ' && echo $$ && read -r until_the_test_ends', $wal ],
	'<', \$keeper_in, '>', \$keeper_out);
$keeper->pump until $keeper_out =~ /^(\d+)\n/;
my @inside = ('nsenter', "--target=$1", '--user', '--mount', '--preserve-credentials', '--');

sub inside
{
	return PostgreSQL::Test::Utils::run_log([ @inside, @_ ]);
}

sub start
{
	return inside('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '--cluster-name=wal', 'start');
}

sub is_gone
{
	return !-e $node->data_dir . '/postmaster.pid';
}

# PANICs for want of room, of workers that were at a run's step.
sub panics
{
	return scalar(() = slurp_file($node->logfile) =~
		/PANIC:  could not [^\n]*No space left on device\n[^\n]*CONTEXT:  (?:[^\n]*\n\t)*?run [0-9a-f-]+, branch 0\n/g);
}

start() or die 'no server';
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE bulk (n int, text text);
	CREATE FUNCTION bulk() RETURNS int LANGUAGE sql AS
		$$ WITH new AS (INSERT INTO bulk SELECT i, repeat('x', 400) FROM generate_series(1, 30000) i RETURNING 1) SELECT count(*)::int FROM new $$;
	CREATE FUNCTION fine() RETURNS text LANGUAGE sql AS $$ SELECT 'fine' $$;
	SELECT expense_flow.create_workflow('bulk', '{"StartAt": "First", "States": {
		"First": {"Type": "Task", "Resource": "sql:public.fine", "ResultPath": null, "Next": "Bulk"},
		"Bulk": {"Type": "Task", "Resource": "sql:public.bulk", "Parameters": {}, "End": true}}}');
	SELECT expense_flow.start_workflow('bulk', workflow_id => 'bulk')});
$node->safe_psql('postgres', start_transfers(1, 100));

# Clients go on until the disk is full.
inside('sh', '-c', 'dd if=/dev/zero of="$0/fill" bs=8k 2>&1 | tail -n 1', $wal);
my $confirmed = 100;
while ($confirmed < 100000)
{
	my $status = eval { $node->psql('postgres', start_transfers($confirmed + 1, $confirmed + 10)) };
	last if !defined $status || $status != 0;
	$confirmed += 10;
}
like(slurp_file($node->logfile), qr/PANIC:  could not .*No space left on device/, 'PANIC without room for WAL');
note("$confirmed starts were confirmed");

# Each time it gets a little room, it comes up, and the same step comes upon the end of the disk.
PostgreSQL::Test::Utils::run_log([ 'pg_ctl', '-D', $node->data_dir, '-m', 'immediate', 'stop' ]) unless is_gone();
$node->append_conf('postgresql.conf', 'expense_flow.workers = 2');
foreach my $round (1 .. 15)
{
	last if panics() >= 5;
	inside('truncate', '--size=-2M', "$wal/fill");
	start();
	foreach (1 .. 1800)
	{
		last if is_gone();
		usleep(100_000);
	}
	is_gone() or die 'the server has not ended';
}
cmp_ok(panics(), '>=', 5, 'workers PANIC in the same step');

inside('rm', "$wal/fill");
$node->append_conf('postgresql.conf', 'wal_keep_size = 0');
ok(start(), 'with room, it starts');
$node->_update_pid(1);
wait_for_runs($node, 'postgres', 'and all goes on');

# Of the last transaction nobody was told.
my $last = $node->safe_psql('postgres', "SELECT count(*) FROM generate_series($confirmed + 1, $confirmed + 10) i, expense_flow.find_runs('transfer-' || i)");
ok($last == 0 || $last == 10, 'no start in halves');
check_transfers($node, 'postgres', $confirmed + $last, 'WAL disk full');
is($node->safe_psql('postgres', q{SELECT status, (SELECT count(*) FROM bulk) FROM expense_flow.find_runs('bulk')}), 'SUCCEEDED|30000',
	'the step that was at work each time has succeeded, once');
unlike(slurp_file($node->logfile), qr/is parked/, 'no run was parked');
$node->stop;
$keeper_in = "\n";
$keeper->finish;

done_testing();
