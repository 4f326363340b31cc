# Updates while background workers run: many at once, each with one effect; senders that are killed; after a crash; and
# other roles' runs.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $node = new_node('updates', "expense_flow.workers = 3\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE ROLE keeper LOGIN;
	CREATE ROLE stranger LOGIN;
	GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO keeper;
	CREATE SCHEMA shop AUTHORIZATION keeper;
	GRANT USAGE ON SCHEMA shop TO stranger;
	SET ROLE keeper;
	CREATE TABLE shop.added (n int, total int);
	CREATE FUNCTION shop.check_n(n jsonb) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN IF n::int % 10 = 0 THEN RAISE EXCEPTION 'no tens'; END IF; END $$;
	CREATE FUNCTION shop.add(n int, total int) RETURNS int LANGUAGE sql AS $$
		INSERT INTO shop.added VALUES (n, total + n) RETURNING total $$;
	CREATE FUNCTION shop.slow(n int, total int) RETURNS int LANGUAGE sql AS $$
		SELECT pg_sleep(CASE WHEN n = 999 THEN 600 ELSE 0.001 END); SELECT shop.add(n, total) $$;
	SELECT expense_flow.create_workflow('answering', '{"StartAt": "New", "States": {
		"New": {"Type": "Pass", "Assign": {"total": 0}, "Next": "Take"},
		"Take": {"Type": "Task", "Resource": "update:add", "Validator": "sql:shop.check_n", "Respond": "Add", "Next": "Add"},
		"Add": {"Type": "Task", "Resource": "sql:shop.slow", "Parameters": {"n.$": "$", "total.$": "$total"}, "Assign": {"total.$": "$"}, "Next": "Go"},
		"Go": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericLessThan": 0, "Next": "End"}], "Default": "Take"},
		"End": {"Type": "Succeed"}}}');
});

sub value { return $node->safe_psql('postgres', "SET ROLE keeper; $_[0]") }

my $files = 0;

# Run a script in a session of its own.
sub background
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	my $file = "$PostgreSQL::Test::Utils::tmp_check/updates_" . $files++ . '.sql';
	append_to_file($file, $sql);
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-f', $file, '-d', $node->connstr('postgres') ], '>', \$out, '2>', \$err);
	return { handle => $h, out => \$out, err => \$err };
}

# Many senders at once, each with several updates, each of which is sent twice; some are refused.
value(q{SELECT expense_flow.start_workflow('answering', '{}', 'many')});
my @senders = map
{
	my $from = $_ * 20;
	background("SET ROLE keeper;\n" . join '', map
	{
		my $n = $_;
		map { "SELECT expense_flow.update_workflow('many', 'add', '$n', 'u$n', '3 minutes');\n" } 1, 2
	} $from + 1 .. $from + 20)
} 0 .. 3;
my (@answers, @errors);
foreach my $sender (@senders)
{
	$sender->{handle}->finish;
	push @answers, split /\n/, ${ $sender->{out} };
	push @errors, grep { /ERROR/ } split /\n/, ${ $sender->{err} };
}
my @sent = grep { $_ % 10 } 1 .. 80;
is(scalar(@answers), 2 * @sent, 'each update is answered, the second time as well');
is(scalar(grep { !/no tens/ } @errors), 0, 'no other errors than refusals') or diag(join "\n", @errors);
is(scalar(@errors), 16, 'each of which the sender hears of');
my $sum = 0;
$sum += $_ foreach @sent;
is(value('SELECT count(*), count(DISTINCT n), sum(n), max(total) FROM shop.added'), scalar(@sent) . "|" . scalar(@sent) . "|$sum|$sum", 'each has one effect, one after the other');
is(value(q{SELECT expense_flow.query_workflow('many', 'variables')}), qq({"total": $sum}), 'which the run remembers');
my %seen;
$seen{$_}++ foreach @answers;
is(scalar(grep { $_ != 2 } values %seen), 0, 'and the answers are those of the same update');

# A sender is killed while the run works for it: the run waits as before.
my $killed = background(q{SET ROLE keeper; SELECT expense_flow.update_workflow('many', 'add', '999', 'lost');} . "\n");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%999%' AND pid <> pg_backend_pid()}), 'an update is at work');
is(value(q{SELECT b.state, b.status FROM expense_flow.branches b JOIN expense_flow.find_runs('many') USING (run_id)}), 'Take|AWAITING', 'which nobody sees');
is(value(q{SELECT expense_flow.signal_workflow('many', 'any') IS NOT NULL}), 't', 'and a signal does not wait for it');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%999%' AND pid <> pg_backend_pid()});
$killed->{handle}->finish;
is(value(q{SELECT expense_flow.update_workflow('many', 'add', '1', 'lost', '3 minutes')}), $sum + 1, 'its update_id is free');
value('DELETE FROM shop.added');

# A statement that is canceled while it waits for an update that others have at work.
my $holder = background(q{SET ROLE keeper; SELECT expense_flow.update_workflow('many', 'add', '999');} . "\n");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%999%' AND pid <> pg_backend_pid()}), 'an update is at work');
my ($code, $out, $err) = $node->psql('postgres', q{SET ROLE keeper; SET statement_timeout = '200 ms'; SELECT expense_flow.update_workflow('many', 'add', '2')});
like($err, qr/canceling statement due to statement timeout/, 'the wait can be interrupted');
($code, $out, $err) = $node->psql('postgres', q{SET ROLE keeper; SET lock_timeout = '200 ms'; SELECT expense_flow.update_workflow('many', 'add', '2')});
like($err, qr/canceling statement due to lock timeout/, 'and limited by lock_timeout');
($code, $out, $err) = $node->psql('postgres', q{\set VERBOSITY verbose
SET ROLE keeper; SELECT expense_flow.update_workflow('many', 'add', '2', timeout => '200 ms')});
like($err, qr/EF012: +update "add" was not taken by the run with workflow_id "many" within the timeout/, 'and by its own timeout');

# A crash in the middle: of what was answered nothing is lost, of the other nothing is left.
is(value(q{SELECT expense_flow.update_with_start('answering', 'crash', 'add', '7', '{}', 'c7')}), '7', 'one is answered');
$node->stop('immediate');
$holder->{handle}->finish;
$node->start;
is(value(q{SELECT expense_flow.update_with_start('answering', 'crash', 'add', '7', '{}', 'c7', '3 minutes')}), '7', 'and is known after a crash');
is(value(q{SELECT expense_flow.update_workflow('crash', 'add', '8', 'c8', '3 minutes')}), '15', 'the run goes on from there');
is(value(q{SELECT expense_flow.update_workflow('many', 'add', '2', 'again', '3 minutes')}), $sum + 3, 'as does the one whose update was lost');
is(value('SELECT string_agg(n::text, $$,$$ ORDER BY total) FROM shop.added'), "7,8,2", 'with their effects');

# Sent by the quick iterations of a Map, which share transactions: some of them to runs that end a branch with it, which
# is not to be taken for an iteration of theirs.
$node->safe_psql('postgres', q{
	SET ROLE keeper;
	CREATE FUNCTION shop.tell(n int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT expense_flow.update_with_start('listening', 'listening ' || n % 20, 'word', to_jsonb(n), update_id => n::text, timeout => '3 minutes') $$;
	SELECT expense_flow.create_workflow('listening', '{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemsPath": "$.items", "End": true, "ItemProcessor": {"StartAt": "U", "States": {
		"U": {"Type": "Task", "Resource": "update:word", "Respond": "R", "Next": "R"}, "R": {"Type": "Pass", "End": true}}}}}}');
	SELECT expense_flow.create_workflow('telling', '{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "T", "States": {
		"T": {"Type": "Task", "Resource": "sql:shop.tell", "Parameters": {"n.$": "$"}, "End": true}}}}}}');
	SELECT count(expense_flow.start_workflow('listening', '{"items": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}', 'listening ' || i)) FROM generate_series(0, 19) i});
$node->safe_psql('postgres', q{SET ROLE keeper; SELECT expense_flow.start_workflow('telling', (SELECT jsonb_agg(i) FROM generate_series(0, 199) i), 'telling')});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 21 FROM expense_flow.runs WHERE workflow IN ('telling', 'listening') AND status = 'SUCCEEDED'}), 'iterations that share transactions send updates');
is(value(q{SELECT jsonb_agg(i) = (SELECT output FROM expense_flow.find_runs('telling')) FROM generate_series(0, 199) i}), 't', 'each gets its answer');
is(value(q{SELECT count(*), count(DISTINCT v), count(DISTINCT workflow_id) FROM expense_flow.runs, jsonb_array_elements(output) v WHERE workflow = 'listening'}), '200|200|20', 'and each was taken once');

# A copy of a database, whose runs rest.
$node->safe_psql('postgres', q{UPDATE expense_flow.installation SET held_through = (SELECT max(run_id::text)::uuid FROM expense_flow.runs), held_since = now(), hold_reason = 'is a copy'});
($code, $out, $err) = $node->psql('postgres', q{SET ROLE keeper; SELECT expense_flow.update_workflow('many', 'add', '3')});
like($err, qr/the run with workflow_id "many" is held back: this database is a copy/, 'runs that are held back take none');
is(value(q{SELECT expense_flow.update_with_start('answering', 'new', 'add', '3')}), '3', 'new ones do');
$node->safe_psql('postgres', q{UPDATE expense_flow.installation SET held_through = NULL, held_since = NULL, hold_reason = NULL});

# Other roles.
($code, $out, $err) = $node->psql('postgres', q{SELECT expense_flow.update_workflow('many', 'add', '3')}, extra_params => [ '-U', 'stranger' ]);
like($err, qr/no run has workflow_id "many"/, 'a stranger cannot send one');
($code, $out, $err) = $node->psql('postgres', q{SELECT expense_flow.query_workflow('many')}, extra_params => [ '-U', 'stranger' ]);
like($err, qr/no run has workflow_id "many"/, 'nor ask');
($code, $out, $err) = $node->psql('postgres', q{SELECT expense_flow.update_with_start('answering', 'mine', 'add', '3')}, extra_params => [ '-U', 'stranger' ]);
like($err, qr/update "add" failed: insufficient_privilege/, 'a run of his own has his rights only');
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE workflow_id = 'mine'}), '0', 'and is not there then');
is($node->safe_psql('postgres', q{SELECT expense_flow.update_workflow('many', 'add', '-1001', timeout => '3 minutes')}), $sum - 998, 'a superuser may');
is(value(q{SELECT count(*) FROM shop.added WHERE n = -1001}), '1', 'and the activity is the owner\'s');

$node->stop;
done_testing();
