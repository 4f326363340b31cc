# The session in doc/guide.md: every statement, in this order, gives the output that is shown.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $guide = slurp_file("$FindBin::RealBin/../../doc/guide.md");

# The statements of a block, each with its output.  A statement ends with the first semicolon at the end of a line that
# is in no string; the next one begins after an empty line.
sub statements
{
	my ($block) = @_;
	my (@statements, $complete);
	my $after_blank = 1;

	foreach my $line (split /\n/, $block)
	{
		if (!@statements || ($complete && $after_blank && $line =~ /^[A-Z\\]/))
		{
			push @statements, { text => '', output => '' };
			$complete = 0;
		}
		if ($complete)
		{
			$statements[-1]{output} .= "$line\n";
		}
		else
		{
			$statements[-1]{text} .= "$line\n";
			my $quotes = () = $statements[-1]{text} =~ /'|\$\$/g;
			$complete = $line =~ /;$|\\gset$/ && $quotes % 2 == 0;
		}
		$after_blank = $line eq '';
	}
	return @statements;
}

sub trimmed
{
	my ($text) = @_;
	$text =~ s/[ \r]+$//gm;
	$text =~ s/\n+\z//;
	return $text;
}

my @shown = map { statements($_) } $guide =~ /^```\n(.*?)^```$/gms;
cmp_ok(scalar(@shown), '>', 20, 'there are statements');

my $node = new_node('guide');
my $has_cron = -e $node->config_data('--sharedir') . '/extension/pg_cron.control';
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'expense_flow, pg_cron'\ncron.database_name = 'postgres'\n") if $has_cron;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION expense_flow');

# One session; a mark on both channels tells where the output of a statement ends.
my $mark   = '=== the next one ===';
my $script = join '', map { "$_->{text}\\echo $mark\n\\warn $mark\n" } @shown;
my ($out, $err) = ('', '');
IPC::Run::run([ 'psql', '-X', '-d', $node->connstr('postgres') ], '<', \$script, '>', \$out, '2>', \$err);
my @out = split /^\Q$mark\E\n/m, $out, -1;
my @err = split /^\Q$mark\E\n/m, $err, -1;
foreach my $i (0 .. $#shown)
{
	my ($title) = split /\n/, $shown[$i]{text};
	is(trimmed(($out[$i] // '') . ($err[$i] // '')), trimmed($shown[$i]{output}), $title);
}

SKIP:
{
	skip 'pg_cron is not installed', 2 unless $has_cron;
	my ($schedule) = $guide =~ /^```sql\n(SELECT cron\.schedule.*?)^```$/ms;

	$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
	$node->safe_psql('postgres', $schedule);
	my $command = $node->safe_psql('postgres', 'SELECT command FROM cron.job');
	$node->safe_psql('postgres', $command);
	$node->safe_psql('postgres', 'CALL expense_flow.run_pending()');
	is($node->safe_psql('postgres', q{SELECT status FROM expense_flow.runs WHERE workflow = 'import' AND workflow_id <> 'import 2024-05-01'}),
		'SUCCEEDED', 'what pg_cron is to start');
	isnt($node->psql('postgres', "BEGIN; $command; $command; COMMIT"), 0, 'and only once a day');
}

$node->stop;
done_testing();
