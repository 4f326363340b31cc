# pg_dump and restore: definitions, grants, aliases, closed runs with their history, and open runs, which go on.
# The source has no background workers, so that its runs stand still; the copies have them, and are told to resume.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = PostgreSQL::Test::Cluster->new('source');
$source->init;
$source->append_conf('postgresql.conf', "shared_preload_libraries = ''\nclient_min_messages = warning\nfsync = off\n");
$source->start;
my $target = new_node('target', "expense_flow.workers = 2\n");
$target->start;

$source->safe_psql('postgres', 'CREATE DATABASE app');
$_->safe_psql('postgres', 'CREATE ROLE clerk; CREATE ROLE manager') foreach $source, $target;

sub define
{
	my ($name, $definition, $more) = @_;
	return "SELECT expense_flow.create_workflow('$name', \$asl\$$definition\$asl\$" . ($more // '') . ");\n";
}

# Three steps, each leaving a row; before the second it waits, the third fails once.
my $steps = '{"StartAt":"One","States":{
	"One":{"Type":"Task","Resource":"sql:public.leave","Parameters":{"run.$":"$$.Execution.Id","step":1},"ResultPath":"$.one","Next":"Rest"},
	"Rest":{"Type":"Wait","SecondsPath":"$.rest","Next":"Two"},
	"Two":{"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:leave","Parameters":{"run.$":"$$.Execution.Id","step":2},"ResultPath":"$.two","Next":"Three"},
	"Three":{"Type":"Task","Resource":"sql:public.leave_at_last","Parameters":{"run.$":"$$.Execution.Id","step":3,"attempt.$":"$$.State.RetryCount"},"ResultPath":"$.three",
		"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1}],"End":true}}}';

$source->safe_psql('app', q{
	CREATE EXTENSION expense_flow;
	GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO clerk;
	CREATE TABLE trace (run text, step integer, by_role name DEFAULT current_user);
	GRANT SELECT, INSERT ON trace TO PUBLIC;
	CREATE FUNCTION leave(run text, step integer) RETURNS integer LANGUAGE sql AS
		'INSERT INTO public.trace (run, step) VALUES (run, step) RETURNING step';
	CREATE FUNCTION leave_at_last(run text, step integer, attempt integer) RETURNS integer LANGUAGE plpgsql AS $$
	BEGIN
		IF attempt = 0 THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		INSERT INTO public.trace (run, step) VALUES (run, step);
		RETURN step;
	END $$;
	SELECT expense_flow.create_resource_alias('arn:aws:lambda:*:*:function:*', 'sql:public.*');
	SET ROLE clerk;
} . define('steps', $steps) . define('old', '{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}', ", 'owner', '1 year'")
  . define('old', '{"StartAt":"B","States":{"B":{"Type":"Pass","Result":"second","End":true}}}', ", 'owner', '1 year'")
  . define('dropped', '{"StartAt":"C","States":{"C":{"Type":"Pass","Result":"of a dropped one","End":true}}}') . q{
	SELECT expense_flow.grant_start('old', 'manager');
	SELECT expense_flow.start_workflow('old', '{}', 'done');
	SELECT expense_flow.start_workflow('dropped', '{}', 'done-dropped');
	SELECT expense_flow.start_workflow('steps', '{"rest":100000}', 'resting-long');
	SELECT expense_flow.start_workflow('steps', '{"rest":3}', 'resting');
	RESET ROLE;
	INSERT INTO expense_flow.account (account_id, balance, currency) VALUES (7, 1000, 'EUR');
	SELECT expense_flow.start_workflow('spending', '{"account_id":7,"transactions":[{"id":1,"description":"Food","amount":40}]}', 'spent');
	CALL expense_flow.run_pending();
	SET ROLE clerk;
	SELECT expense_flow.drop_workflow('dropped');
	SELECT expense_flow.start_workflow('steps', '{"rest":0}', 'not-begun');
	RESET ROLE;
	SELECT expense_flow.start_workflow('spending', '{"account_id":7,"transactions":[{"id":2,"description":"Food","amount":30}]}', 'spending');
});

is( $source->safe_psql('app', q{SELECT string_agg(workflow_id || ' ' || status, ', ' ORDER BY workflow_id) FROM expense_flow.runs}),
	'done SUCCEEDED, done-dropped SUCCEEDED, not-begun RUNNING, resting RUNNING, resting-long RUNNING, spending RUNNING, spent SUCCEEDED',
	'runs of the source');

# What does not change when open runs go on.
my $kept = q{
	SELECT 'workflow', name, version::text, owner::text, run_as, retention::text, definition::text FROM expense_flow.workflows
	UNION ALL SELECT 'version', workflow, version::text, version_id::text, NULL, NULL, definition::text FROM expense_flow.workflow_version
	UNION ALL SELECT 'grant', workflow, grantee::text, NULL, NULL, NULL, NULL FROM expense_flow.workflow_grant
	UNION ALL SELECT 'alias', pattern, resource, NULL, NULL, NULL, NULL FROM expense_flow.resource_alias
	UNION ALL SELECT 'run', run_id::text, workflow, version::text, owner::text, input::text, started_at::text FROM expense_flow.runs
	UNION ALL SELECT 'closed', run_id::text, workflow_id, status, output::text, error, closed_at::text FROM expense_flow.runs
		WHERE workflow_id LIKE 'done%' OR workflow_id = 'spent'
	UNION ALL SELECT 'history', h.run_id::text, h.event_id::text, h.type, h.state, h.details::text, h.at::text FROM expense_flow.history h
		JOIN expense_flow.runs r USING (run_id) WHERE workflow_id LIKE 'done%' OR workflow_id = 'spent'
	ORDER BY 1, 2, 3};
my $before = $source->safe_psql('app', $kept);
like($before, qr/of a dropped one/, 'what is compared has something in it');

my $dir = PostgreSQL::Test::Utils::tempdir();
$source->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", 'app' ], 'pg_dump, plain');
$source->command_ok([ 'pg_dump', '-Fd', '-f', "$dir/directory", 'app' ], 'pg_dump, directory');

# One that takes its time: a branch may be there long before what it needs.
my $slow = slurp_file("$dir/plain.sql");
is($slow =~ s/^(?=COPY expense_flow\.(?:run|transition|workflow_version) )/SELECT pg_sleep(1);\n/mg, 3, 'a dump with pauses');
append_to_file("$dir/slow.sql", $slow);

$target->safe_psql('postgres', 'CREATE DATABASE plain; CREATE DATABASE slow; CREATE DATABASE single');
$target->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", 'plain' ], 'restored by psql');
$target->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/slow.sql", 'slow' ], 'restored slowly');
$target->command_ok([ 'pg_restore', '-1', '-d', 'single', "$dir/directory" ], 'restored by pg_restore, in one transaction');

foreach my $database (qw(plain slow single))
{
	is($target->safe_psql($database, $kept), $before, "$database: definitions, closed runs and their history are the same");
	$target->safe_psql($database, 'SELECT expense_flow.resume_after_restore()');
	foreach my $run (qw(not-begun resting spending))
	{
		ok( $target->poll_query_until($database, "SELECT status = 'SUCCEEDED' FROM expense_flow.runs WHERE workflow_id = '$run'"),
			"$database: the open run $run goes on to its end");
	}
	is( $target->safe_psql($database, q{SELECT workflow_id, string_agg(step::text, ' ' ORDER BY step), min(by_role), max(by_role)
			FROM trace JOIN expense_flow.runs ON run = run_id::text GROUP BY 1 ORDER BY 1}),
		"not-begun|1 2 3|clerk|clerk\nresting|1 2 3|clerk|clerk\nresting-long|1|clerk|clerk",
		"$database: each step was done once, before or after, with the owner's rights");
	is( $target->safe_psql($database, q{SELECT state, status FROM expense_flow.runs WHERE workflow_id = 'resting-long'}),
		'Rest|RUNNING', "$database: the timer of an open run is kept");
	is( $target->safe_psql($database, 'SELECT balance FROM expense_flow.account'), '930', "$database: money spent once");
	is( $target->safe_psql($database, "SET ROLE clerk; " . define('old', '{"StartAt":"D","States":{"D":{"Type":"Succeed"}}}', ", 'owner'")),
		'3', "$database: a new version gets the next number");
	is( $target->safe_psql($database, "SELECT count(*) = count(DISTINCT version_id) AND count(*) FILTER (WHERE version_id < 0) > 0 FROM expense_flow.workflow_version"),
		't', "$database: built-in workflows came with the extension, once");
}

# A dump of the copy, which is served by workers, can be restored again.
$target->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/again", 'single' ], 'pg_dump of a copy');
$target->safe_psql('postgres', 'CREATE DATABASE again');
$target->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'again', "$dir/again" ], 'and its restore');
is( $target->safe_psql('again', q{SELECT count(*) FROM expense_flow.runs WHERE status = 'SUCCEEDED'}), '6', 'runs of the copy of the copy');

$source->stop;
$target->stop;
done_testing();
