# Updates of the extension: a database that was updated is like one that was made anew, and open runs go on, across
# ALTER EXTENSION UPDATE and across another library and a restart.
#
# There is always a next version to test with: one that this test makes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# ---- a copy of the installation, whose extension directory may be changed ----

sub pg_config
{
	my ($what) = @_;
	my ($out) = PostgreSQL::Test::Utils::run_command([ $ENV{PG_CONFIG} || 'pg_config', "--$what" ]);
	return $out;
}
my ($bin, $lib, $share) = map { pg_config($_) } qw(bindir pkglibdir sharedir);
my $root = PostgreSQL::Test::Utils::tempdir();

# Programs find what else there is from where they are.
sub copy_installation
{
	my $common = $bin;
	$common =~ s,/[^/]*$,, while index("$lib/", "$common/") || index("$share/", "$common/");
	my ($new_bin, $new_lib, $new_share) = map { $root . substr($_, length $common) } ($bin, $lib, $share);
	PostgreSQL::Test::Utils::system_or_bail('sh', '-c', q{
		set -e
		mkdir -p "$2" "$4" "$6"
		cp -a "$1"/. "$2"
		cp -as "$3"/. "$4"
		cp -as "$5"/. "$6"
		rm -f "$4"/expense_flow.so "$6"/extension/expense_flow*
		cp "$3"/expense_flow.so "$4"
		cp "$5"/extension/expense_flow* "$6"/extension}, 'sh', $bin, $new_bin, $lib, $new_lib, $share, $new_share);
	$ENV{PATH} = "$new_bin:$ENV{PATH}";
	return ($new_lib, "$new_share/extension");
}
my ($libdir, $dir) = copy_installation();
my $control = PostgreSQL::Test::Utils::slurp_file("$dir/expense_flow.control");
my ($current) = $control =~ /^default_version = '(.*)'/m or die 'no version';

# ---- the next version ----

my $new_objects = q{
CREATE TABLE upgrade_note (n integer PRIMARY KEY, note text COLLATE "C" NOT NULL DEFAULT 'x');
COMMENT ON TABLE upgrade_note IS 'Something new.';
SELECT pg_catalog.pg_extension_config_dump('upgrade_note', '');
ALTER TABLE run ADD COLUMN upgrade_mark integer;
COMMENT ON COLUMN run.upgrade_mark IS 'Something new in a table that has rows.';
CREATE FUNCTION upgrade_notes() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS 'SELECT count(*) FROM expense_flow.upgrade_note';
REVOKE EXECUTE ON FUNCTION upgrade_notes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION upgrade_notes() TO pg_monitor;
COMMENT ON FUNCTION upgrade_notes() IS 'Something new, for monitors.';
};

sub write_file
{
	my ($name, $content) = @_;
	open my $f, '>', "$dir/$name" or die "$name: $!";
	print $f $content;
	close $f;
	return;
}
write_file("expense_flow--next.sql", PostgreSQL::Test::Utils::slurp_file("$dir/expense_flow--$current.sql") . $new_objects);
write_file("expense_flow--$current--next.sql", $new_objects);

# Updates that forget something.
my %forgets = (
	'a grant'   => $new_objects =~ s/^GRANT.*\n//mr,
	'a comment' => $new_objects =~ s/^COMMENT ON COLUMN.*\n//mr,
	'a default' => $new_objects =~ s/ DEFAULT 'x'//r,
	'the dump'  => $new_objects =~ s/^SELECT pg_catalog.*\n//mr);
my $number = 0;
foreach my $what (sort keys %forgets)
{
	$number++;
	write_file("expense_flow--bad$number.sql", PostgreSQL::Test::Utils::slurp_file("$dir/expense_flow--next.sql"));
	write_file("expense_flow--$current--bad$number.sql", $forgets{$what});
}

my $node = new_node('upgrade', "expense_flow.workers = 2\n");
$node->start;

sub catalog
{
	my ($database) = @_;
	return $node->safe_psql($database, PostgreSQL::Test::Utils::slurp_file("$FindBin::RealBin/../lib/extension_catalog.sql"));
}

# The catalog of a database that is made anew, or updated.
my $made = 0;

sub catalog_of
{
	my (@statements) = @_;
	my $database = 'made' . ++$made;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, $_) foreach @statements;
	my $catalog = catalog($database);
	$node->safe_psql('postgres', "DROP DATABASE $database");
	return $catalog;
}

sub differences
{
	my ($x, $y) = @_;
	my %x = map { $_ => 1 } split /\n/, $x;
	my %y = map { $_ => 1 } split /\n/, $y;
	return join '', map({ "-$_\n" } grep { !$y{$_} } sort keys %x), map({ "+$_\n" } grep { !$x{$_} } sort keys %y);
}

# ---- like one that was made anew ----

my $fresh = catalog_of("CREATE EXTENSION expense_flow VERSION 'next'");
like($fresh, qr/^function expense_flow.upgrade_notes\(\)\|rights\|.*pg_monitor=X/m, 'the catalog of the next version');
is(differences($fresh, catalog_of("CREATE EXTENSION expense_flow VERSION '$current'", "ALTER EXTENSION expense_flow UPDATE TO 'next'")),
	'', 'an updated database is like one that was made anew');
$number = 0;
foreach my $what (sort keys %forgets)
{
	$number++;
	isnt(differences($fresh, catalog_of("CREATE EXTENSION expense_flow VERSION '$current'", "ALTER EXTENSION expense_flow UPDATE TO 'bad$number'")),
		'', "an update that forgets $what is noticed");
}

# Every version that was released, if any.
my $now = catalog_of("CREATE EXTENSION expense_flow VERSION '$current'");
my @released = grep { !/^(next|bad\d)$/ && $_ ne $current }
  split /\n/, $node->safe_psql('postgres', q{SELECT version FROM pg_available_extension_versions WHERE name = 'expense_flow'});
foreach my $version (@released)
{
	is(differences($now, catalog_of("CREATE EXTENSION expense_flow VERSION '$version'", 'ALTER EXTENSION expense_flow UPDATE')),
		'', "version $version is updated to what $current is");
}

# ---- open runs ----

$node->safe_psql('postgres', "CREATE EXTENSION expense_flow VERSION '$current'");
create_transfers($node, 'postgres');
$node->safe_psql('postgres', q{
	SELECT expense_flow.create_workflow('mixed', '{"StartAt": "All", "States": {"All": {"Type": "Parallel", "End": true, "Branches": [
		{"StartAt": "Message", "States": {"Message": {"Type": "Task", "Resource": "signal:go", "End": true}}},
		{"StartAt": "Outside", "States": {"Outside": {"Type": "Task", "Resource": "activity:work/do", "End": true}}},
		{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 4, "Next": "Done"}, "Done": {"Type": "Pass", "Result": "waited", "End": true}}}]}}}');
	SELECT expense_flow.start_workflow('mixed', workflow_id => 'mixed-' || i) FROM generate_series(1, 2) i});
wait_for($node, 'postgres', q{SELECT count(*) = 2 FROM expense_flow.activity_task}, 'runs wait for a message, a timer and work outside');
my @tokens = split /\n/, $node->safe_psql('postgres', q{SELECT token FROM expense_flow.poll_activity('work', max_tasks => 2) ORDER BY workflow_id});

sub finish_mixed
{
	my ($i) = @_;
	$node->safe_psql('postgres', qq{
		SELECT expense_flow.signal_workflow('mixed-$i', 'go', '"signaled"');
		SELECT expense_flow.complete_activity('$tokens[$i - 1]', '"worked"')});
	wait_for($node, 'postgres', qq{SELECT count(*) = 0 FROM expense_flow.branch WHERE run_id = (SELECT run_id FROM expense_flow.runs WHERE workflow_id = 'mixed-$i')}, "run $i ends");
	is($node->safe_psql('postgres', qq{SELECT output FROM expense_flow.runs WHERE workflow_id = 'mixed-$i'}), '["signaled", "worked", "waited"]', 'as it should');
	return;
}

$node->safe_psql('postgres', start_transfers(1, 1500));
$node->safe_psql('postgres', "ALTER EXTENSION expense_flow UPDATE TO 'next'");
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE status = 'RUNNING'}), '>=', 2, 'updated while runs are open');
is(differences($fresh, catalog('postgres')), '', 'the catalog is that of the next version');
$node->safe_psql('postgres', start_transfers(1501, 1600));
wait_for($node, 'postgres', q{SELECT count(*) = 0 FROM expense_flow.runs WHERE workflow = 'transfer' AND status = 'RUNNING'}, 'runs of before and after go on');
check_transfers($node, 'postgres', 1600, 'ALTER EXTENSION UPDATE');
finish_mixed(1);

# Another library, which processes load that are started from now on.
$node->safe_psql('postgres', start_transfers(1601, 3000));
PostgreSQL::Test::Utils::system_or_bail('sh', '-c', q{cp "$0" "$0.new" && printf 'another' >>"$0.new" && mv -f "$0.new" "$0"}, "$libdir/expense_flow.so");
$node->safe_psql('postgres', start_transfers(3001, 3010));
$node->restart;
wait_for($node, 'postgres', q{SELECT count(*) = 0 FROM expense_flow.runs WHERE workflow = 'transfer' AND status = 'RUNNING'}, 'runs go on with another library');
check_transfers($node, 'postgres', 3010, 'another library');
finish_mixed(2);
$node->stop;

done_testing();
