# What TAP tests of the runtime have in common.

package ExpenseFlowTest;

use strict;
use warnings;
use Exporter 'import';
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_node processes wait_for_processes pids wait_for_runs wait_for start_after_crash
  create_transfers start_transfers check_transfers long_tests session start_program start_client
  unshare_mounts);

# While a server recovers psql may end before it has read its query, of which IPC::Run dies.  Who polls asks again.
{
	no warnings 'redefine';
	my $poll = \&PostgreSQL::Test::Cluster::poll_query_until;
	*PostgreSQL::Test::Cluster::poll_query_until = sub {
		my @arguments = @_;
		foreach (1 .. 100)
		{
			my $answer = eval { $poll->(@arguments) };
			return $answer unless $@;
			die $@ unless $@ =~ /Broken pipe/;
			usleep(100_000);
		}
		die $@;
	};
}

# A server that preloads the library, not started.
sub new_node
{
	my ($name, $settings, @initdb) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1, extra => \@initdb);
	$node->append_conf(
		'postgresql.conf', qq{
shared_preload_libraries = 'expense_flow'
max_worker_processes = 24
max_prepared_transactions = 10
log_checkpoints = off
fsync = off
restart_after_crash = on
} . ($settings // ''));
	return $node;
}

# A program as a client of the server's database postgres; returns its process.  What it says against goes to
# clients.log.
sub start_program
{
	my ($node, @command) = @_;
	my $pid = fork // die;
	if ($pid == 0)
	{
		%ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres');
		open STDOUT, '>', '/dev/null';
		open STDERR, '>>', $node->basedir . '/clients.log';
		exec @command or POSIX::_exit(1);
	}
	return $pid;
}

# The same in Python.
sub start_client
{
	my ($node, @command) = @_;
	return start_program($node, '/usr/bin/python3', @command);
}

# "dispatchers workers" of a database, as the server sees them.
sub processes_query
{
	my ($database) = @_;
	return qq{
		SELECT count(*) FILTER (WHERE backend_type = 'expense_flow dispatcher') || ' ' ||
			count(*) FILTER (WHERE backend_type = 'expense_flow worker')
		FROM pg_stat_activity WHERE datname = '$database'};
}

sub processes
{
	my ($node, $database) = @_;
	return $node->safe_psql('postgres', processes_query($database));
}

sub wait_for_processes
{
	my ($node, $database, $expected, $title) = @_;
	return ok($node->poll_query_until('postgres', processes_query($database), $expected), $title);
}

# Process ids of a kind ('worker', 'dispatcher', 'launcher').
sub pids
{
	my ($node, $kind) = @_;
	return split /\n/,
	  $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'expense_flow $kind' ORDER BY pid");
}

# Until no run is open any more.
sub wait_for_runs
{
	my ($node, $database, $title) = @_;
	return ok($node->poll_query_until($database, 'SELECT NOT EXISTS (SELECT FROM expense_flow.branch)'), $title);
}

# Until a query of a database says true.
sub wait_for
{
	my ($node, $database, $query, $title) = @_;
	return ok($node->poll_query_until($database, $query), $title);
}

# A psql of its own.  Returns a function: it sends text and waits until the output matches.
sub session
{
	my ($node, $database) = @_;
	my ($in, $out) = ('', '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($database), '-f', '-' ],
		'<', \$in, '>', \$out, '2>&1', IPC::Run::timeout(180));
	return sub {
		my ($send, $until) = @_;
		if (!defined $send)
		{
			$in .= "\\q\n";
			return $psql->finish;
		}
		$out = '';
		$in .= "$send\n";
		$psql->pump until $out =~ $until;
		return $out;
	};
}

# Workflow "transfer": three steps that each leave a trace, which no constraint keeps from being left twice.
sub create_transfers
{
	my ($node, $database) = @_;
	$node->safe_psql(
		$database, q{
		CREATE TABLE purse (id int PRIMARY KEY, balance numeric NOT NULL);
		INSERT INTO purse SELECT i, 1000 FROM generate_series(1, 20) i;
		CREATE TABLE trace (transfer int, what text);
		CREATE INDEX ON trace (transfer);
		CREATE FUNCTION withdraw(purse int, amount numeric, transfer int) RETURNS void LANGUAGE sql AS
			'UPDATE purse SET balance = balance - $2 WHERE id = $1; INSERT INTO trace VALUES ($3, ''withdraw'')';
		CREATE FUNCTION deposit(purse int, amount numeric, transfer int) RETURNS void LANGUAGE sql AS
			'UPDATE purse SET balance = balance + $2 WHERE id = $1; INSERT INTO trace VALUES ($3, ''deposit'')';
		CREATE FUNCTION record(transfer int) RETURNS int LANGUAGE sql AS
			'INSERT INTO trace VALUES ($1, ''record'') RETURNING transfer';
		SELECT expense_flow.create_workflow('transfer', '{"StartAt": "Withdraw", "States": {
			"Withdraw": {"Type": "Task", "Resource": "sql:public.withdraw", "ResultPath": null, "Next": "Deposit",
				"Parameters": {"purse.$": "$.from", "amount.$": "$.amount", "transfer.$": "$.transfer"}},
			"Deposit": {"Type": "Task", "Resource": "sql:public.deposit", "ResultPath": null, "Next": "Record",
				"Parameters": {"purse.$": "$.to", "amount.$": "$.amount", "transfer.$": "$.transfer"}},
			"Record": {"Type": "Task", "Resource": "sql:public.record",
				"Parameters": {"transfer.$": "$.transfer"}, "End": true}}}');
	});
	return;
}

# SQL that starts transfers FIRST to LAST.
sub start_transfers
{
	my ($first, $last) = @_;
	return qq{
		SELECT count(expense_flow.start_workflow('transfer', jsonb_build_object('transfer', i,
			'from', i % 20 + 1, 'to', i * 7 % 20 + 1, 'amount', i % 13), workflow_id => 'transfer-' || i))
		FROM generate_series($first, $last) i};
}

# Each transfer that was started is done, each step once, and no money came or went.
sub check_transfers
{
	my ($node, $database, $n, $title) = @_;
	is( $node->safe_psql(
			$database, q{
			SELECT count(*), count(DISTINCT transfer), count(DISTINCT (transfer, what)) FROM trace}),
		3 * $n . "|$n|" . 3 * $n,
		"$title: each step once");
	is( $node->safe_psql(
			$database, q{
			SELECT count(*) FROM purse p WHERE balance <> 1000
				- coalesce((SELECT sum(transfer % 13) FROM trace WHERE what = 'withdraw' AND transfer % 20 + 1 = p.id), 0)
				+ coalesce((SELECT sum(transfer % 13) FROM trace WHERE what = 'deposit' AND transfer * 7 % 20 + 1 = p.id), 0)}),
		'0', "$title: each purse holds what it should");
	is($node->safe_psql($database, 'SELECT sum(balance) FROM purse'), 20000, "$title: no money came or went");
	is( $node->safe_psql(
			$database, q{
			SELECT status, count(*) FROM expense_flow.runs WHERE workflow = 'transfer' GROUP BY 1}),
		"SUCCEEDED|$n", "$title: all runs succeeded");
	return;
}

# After a kill -9 of the postmaster the lock files count as held until the dead process was reaped, and its
# children have gone.
sub start_after_crash
{
	my ($node) = @_;
	foreach (1 .. 600)
	{
		# a dead process that nobody has waited for looks like a running one to start()
		$node->{_pid} = undef;
		return 1 if $node->start(fail_ok => 1);
		$node->{_pid} = undef;	# it read the dead one's
		usleep(100_000);
	}
	return 0;
}

# What runs a command where it may mount: in a namespace of its own unless one is root, which a server must not be.
# Nothing where that is not to be had.
sub unshare_mounts
{
	my @unshare = qw(unshare --user --map-current-user --keep-caps --mount);
	return PostgreSQL::Test::Utils::run_log([ @unshare, qw(sh -c), 'mount -t tmpfs -o size=1m none /tmp' ]) ? @unshare : ();
}

# How long a test under random faults goes on, in seconds.
sub long_tests
{
	my ($short, $long) = @_;
	return $ENV{EXPENSE_FLOW_LONG} ? $long : $short;
}

1;
