# The tests' own foundation: the extension can be created, in a server that preloads the library and in one
# that does not.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

for my $preload ('', 'expense_flow')
{
	my $title = $preload ? 'with preload' : 'without preload';
	my $node = PostgreSQL::Test::Cluster->new($preload ? 'preloaded' : 'plain');
	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
	is( $node->safe_psql(
			'postgres', "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'expense_flow'"),
		'expense_flow',
		"extension created $title");
	$node->safe_psql('postgres', "LOAD 'expense_flow'");
	$node->safe_psql('postgres', 'DROP EXTENSION expense_flow');
	is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('expense_flow')"),
		'0', "dropped without a trace $title");
	$node->safe_psql('postgres', 'DROP SCHEMA IF EXISTS expense_flow; CREATE EXTENSION expense_flow');
	$node->restart;
	is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_extension WHERE extname = 'expense_flow'"),
		'1', "still there after a restart $title");
	$node->stop;
}

done_testing();
