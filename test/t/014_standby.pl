# Nothing runs on a standby.  Promoted, it goes on where the primary stopped.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use ExpenseFlowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', "expense_flow.workers = 2\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION expense_flow');
create_transfers($primary, 'postgres');
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# A paused primary leaves work that only the standby will do.
$primary->safe_psql('postgres', start_transfers(1, 100));
wait_for_runs($primary, 'postgres', 'the primary works');
$primary->append_conf('postgresql.conf', 'expense_flow.workers = 0');
$primary->reload;
wait_for_processes($primary, 'postgres', '1 0', 'the primary is paused');
$primary->safe_psql('postgres', start_transfers(101, 500));
$primary->safe_psql('postgres', q{
	SELECT expense_flow.create_workflow('later', '{"StartAt": "Later", "States": {"Later": {"Type": "Wait", "Seconds": 1, "End": true}}}');
	SELECT expense_flow.start_workflow('later')});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'expense_flow%'}), '0', 'no process on the standby');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM expense_flow.branch'), '401', 'the runs are there');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM expense_flow.runs WHERE status = 'SUCCEEDED'}), '100', 'and can be looked at');
like(($standby->psql('postgres', 'SELECT expense_flow.start_workflow(\'transfer\')'))[2], qr/read-only|recovery/, 'but not started');
is($standby->safe_psql('postgres', 'SELECT state FROM expense_flow.runtime_status()'), 'missing', 'runtime_status() says that nobody works');

$primary->stop('immediate');
$standby->promote;
wait_for_runs($standby, 'postgres', 'promoted, it does the work');
check_transfers($standby, 'postgres', 500, 'standby');
$standby->stop;

done_testing();
