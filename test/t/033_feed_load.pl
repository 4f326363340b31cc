# A consumer reads a feed while many writers work, some long, some rolled back in part or in whole, some killed:
# it must see every change once, and those of a row in the order in which they were made.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('load', "expense_flow.workers = 1\nsynchronous_commit = off\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION expense_flow;
	CREATE TABLE counter (id integer PRIMARY KEY, v integer NOT NULL);
	SELECT expense_flow.capture_changes('counter');
	INSERT INTO counter SELECT i, 0 FROM generate_series(1, 20) AS i;
	CREATE TABLE consumed (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cursor text UNIQUE, id integer, old integer, new integer);
	CREATE FUNCTION consume() RETURNS bigint LANGUAGE sql AS $$
		WITH page AS (
			INSERT INTO consumed (cursor, id, old, new)
			SELECT cursor, (key ->> 'id')::integer, (old ->> 'v')::integer, (new ->> 'v')::integer
			FROM expense_flow.read_changes('counter', (SELECT c.cursor FROM consumed AS c ORDER BY n DESC LIMIT 1), 500)
			RETURNING 1)
		SELECT count(*) FROM page $$});

my %scripts = (
	short => q{
		\set id random(1, 20)
		UPDATE counter SET v = v + 1 WHERE id = :id;
	},
	long => q{
		\set id random(1, 19)
		\set ms random(1, 100)
		BEGIN;
		UPDATE counter SET v = v + 1 WHERE id = :id;
		\sleep :ms ms
		SAVEPOINT s;
		UPDATE counter SET v = v + 1 WHERE id = 20;
		ROLLBACK TO s;
		UPDATE counter SET v = v + 1 WHERE id = 20;
		COMMIT;
	},
	rolled_back => q{
		\set id random(1, 20)
		BEGIN;
		UPDATE counter SET v = v + 1 WHERE id = :id;
		ROLLBACK;
	},
	late => q{
		\set id random(1, 20)
		\set ms random(1, 20)
		BEGIN;
		SAVEPOINT a;
		UPDATE counter SET v = v + 1 WHERE id = :id;
		ROLLBACK TO a;
		\sleep :ms ms
		UPDATE counter SET v = v + 1 WHERE id = :id;
		COMMIT;
	});
my @files;
foreach my $name (sort keys %scripts)
{
	my $file = $node->basedir . "/$name.sql";
	append_to_file($file, $scripts{$name} =~ s/^\s+//gmr);
	push @files, '-f', $file;
}

my $seconds = long_tests(6, 60);
my ($output, $errors) = ('', '');
my $pgbench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 8, '-j', 2, '-T', $seconds, '--max-tries=10', @files, $node->connstr('postgres') ],
	'>', \$output, '2>', \$errors);
my ($reads, $killed) = (0, 0);
while ($pgbench->pumpable)
{
	$pgbench->pump_nb;
	$node->safe_psql('postgres', 'SELECT consume()');
	# three of the eight writers die in the middle of something
	if (++$reads % 20 == 0 && $killed < 3)
	{
		$killed += $node->safe_psql('postgres', q{
			SELECT count(pg_terminate_backend(pid)) FROM (
				SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND backend_xid IS NOT NULL AND pid <> pg_backend_pid() LIMIT 1) AS p});
	}
}
$pgbench->finish;
1 while $node->safe_psql('postgres', 'SELECT consume()') > 0;

cmp_ok($reads, '>', 10, "$reads reads meanwhile");
note("$killed writers killed; ", $node->safe_psql('postgres', 'SELECT count(*) FROM consumed'), ' events');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM counter AS c
		WHERE v <> (SELECT count(*) - 1 FROM consumed AS e WHERE e.id = c.id)}),
	'0', 'as many events of each row as it was changed');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT id, old, lag(new) OVER (PARTITION BY id ORDER BY n) AS previous FROM consumed) AS e
		WHERE old IS DISTINCT FROM previous}),
	'0', 'each begins where the one before ended');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT cursor, lag(cursor) OVER (ORDER BY n) AS previous FROM consumed) AS e WHERE cursor <= previous}),
	'0', 'cursors only go up');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid > 2 AND
		pid NOT IN (SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow%')}),
	'0', 'no lock of a writer is left');
$node->stop;
done_testing();
