
# A process dies at each fault point (src/fault.h) in turn, under a small mixed load: the invariants hold, and everything
# ends as it should.  Then points raise errors, by chance.
#
# The library is built with -DEF_FAULT_POINTS, and used in a copy of the private installation.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename;
use FindBin;
use JSON::PP;
use POSIX ();
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $top = abs_path("$FindBin::RealBin/../..");
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my ($install, $inside) = $bindir =~ m{^(.*/tmp_install)(/.*)/bin$};
plan skip_all => 'needs a private copy of PostgreSQL (make check)' unless defined $install;

my $scratch = PostgreSQL::Test::Utils::tempdir;
my $lib = "$FindBin::RealBin/../lib";

# ---- the points that there should be ----

my @sources = sort(glob("$top/src/*.c"), glob("$top/src/*/*.c"));
my (@explicit, @statements);
foreach my $source (@sources)
{
	my $text = slurp_file($source);
	push @explicit, $text =~ /\bEF_FAULT(?:_DEATH)?\("([^"]+)"\)/g;
	# Statements of the engine, as far as their first literal goes.
	push @statements, $text =~ /\{\s*"((?:INSERT|UPDATE|DELETE)[^"]*)"/g if $text =~ /EfStatement \w+(?:\[\w+\])? =/;
}
my %times;
$times{$_}++ foreach @explicit;
is(join(', ', grep { $times{$_} > 1 } sort keys %times), '', 'no two fault points have the same name');

# ---- a library with them ----

mkdir "$scratch/build" or die;
system("cp -r '$top/src' '$top/sql' '$top/Makefile' '$top/expense_flow.control' '$scratch/build' && find '$scratch/build' -name '*.o' -delete") == 0 or die;
system("cp -r '$install' '$scratch/install'") == 0 or die;
chomp(my $libdir = `'$scratch/install$inside/bin/pg_config' --pkglibdir`);
# without the flags of make check-debug: what they look for they find in the other tests
system_log('make', '-s', '-j2', '-C', "$scratch/build", "PG_CONFIG=$scratch/install$inside/bin/pg_config", 'COPT=-O0 -DEF_FAULT_POINTS', 'expense_flow.so') == 0
  or die 'the library with fault points could not be built';
unlink "$libdir/expense_flow.so";
system_or_bail('cp', "$scratch/build/expense_flow.so", "$libdir/expense_flow.so");

my $node = PostgreSQL::Test::Cluster->new('faults', install_path => "$scratch/install$inside");
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'expense_flow'
max_worker_processes = 24
fsync = off
restart_after_crash = on
expense_flow.workers = 3
expense_flow.crash_retry_delay = '20ms'
expense_flow.transaction_budget = 0
expense_flow.retention = 0
expense_flow.event_retention = -1
});
$node->start;
$node->safe_psql('postgres', slurp_file("$lib/crash_workload.sql"));
$node->safe_psql('postgres', 'CREATE VIEW breach (what) AS ' . slurp_file("$lib/invariants.sql"));
$node->safe_psql('postgres', q{
	CREATE FUNCTION fault_arm(name text, action text, nth int) RETURNS void LANGUAGE c AS 'expense_flow', 'ef_fault_arm';
	CREATE FUNCTION fault_fired() RETURNS boolean LANGUAGE c AS 'expense_flow', 'ef_fault_fired';
	CREATE FUNCTION fault_points(OUT name text, OUT hits bigint) RETURNS SETOF record LANGUAGE c AS 'expense_flow', 'ef_fault_points'});

$node->safe_psql('postgres', q{
	CREATE FUNCTION refuse() RETURNS void LANGUAGE sql AS $$ SELECT expense_flow.fail('Refused') $$;
	CREATE FUNCTION do_nothing() RETURNS void LANGUAGE sql AS '';
	SELECT expense_flow.create_workflow('odd_task', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:odd_task/a", "End": true,
		"HeartbeatSeconds": 1000, "Retry": [{"ErrorEquals": ["Odd"], "MaxAttempts": 1000}]}}}');
	SELECT expense_flow.create_workflow('odd_cancel', '{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "activity:odd_cancel/a", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "B"}], "End": true},
		"B": {"Type": "Wait", "Seconds": 1, "Next": "C"}, "C": {"Type": "Pass", "End": true}}}');
	SELECT expense_flow.create_workflow('odd_orphan', '{"StartAt": "P", "States": {"Caught": {"Type": "Pass", "End": true},
		"P": {"Type": "Parallel", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}], "End": true, "Branches": [
			{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:odd_orphan/a", "End": true}}},
			{"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "signal:fail", "Next": "F"}, "F": {"Type": "Fail", "Error": "Asked"}}}]}}}');
	SELECT expense_flow.create_workflow('odd_map', '{"StartAt": "I", "States": {"I": {"Type": "Pass", "Result": {"items": [1, 2, 3]}, "Next": "M"}, "M": {"Type": "Map", "ItemsPath": "$.items", "ToleratedFailurePercentage": 100, "End": true,
		"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
			"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.refuse", "End": true}}}}}}');
	SELECT expense_flow.create_workflow('odd_update', '{"StartAt": "U", "States": {"U": {"Type": "Task", "Resource": "update:poke", "Assign": {"poked": true}, "End": true}}}');
	SELECT expense_flow.create_workflow('odd_saga', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.do_nothing", "Parameters": {},
		"Compensate": {"Resource": "sql:public.do_nothing", "Parameters": {}}, "End": true}}}');
	SELECT expense_flow.create_workflow('odd_skip', '{"StartAt": "A", "States": {"B": {"Type": "Fail", "Error": "Odd"}, "A": {"Type": "Task", "Resource": "sql:public.do_nothing", "Parameters": {},
		"Compensate": {"Resource": "sql:public.refuse", "Parameters": {}}, "Next": "B"}}}')});

# ---- clients ----

my $dir = $node->basedir;
my ($consumer, $example_worker);

sub keep_example_worker
{
	return if defined $example_worker && waitpid($example_worker, POSIX::WNOHANG()) == 0;
	$example_worker = start_client($node, "$FindBin::RealBin/../example_worker.py", 'crash', 'worker');
	return;
}

# Repeated until it succeeds, or fails with an error that is expected.
sub ask
{
	my ($sql, $expected) = @_;
	my $err;
	foreach (1 .. 3000)
	{
		my ($ret, $out);
		$err = '';
		keep_example_worker();
		eval { ($ret, $out) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", stderr => \$err); };
		return $out if defined $ret && $ret == 0;
		return $1 if defined $expected && $err =~ /ERROR:  ($expected)/;
		last if $err =~ /ERROR:  (?!40001)/;
		usleep(20_000);
	}
	die "$sql: $err";
}

sub wait_until
{
	my ($sql) = @_;
	foreach (1 .. 6000)
	{
		return 1 if ask($sql) eq 't';
		usleep(20_000);
	}
	return 0;
}

# ---- the load ----

my @kinds = qw(hop fan outside listen nap family saga spending money_transfer canceled terminated);

sub play
{
	my ($prefix, $n, $one_by_one) = @_;
	# If a commit was not confirmed, it may have been made.  Where errors come often, no long transaction succeeds.
	ask("SELECT ask(k, '$prefix-' || k, $n) FROM unnest('{$_}'::text[]) k", '23505') foreach $one_by_one ? @kinds : join(',', @kinds);
	foreach my $i (1, 2)
	{
		ask("SELECT expense_flow.signal_workflow('$prefix-listen', 'go', '$i', request_id => '$i')", 'EF006');
	}
	# A task that was handed out in vain would keep us waiting for its timeout.
	ask("SELECT expense_flow.cancel_workflow('$prefix-canceled')", 'EF006');
	ask("SELECT expense_flow.terminate_workflow('$prefix-terminated')", 'EF006');
	ask('CALL expense_flow.run_pending(wait_for_others => false)');
	return;
}

# What does not belong to a usual load; it leaves no marks.
sub play_odds
{
	my ($prefix) = @_;
	my $open = sub { "EXISTS (SELECT FROM expense_flow.find_runs('$prefix-$_[0]') WHERE closed_at IS NULL)" };
	my $until_closed = sub {
		my ($kind, $sql) = @_;
		foreach (1 .. 1000)
		{
			return if ask('SELECT ' . $open->($kind)) eq 'f';
			ask($sql, 'EF011|EF006|EF002|55000');
		}
		die "$prefix-$kind does not end";
	};
	my $until_taken = sub {
		my ($kind) = @_;
		foreach (1 .. 1000)
		{
			return if ask("SELECT count(*) > 0 FROM expense_flow.activity_tasks WHERE workflow_id = '$prefix-$kind' AND status = 'STARTED'") eq 't';
			ask("SELECT count(*) FROM expense_flow.poll_activity('$kind')");
		}
		die "nobody takes the task of $prefix-$kind";
	};

	ask("SELECT ask(k, '$prefix-' || k, 1) FROM unnest('{odd_task,odd_cancel,odd_orphan,odd_map,odd_update,odd_saga,odd_skip}'::text[]) k", '23505');
	ask("SELECT expense_flow.start_workflow('odd_saga', '{}', request_id => '$prefix')");
	ask("SELECT count(*) FROM expense_flow.start_workflows('odd_saga', '{1,2}')");
	ask(q{SELECT expense_flow.grant_queue('odd_task', 'public'), expense_flow.revoke_queue('odd_task', 'public')});
	ask(q{SELECT count(expense_flow.heartbeat_activity(token, '1')), count(expense_flow.fail_activity(token, 'Odd', retry_delay => '0'))
		FROM expense_flow.poll_activity('odd_task', wait => '10 s')});
	$until_closed->('odd_task', q{SELECT count(expense_flow.complete_activity(token)) FROM expense_flow.poll_activity('odd_task', wait => '1 s')});
	foreach my $kind ('odd_cancel', 'odd_orphan')
	{
		$until_taken->($kind);
		ask($kind eq 'odd_cancel' ? "SELECT expense_flow.cancel_workflow('$prefix-$kind')"
			: "SELECT expense_flow.signal_workflow('$prefix-$kind', 'fail', request_id => '1')", 'EF006');
	}
	$until_closed->('odd_update', "SELECT expense_flow.update_workflow('$prefix-odd_update', 'poke', '1', '1', '100 s')");
	$until_closed->('odd_skip', "SELECT pg_sleep(0.05), expense_flow.skip_compensation('$prefix-odd_skip')");
	return;
}

sub points_met
{
	return map { split /\|/ } split /\n/, ask(q{SELECT name || '|' || hits FROM fault_points()});
}

sub restart_processes
{
	ask(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow %'});
	return;
}

my $problems = 0;

sub settle
{
	my ($title) = @_;
	my $ended = wait_until('SELECT NOT EXISTS (SELECT FROM expense_flow.branch)');
	my $found = ask('SELECT what FROM breach');
	if (!$ended || $found ne '')
	{
		$problems++;
		$found = ask('SELECT workflow_id, workflow, state, status, paused_reason FROM expense_flow.runs WHERE closed_at IS NULL') . "\n$found" unless $ended;
		fail("$title: $found");
	}
	return $ended && $found eq '';
}

# ---- all points are met ----

$consumer = start_client($node, "$lib/crash_load.py", 'consume', "$dir/consumed");
play('first', 1);
restart_processes();
settle('before any fault');
my %usual = points_met();
play_odds('first');
settle('before any fault, the odds');
my %odd = points_met();

# One whose process ends in good order, but because of its step, three times in a row: parked as if it had crashed.
ask("SELECT ask('resumed', 'parked', 1)", '23505');
ok(wait_until(q{SELECT bool_and(status = 'AWAITING') FROM expense_flow.branches}), 'a run waits');
ask("SELECT fault_arm('after an activity', 'exits', 1)");
ask("SELECT expense_flow.signal_workflow('parked', 'go', '1', request_id => '1')");
ok(wait_until(q{SELECT bool_or(status = 'PAUSED') FROM expense_flow.runs}), 'it is parked after three processes have ended at its step');
like(ask('SELECT what FROM breach'), qr/^parked: \S+$/, 'nothing else is wrong');
ask("SELECT fault_arm(NULL, 'none', 0)");
ask("SELECT expense_flow.resume_workflow('parked')", '55000');
ask("SELECT expense_flow.signal_workflow('parked', 'go', '2', request_id => '2')");
settle('resumed');

# ---- dying at each ----

my $began = time;
my ($number, @not_fired) = (0);
foreach my $point (sort keys %odd)
{
	my $name = $point =~ s/'/''/gr;
	$number++;
	ask("SELECT fault_arm('$name', 'kill', 1)");
	restart_processes() if $point =~ /^(?:launcher|dispatcher|worker: (?:started|connected))/;
	$usual{$point} ? play("k$number", 3 * $number) : play_odds("k$number");
	ask('CALL expense_flow.purge()') if $point =~ /^purge/;
	last unless settle("killed: " . substr($point, 0, 80));
	push @not_fired, $point unless wait_until('SELECT fault_fired()');
	# so that the tables stay small
	next if $number % 10;
	ask('SELECT archive()');
	ask('CALL expense_flow.purge()');
}
is(join("\n", @not_fired), '', 'a process has died at each point');
is($problems, 0, sprintf '%d points: no breach', $number);
diag(sprintf '%d points in %d s', $number, time - $began);

# ---- failing at any ----

foreach my $nth (100, 40, 20)
{
	ask("SELECT fault_arm(NULL, 'errors', $nth)");
	play("e$nth", 3 * $nth, 1);
	restart_processes();
	usleep(500_000);
	ask("SELECT fault_arm(NULL, 'none', 0)");
	last unless settle("an error at one point in $nth");
}
is($problems, 0, 'errors: no breach');

# ---- what has been seen ----

my $seen = 0;
foreach (1 .. 600)
{
	my $consumed = slurp_file("$dir/consumed");
	$seen = $consumed !~ /^WRONG/
	  && JSON::PP->new->canonical->encode(decode_json($consumed)->{values}) eq
	  JSON::PP->new->canonical->encode(decode_json(ask('SELECT json_object_agg(id, v) FROM ledger')));
	last if $seen || $consumed =~ /^WRONG/;
	usleep(100_000);
}
ok($seen, 'the consumer has seen every change once, in order') or diag(slurp_file("$dir/consumed"));

# A copy of the database holds what was open.
ask("SELECT ask('terminated', 'copied', 1)", '23505');
kill 'TERM', $consumer, $example_worker;
waitpid $_, 0 foreach $consumer, $example_worker;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type = 'client backend'});
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
$node->poll_query_until('copy', 'SELECT count(*) = 1 FROM expense_flow.installation WHERE hold_reason IS NOT NULL');
$node->safe_psql('copy', 'SELECT expense_flow.resume_after_restore()');
ask("SELECT expense_flow.terminate_workflow('copied')", 'EF006');
settle('copied');

# ---- what has been met ----

my %met = points_met();
is(join("\n", grep { !$met{$_} } @explicit), '', 'the load comes to each point of the source');
is(join("\n", grep { my $statement = $_; !grep { index($_, $statement) == 0 } keys %met } @statements), '', 'and to each statement that writes');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6:/, 'no crash of its own');
$node->stop;
done_testing();

END
{
	kill 'TERM', grep { defined } $consumer, $example_worker;
}
