# pg_dump and restore with captured tables: the sources and triggers are there again, the feed begins anew.
# And what else makes a copy of a feed, or takes events away.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# SQLSTATE of a statement that fails
sub sqlstate
{
	my ($node, $database, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($database, "\\set VERBOSITY sqlstate\n$sql");
	return $rc == 0 ? "no error: $stdout" : ($stderr =~ /ERROR:\s+(\w{5})/)[0];
}

my $node = new_node('dump');
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE DATABASE original;
	CREATE DATABASE restored});
$node->safe_psql('original', q{
	CREATE EXTENSION expense_flow;
	CREATE SCHEMA alice AUTHORIZATION alice;
	CREATE TABLE item (id integer PRIMARY KEY, name text, photo text);
	SELECT expense_flow.capture_changes('item', 'things', exclude_columns => '{photo}', notify => 'key');
	CREATE TABLE gone (id integer PRIMARY KEY);
	SELECT expense_flow.capture_changes('gone');
	INSERT INTO item VALUES (1, 'a', 'p'), (2, 'b', 'q');
	UPDATE item SET name = 'c' WHERE id = 2;
	DROP TABLE gone;
	INSERT INTO expense_flow.account (account_id, balance) VALUES (1, 10);
	SET ROLE alice;
	CREATE TABLE alice."Odd ""name""" (id integer PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE alice.part PARTITION OF alice."Odd ""name""" DEFAULT;
	SELECT expense_flow.capture_changes('alice."Odd ""name"""');
	INSERT INTO alice.part VALUES (7)});
my $cursor = $node->safe_psql('original', q{SELECT max(cursor) FROM expense_flow.read_changes('things')});
$node->safe_psql('original', qq{SELECT expense_flow.acknowledge_changes('things', 'loader', '$cursor')});

my $sources = q{SELECT source, captured_table, exclude_columns, notify FROM expense_flow.event_sources ORDER BY source};
my $dump    = $node->basedir . '/dump.sql';
my $name    = 'Odd "name"';

foreach my $format ('plain', 'custom')
{
	$node->safe_psql('postgres', 'DROP DATABASE restored; CREATE DATABASE restored');
	if ($format eq 'plain')
	{
		$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('original') ], 'dump as text');
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore by psql');
	}
	else
	{
		$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('original') ], 'dump in custom format');
		$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('restored'), $dump ], 'restore in parallel');
	}
	is($node->safe_psql('restored', $sources), $node->safe_psql('original', $sources), "the same sources ($format)");
	is( $node->safe_psql('restored', q{SELECT count(*) FROM expense_flow.read_changes('things')}), '0',
		"users' tables: no events from before, nor of the restore ($format)");
	is( $node->safe_psql('restored', q{SELECT type, key FROM expense_flow.read_changes('account')}), 'add|{"account_id": 1}',
		"the application's tables: their feed begins with what was restored ($format)");
	is($node->safe_psql('restored', 'SELECT count(*) FROM expense_flow.change_consumers'), '0', "no consumer ($format)");

	$node->safe_psql('restored', qq{
		INSERT INTO item VALUES (3, 'd', 'r');
		TRUNCATE item;
		INSERT INTO alice."Odd ""name""" VALUES (8)});
	is( $node->safe_psql('restored', q{SELECT type, key, new FROM expense_flow.read_changes('things')}),
		qq{add|{"id": 3}|{"id": 3, "name": "d"}\nremove||}, "changes are captured ($format)");
	is($node->safe_psql('restored', qq{SELECT type, key FROM expense_flow.read_changes('$name')}), 'add|{"id": 8}', "of a partition too ($format)");
	is(sqlstate($node, 'restored', "SELECT * FROM expense_flow.read_changes('things', '$cursor');"), 'EF008', "a cursor of the original is refused ($format)");
	is( $node->safe_psql('restored', q{CREATE TABLE another (id integer PRIMARY KEY); SELECT expense_flow.capture_changes('another')}),
		'another', "new sources do not clash with restored ones ($format)");
	$node->safe_psql('restored', 'SET ROLE alice; SELECT expense_flow.stop_capturing(\'' . $name . '\')');
	is($node->safe_psql('restored', q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'alice.part'::regclass AND tgname LIKE 'expense%'}),
		'0', "its owner may stop the capture ($format)");
}

# The same table restored once more, into a database that has the extension but not the source.
$node->safe_psql('postgres', 'DROP DATABASE restored; CREATE DATABASE restored');
$node->safe_psql('restored', 'CREATE EXTENSION expense_flow');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-t', 'item', '-d', $node->connstr('restored'), $dump ], 'one table restored');
$node->safe_psql('restored', 'INSERT INTO item VALUES (9)');
is(sqlstate($node, 'restored', q{SELECT * FROM expense_flow.read_changes('things');}), '42704', 'is not captured');

# A copy by CREATE DATABASE has the events, but its cursors are its own.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE original');
is($node->safe_psql('copy', q{SELECT count(*) FROM expense_flow.read_changes('things')}), '3', 'a copy of the database has the events');
is(sqlstate($node, 'copy', "SELECT * FROM expense_flow.read_changes('things', '$cursor');"), 'EF008', q{but refuses the original's cursors});
is($node->safe_psql('original', "SELECT count(*) FROM expense_flow.read_changes('things', '$cursor')"), '0', 'the original takes them');

# Events of transactions that commit asynchronously are on disk before a reader gets them: a crash neither takes
# back what was read, nor makes a cursor point past what comes afterwards.  (No NOTIFY for this source, since
# the process that announces would flush too.)
$node->append_conf('postgresql.conf', "wal_writer_delay = 10s\nfsync = on\n");
$node->restart;
$node->safe_psql('original', q{
	CREATE TABLE quiet (id integer PRIMARY KEY);
	SELECT expense_flow.capture_changes('quiet', notify => 'none')});
foreach my $round (1 .. 5)
{
	my $read = $node->safe_psql('original', qq{
		SET synchronous_commit = off;
		INSERT INTO quiet VALUES ($round);
		SELECT max(cursor) FROM expense_flow.read_changes('quiet')});
	$node->kill9;
	start_after_crash($node) or BAIL_OUT('no start after a crash');
	is($node->safe_psql('original', "SELECT count(*) FROM quiet WHERE id = $round"), '1', "what was read survives a crash ($round)");
	$node->safe_psql('original', "INSERT INTO quiet VALUES (-$round)");
	is( $node->safe_psql('original', "SELECT key ->> 'id' FROM expense_flow.read_changes('quiet', '$read')"),
		"-$round", "what comes after the crash comes after the cursor ($round)");
}

# DROP EXTENSION takes the triggers along.
like(($node->psql('original', 'DROP EXTENSION expense_flow'))[2], qr/other objects depend on it/, 'captured tables keep the extension');
$node->safe_psql('original', 'DROP EXTENSION expense_flow CASCADE; INSERT INTO item VALUES (1000)');
is($node->safe_psql('original', q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass}), '0', 'CASCADE removes the triggers');

# A standby has the events but cannot know what is still open on the primary.
$node->safe_psql('original', q{DROP SCHEMA IF EXISTS expense_flow CASCADE; CREATE EXTENSION expense_flow; SELECT expense_flow.capture_changes('item'); INSERT INTO item VALUES (1001)});
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(sqlstate($standby, 'original', q{SELECT * FROM expense_flow.read_changes('item');}), '0A000', 'a standby does not read feeds');
$cursor = $node->safe_psql('original', q{SELECT max(cursor) FROM expense_flow.read_changes('item')});
$node->stop;
$standby->promote;
$standby->safe_psql('original', 'INSERT INTO item VALUES (1002)');
is( $standby->safe_psql('original', "SELECT key ->> 'id' FROM expense_flow.read_changes('item', '$cursor')"), '1002',
	'promoted, it goes on after the cursor of the primary');
$standby->stop;

done_testing();
