# Activities that try to get out of their role, in workers, in run_pending() and in run_workflow(); what they leave
# behind; functions that are not what they were when the run was started; roles that are gone; names that are hard to quote.

use strict;
use warnings;
use utf8;
use Encode;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('rights', "expense_flow.workers = 1\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
wait_for_processes($node, 'postgres', '1 1', 'one worker runs');

sub sql
{
	my ($query) = @_;
	utf8::encode($query);
	my $answer = $node->safe_psql('postgres', $query);
	utf8::decode($answer);
	return $answer;
}

sub wait_until_closed
{
	my ($workflow_id) = @_;
	return $node->poll_query_until('postgres', "SELECT count(*) > 0 AND bool_and(status <> 'RUNNING') FROM expense_flow.find_runs('$workflow_id')");
}

# "STATUS error: cause" of a run.
sub outcome
{
	my ($workflow_id) = @_;
	wait_until_closed($workflow_id);
	return sql("SELECT concat_ws(' ', status, error || ':', cause) FROM expense_flow.find_runs('$workflow_id')");
}

# ---- the attacker ----

sql(q{
	CREATE ROLE mallory;
	CREATE ROLE eve;
	CREATE ROLE victim SUPERUSER;
	GRANT CREATE ON DATABASE postgres TO mallory, eve;
	GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO mallory, eve;
	CREATE TABLE treasure AS SELECT 'gold' AS it;
	SET ROLE mallory;
	CREATE SCHEMA mallory;
	GRANT USAGE ON SCHEMA mallory TO PUBLIC;
	CREATE TABLE mallory.seen (by_what text, who text);
	GRANT ALL ON mallory.seen TO PUBLIC;
	CREATE FUNCTION mallory.spy(by_what text) RETURNS integer LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO mallory.seen VALUES (by_what, current_user); RETURN 1; END$$;
	CREATE FUNCTION mallory.spy_trigger() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN PERFORM mallory.spy(TG_NAME); RETURN NULL; END$$;
	CREATE TABLE mallory.deferring (i integer);
	CREATE CONSTRAINT TRIGGER deferred_trigger AFTER INSERT ON mallory.deferring DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION mallory.spy_trigger();
	CREATE FUNCTION mallory.defer_and_spy() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'DECLARE late CURSOR WITH HOLD FOR SELECT mallory.spy(''held by a trigger'')'; RETURN NULL; END$$;
	CREATE TABLE mallory.deferring_more (i integer);
	CREATE CONSTRAINT TRIGGER holder AFTER INSERT ON mallory.deferring_more DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION mallory.defer_and_spy();
	CREATE PROCEDURE mallory.committing() LANGUAGE plpgsql AS $$BEGIN COMMIT; PERFORM mallory.spy('after a commit'); END$$;
	CREATE FUNCTION mallory.with_role() RETURNS text LANGUAGE sql SET role = victim AS 'SELECT it FROM public.treasure';
});

# What is tried, and the errors in a worker, and where others drive it; '' where it does no harm and succeeds.
my $role = qr/insufficient_privilege: cannot set parameter "\w+" within security-definer function/;
my $restricted = qr/insufficient_privilege: .*within security-restricted operation/;
my @attacks = (
	[ 'SET ROLE', 'SET ROLE victim', $role ],
	[ 'SET LOCAL ROLE NONE', 'SET LOCAL ROLE NONE', $role ],
	[ 'RESET ROLE', 'RESET ROLE', $role ],
	[ 'set_config(role)', q{PERFORM set_config('role', 'victim', false)}, $role ],
	[ 'SET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION victim', $role ],
	[ 'RESET SESSION AUTHORIZATION', 'RESET SESSION AUTHORIZATION', $role ],
	[ 'an exception handler around SET ROLE', q{BEGIN SET ROLE victim; EXCEPTION WHEN OTHERS THEN NULL; END; PERFORM mallory.spy('after SET ROLE')}, '' ],
	[ 'a function with SET role', 'PERFORM mallory.with_role()', $role ],
	[ 'DISCARD ALL', 'DISCARD ALL', qr/active_sql_transaction|insufficient_privilege: .*within security-restricted operation/ ],
	[ 'RESET ALL', q{RESET ALL; PERFORM mallory.spy('after RESET ALL')}, '' ],
	[ 'ROLLBACK', 'ROLLBACK', qr/invalid_transaction_termination/ ],
	[ 'COMMIT in a block', q{EXECUTE 'DO $x$BEGIN COMMIT; END$x$'}, qr/invalid_transaction_termination/ ],
	[ 'COMMIT in a procedure', 'CALL mallory.committing()', qr/invalid_transaction_termination/ ],
	[ 'run_pending()', 'CALL expense_flow.run_pending()', qr/invalid_transaction_termination/ ],
	[ 'ALTER ROLE', 'ALTER ROLE mallory SUPERUSER', qr/insufficient_privilege/ ],
	[ 'ALTER SYSTEM', q{EXECUTE 'ALTER SYSTEM SET work_mem = 64'}, qr/insufficient_privilege|active_sql_transaction/ ],
	[ 'COPY TO PROGRAM', q{COPY (SELECT 1) TO PROGRAM 'true'}, qr/insufficient_privilege/ ],
	[ 'CREATE EVENT TRIGGER', q{EXECUTE 'CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION mallory.spy_trigger()'}, qr/insufficient_privilege/ ],
	[ 'a trigger on a table of the extension', 'CREATE TRIGGER t AFTER INSERT ON expense_flow.transition FOR EACH ROW EXECUTE FUNCTION mallory.spy_trigger()', qr/insufficient_privilege/ ],
	[ 'a rule on a table of the extension', q{CREATE RULE r AS ON INSERT TO expense_flow.transition DO ALSO SELECT mallory.spy('a rule')}, qr/insufficient_privilege/ ],
	[ 'LOCK of a table of the extension', 'LOCK expense_flow.branch IN ACCESS SHARE MODE', qr/insufficient_privilege/ ],
	[ 'an object in the schema of the extension', 'CREATE TABLE expense_flow.branch_data ()', qr/insufficient_privilege/ ],
	[ q{somebody's table}, 'DELETE FROM public.treasure', qr/insufficient_privilege/ ],
	[ 'ending the worker', 'PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()', qr/insufficient_privilege/ ],
	[ 'LOAD', q{LOAD 'plpgsql'}, qr/insufficient_privilege/ ],
	[ 'a setting of superusers', q{SET session_replication_role = replica}, qr/insufficient_privilege/ ],
	[ 'the clock of the engine', q{SET expense_flow.skipped_time = 1000}, qr/insufficient_privilege/ ],
	[ 'a cursor WITH HOLD', q{EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT mallory.spy(''a held cursor'')'}, '', $restricted ],
	[ 'a deferred trigger', 'INSERT INTO mallory.deferring VALUES (1)', '', $restricted ],
	[ 'a deferred trigger with a cursor WITH HOLD', 'INSERT INTO mallory.deferring_more VALUES (1)', '', $restricted ],
	[ 'a constraint that is deferred late', q{SET CONSTRAINTS ALL DEFERRED; INSERT INTO mallory.deferring VALUES (2); SET CONSTRAINTS ALL IMMEDIATE}, '', qr/insufficient_privilege|^$/ ],
	[ 'temporary objects', q{
		CREATE TEMP TABLE IF NOT EXISTS branch (run_id uuid, branch_id integer);
		CREATE OR REPLACE FUNCTION pg_temp.spy_on(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT mallory.spy(''an operator'') = 1';
		CREATE OPERATOR pg_temp.= (FUNCTION = pg_temp.spy_on, LEFTARG = uuid, RIGHTARG = uuid);
		EXECUTE 'CREATE DOMAIN pg_temp."char" AS pg_catalog."char" CHECK (mallory.spy(''a type'') = 2)'}, '', $restricted ],
	[ 'a temporary table emptied at commit', q{
		EXECUTE 'CREATE TEMP TABLE emptied (i integer) ON COMMIT DELETE ROWS';
		EXECUTE 'CREATE FUNCTION pg_temp.index_spy(i integer) RETURNS integer IMMUTABLE LANGUAGE sql AS ''SELECT mallory.spy(''''an index'''') + i''';
		EXECUTE 'CREATE INDEX ON emptied (pg_temp.index_spy(i))'; EXECUTE 'INSERT INTO emptied VALUES (1)'}, qr//, qr// ],
	[ 'another search_path', q{SET search_path = pg_temp, mallory, pg_catalog; PERFORM mallory.spy('after SET search_path')}, '' ],
	[ 'operators of its own', q{
		EXECUTE 'CREATE FUNCTION mallory.equal(text, text) RETURNS boolean LANGUAGE sql AS ''SELECT mallory.spy(''''a replaced operator'''') = 1''';
		EXECUTE 'CREATE OPERATOR mallory.= (FUNCTION = mallory.equal, LEFTARG = text, RIGHTARG = text)';
		SET search_path = mallory, pg_catalog; PERFORM expense_flow.start_workflow('signal', workflow_id => 'by a replaced operator ' || txid_current())}, qr/^$|duplicate/ ],
	[ 'LISTEN', q{EXECUTE 'LISTEN mallory'}, qr/feature_not_supported/, qr/insufficient_privilege: .*within security-restricted operation/ ],
	[ 'what a session keeps', q{
		EXECUTE 'PREPARE planned AS SELECT mallory.spy(''a prepared statement'')';
		PERFORM pg_advisory_lock(4711); SET work_mem = '66MB'; PERFORM nextval('mallory.counter')}, '', qr/^$|insufficient_privilege: .*within security-restricted operation|feature_not_supported/ ]);

sql('SET ROLE mallory; CREATE SEQUENCE mallory.counter');
sql(q{SET ROLE mallory; SELECT expense_flow.create_workflow('signal', '{"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "signal:s", "End": true}}}')});
foreach my $i (0 .. $#attacks)
{
	my ($what, $body) = @{ $attacks[$i] };
	sql(qq{SET ROLE mallory;
		CREATE FUNCTION mallory.attack_$i() RETURNS void LANGUAGE plpgsql AS \$attack\$BEGIN $body; END\$attack\$;
		SELECT expense_flow.create_workflow('attack $i', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:mallory.attack_$i", "End": true}}}', 'owner');
		SELECT expense_flow.grant_start('attack $i', 'public')});
}

foreach my $i (0 .. $#attacks)
{
	my ($what, undef, $error, $elsewhere) = @{ $attacks[$i] };
	my $expected = $error eq '' ? qr/^SUCCEEDED$/ : qr/^FAILED $error|^SUCCEEDED$/;
	$expected = qr/^FAILED $error/ if $error ne '' && 'x' !~ $error && '' !~ $error;
	sql(qq{SET ROLE mallory; SELECT expense_flow.start_workflow('attack $i', '{}', 'attack $i')});
	like(outcome("attack $i"), $expected, "in a worker: $what");
	is(sql(q{SELECT string_agg(DISTINCT by_what || ' as ' || who, ', ') FROM mallory.seen WHERE who <> 'mallory'}), '', 'it stays what it is');
	# a fresh session for each, so that nothing is left of the last one
	$elsewhere //= $error;
	$expected = $elsewhere eq '' ? qr/^SUCCEEDED$/ : '' =~ $elsewhere ? qr/^FAILED $elsewhere|^SUCCEEDED$/ : qr/^FAILED $elsewhere/;
	sql(qq{SET ROLE mallory; SELECT expense_flow.start_workflow('attack $i', '{}', 'late attack $i', start_delay => '1 hour')});
	sql(q{CALL expense_flow.run_pending('2 hours')});
	like(outcome("late attack $i"), $expected, "in a superuser's run_pending(): $what");
	my (undef, undef, $message) = $node->psql('postgres', "SET ROLE victim; SELECT expense_flow.run_workflow('attack $i')");
	$message = $message =~ /ERROR:  workflow "attack \d+" failed: (.*)\nDETAIL:  (.*)/ ? "FAILED $1: $2" : "SUCCEEDED";
	like($message, $expected, "in a superuser's run_workflow(): $what");
	is(sql(q{SELECT string_agg(DISTINCT by_what || ' as ' || who, ', ') FROM mallory.seen WHERE who <> 'mallory'}), '', 'it stays what it is');
}
is(sql(q{SELECT count(*) FROM mallory.seen WHERE by_what IN ('deferred_trigger', 'after SET ROLE', 'after RESET ALL', 'after SET search_path')}), '11',
	'what is seen, is seen');

# ---- the claim ----

sql(q{
	SET ROLE mallory;
	CREATE TABLE mallory.done (n integer);
	CREATE FUNCTION mallory.let_go(n integer) RETURNS void LANGUAGE plpgsql AS
		$$BEGIN PERFORM pg_advisory_unlock_all(); INSERT INTO mallory.done VALUES (n); PERFORM pg_sleep(0.5); END$$;
	SELECT expense_flow.create_workflow('let go', '{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "sql:mallory.let_go", "Parameters": {"n": 1}, "Next": "B"},
		"B": {"Type": "Task", "Resource": "sql:mallory.let_go", "Parameters": {"n": 2}, "End": true}}}');
	SELECT expense_flow.start_workflow('let go', '{}', 'let go')});
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event = 'PgSleep'});
sql('SET ROLE mallory; CALL expense_flow.run_pending()');
is(outcome('let go'), 'SUCCEEDED', 'an activity that lets go of all advisory locks, so that two processes are at its run');
is(sql(q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM mallory.done}), '1 2', 'has its effects once');

# ---- what is left for others ----

sql(q{
	CREATE FUNCTION public.look_around() RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_build_object('statements', (SELECT count(*) FROM pg_prepared_statements), 'cursors', (SELECT count(*) FROM pg_cursors),
			'channels', (SELECT count(*) FROM pg_listening_channels()),
			'temporary', (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()) + (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()),
			'locks', (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objid = 4711),
			'work_mem', current_setting('work_mem'), 'search_path', current_setting('search_path'), 'role', current_user)$$;
	CREATE ROLE bob;
	ALTER DATABASE postgres SET search_path = mallory, pg_catalog;
	ALTER ROLE bob SET search_path = mallory, pg_catalog});
sql(q{SELECT expense_flow.create_workflow('look', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.look_around", "End": true}}}')});
sql(q{SET ROLE bob; SELECT expense_flow.start_workflow('look', '{}', 'look')});
is(outcome('look'), 'SUCCEEDED', 'another role is served by the same worker');
is(sql(q{SELECT output FROM expense_flow.find_runs('look')}),
	'{"role": "bob", "locks": 0, "cursors": 0, "channels": 0, "work_mem": "4MB", "temporary": 0, "statements": 0, "search_path": "\"$user\", public"}',
	'and finds nothing that was left, nor a search_path of somebody else');

# ---- event triggers ----

sql('ALTER DATABASE postgres RESET search_path');
sql(q{
	CREATE TABLE ddl (what text, who text);
	GRANT ALL ON ddl TO PUBLIC;
	CREATE FUNCTION watch_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.ddl VALUES (TG_EVENT || ' ' || TG_TAG, current_user); IF TG_TAG = 'CREATE VIEW' THEN RAISE 'no views' USING ERRCODE = 'check_violation'; END IF; END$$;
	CREATE EVENT TRIGGER watch_start ON ddl_command_start EXECUTE FUNCTION watch_ddl();
	CREATE EVENT TRIGGER watch_drop ON sql_drop EXECUTE FUNCTION watch_ddl();
	CREATE FUNCTION public.ddl_activity(kind text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			IF kind = 'view' THEN CREATE VIEW mallory.v AS SELECT 1; END IF;
			CREATE TEMP TABLE left_behind (i integer);
			CREATE TABLE mallory.dropped (i integer);
			DROP TABLE mallory.dropped;
		END$$;
	SELECT expense_flow.create_workflow('ddl', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.ddl_activity", "End": true}}}')});
sql(q{TRUNCATE ddl; SET ROLE mallory; SELECT expense_flow.start_workflow('ddl', '{"kind": "table"}', 'ddl table')});
is(outcome('ddl table'), 'SUCCEEDED', 'event triggers see what an activity does');
sql(q{SET ROLE mallory; SELECT expense_flow.start_workflow('ddl', '{"kind": "view"}', 'ddl view')});
is(outcome('ddl view'), 'FAILED check_violation: no views', 'and may refuse it');
sql(q{SET ROLE bob; SELECT expense_flow.start_workflow('look', '{}', 'look 2')});
is(outcome('look 2'), 'SUCCEEDED', 'the session was cleared');
is(sql('SELECT string_agg(DISTINCT who, $$, $$) FROM ddl'), 'mallory', 'event triggers run as the role of the activity, and not for the clearing');
sql('DROP EVENT TRIGGER watch_start; DROP EVENT TRIGGER watch_drop');

# ---- functions swapped after the start ----

sql(q{
	CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO PUBLIC;
	CREATE FUNCTION shop.step() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
	GRANT CREATE ON SCHEMA shop TO eve;
	SELECT expense_flow.create_workflow('step', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"},
		"A": {"Type": "Task", "Resource": "sql:shop.step", "End": true}}}')});
my @swaps = (
	[ 'as it was', '', 'SUCCEEDED', '"bob"' ],
	[ 'replaced', q{CREATE OR REPLACE FUNCTION shop.step() RETURNS text LANGUAGE sql AS $$SELECT 'new as ' || current_user$$}, 'SUCCEEDED', '"new as bob"' ],
	[ 'no longer executable', 'REVOKE EXECUTE ON FUNCTION shop.step() FROM PUBLIC', 'FAILED insufficient_privilege: permission denied for function step', '' ],
	[ 'gone', 'DROP FUNCTION shop.step()', 'FAILED undefined_function: function shop.step does not exist', '' ],
	[ 'a SECURITY DEFINER function of another role', q{SET ROLE eve; CREATE FUNCTION shop.step() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text'}, 'SUCCEEDED', '"eve"' ],
	[ 'a procedure', q{DROP FUNCTION shop.step(); CREATE PROCEDURE shop.step() LANGUAGE sql AS 'SELECT 1'}, 'FAILED wrong_object_type: shop.step is a procedure; only functions can be activities', '' ],
	[ 'in a schema that may not be used', q{DROP PROCEDURE shop.step(); CREATE FUNCTION shop.step() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE USAGE ON SCHEMA shop FROM PUBLIC},
		'FAILED insufficient_privilege: permission denied for schema shop', '' ],
	[ 'in a schema that has another name', 'ALTER SCHEMA shop RENAME TO shut', 'FAILED invalid_schema_name: schema "shop" does not exist', '' ]);
foreach (@swaps)
{
	my ($what, $swap, $expected, $output) = @$_;
	sql(qq{SET ROLE bob; SELECT expense_flow.start_workflow('step', '{}', 'swap $what')});
	sql($swap) if $swap;
	sql(qq{SET ROLE bob; SELECT expense_flow.signal_workflow('swap $what', 'go')});
	is(outcome("swap $what"), $expected, "a function that is $what");
	is(sql("SELECT output FROM expense_flow.find_runs('swap $what')"), $output, 'with the rights of the run') if $output;
}

# ---- roles that are gone ----

sql(q{
	CREATE ROLE leaver;
	CREATE FUNCTION public.work() RETURNS void LANGUAGE sql AS '';
	GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO leaver;
	SET ROLE leaver;
	SELECT expense_flow.create_workflow('its own', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.work", "End": true}}}', 'owner');
	SELECT expense_flow.grant_start('its own', 'public');
	RESET ROLE;
	SELECT expense_flow.create_workflow('leaving ' || kind, definition::json) FROM (VALUES
		('sql', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"}, "A": {"Type": "Task", "Resource": "sql:public.work", "End": true,
			"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]}}}'),
		('none', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"}, "A": {"Type": "Pass", "End": true}}}'),
		('map', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"}, "A": {"Type": "Map", "ItemsPath": "$", "End": true,
			"Iterator": {"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "sql:public.work", "End": true}}}}}}'),
		('external', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"}, "A": {"Type": "Task", "Resource": "activity:gone/do", "End": true}}}'),
		('child', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"}, "A": {"Type": "Task", "Resource": "workflow:leaving sql", "End": true}}}'),
		('child of another', '{"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": "signal:go", "Next": "A"}, "A": {"Type": "Task", "Resource": "workflow:its own", "End": true}}}'),
		('saga', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.work", "Compensate": {"Resource": "sql:public.work"}, "Next": "W"},
			"W": {"Type": "Task", "Resource": "signal:go", "Next": "F"}, "F": {"Type": "Fail", "Error": "Wrong"}}}')) v (kind, definition);
	SET ROLE leaver;
	SELECT expense_flow.start_workflow('leaving ' || kind, '[1, 2]', 'leaving ' || kind)
	FROM unnest(ARRAY['sql', 'none', 'map', 'external', 'child', 'child of another', 'saga']) kind;
	SELECT expense_flow.start_workflow('its own', '{}', 'its own, later', start_delay => '1 hour')});
$node->poll_query_until('postgres', q{SELECT count(*) = 7 FROM expense_flow.branches b JOIN expense_flow.runs r USING (run_id) WHERE r.workflow_id LIKE 'leaving %' AND b.status = 'AWAITING'});
sql('REVOKE EXECUTE ON FUNCTION expense_flow.create_workflow FROM leaver; DROP ROLE leaver');
sql(qq{SELECT expense_flow.signal_workflow('leaving $_', 'go', '[1, 2]')}) foreach ('sql', 'none', 'map', 'external', 'child', 'child of another', 'saga');
my $gone = 'the role that owns the run does not exist any more';
is(outcome('leaving sql'), "FAILED undefined_object: $gone", 'an SQL activity of a role that is gone');
is(outcome('leaving none'), 'SUCCEEDED', 'a run without one needs no role');
is(outcome('leaving map'), "FAILED undefined_object: $gone", 'activities in a Map');
like(outcome('leaving child'), qr/^FAILED undefined_object: .*$gone/, 'a child run');
is(outcome('leaving child of another'), "FAILED undefined_object: $gone", 'a child run with the rights of another');
$node->poll_query_until('postgres', q{SELECT compensating = 'FAILED' FROM expense_flow.find_runs('leaving saga')});
like(sql(q{SELECT status || ' ' || compensating || ' ' || (SELECT concat_ws(': ', c.error, c.cause) FROM expense_flow.compensations c WHERE c.run_id = r.run_id)
	FROM expense_flow.find_runs('leaving saga') r}), qr/^RUNNING FAILED undefined_object: $gone/, 'a compensation waits for somebody');
sql(q{SELECT expense_flow.skip_compensation('leaving saga')});
is(outcome('leaving saga'), 'FAILED Wrong:', 'who can skip it');
is(sql(q{SET ROLE bob; SELECT count(*) FROM expense_flow.poll_activity('gone')}), '0', 'an external activity of a role that is gone is nobody\'s');
sql(q{SELECT expense_flow.grant_queue('gone', 'bob')});
sql(q{SET ROLE bob; SELECT expense_flow.complete_activity(token, '"done"') FROM expense_flow.poll_activity('gone', wait => '60 s')});
is(outcome('leaving external'), 'SUCCEEDED', 'but for those who have the queue');
sql(q{CALL expense_flow.run_pending('2 hours')});
is(outcome('its own, later'), "FAILED undefined_object: $gone", 'a run with the rights of a role that is gone');
sql(q{SET ROLE bob; SELECT expense_flow.start_workflow('its own', '{}', 'its own, now')});
is(outcome('its own, now'), "FAILED undefined_object: $gone", 'nor does a new one get them');
is(sql(q{SELECT owner || ' ' || status FROM expense_flow.find_runs('leaving sql')}) =~ /^\d+ FAILED$/, 1, 'what has run stays readable');
is(sql(q{SET ROLE bob; SELECT count(*) FROM expense_flow.runs WHERE workflow LIKE 'leaving%'}), '0', 'to those who see everything');
sql(q{SELECT expense_flow.drop_workflow('its own')});

# ---- names ----

my $long = 'ж' x 31;			# of 62 bytes
my @names = ('it\'s', 'say "hi"', 'a.b', 'dollar $1 $$ $x$', 'back\\slash', 'ünï çødé 🎉', "${long}x", '%s %n', 'SELECT', ' blank ', 'colon:slash/');
foreach my $name (@names)
{
	my ($quoted, $literal) = ($name, $name);
	$quoted =~ s/"/""/g;
	$quoted = qq{"$quoted"};
	$literal =~ s/'/''/g;
	my $json = $name;
	$json =~ s/([\\"])/\\$1/g;
	my $resource = $quoted;
	$resource =~ s/([\\"])/\\$1/g;
	# the name of a queue ends at its slash
	(my $queue = $json) =~ s{/}{}g;
	(my $queue_literal = $literal) =~ s{/}{}g;
	my $source = length(Encode::encode('UTF-8', $name)) > 50 ? 'long' : $literal;
	is(sql(qq{
			\\set ON_ERROR_STOP on
			CREATE ROLE $quoted;
			CREATE SCHEMA $quoted AUTHORIZATION $quoted;
			SET client_min_messages = error;
			SET ROLE $quoted;
			CREATE TABLE $quoted.$quoted ($quoted text PRIMARY KEY);
			CREATE FUNCTION $quoted.$quoted($quoted text) RETURNS text LANGUAGE sql AS 'SELECT current_user || \$1';
			SELECT expense_flow.capture_changes(\$of\$$quoted.$quoted\$of\$, '$source') AS source \\gset
			INSERT INTO $quoted.$quoted VALUES ('$literal');
			RESET ROLE;
			SELECT expense_flow.create_workflow('$literal', \$of\${"StartAt": "$json", "States": {
				"$json": {"Type": "Task", "Resource": "signal:$json", "Next": "F"},
				"F": {"Type": "Task", "Resource": "sql:$resource.$resource", "Parameters": {"$json.\$": "\$"}, "ResultPath": "\$", "Next": "E"},
				"E": {"Type": "Task", "Resource": "activity:$queue/$json", "ResultPath": null, "End": true}}}\$of\$) AS version \\gset
			SET ROLE $quoted;
			SELECT expense_flow.start_workflow('$literal', '{}', '$literal', request_id => '$literal') AS run \\gset
			SELECT expense_flow.signal_workflow('$literal', '$literal', to_jsonb('$literal'::text), '$literal') \\gset
			SELECT expense_flow.complete_activity(token) FROM expense_flow.poll_activity('$queue_literal', '$literal', wait => '60 s') \\gset
			SELECT expense_flow.get_result(:'run') #>> '{}' = '$literal' || '$literal',
				(SELECT owner::text FROM expense_flow.find_runs('$literal')) = quote_ident('$literal'),
				(SELECT new ->> '$literal' FROM expense_flow.read_changes('$source')) = '$literal',
				(SELECT count(*) > 1 FROM expense_flow.history WHERE run_id = :'run' AND state = '$literal');
			SELECT expense_flow.stop_capturing('$source') \\gset
			RESET ROLE}), 't|t|t|t', Encode::encode('UTF-8', "names such as $name"));
}
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC:/, 'no process has crashed');

$node->stop;
done_testing();
