# Compiled workflows in each process: of which installation they are, and how much memory they take.  Results
# that are waited for: with workers, without, and on a standby.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

sub passes
{
	my ($result) = @_;
	return qq[{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"$result","End":true}}}];
}

my $node = new_node('registry', "expense_flow.workers = 2\nclient_min_messages = warning\n");
$node->start;

# ---- dropped and created again: the same numbers, other versions ----
$node->safe_psql('postgres', 'CREATE DATABASE again');
my $same_session = join '', map { "CREATE EXTENSION expense_flow;
	SELECT expense_flow.create_workflow('w', '" . passes($_) . "') AS version \\gset
	SELECT version_id FROM expense_flow.workflow_version WHERE workflow = 'w';
	SELECT expense_flow.run_workflow('w');
	DROP EXTENSION expense_flow;\n" } qw(first second);
is($node->safe_psql('again', $same_session), qq(1\n"first"\n1\n"second"), 'a process does not mix up two installations');

# ---- memory ----
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
my $many = q{
	SELECT count(expense_flow.create_workflow('many' || i, format('{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"%s","End":true}}}', i)::json))
	FROM generate_series(1, 300) i;
	SELECT count(*) FROM generate_series(1, 300) i WHERE expense_flow.run_workflow('many' || i) = to_jsonb(i::text);
	SELECT count(*) FROM generate_series(1, 300) i WHERE expense_flow.run_workflow('many' || i) = to_jsonb(i::text);
	SELECT expense_flow.run_workflow('many1');
	SELECT count(*) > 1, sum(total_bytes) < 200000 FROM pg_backend_memory_contexts WHERE name = 'compiled workflow' OR parent = 'compiled workflow';};
is($node->safe_psql('postgres', "SET expense_flow.workflow_cache_size = '100kB'; $many"), qq(300\n300\n300\n"1"\nt|f),
	'workflows of one statement stay until its transaction has ended');
is( $node->safe_psql('postgres', qq{SET expense_flow.workflow_cache_size = '100kB';
		SELECT format('SELECT expense_flow.run_workflow(%L)', 'many' || i) FROM generate_series(1, 300) i \\gexec
		SELECT 'cached', count(*) > 1, sum(total_bytes) < 200000 FROM pg_backend_memory_contexts WHERE name = 'compiled workflow' OR parent = 'compiled workflow'})
	  =~ s/^"\d+"\n//mgr, 'cached|t|t', 'then room is made');
is( $node->safe_psql('postgres', qq{SET expense_flow.workflow_cache_size = 0;
		SELECT format('SELECT expense_flow.run_workflow(%L)', 'many' || i) FROM generate_series(1, 20) i, generate_series(1, 2) ORDER BY i \\gexec}),
	join("\n", map { (qq("$_"), qq("$_")) } 1 .. 20), 'it works without a cache, too');

# ---- waiting ----
my $begin = time;
is( $node->safe_psql('postgres', "SELECT expense_flow.create_workflow('short', '{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Wait\",\"Seconds\":2,\"Next\":\"B\"},\"B\":{\"Type\":\"Pass\",\"Result\":\"waited\",\"End\":true}}}') AS v \\gset
	SELECT expense_flow.start_workflow('short') AS run \\gset
	SELECT expense_flow.get_result(:'run')"), '"waited"', 'get_result() waits for the end of a run that workers advance');
my $took = time - $begin;
cmp_ok($took, '<', 8, 'and is waked by it');
cmp_ok($took, '>=', 2, 'not before');

$node->safe_psql('postgres', "SELECT expense_flow.create_workflow('long', '{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Wait\",\"Seconds\":100000,\"End\":true}}}')");
my $long = $node->safe_psql('postgres', "SELECT expense_flow.start_workflow('long', '{}', 'long')");
my $waiter = $node->background_psql('postgres', on_error_stop => 0);

$waiter->query_until(qr/waiting/, "\\echo waiting\nSELECT expense_flow.get_result('$long');\n\\echo :LAST_ERROR_SQLSTATE\n");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%get_result%' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid()"),
	'one who waits holds no processor');
ok($node->poll_query_until('postgres', "SELECT backend_xid IS NULL FROM pg_stat_activity WHERE query LIKE '%get_result(%' AND pid <> pg_backend_pid()"),
	'and no transaction id');
$node->safe_psql('postgres', "SELECT expense_flow.terminate_workflow('long')");
$waiter->query_until(qr/EF005/, '');
Test::More::pass('a run that is terminated wakes who waits for it');
$waiter->quit;

# ---- a standby ----
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$long = $node->safe_psql('postgres', "SELECT expense_flow.start_workflow('long', '{}', 'long again')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
my ($status, $stdout, $stderr) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT expense_flow.get_result('$long', '50 ms')");
like($stderr, qr/EF009/, 'a run that is open on a standby');
is($standby->safe_psql('postgres', "SELECT expense_flow.describe_run('$long') ->> 'status'"), 'RUNNING', 'is described there');
$node->safe_psql('postgres', "SELECT expense_flow.terminate_workflow('long again')");
($status, $stdout, $stderr) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT expense_flow.get_result('$long', '60 s')");
like($stderr, qr/EF005/, 'and waited for there');
($status, $stdout, $stderr) = $standby->psql('postgres', "SELECT expense_flow.create_workflow('x', '" . passes('x') . "')");
like($stderr, qr/read-only transaction/, 'nothing is registered there');
$standby->stop;

# ---- without workers ----
my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$plain->start;
$plain->safe_psql('postgres', "CREATE EXTENSION expense_flow; SELECT expense_flow.create_workflow('w', '" . passes('driven') . "')");
my $run = $plain->safe_psql('postgres', "SELECT expense_flow.start_workflow('w')");
($status, $stdout, $stderr) = $plain->psql('postgres', "SELECT expense_flow.get_result('$run', '0')");
like($stderr, qr/HINT:.*run_pending/, 'the error tells who does the work');
($status, $stdout, $stderr) = $plain->psql('postgres', "SELECT expense_flow.get_result('$run', '1200 ms')");
like($stderr, qr/NOTICE:  no background workers serve this database/, 'who waits for long is told, too');
$waiter = $plain->background_psql('postgres');
$waiter->query_until(qr/waiting/, "\\echo waiting\nSELECT expense_flow.get_result('$run');\n");
$plain->safe_psql('postgres', 'CALL expense_flow.run_pending()');
like($waiter->query_until(qr/driven/, ''), qr/"driven"/, 'it ends when another session drives it');
$waiter->quit;
$plain->stop;
$node->stop;
done_testing();
