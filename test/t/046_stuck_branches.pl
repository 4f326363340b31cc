# Errors of the engine itself that come at each attempt: after 20 in a row the run is PAUSED, unless time can mend it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('stuck', "expense_flow.workers = 2\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($node, 'postgres');

# Histories whose rows a superuser's trigger refuses, by the name of the state; and rows of branches that are to be parked.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE refusal (state text PRIMARY KEY, code text, message text);
	GRANT SELECT ON refusal TO PUBLIC;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE refusal public.refusal;
		BEGIN
			SELECT r.* INTO refusal FROM public.refusal r WHERE r.state = CASE TG_TABLE_NAME WHEN 'branch' THEN 'parked' ELSE NEW.state END;
			IF FOUND THEN
				RAISE EXCEPTION USING errcode = refusal.code, message = refusal.message;
			END IF;
			RETURN NEW;
		END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON expense_flow.transition FOR EACH ROW EXECUTE FUNCTION refuse();
	CREATE TRIGGER refuse BEFORE UPDATE ON expense_flow.branch FOR EACH ROW WHEN (NEW.status = 'P') EXECUTE FUNCTION refuse();
	INSERT INTO refusal VALUES
		('Limit', '54000', 'too much: ' || repeat('ä', 2000)),
		('Disk', '53100', 'the disk is full'),
		('Broken', 'XX000', 'broken'),
		('parked', '42501', 'nothing is parked');
	CREATE FUNCTION fine() RETURNS text LANGUAGE sql AS $$ SELECT 'fine' $$;
	SELECT expense_flow.create_workflow(lower(s), replace('{"TimeoutSeconds": 3600, "StartAt": "STATE", "States": {
		"STATE": {"Type": "Task", "Resource": "sql:public.fine", "Parameters": {}, "Catch": [{"ErrorEquals": ["Canceled"], "Next": "Rescue"}], "End": true},
		"Rescue": {"Type": "Pass", "Result": "rescued", "End": true}}}', 'STATE', s)::json) FROM unnest('{Limit,Disk,Broken}'::text[]) s;
	SELECT expense_flow.create_workflow('inside', '{"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
		{"StartAt": "Limit", "States": {"Limit": {"Type": "Task", "Resource": "sql:public.fine", "Parameters": {}, "End": true}}},
		{"StartAt": "Fine", "States": {"Fine": {"Type": "Task", "Resource": "sql:public.fine", "Parameters": {}, "End": true}}}]}}}');
	SELECT expense_flow.create_workflow('newer', '{"TimeoutSeconds": 3600, "StartAt": "Listen", "States": {
		"Listen": {"Type": "Task", "Resource": "signal:go", "End": true}}}');
	SELECT expense_flow.start_workflow('newer', '{}', 'newer')});
wait_for($node, 'postgres', q{SELECT status = 'AWAITING' FROM expense_flow.branches}, 'a run awaits a message');

sub status
{
	my ($id) = @_;
	return $node->safe_psql('postgres', "SELECT status FROM expense_flow.find_runs('$id')");
}

sub wait_for_status
{
	my ($id, $status, $title) = @_;
	return wait_for($node, 'postgres', "SELECT coalesce((SELECT status = '$status' FROM expense_flow.find_runs('$id')), false)", "$id: $title");
}

# Lines of the log about this, since the position.
my $position = -s $node->logfile;

sub count_in_log
{
	my ($pattern) = @_;
	return scalar(() = slurp_file($node->logfile, $position) =~ /$pattern/g);
}

# Until there are so many of them.
sub wait_for_lines
{
	my ($count, $pattern, $title) = @_;
	my $ok = 0;
	foreach (1 .. 1800)
	{
		$ok = count_in_log($pattern) >= $count;
		last if $ok;
		usleep(100_000);
	}
	return ok($ok, $title);
}

# What a definition of a later version of the library may look like, which this one has not compiled yet.
sub store_definition
{
	my ($type) = @_;
	$node->safe_psql('postgres', qq{UPDATE expense_flow.workflow_version SET definition =
		replace(definition::text, '"Type": "' || (definition #>> '{States,Listen,Type}') || '"', '"Type": "$type"')::json WHERE workflow = 'newer'});
	return;
}
store_definition('Dream');
$node->restart;
$position = -s $node->logfile;

# All of them at the same time.
$node->safe_psql('postgres', qq{SELECT expense_flow.start_workflow(w, '{}', w) FROM unnest('{limit,disk,broken,inside}'::text[]) w});
$node->safe_psql('postgres', q{SELECT expense_flow.signal_workflow('newer', 'go', '"heard"')});
$node->safe_psql('postgres', start_transfers(1, 100));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 100 FROM expense_flow.runs WHERE workflow = 'transfer' AND status = 'SUCCEEDED'}),
	'others are advanced meanwhile');
check_transfers($node, 'postgres', 100, 'others');

# While a branch cannot even be parked, it is repeated as ever.
wait_for_lines(1, 'ERROR:  nothing is parked', 'nothing can be parked');
wait_for_lines(20 + 1, 'ERROR:  broken', 'an error that comes more than 20 times');
is($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE status = 'PAUSED'}), '0', 'nor is it');
$node->safe_psql('postgres', q{DELETE FROM refusal WHERE state = 'parked'});

wait_for_status($_, 'PAUSED', 'paused') foreach ('limit', 'broken', 'inside', 'newer');
is($node->safe_psql('postgres', q{SELECT paused_reason, state, due_at = deadline FROM expense_flow.find_runs('broken')}),
	'20 attempts in a row failed, the last one with XX000: broken|Broken|t', 'with a reason, until the deadline');
is($node->safe_psql('postgres', q{SELECT rtrim(paused_reason, 'ä'), length(paused_reason) BETWEEN 500 AND 700 FROM expense_flow.find_runs('limit')}),
	'20 attempts in a row failed, the last one with 54000: too much: |t', 'as much of it as is useful');
like($node->safe_psql('postgres', q{SELECT paused_reason, due_at IS NULL FROM expense_flow.find_runs('newer')}),
	qr/^20 attempts in a row failed, the last one with EF007: .*\|t$/, 'one that cannot be loaded');
is( $node->safe_psql('postgres', q{
	SELECT string_agg(b.status, ',' ORDER BY b.branch_id) FROM expense_flow.branches b JOIN expense_flow.find_runs('inside') r USING (run_id)}),
	'JOINING,PAUSED,DONE', 'one of two branches');
like(slurp_file($node->logfile, $position), qr/LOG:  run \S+, branch 0, is parked\n.*DETAIL:  20 attempts in a row failed, the last one with XX000: broken\n.*HINT:  .*resume_workflow/,
	'and the log tells');

# What time mends is repeated until it has.
wait_for_lines(25, 'ERROR:  the disk is full', 'a disk that is full');
is(status('disk'), 'RUNNING', 'for a disk that is full no run is paused');
$node->safe_psql('postgres', q{DELETE FROM refusal WHERE state = 'Disk'});
wait_for_status('disk', 'SUCCEEDED', 'goes on when there is room');

# A session does what is due; that is not what is paused.
my ($rc, $out, $err) = $node->psql('postgres', 'CALL expense_flow.run_pending()');
is($err, '', 'run_pending() leaves them alone');

# Resumed in vain.
$position = -s $node->logfile;
is($node->safe_psql('postgres', q{SELECT expense_flow.resume_workflow('broken')}), '1', 'resumed');
wait_for_lines(1, 'branch 0, is parked', 'and parked again');
wait_for_status('broken', 'PAUSED', 'paused again');
is(count_in_log('ERROR:  broken'), 20, 'after as many attempts');

# A request to cancel, whose delivery fails in the same way.
$position = -s $node->logfile;
$node->safe_psql('postgres', q{SELECT expense_flow.cancel_workflow('broken')});
wait_for_lines(1, 'branch 0, is parked', 'canceled in vain');
wait_for_status('broken', 'PAUSED', 'paused once more');

# The causes are gone.
$node->safe_psql('postgres', 'DELETE FROM refusal');
store_definition('Task');
is($node->safe_psql('postgres', q{SELECT sum(expense_flow.resume_workflow(workflow_id)) FROM expense_flow.runs WHERE status = 'PAUSED'}), '4', 'all are resumed');
wait_for_runs($node, 'postgres', 'and end');
is($node->safe_psql('postgres', q{SELECT workflow, status, output FROM expense_flow.runs WHERE workflow <> 'transfer' ORDER BY workflow COLLATE "C"}),
	qq{broken|CANCELED|\ndisk|SUCCEEDED|"fine"\ninside|SUCCEEDED|["fine", "fine"]\nlimit|SUCCEEDED|"fine"\nnewer|SUCCEEDED|"heard"},
	'as if nothing had happened');

$node->stop;
done_testing();
