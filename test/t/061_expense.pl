# The expense application under concurrency, as a plain role, and through a dump.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('expense', "expense_flow.workers = 8\nexpense_flow.transaction_budget = 0\ntimezone = 'UTC'\n");
$node->start;

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

sub wait_for_all
{
	my ($title) = @_;
	return wait_for_runs($node, 'postgres', $title);
}

# ---- many runs on one account ----

sql(<<'SQL');
CREATE EXTENSION expense_flow;
INSERT INTO expense_flow.account (account_id, owner, balance) VALUES (1, 'everybody', 500), (2, 'everybody', 1000);
CREATE TABLE started (kind text, n int, run_id uuid);
SQL

# Only 50 of 200 can have their 10; all of them find enough money at first.
sql(q{
	INSERT INTO started
	SELECT 'race', n, expense_flow.start_workflow('spending', jsonb_build_object('account_id', 1, 'transactions',
		jsonb_build_array(jsonb_build_object('id', n, 'description', 'Race', 'amount', 10))))
	FROM generate_series(1, 200) n});
wait_for_all('200 runs race for one account');
is(sql(q{SELECT r.output ->> 'accepted', r.output ->> 'message', count(*) FROM started s JOIN expense_flow.runs r USING (run_id)
		 WHERE kind = 'race' AND r.status = 'SUCCEEDED' GROUP BY 1, 2 ORDER BY 1}),
	"false|Insufficient funds|150\ntrue||50", 'those that found money left are accepted');
is(sql('SELECT trim_scale(balance), (SELECT count(*) || \'|\' || sum(amount) FROM expense_flow.transaction WHERE account_id = 1)
		FROM expense_flow.account WHERE account_id = 1'), '0|50|500', 'the account is empty, not overdrawn');

# The same batch many times at once, each time with one transaction of its own.
sql(q{
	INSERT INTO started
	SELECT 'same', n, expense_flow.start_workflow('spending', jsonb_build_object('account_id', 2, 'transactions',
		'[{"id": "shared 1", "amount": 40}, {"id": "shared 2", "amount": 50}]'::jsonb || jsonb_build_object('id', n, 'amount', 1)))
	FROM generate_series(1, 100) n});
wait_for_all('100 runs share transactions');
is(sql(q{SELECT trim_scale(balance), (SELECT count(*) || '|' || sum(amount) FROM expense_flow.transaction WHERE account_id = 2)
		 FROM expense_flow.account WHERE account_id = 2}), '810|102|190', 'shared ones are stored and charged once');
is(sql(q{SELECT count(*), sum((r.output ->> 'total')::numeric), sum((r.output ->> 'saved')::int) FROM started s JOIN expense_flow.runs r USING (run_id)
		 WHERE kind = 'same' AND r.output @> '{"accepted": true}'}), '100|190|102', 'the outputs add up to that');

# ---- transfers in all directions ----

sql(q{
	INSERT INTO expense_flow.account (account_id, owner, balance) SELECT n, 'purse', 100 FROM generate_series(11, 20) n;
	INSERT INTO started
	SELECT 'transfer', n, expense_flow.start_workflow('money_transfer', jsonb_build_object('from_account', 11 + n % 10,
		'to_account', CASE WHEN n % 7 = 0 THEN 999 ELSE 11 + (n + 1 + n / 10 % 9) % 10 END, 'amount', 1 + n % 40, 'transfer_id', 'transfer ' || n / 2))
	FROM generate_series(1, 400) n});
wait_for_all('400 transfers cross each other');
is(sql(q{SELECT sum(balance), bool_and(balance >= 0) FROM expense_flow.account WHERE owner = 'purse'}), '1000|t', 'no money came or went');
is(sql(q{SELECT count(*) FROM expense_flow.transfer WHERE deposited_at IS NULL AND refunded_at IS NULL}), '0', 'none is on its way');
is(sql(q{
	SELECT count(*) FROM expense_flow.account a WHERE owner = 'purse' AND balance <> 100
		- (SELECT coalesce(sum(amount), 0) FROM expense_flow.transfer WHERE from_account = a.account_id AND refunded_at IS NULL)
		+ (SELECT coalesce(sum(amount), 0) FROM expense_flow.transfer WHERE to_account = a.account_id)}), '0', 'each balance is what its transfers say');
is(sql(q{SELECT count(*) FROM started s JOIN expense_flow.runs r USING (run_id)
		 WHERE kind = 'transfer' AND NOT CASE r.status
			WHEN 'SUCCEEDED' THEN true
			WHEN 'FAILED' THEN r.error IN ('InsufficientFunds', 'TransferConflict') OR r.error = 'InvalidAccount' AND r.cause LIKE '%; the money was returned: %'
			ELSE false END}), '0', 'each run has succeeded, or says why not');
cmp_ok(sql(q{SELECT count(*) FROM started s JOIN expense_flow.runs r USING (run_id) WHERE kind = 'transfer' AND r.error = 'InvalidAccount'}),
	'>', 0, 'some were returned');

# A deposit that cannot be made for the time being is tried again.
sql(q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
		IF nextval(''public.attempts'') < 3 THEN RAISE EXCEPTION ''busy'' USING ERRCODE = ''lock_not_available''; END IF; RETURN new; END';
	CREATE SEQUENCE attempts;
	CREATE TRIGGER refuse BEFORE UPDATE ON expense_flow.transfer FOR EACH ROW WHEN (new.deposited_at IS NOT NULL) EXECUTE FUNCTION refuse()});
is(sql(q{SELECT expense_flow.run_workflow('money_transfer', '{"from_account": 2, "to_account": 1, "amount": 10}') ->> 'to_account'}), '1',
	'a transient error does not undo a transfer');
sql(q{DROP TRIGGER refuse ON expense_flow.transfer});

# ---- a plain role, with the grants of doc/expense.md ----

sql('CREATE ROLE teller LOGIN; CREATE ROLE stranger LOGIN');

sub as_role
{
	my ($role, $workflow, $input) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT expense_flow.run_workflow('$workflow', '$input')", extra_params => [ '-U', $role ]);
	return $status == 0 ? $out : $err =~ /ERROR:  (.*)/ ? $1 : $err;
}

my $spend = '{"account_id": 2, "transactions": [{"id": "as role", "amount": 1}]}';
like(as_role('teller', 'spending', $spend), qr/insufficient_privilege/, 'without grants nothing can be spent');
sql(q{
	GRANT SELECT, INSERT ON expense_flow.transaction TO teller;
	GRANT SELECT, UPDATE (balance) ON expense_flow.account TO teller;
	GRANT SELECT, INSERT, UPDATE ON expense_flow.transfer TO teller});
like(as_role('teller', 'spending', $spend), qr/"accepted": true/, 'with them it can');
like(as_role('teller', 'spending_by_category', '{"account_id": 2, "days": 1}'), qr/^\{.*"Uncategorized": 191\b/, 'reported');
like(as_role('teller', 'money_transfer', '{"from_account": 2, "to_account": 1, "amount": 1}'), qr/"to_account": 1/, 'and moved');
like(as_role('teller', 'money_transfer', '{"from_account": 2, "to_account": 999, "amount": 1}'), qr/InvalidAccount/, 'or returned');
like(as_role('stranger', 'spending_by_category', '{"account_id": 2, "days": 1}'), qr/insufficient_privilege/, 'a stranger still sees nothing');

# Row security holds in workflows.
sql(q{
	ALTER TABLE expense_flow.account ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON expense_flow.account USING (owner = current_user);
	INSERT INTO expense_flow.account (account_id, owner, balance) VALUES (30, 'teller', 10)});
like(as_role('teller', 'spending', '{"account_id": 2, "transactions": [{"id": "other", "amount": 1}]}'), qr/AccountNotFound/, "row security hides other people's accounts");
like(as_role('teller', 'spending', '{"account_id": 30, "transactions": [{"id": "own", "amount": 1}]}'), qr/"accepted": true/, 'but not his own');

# ---- dump and restore ----

sql(q{SELECT expense_flow.create_workflow('later', '{"StartAt": "Wait", "States": {
		"Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Spend"},
		"Spend": {"Type": "Task", "Resource": "sql:expense_flow.save_spending", "End": true}}}');
	SELECT expense_flow.start_workflow('later', '{"seconds": 3600, "account_id": 30, "transactions": [{"id": "later", "amount": 2}]}', 'later');
	GRANT SELECT ON expense_flow.account TO stranger});
my $dump = "$PostgreSQL::Test::Utils::tmp_check/expense.dump";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
for my $table (qw(account transaction transfer run closed_run transition branch))
{
	my $digest = qq{SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text COLLATE "C")) FROM expense_flow.$table t};
	is($node->safe_psql('restored', $digest), sql($digest), "the same $table");
}
is($node->safe_psql('restored', q{SELECT count(*) FROM expense_flow.workflows}), sql('SELECT count(*) FROM expense_flow.workflows'),
	'the same workflows, the built-in ones once');
is($node->safe_psql('restored', q{SELECT expense_flow.run_workflow('spending', '{"account_id": 30, "transactions": [{"id": "restored", "amount": 1}]}') ->> 'balance'}),
	'8', 'which work there');
$node->safe_psql('restored', 'SELECT expense_flow.resume_after_restore()');
$node->safe_psql('restored', q{CALL expense_flow.run_pending(skip => '2 hours')});
is($node->safe_psql('restored', q{SELECT status, output ->> 'balance' FROM expense_flow.runs WHERE workflow_id = 'later'}), 'SUCCEEDED|6',
	'a run that was open goes on in the restored database, once it is told to');
is(sql(q{SELECT status FROM expense_flow.runs WHERE workflow_id = 'later'}), 'RUNNING', 'and is still open in the original');

$node->stop;
done_testing();
