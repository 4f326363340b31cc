
# A process dies at each fault point (src/fault.h) in turn, under a small mixed load: the invariants hold, and everything
# ends as it should.  Statements that write kill twice under one load, before and after them; no step more often, for the
# third time in a row would park its run.  Then points raise errors, by chance.
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

# Of a statement: its text as far as its first literal, or line, goes.
my (@explicit, @statements);
foreach my $source (sort(glob("$top/src/*.c"), glob("$top/src/*/*.c")))
{
	my $text = slurp_file($source);
	push @explicit, $text =~ /\bEF_FAULT(?:_DEATH)?\("([^"]+)"\)/g;
	push @statements, $text =~ /"(?:WITH \w+ AS \()?((?:INSERT INTO|UPDATE|DELETE FROM) expense_flow\.[^"]*)/g;
}
# Not those of the application (6x): they are activities, whose effects are those of a step.
push @statements, slurp_file($_) =~ /^\t+((?:INSERT INTO|UPDATE|DELETE FROM) expense_flow\.[^;\n]*)/mg foreach sort(glob("$top/sql/[0-5]*.sql"));
s/\s+$// foreach @statements;
# What only CREATE EXTENSION does.
my %never = ('INSERT INTO expense_flow.workflow_version (workflow, version, definition, version_id)' => 1);
@statements = grep { !$never{$_} } @statements;
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
	CREATE FUNCTION fault_arm(name text, other text, action text, nth int) RETURNS void LANGUAGE c AS 'expense_flow', 'ef_fault_arm';
	CREATE FUNCTION fault_fired() RETURNS boolean LANGUAGE c AS 'expense_flow', 'ef_fault_fired';
	CREATE FUNCTION fault_end() RETURNS void LANGUAGE c AS 'expense_flow', 'ef_fault_end';
	CREATE FUNCTION fault_points(OUT name text, OUT hits bigint) RETURNS SETOF record LANGUAGE c AS 'expense_flow', 'ef_fault_points'});

$node->safe_psql('postgres', q{
	CREATE FUNCTION refuse() RETURNS void LANGUAGE sql AS $$ SELECT expense_flow.fail('Refused') $$;
	CREATE FUNCTION do_nothing() RETURNS void LANGUAGE sql AS '';
	CREATE TABLE fuse (on_fire boolean);
	INSERT INTO fuse VALUES (false);
	CREATE FUNCTION mark_and_end(id text, what text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM public.mark(id, what);
		IF (SELECT on_fire FROM public.fuse) THEN
			PERFORM public.fault_end();
		END IF;
	END $$;
	CREATE TABLE results (run_id uuid, item_index int, output jsonb);
	CREATE TABLE other (id int);
	CREATE VIEW odd_breach (what) AS
		SELECT format('results of %s: %s', run_id, array_agg(item_index)) FROM results GROUP BY run_id
			HAVING array_agg(item_index ORDER BY item_index) <> '{0,1,2}'
		UNION ALL SELECT 'a run has not written its results: ' || run_id FROM expense_flow.runs
			WHERE workflow = 'odd_writer' AND closed_at IS NOT NULL AND run_id NOT IN (SELECT run_id FROM results)
		UNION ALL SELECT 'is still captured: ' || tgname FROM pg_trigger WHERE tgrelid = 'other'::regclass
		UNION ALL SELECT 'is still a source: ' || source FROM expense_flow.event_source WHERE captured_table = 'other'::regclass
		UNION ALL SELECT 'was not dropped: ' || name FROM expense_flow.workflow WHERE name LIKE 'fresh%'
		UNION ALL SELECT 'is still granted: ' || workflow FROM expense_flow.workflow_grant
		UNION ALL SELECT 'was not dropped: ' || pattern FROM expense_flow.resource_alias WHERE pattern LIKE 'fresh%'
		UNION ALL SELECT format('of %s versions are left %s', workflow, count(*)) FROM expense_flow.workflow_version
			WHERE workflow LIKE 'fresh%' GROUP BY workflow HAVING count(*) <> 1;
	SELECT expense_flow.create_workflow('odd_end', '{"StartAt": "Mark end", "States": {"Mark end": {"Type": "Task", "Resource": "sql:public.mark_and_end",
		"Parameters": {"id.$": "$$.Execution.Name", "what": "end"}, "End": true}}}');
	SELECT expense_flow.create_workflow('odd_writer', '{"StartAt": "I", "States": {"I": {"Type": "Pass", "Result": {"items": [1, 2, 3]}, "Next": "M"}, "M": {"Type": "Map", "ItemsPath": "$.items", "End": true,
		"ResultWriter": {"Resource": "sql:public.results"}, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
			"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}}');
	SELECT expense_flow.create_workflow('odd_task', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:odd_task/a", "End": true,
		"HeartbeatSeconds": 1000, "Retry": [{"ErrorEquals": ["Odd"], "MaxAttempts": 1000}]}}}');
	SELECT expense_flow.create_workflow('odd_late', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:odd_late/a", "End": true,
		"TimeoutSeconds": 1, "Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1000}]}}}');
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
my $database = 'postgres';
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
		eval { ($ret, $out) = $node->psql($database, "\\set VERBOSITY verbose\n$sql", stderr => \$err); };
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

my $problems = 0;

sub problem
{
	my ($what) = @_;
	$problems++;
	fail($what);
	return;
}

sub restart_processes
{
	ask(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow %'});
	return;
}

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

	ask("SELECT ask(k, '$prefix-' || k, 1) FROM unnest('{odd_task,odd_cancel,odd_orphan,odd_map,odd_writer,odd_update,odd_saga,odd_skip}'::text[]) k", '23505');
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

sub settle
{
	my ($title) = @_;
	my $ended = wait_until('SELECT NOT EXISTS (SELECT FROM expense_flow.branch)');
	my $found = ask('SELECT what FROM breach UNION ALL SELECT what FROM odd_breach');
	$found = ask('SELECT workflow_id, workflow, state, status, paused_reason FROM expense_flow.runs WHERE closed_at IS NULL') . "\n$found" unless $ended;
	problem("$title: $found") if !$ended || $found ne '';
	return $ended && $found eq '';
}

# ---- the loads ----

# A task times out, and is there again.
sub time_out
{
	my ($prefix) = @_;
	my $run = "expense_flow.find_runs('$prefix-odd_late')";
	ask("SELECT ask('odd_late', '$prefix-odd_late', 1)", '23505');
	wait_until("SELECT EXISTS (SELECT FROM expense_flow.activity_tasks WHERE workflow_id = '$prefix-odd_late' AND attempt > 1)") or problem("$prefix: does not time out");
	foreach (1 .. 1000)
	{
		last if ask("SELECT EXISTS (SELECT FROM $run WHERE closed_at IS NOT NULL)") eq 't';
		ask(q{SELECT count(expense_flow.complete_activity(token)) FROM expense_flow.poll_activity('odd_late', wait => '1 s')}, 'EF011|EF006|EF002|55000');
	}
	return;
}

# A step ends its process, in good order, three times in a row: its run is parked, and goes on when that is told to it.
sub park
{
	my ($prefix) = @_;
	my $run = "expense_flow.find_runs('$prefix-odd_end')";
	ask('UPDATE fuse SET on_fire = true');
	ask("SELECT ask('odd_end', '$prefix-odd_end', 1)", '23505');
	wait_until("SELECT EXISTS (SELECT FROM $run WHERE status = 'PAUSED')") or problem("$prefix: not paused");
	my $found = ask('SELECT what FROM breach');
	problem("$prefix, paused: $found") unless $found =~ /^parked: \S+$/;
	ask('UPDATE fuse SET on_fire = false');
	ask("SELECT expense_flow.resume_workflow('$prefix-odd_end')", '55000|EF006');
	wait_until("SELECT EXISTS (SELECT FROM $run WHERE status = 'SUCCEEDED')") or problem("$prefix: not resumed");
	return;
}

# What is registered, and forgotten again.
sub register
{
	my ($prefix) = @_;
	ask(qq(SELECT expense_flow.create_workflow('fresh_$prefix', '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}')));
	ask("SELECT expense_flow.grant_start('fresh_$prefix', 'public')");
	ask("SELECT expense_flow.revoke_start('fresh_$prefix', 'public')");
	ask("SELECT expense_flow.drop_workflow('fresh_$prefix')", 'EF001');
	ask("SELECT expense_flow.create_resource_alias('fresh:$prefix', 'workflow:hop')");
	ask("SELECT expense_flow.drop_resource_alias('fresh:$prefix')", '42704');
	ask("SELECT expense_flow.capture_changes('other', 'other_$prefix')", '42710');
	ask('INSERT INTO other VALUES (1)');
	ask("SELECT expense_flow.acknowledge_changes('other_$prefix', 'me', NULL)");
	ask("SELECT expense_flow.drop_consumer('other_$prefix', 'me')", '42704');
	ask("SELECT expense_flow.stop_capturing('other_$prefix')", '42704');
	return;
}

# All that has ended and was read is removed.
sub purge
{
	my ($prefix) = @_;
	ask("SELECT ask('hop', '$prefix-hop', 1)", '23505');
	settle("$prefix: before purge") or return;
	ask('SELECT archive()');
	foreach (1 .. 1000)
	{
		ask('CALL expense_flow.purge()');
		last if ask(q{SELECT NOT EXISTS (SELECT FROM expense_flow.change_event JOIN expense_flow.event_source USING (source_id) WHERE source = 'ledger')}) eq 't';
		usleep(20_000);
	}
	my $left = ask('SELECT (SELECT count(*) FROM expense_flow.run) + (SELECT count(*) FROM expense_flow.transition) + (SELECT count(*) FROM expense_flow.closed_run)');
	problem("$prefix: $left rows are left after purge") if $left;
	return;
}

# The database finds itself where it was not before: what is open rests until that is told to go on.
sub copy
{
	my ($prefix) = @_;
	my $epoch = ask('SELECT epoch FROM expense_flow.event_feed');
	my $marks = "SELECT count(*) FROM trace WHERE id = '$prefix-listen'";
	ask("SELECT ask('listen', '$prefix-listen', 1)", '23505');
	wait_until(q{SELECT bool_and(status = 'M') FROM expense_flow.branch}) or problem("$prefix: does not wait");
	ask('UPDATE expense_flow.installation_origin SET database_id = 1');
	ask(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'expense_flow dispatcher' AND datname = current_database()});
	wait_until('SELECT held FROM expense_flow.restore_status()') or problem("$prefix: is not known as a copy");
	my $state = ask(q{SELECT reason, held_runs, (SELECT count(*) FROM expense_flow.installation_origin o, pg_database d WHERE d.oid = o.database_id AND d.datname = current_database())
		FROM expense_flow.restore_status()});
	problem("$prefix: $state") if $state ne 'is a copy of database 1|1|1';
	problem("$prefix: the feed goes on") if ask('SELECT epoch FROM expense_flow.event_feed') eq $epoch;
	ask("SELECT expense_flow.signal_workflow('$prefix-listen', 'go', '1', request_id => '1')");
	ask('CALL expense_flow.run_pending(wait_for_others => false)');
	problem("$prefix: does not rest") if ask($marks) ne '0';
	ask('SELECT expense_flow.resume_after_restore()');
	wait_until("SELECT ($marks) = 1") or problem("$prefix: does not go on");
	ask("SELECT expense_flow.signal_workflow('$prefix-listen', 'go', '2', request_id => '2')");
	return;
}

# ---- dying ----

my ($number, $kills, %died, @not_fired) = (0, 0);

sub hits
{
	return map { /^(.*)\|(\d+)$/ ? ($1 => $2) : () } split /\n/, ask(q{SELECT name || '|' || hits FROM fault_points()});
}

# The points that a load comes to, without those of others.
sub points_of
{
	my ($title, $load, $others) = @_;
	my %before = hits();
	$load->("first-$title" =~ s/-/_/gr, 1);
	settle("before any fault: $title");
	my %after = hits();
	return grep { $after{$_} > ($before{$_} // 0) && !$others->{$_}++ } sort keys %after;
}

# Those that are to be met together: of a statement, before and after it; of another point, in processes of ours and in a session.
sub pairs_of
{
	my %points = map { $_ => 1 } @_;
	my @pairs;
	foreach my $point (sort keys %points)
	{
		if ($point =~ /^before: (.*)/)
		{
			my $text = $1;
			push @pairs, [ $point, "after: $text" ] if grep { index($text, $_) >= 0 } @statements;
		}
		elsif ($point =~ /^(.*) \(in a session\)$/)
		{
			push @pairs, [$point] unless $points{$1};
		}
		elsif ($point !~ /^after: /)
		{
			my $twin = "$point (in a session)";
			push @pairs, $points{$twin} ? [ $point, $twin ] : [$point];
		}
	}
	return @pairs;
}

sub die_at
{
	my ($load, @points) = @_;
	my $fired;
	$number++;
	my $names = join ', ', (map { "'" . s/'/''/gr . "'" } @points), ('NULL') x (2 - @points);
	ask("SELECT fault_arm($names, 'kill', 1)");
	# Some are met only by processes that start.  One that is to come to a point may still be on its way when the load, of which
	# sessions do most, has ended.
	my $starts = $points[0] =~ /^(?:launcher|dispatcher|worker: (?:started|connected))/;
	foreach my $try (1 .. 10)
	{
		restart_processes() if $starts;
		$load->("k${number}_$try", 3 * $number);
		settle('killed: ' . substr($points[0], 0, 80)) or return 0;
		$fired = $starts ? wait_until('SELECT fault_fired()') : ask('SELECT fault_fired()') eq 't';
		last if $fired;
		note("not fired in try $try: " . substr($points[0], 0, 80));
		wait_until(q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'expense_flow dispatcher')});
	}
	if ($fired)
	{
		$kills += @points;
		$died{$_} = 1 foreach @points;
	}
	else
	{
		push @not_fired, join ', ', @points;
	}
	return 1;
}

# ---- all points are met ----

$consumer = start_client($node, "$lib/crash_load.py", 'consume', "$dir/consumed");
ask('SELECT archive()');
my %met;
my @loads = (
	[ usual => sub { play(@_) } ],
	[ time_out => \&time_out ],
	[ odds => \&play_odds ],
	[ park => \&park ],
	[ register => \&register ],
	[ purge => \&purge ]);
my %pairs;
foreach (@loads)
{
	my ($title, $load) = @$_;
	$pairs{$title} = [ pairs_of(points_of($title, $title eq 'usual' ? sub { play(@_); restart_processes() } : $load, \%met)) ];
	note("$title: $_->[0]") foreach @{ $pairs{$title} };
}

# ---- dying at each ----

my $began = time;
KILLING: foreach (@loads)
{
	my ($title, $load) = @$_;
	my $since = time;
	foreach my $pair (@{ $pairs{$title} })
	{
		die_at($load, @$pair) or last KILLING;
		# so that the tables stay small
		purge("p$number") unless $number % 10;
	}
	note(sprintf '%s: %d s', $title, time - $since);
}

# ---- failing at any ----

foreach my $nth (200, 80, 40)
{
	ask("SELECT fault_arm(NULL, NULL, 'errors', $nth)");
	play("e$nth", 3 * $nth, 1);
	restart_processes();
	usleep(500_000);
	ask("SELECT fault_arm(NULL, NULL, 'none', 0)");
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

# ---- a copy ----

ask("SELECT ask('terminated', 'copied', 1)", '23505');
kill 'TERM', $consumer, $example_worker;
waitpid $_, 0 foreach $consumer, $example_worker;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type = 'client backend'});
# A copied sequence counts on values that were logged for the original only: without a checkpoint, a crash takes them back.
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
$node->safe_psql('template1', 'CHECKPOINT');
ask("SELECT expense_flow.terminate_workflow('copied')", 'EF006');
$database = 'copy';
wait_until('SELECT held FROM expense_flow.restore_status()');
ask('SELECT expense_flow.resume_after_restore()');
ask("SELECT expense_flow.terminate_workflow('copied')", 'EF006');
settle('copied');
foreach my $pair (pairs_of(points_of('copy', \&copy, \%met)))
{
	note("copy: $pair->[0]");
	die_at(\&copy, @$pair) or last;
}
is(join("\n", @not_fired), '', 'a process has died at each point');
is($problems, 0, sprintf '%d kills: no breach', $kills);
diag(sprintf '%d kills in %d s', $kills, time - $began);

# ---- where processes have died ----

my @died = map { s/ \(in a session\)$//r } keys %died;
is(join("\n", grep { my $point = $_; !grep { $_ eq $point } @died } @explicit), '', 'the loads come to each point of the source');
foreach my $when ('before: ', 'after: ')
{
	is(join("\n", grep { my $text = $_; !grep { index($_, $when) == 0 && index($_, $text) > 0 } @died } @statements), '', "${when}each statement that writes");
}

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6:/, 'no crash of its own');
$node->stop;
done_testing();

END
{
	kill 'TERM', grep { defined } $consumer, $example_worker;
}
