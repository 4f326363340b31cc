
# A mixed load (crash_workload.sql, crash_load.py) under random kill -9 of every kind of process, and immediate shutdowns.
# After each of them invariants.sql must find no breach; after some, the load is ended, and everything that was
# started must end as it should.
#
# EXPENSE_FLOW_KILLS: how many; EXPENSE_FLOW_SEED repeats a test's choices (not the machine's timing).

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use JSON::PP;
use List::Util ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $kills = $ENV{EXPENSE_FLOW_KILLS} // 40;
my $seed = $ENV{EXPENSE_FLOW_SEED} // int(rand(1_000_000));
my $kills_per_epoch = 15;
srand($seed);
diag("EXPENSE_FLOW_SEED=$seed EXPENSE_FLOW_KILLS=$kills");

my $lib = "$FindBin::RealBin/../lib";
my $node = new_node('harness', q{
expense_flow.workers = 4
expense_flow.crash_retry_delay = '200ms'
expense_flow.retention = 0
expense_flow.event_retention = -1
log_min_messages = log
log_statement = none
});
$node->start;
$node->safe_psql('postgres', slurp_file("$lib/crash_workload.sql"));
$node->safe_psql('postgres', 'CREATE VIEW breach (what) AS ' . slurp_file("$lib/invariants.sql"));
my $dir = $node->basedir;

# ---- clients ----

my ($consumer, @starters, @example_workers);

# They end when their connection breaks.
sub keep_example_workers
{
	@example_workers = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @example_workers;
	push @example_workers, start_client($node, "$FindBin::RealBin/../example_worker.py", 'crash', 'worker') while @example_workers < 2;
	return;
}

sub stop_client
{
	my ($pid) = @_;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return $?;
}

# ---- looking ----

# psql may be gone before it has read its input.
sub try_psql
{
	my ($sql) = @_;
	my ($ret, $out, $err);
	eval { ($ret, $out) = $node->psql('postgres', $sql, stderr => \$err); };
	return ($ret // 1, $out // '');
}

# The answer as soon as there is one: statements fail while the server restarts.
sub ask
{
	my ($sql) = @_;
	foreach (1 .. 3000)
	{
		my ($ret, $out) = try_psql($sql);
		return $out if $ret == 0;
		usleep(50_000);
		keep_example_workers();
	}
	return 'the server does not answer';
}

sub wait_until
{
	my ($sql) = @_;
	foreach (1 .. 3000)
	{
		return 1 if ask($sql) eq 't';
		usleep(60_000);
		keep_example_workers();
	}
	return 0;
}

sub breaches
{
	return ask('SELECT what FROM breach');
}

# ---- killing ----

my %killed;

sub backend_pids
{
	my ($condition) = @_;
	my (undef, $pids) = try_psql("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $condition ORDER BY pid");
	return split /\n/, $pids;
}

sub kill_backend
{
	my ($what, $condition) = @_;
	foreach (1 .. 600)
	{
		my @pids = backend_pids($condition);
		if (@pids)
		{
			kill 'KILL', $pids[ rand @pids ];
			$killed{$what}++;
			return;
		}
		usleep(50_000);
		keep_example_workers();
	}
	die "found no $what to kill";
}

my @victims = (
	[ 30, sub { kill_backend('worker', "backend_type = 'expense_flow worker'") } ],
	[ 10, sub { kill_backend('busy worker', "backend_type = 'expense_flow worker' AND state = 'active'") } ],
	[ 12, sub { kill_backend('dispatcher', "backend_type = 'expense_flow dispatcher'") } ],
	[ 6, sub { kill_backend('launcher', "backend_type = 'expense_flow launcher'") } ],
	[ 20, sub { kill_backend('client backend', "backend_type = 'client backend'") } ],
	[ 6, sub { kill_backend('checkpointer', "backend_type = 'checkpointer'") } ],
	[ 2, sub { kill_backend('walwriter', "backend_type = 'walwriter'") } ],
	[ 7, \&kill_postmaster ],
	[ 7, \&shut_down ],
	# not a process of the server
	[ 5, sub { kill 'KILL', $example_workers[ rand @example_workers ]; $killed{'external worker'}++; } ]);

sub kill_postmaster
{
	wait_until('SELECT true');
	$node->kill9;
	start_after_crash($node) or die 'the server does not start';
	$killed{'postmaster'}++;
	return;
}

sub shut_down
{
	wait_until('SELECT true');
	$node->stop('immediate');
	$node->start;
	$killed{'immediate shutdown'}++;
	return;
}

sub kill_something
{
	my $choice = rand(List::Util::sum(map { $_->[0] } @victims));
	foreach my $victim (@victims)
	{
		$choice -= $victim->[0];
		return $victim->[1]->() if $choice < 0;
	}
	return;
}

# ---- the invariants can be broken ----

my @mutations = (
	q{DELETE FROM expense_flow.run WHERE workflow_id = 'first-hop'},
	q{DELETE FROM expense_flow.closed_run USING expense_flow.run r WHERE closed_run.run_id = r.run_id AND r.workflow_id = 'first-hop'},
	q{DELETE FROM expense_flow.transition t USING expense_flow.run r WHERE t.run_id = r.run_id AND r.workflow_id = 'first-hop' AND t.step = 2},
	q{DELETE FROM expense_flow.transition t USING expense_flow.run r WHERE t.run_id = r.run_id AND r.workflow_id = 'first-listen'},
	q{UPDATE expense_flow.branch SET step = step + 1},
	q{UPDATE expense_flow.branch SET awaits = NULL},
	q{DELETE FROM expense_flow.branch WHERE branch_id = 0},
	q{INSERT INTO expense_flow.message (run_id, address, sent_at, payload) VALUES (gen_random_uuid(), 'signal:go', now(), '1')},
	q{INSERT INTO expense_flow.branch (run_id, branch_id, parent_id, step, data_step, status, state) SELECT run_id, 1000, 999, 1, 0, 'R', state FROM expense_flow.branch},
	q{INSERT INTO trace SELECT * FROM trace WHERE what = 'take'},
	q{DELETE FROM trace WHERE what = 'take'},
	q{DELETE FROM asked WHERE kind = 'listen'},
	q{INSERT INTO asked VALUES ('never', 'hop')},
	q{UPDATE purse SET balance = balance + 1 WHERE id = 1},
	q{UPDATE expense_flow.account SET balance = balance + 1 WHERE account_id = 1},
	q{UPDATE ledger SET v = v + 1 WHERE id = 1});

ask("SELECT ask(kind, 'first-' || kind, 1) FROM unnest('{hop,fan,listen,nap,saga,spending,money_transfer}'::text[]) kind");
ok(wait_until(q{SELECT string_agg(workflow_id, ' ') = 'first-listen' FROM expense_flow.runs WHERE status = 'RUNNING'}), 'the first runs are done, or wait');
is(breaches(), '', 'no invariant is broken');
my @unnoticed = grep { ask("BEGIN; $_; SELECT what FROM breach; ROLLBACK") eq '' } @mutations;
is("@unnoticed", '', 'it would be noticed');
ask(q{SELECT expense_flow.signal_workflow('first-listen', 'go', to_jsonb(i)) FROM generate_series(1, 2) i ORDER BY i});

# ---- the test ----

$consumer = start_client($node, "$lib/crash_load.py", 'consume', "$dir/consumed");
my ($done, $epoch, $starts, $checks) = (0, 0, 0, 0);
my $failed = 0;

# What an invariant found is told at once; a long test has no use for the thousand lines that follow.
sub check
{
	my ($found, $title) = @_;
	$checks++;
	return if $found eq '';
	$failed++;
	my @lines = split /\n/, $found;
	fail("$title: " . join("\n", @lines > 20 ? (@lines[ 0 .. 19 ], '...') : @lines));
	return;
}

sub consumed_all
{
	my $consumed = -e "$dir/consumed" ? slurp_file("$dir/consumed") : '';
	return 1 if $consumed =~ /^WRONG/;
	return 0 if $consumed eq '';
	return JSON::PP->new->canonical->encode(decode_json($consumed)->{values}) eq
	  JSON::PP->new->canonical->encode(decode_json(ask('SELECT json_object_agg(id, v) FROM ledger')));
}

sub run_epoch
{
	my ($n) = @_;
	$epoch++;
	@starters = map { start_client($node, "$lib/crash_load.py", 'start', "e$epoch-s$_", $seed + 1000 * $epoch + $_, 0.15, "$dir/accepted$_") } 1 .. 2;
	foreach (1 .. $n)
	{
		keep_example_workers();
		usleep(int(rand(2) < 1 ? rand(100_000) : rand(1_000_000)));
		kill_something();
		$done++;
		check(breaches(), "after kill $done");
	}
	check(stop_client($_) == 0 ? '' : slurp_file("$dir/clients.log"), "epoch $epoch: starter") foreach splice @starters;

	# Everything ends, and has been seen.
	check(wait_until('SELECT NOT EXISTS (SELECT FROM expense_flow.branch)') ? ''
		: 'open runs do not end: ' . ask('SELECT workflow, state, status, paused_reason FROM expense_flow.runs WHERE closed_at IS NULL LIMIT 20'), "epoch $epoch");
	check(breaches(), "epoch $epoch, at its end");
	my @accepted = map { split /\n/, slurp_file("$dir/accepted$_") } 1 .. 2;
	my %asked = map { $_ => 1 } split /\n/, ask('SELECT workflow_id FROM asked');
	check(join("\n", grep { !$asked{$_} } @accepted), "epoch $epoch: confirmed starts that are lost");
	$starts += keys %asked;
	foreach (1 .. 600)
	{
		last if consumed_all();
		usleep(100_000);
	}
	check(consumed_all() ? '' : 'the consumer has not seen all changes: ' . slurp_file("$dir/consumed"), "epoch $epoch");
	my $consumed = slurp_file("$dir/consumed");
	check($consumed =~ /^WRONG/ ? $consumed : '', "epoch $epoch: consumer");

	# What was checked is forgotten, so that a long test does not grow.
	ask('SELECT archive()');
	ask('CALL expense_flow.purge()');
	check(ask(q{SELECT 'is left after purge: ' || count(*) FROM expense_flow.run HAVING count(*) > 0}), "epoch $epoch");
	check(breaches(), "epoch $epoch, after purge");
	note(sprintf '%d kills, %d starts, %d checks, %d failed', $done, $starts, $checks, $failed) if $epoch % 5 == 0;
	return;
}

my $began = time;
while ($done < $kills && !$failed)
{
	run_epoch($kills - $done < $kills_per_epoch ? $kills - $done : $kills_per_epoch);
}
is($failed, 0, sprintf '%d kills, %d runs, %d changes read, %d checks', $done, $starts, decode_json(slurp_file("$dir/consumed"))->{count}, $checks);
diag(sprintf '%d s, %s', time - $began, join ', ', map { "$killed{$_} x $_" } sort keys %killed);
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6:/, 'no crash of its own');

$node->stop;
done_testing();

END
{
	kill 'KILL', grep { defined } $consumer, @starters, @example_workers;
}
