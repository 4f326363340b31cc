# NOTIFY for change events, as a listening client receives it: from the background process, off the commit
# path, and from the writer itself where none runs.  Once each, in order, across crashes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $json = JSON::PP->new->canonical;

# A psql session that listens, and the messages that it received.
sub listener
{
	my ($node, @channels) = @_;
	my $psql = $node->background_psql('postgres');
	$psql->query_safe(qq{LISTEN "$_"}) foreach @channels;
	return { psql => $psql, messages => [] };
}

sub receive
{
	my ($listener) = @_;
	my $output = $listener->{psql}->query('SELECT 1');
	while ($output =~ /^Asynchronous notification "(.*?)" with payload "(.*)" received from server process with PID (\d+)\.$/mg)
	{
		push @{ $listener->{messages} }, { channel => $1, payload => $2, pid => $3, %{ $json->decode($2) } };
	}
	return scalar @{ $listener->{messages} };
}

# Wait until so many messages are there (and no more within a moment), and hand them out.
sub messages
{
	my ($listener, $count) = @_;
	for (1 .. 600)
	{
		last if receive($listener) >= $count;
		usleep(100_000);
	}
	usleep(200_000);
	receive($listener);
	return splice @{ $listener->{messages} };
}

my $item = 'CREATE TABLE item (id integer PRIMARY KEY, name text)';

foreach my $preload (1, 0)
{
	my $title = $preload ? 'with workers' : 'without workers';
	my $node  = new_node($preload ? 'workers' : 'plain', "expense_flow.workers = 2\n" . ($preload ? '' : "shared_preload_libraries = ''\n"));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
	wait_for_processes($node, 'postgres', '1 2', 'dispatcher and workers run') if $preload;
	$node->safe_psql('postgres', "$item; SELECT expense_flow.capture_changes('item')");
	my $listener = listener($node, 'expense_flow_item', 'expense_flow_account', 'expense_flow_transaction');

	# the three kinds of change
	my $writer = $node->safe_psql('postgres', q{SELECT pg_backend_pid(); INSERT INTO item VALUES (1, 'a'); UPDATE item SET name = 'b'; DELETE FROM item});
	my @got = messages($listener, 3);
	is_deeply(
		[ map { [ @{$_}{qw(channel type key data)} ] } @got ],
		[   [ 'expense_flow_item', 'add',    { id => 1 }, { id => 1, name => 'a' } ],
			[ 'expense_flow_item', 'update', { id => 1 }, { id => 1, name => 'b' } ],
			[ 'expense_flow_item', 'remove', { id => 1 }, { id => 1, name => 'b' } ] ],
		"type, key and data of each change $title");
	is(scalar(grep { $_->{pid} == $writer } @got), $preload ? 0 : 3, ($preload ? 'not' : '') . " sent by the writer $title");
	my $cursors = $node->safe_psql('postgres', q{SELECT string_agg(cursor, ' ' ORDER BY cursor) FROM expense_flow.read_changes('item')});
	is(join(' ', map { $_->{cursor} } @got), $cursors, "the cursors are those of read_changes() $title");
	is( $node->safe_psql('postgres', "SELECT type, key ->> 'id' FROM expense_flow.read_changes('item', '$got[1]{cursor}')"),
		'remove|1', "reading goes on from a message $title");

	# the expense application
	$node->safe_psql('postgres', q{
		INSERT INTO expense_flow.account (account_id, balance) VALUES (7, 12.50);
		INSERT INTO expense_flow.transaction (account_id, transaction_id, amount) VALUES (7, 'x', 1.5)});
	@got = messages($listener, 2);
	is_deeply(
		{ map { $_->{channel} => [ $_->{type}, $_->{key} ] } @got },
		{   expense_flow_account     => [ 'add', { account_id => 7 } ],
			expense_flow_transaction => [ 'add', { account_id => 7, transaction_id => 'x' } ] },
		"accounts and transactions are announced $title");

	# nothing from what was rolled back
	$node->safe_psql('postgres', q{
		BEGIN; INSERT INTO item VALUES (1); ROLLBACK;
		BEGIN; INSERT INTO item VALUES (2); SAVEPOINT s; INSERT INTO item VALUES (3); ROLLBACK TO s; INSERT INTO item VALUES (4); COMMIT});
	is(join(' ', map { $_->{key}{id} } messages($listener, 2)), '2 4', "only what is committed $title");

	# a payload at the limit, beyond it, and a key beyond it
	$node->safe_psql('postgres', q{CREATE TABLE wide (id text PRIMARY KEY, v text); SELECT expense_flow.capture_changes('wide')});
	$node->safe_psql('postgres', q{
		CREATE TABLE item2 (id integer PRIMARY KEY, v text); CREATE TABLE item3 (id integer PRIMARY KEY);
		SELECT expense_flow.capture_changes('item2', notify => 'key'), expense_flow.capture_changes('item3', notify => 'none')});
	my $wide = listener($node, qw(expense_flow_wide expense_flow_item2 expense_flow_item3));
	$node->safe_psql('postgres', q{INSERT INTO wide VALUES ('a', '')});
	my ($empty) = messages($wide, 1);
	my $room = 7999 - length $empty->{payload};
	$node->safe_psql('postgres', qq{INSERT INTO wide SELECT id, repeat('x', n) FROM (VALUES ('b', $room), ('c', $room + 1), ('d', 100000), ('e', 10000000)) AS v (id, n) ORDER BY id});
	@got = messages($wide, 4);
	is(length $got[0]{payload}, 7999, "as much as NOTIFY takes $title");
	is(length $got[0]{data}{v}, $room, "is sent whole $title");
	is_deeply(
		[ map { [ $_->{key}{id}, exists $_->{data} ? 1 : 0, $_->{data_omitted} ? 1 : 0 ] } @got ],
		[ [ 'b', 1, 0 ], [ 'c', 0, 1 ], [ 'd', 0, 1 ], [ 'e', 0, 1 ] ],
		"more leaves the data out, and says so $title");
	$node->safe_psql('postgres', q{
		CREATE TABLE keyless (v text); SELECT expense_flow.capture_changes('keyless')});
	my $keyless = listener($node, 'expense_flow_keyless');
	$node->safe_psql('postgres', q{INSERT INTO keyless VALUES (repeat('x', 10000)), ('ü"\\')});
	@got = messages($keyless, 2);
	is_deeply([ sort keys %{ $json->decode($got[0]{payload}) } ], [qw(cursor data_omitted key_omitted type)], "a key too long is left out too $title");
	ok(exists $got[1]{key}{v}, "the next one is whole $title");

	# row security cannot be applied to listeners
	$node->safe_psql('postgres', q{
		ALTER TABLE keyless ENABLE ROW LEVEL SECURITY; INSERT INTO keyless VALUES ('secret'); TRUNCATE keyless});
	@got = messages($keyless, 2);
	unlike($got[0]{payload} . $got[1]{payload}, qr/secret/, "nothing of a row under row security $title");
	is_deeply(
		[ map { [ sort keys %{ $json->decode($_->{payload}) } ] } @got ],
		[ [qw(cursor data_omitted key_omitted type)], [qw(cursor data key type)] ],
		"but that there is a change $title");

	# what a source announces
	$node->safe_psql('postgres', q{INSERT INTO item3 VALUES (1); INSERT INTO item2 VALUES (1, 'secret'); TRUNCATE item2});
	@got = messages($wide, 2);
	is_deeply(
		[ map { my %m = %{ $json->decode($_->{payload}) }; delete $m{cursor}; $json->encode(\%m) } @got ],
		[   '{"data_omitted":true,"key":{"id":1},"type":"add"}',
			'{"data":null,"key":null,"type":"remove"}' ],
		"only the key where the source says so, nothing where it says none $title");

	$_->{psql}->quit foreach $wide, $keyless;

	# writers that commit in another order than they began
	my $first = $node->background_psql('postgres');
	$first->query_safe('BEGIN; INSERT INTO item VALUES (101)');
	$node->safe_psql('postgres', 'INSERT INTO item VALUES (102)');
	if ($preload)
	{
		is_deeply([ messages($listener, 0) ], [], 'a later writer waits for an earlier one to be announced');
		$first->query_safe('COMMIT');
		is(join(' ', map { $_->{key}{id} } messages($listener, 2)), '101 102', 'and is announced after it');
		$first->query_safe('BEGIN; INSERT INTO item VALUES (103)');
		$node->safe_psql('postgres', 'INSERT INTO item VALUES (104)');
		$first->query_safe('ROLLBACK');
		is(join(' ', map { $_->{key}{id} } messages($listener, 1)), '104', 'or once it has rolled back');

		$first->query_safe(q{BEGIN; INSERT INTO item VALUES (105); PREPARE TRANSACTION 'p'});
		$node->safe_psql('postgres', 'INSERT INTO item VALUES (106)');
		is_deeply([ messages($listener, 0) ], [], 'a prepared transaction holds later ones back');
		is($node->safe_psql('postgres', qq{SELECT count(*) FROM expense_flow.read_changes('item') WHERE key ->> 'id' IN ('105', '106')}),
			'0', 'from readers too');
		$_->quit foreach $first, $listener->{psql};
		$node->restart;
		wait_for_processes($node, 'postgres', '1 2', 'dispatcher and workers are back');
		$listener = listener($node, 'expense_flow_item');
		is($node->safe_psql('postgres', qq{SELECT count(*) FROM expense_flow.read_changes('item') WHERE key ->> 'id' IN ('105', '106')}),
			'0', 'after a restart too');
		$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
		is(join(' ', map { $_->{key}{id} } messages($listener, 2)), '105 106', 'until it is committed');
	}
	else
	{
		$first->query_safe('COMMIT');
		is(join(' ', sort map { $_->{key}{id} } messages($listener, 2)), '101 102', 'two writers, two messages');
		$_->quit foreach $first, $listener->{psql};

		# What the writers announced themselves is not announced again by a dispatcher that comes later.
		my $last = $node->safe_psql('postgres', q{SELECT max(cursor) FROM expense_flow.read_changes('item')});
		$node->append_conf('postgresql.conf', "shared_preload_libraries = 'expense_flow'\n");
		$node->stop;
		$node->start;
		$listener = listener($node, 'expense_flow_item');
		wait_for_processes($node, 'postgres', '1 2', 'dispatcher and workers come with a restart');
		$node->safe_psql('postgres', 'INSERT INTO item VALUES (201)');
		is(join(' ', map { $_->{key}{id} } messages($listener, 1)), '201', 'a dispatcher goes on where the writers stopped');
	}
	# A crash: what was committed and not announced yet is announced afterwards, nothing twice.
	if ($preload)
	{
		my %seen;
		my $expected = 0;
		foreach my $round (1 .. 5)
		{
			my $base = 1000 * $round;
			$node->safe_psql('postgres', "INSERT INTO item SELECT $base + i FROM generate_series(1, 200) AS i");
			$expected += 200;
			receive($listener) if $round % 2;
			$seen{ $_->{key}{id} }++ foreach splice @{ $listener->{messages} };
			$node->kill9;
			$listener->{psql}->{run}->kill_kill;
			ok(start_after_crash($node), "started after crash $round");
			$listener = listener($node, 'expense_flow_item');
			$seen{ $_->{key}{id} }++ foreach messages($listener, 0);
		}
		$node->poll_query_until('postgres', q{
			SELECT a.announced_through >= max(e.event_id) FROM expense_flow.event_announced AS a
			JOIN expense_flow.event_source AS s USING (source_id) JOIN expense_flow.change_event AS e USING (source_id)
			WHERE s.source = 'item' GROUP BY a.announced_through});
		$seen{ $_->{key}{id} }++ foreach messages($listener, 0);
		is(scalar(grep { $_ > 1 } values %seen), 0, 'no message twice');
		is( $node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.read_changes('item', NULL, 100000) WHERE (key ->> 'id')::integer > 1000}),
			$expected, 'every committed change is in the feed, once');
	}
	$node->stop;
}

done_testing();
