# 50 clients start runs while workers are terminated and killed at random: nothing is lost, nothing done twice.
# EXPENSE_FLOW_LONG makes it go on for a minute; EXPENSE_FLOW_SEED repeats a run's choices.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $seconds = long_tests(20, 60);
my $seed = $ENV{EXPENSE_FLOW_SEED} // int(rand(1_000_000));
srand($seed);
diag("EXPENSE_FLOW_SEED=$seed");

my $node = new_node('bench', "expense_flow.workers = 4\nmax_connections = 100\nlog_statement = none\nlog_min_messages = error\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');

# Each client numbers its transfers by itself, and notes in the same transaction what it has started.
$node->safe_psql('postgres', q{
	CREATE SEQUENCE transfer_number;
	CREATE TABLE started (transfer int)});
my $script = $node->basedir . '/start.sql';
PostgreSQL::Test::Utils::append_to_file(
	$script, q{
BEGIN;
SELECT nextval('transfer_number') AS n \gset
INSERT INTO started VALUES (:n);
SELECT expense_flow.start_workflow('transfer', jsonb_build_object('transfer', :n,
	'from', :n % 20 + 1, 'to', :n * 7 % 20 + 1, 'amount', :n % 13), workflow_id => 'transfer-' || :n);
END;
\sleep 20 ms
});

# A crash of the server ends all clients, so they are started anew.
my $end = time() + $seconds;
my ($terminated, $killed, $rounds) = (0, 0, 0);
while (time() < $end)
{
	my ($out, $err) = ('', '');
	my $length = int($end - time()) + 1;
	$length = 5 if $length > 5;
	my $bench = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '50', '-j', '2', '-T', $length, '-f', $script, '-d', $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	my $kill_at = time() + rand($length);
	$rounds++;
	while ($bench->pumpable)
	{
		usleep(int(rand(200_000)));

		# While the server recovers psql may end before it has read what it is to do, which dies here.
		my (undef, $pids) = eval {
			$node->psql('postgres', q{
				SELECT pid FROM pg_stat_activity WHERE backend_type IN ('expense_flow worker', 'expense_flow dispatcher')});
		};
		my @pids = split /\n/, $pids // '';
		if (@pids)
		{
			my $victim = $pids[ rand @pids ];
			if (time() > $kill_at)
			{
				kill 'KILL', $victim;
				$killed++;
				$kill_at = time() + 1000;
			}
			else
			{
				$node->psql('postgres', "SELECT pg_terminate_backend($victim)");
				$terminated++;
			}
		}
		$bench->pump_nb;
	}
	$bench->finish;
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
}
note("$rounds rounds, $terminated terminated, $killed killed");
cmp_ok($killed, '>', 0, 'processes were killed');
cmp_ok($terminated, '>', 0, 'and terminated');

wait_for_runs($node, 'postgres', 'all runs end');
my $started = $node->safe_psql('postgres', 'SELECT count(*) FROM started');
cmp_ok($started, '>', 100, "$started runs were started");
check_transfers($node, 'postgres', $started, 'pgbench');
is($node->safe_psql('postgres', 'SELECT count(*) FROM started s FULL JOIN (SELECT DISTINCT transfer FROM trace) t USING (transfer) WHERE s.transfer IS NULL OR t.transfer IS NULL'),
	'0', 'exactly those that were committed');
$node->stop;

done_testing();
