# A year of a city council's real payments as runs of the workflow "spending": one account per unit, one run
# per unit and date, with the postmaster killed twice in the middle.  What must come out is computed from the
# file, by Perl and by plain SQL.
#
# EXPENSE_FLOW_SHARED: the folder that has spending/*.csv (columns payment_date, amount, organisational_unit);
# EXPENSE_FLOW_SPENDING_CSV: one such file.

use strict;
use warnings;
use File::Basename;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use Math::BigFloat;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $shared = $ENV{EXPENSE_FLOW_SHARED} // dirname(__FILE__) . '/../../../shared';
my $csv = $ENV{EXPENSE_FLOW_SPENDING_CSV} // "$shared/spending/bradford-2018.csv";
plan skip_all => "no real data: $csv is missing (set EXPENSE_FLOW_SHARED)" unless -r $csv;

# The server's own arithmetic is not asked here.
my ($lines, $sum) = (0, Math::BigFloat->bzero);
open my $in, '<', $csv or die "$csv: $!";
<$in>;
while (<$in>)
{
	next unless /^"?[^,"]*"?,"?(-?[\d.]+)"?,/;
	$lines++;
	$sum->badd($1);
}
close $in;

my $node = new_node('spending', "timezone = 'UTC'\nmax_wal_size = 2GB\n");
$node->start;

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# Poll until a query says t; the server may be on its way up.
sub wait_until
{
	my ($query, $what) = @_;
	for (1 .. 3000)
	{
		my ($status, $out) = $node->psql('postgres', $query);
		return 1 if defined $out && $out eq 't';
		usleep(100_000);
	}
	die "timed out waiting for $what";
}

# ---- the file becomes accounts and the inputs of runs ----

sql(<<'SQL');
CREATE EXTENSION expense_flow;
CREATE TABLE payment (line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payment_date date, amount numeric, unit text);
SQL
sql("\\copy payment (payment_date, amount, unit) FROM '$csv' (FORMAT csv, HEADER)");
sql(<<'SQL');
UPDATE payment SET unit = '' WHERE unit IS NULL;
INSERT INTO expense_flow.account (owner, card_number, balance, spending_limit)
SELECT unit, 'card of ' || unit, 1e12, 1e12 FROM (SELECT DISTINCT unit FROM payment) u ORDER BY unit;

-- A batch with an amount that is none (a council's credit note, say) is to be refused whole.
CREATE TABLE batch AS
SELECT row_number() OVER (ORDER BY p.payment_date, a.account_id) AS batch, a.account_id, p.payment_date,
	count(*) AS payments, sum(p.amount) AS total,
	bool_and(p.amount >= 0 AND p.amount = round(p.amount, 2)) AS good,
	jsonb_build_object('account_id', a.account_id, 'transactions',
		jsonb_agg(jsonb_build_object('id', p.line, 'description', p.unit, 'amount', p.amount,
									 'occurred_at', p.payment_date + time '12:00') ORDER BY p.line)) AS input,
	NULL::uuid AS run_id
FROM payment p JOIN expense_flow.account a ON a.owner = p.unit
GROUP BY a.account_id, p.payment_date;
VACUUM ANALYZE payment, batch, expense_flow.account;
SQL

is(sql('SELECT count(*), trim_scale(sum(amount)) FROM payment'), "$lines|" . $sum->bstr, 'the file was read whole');
if (basename($csv) eq 'bradford-2018.csv')
{
	is(sql('SELECT count(*), sum(amount) FROM payment'), '116410|534358141.47', "Bradford's payments");
	is(sql('SELECT count(*) FROM batch WHERE good'), '1854', 'and runs');
}
my $batches = sql('SELECT count(*) FROM batch');

# ---- the runs, started in three transactions; the postmaster dies during two of them ----

sub start_third
{
	my ($n) = @_;
	sql(qq{
		UPDATE batch SET run_id = expense_flow.start_workflow('spending', input, 'payments ' || batch)
		WHERE batch % 3 = $n});
}

# An account that somebody else has locked holds its runs, and with them the workers, in the middle of a step.

for my $n (0 .. 2)
{
	if ($n == 2)
	{
		start_third($n);
		last;
	}
	my $held = sql("SELECT account_id FROM batch WHERE batch % 3 = $n GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1");
	my $closed = sql('SELECT count(*) FROM expense_flow.closed_run');
	my $holder = session($node, 'postgres');
	$holder->("BEGIN; SELECT 'held' FROM expense_flow.account WHERE account_id = $held FOR UPDATE;", qr/held/);
	start_third($n);
	wait_until(qq{
		SELECT (SELECT count(*) > $closed FROM expense_flow.closed_run)
			AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'expense_flow worker' AND wait_event_type = 'Lock')},
		'a worker to be in the middle of a step');
	my ($done, $open) = split /\|/, sql(qq{
		SELECT (SELECT count(*) - $closed FROM expense_flow.closed_run), (SELECT count(*) FROM expense_flow.branch)});
	$node->kill9;
	start_after_crash($node) or die 'the server did not start again';
	ok($done > 0 && $open > 0, 'the postmaster was killed in the middle');
	note("$done runs of this third were closed, $open open");
}
wait_until('SELECT count(*) = 0 FROM expense_flow.branch', 'all runs to close');

# ---- what came out ----

is(sql(q{SELECT count(*) FROM batch b JOIN expense_flow.runs r USING (run_id)
		 WHERE r.status = CASE WHEN b.good THEN 'SUCCEEDED' ELSE 'FAILED' END}), $batches, 'every run ended as it should');
is(sql('SELECT count(*) FROM expense_flow.runs'), $batches, 'and there are no others');
is(sql(q{SELECT count(*) FROM batch b JOIN expense_flow.runs r USING (run_id)
		 WHERE NOT b.good AND (r.error IS DISTINCT FROM 'InvalidTransaction' OR r.output IS NOT NULL)}), '0',
	'a refused batch says why');
is(sql(q{SELECT count(*) FROM batch b JOIN expense_flow.runs r USING (run_id)
		 WHERE b.good AND r.output @> jsonb_build_object('accepted', true, 'total', b.total, 'saved', b.payments)}),
	sql('SELECT count(*) FROM batch WHERE good'), 'every output has the total');
is(sql('SELECT count(*), sum(amount) FROM expense_flow.transaction'),
	sql('SELECT sum(payments), sum(total) FROM batch WHERE good'), 'every payment was saved');
is(sql(q{
	WITH expected AS (
		SELECT b.account_id, p.line::text, p.unit, p.amount, p.payment_date + time '12:00' AT TIME ZONE 'UTC'
		FROM batch b JOIN expense_flow.account a USING (account_id) JOIN payment p ON p.unit = a.owner AND p.payment_date = b.payment_date
		WHERE b.good),
	actual AS (SELECT account_id, transaction_id, description, amount::numeric, occurred_at FROM expense_flow.transaction)
	SELECT (SELECT count(*) FROM (TABLE expected EXCEPT TABLE actual) x), (SELECT count(*) FROM (TABLE actual EXCEPT TABLE expected) y)}),
	'0|0', 'each as it is in the file');
is(sql(q{SELECT count(*) FROM expense_flow.account a
		 WHERE 1e12 - a.balance <> (SELECT coalesce(sum(b.total), 0) FROM batch b WHERE b.account_id = a.account_id AND b.good)}),
	'0', "each balance fell by exactly its account's total");
is(sql('SELECT count(*) * 1e12 - sum(balance) FROM expense_flow.account'), sql('SELECT sum(total) FROM batch WHERE good'),
	'and all of them by the sum');

# ---- reports ----

is(sql(q{
	SELECT count(*) FROM expense_flow.account a, (VALUES (7), (31), (400)) d (days), (VALUES (date '2018-07-01'), ('2019-01-01')) u (until)
	WHERE expense_flow.run_workflow('spending_by_category',
				jsonb_build_object('account_id', a.account_id, 'days', days, 'until', until))
		  IS DISTINCT FROM (SELECT coalesce(jsonb_object_agg(description, total), '{}')
							FROM (SELECT p.unit AS description, sum(p.amount) AS total
								  FROM payment p JOIN batch b ON b.payment_date = p.payment_date AND b.account_id = a.account_id
								  WHERE b.good AND p.unit = a.owner
										AND p.payment_date + time '12:00' > until - make_interval(days => days)
										AND p.payment_date + time '12:00' <= until
								  GROUP BY p.unit) t)}),
	'0', 'spending_by_category agrees with plain SQL');

# The same batches once more: everything is there already.
sql(q{UPDATE batch SET run_id = expense_flow.start_workflow('spending', input) WHERE good AND batch % 10 = 0});
wait_until('SELECT count(*) = 0 FROM expense_flow.branch', 'the repeated runs');
is(sql(q{SELECT count(*) FROM batch b JOIN expense_flow.runs r USING (run_id)
		 WHERE good AND batch % 10 = 0 AND r.output @> '{"accepted": true, "total": 0, "saved": 0}'}),
	sql('SELECT count(*) FROM batch WHERE good AND batch % 10 = 0'), 'the same payments again are neither stored nor charged');
is(sql('SELECT count(*), sum(amount) FROM expense_flow.transaction'),
	sql('SELECT sum(payments), sum(total) FROM batch WHERE good'), 'so nothing was added');

$node->stop;
done_testing();
