-- Registering, validating, granting and dropping workflows.
SET search_path = expense_flow;
\set ok '{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}'
\set other '{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}'

-- Versions: the same text is the same version, and becomes the current one.
SELECT create_workflow('reg_a', :'ok');
SELECT create_workflow('reg_a', :'other');
SELECT create_workflow('reg_a', '{"StartAt":"B", "States":{"B":{"Type":"Succeed"}}}') AS another_text;
SELECT create_workflow('reg_a', :'ok');
SELECT create_workflow(name => 'reg_a', definition => :'other', run_as => 'owner', retention => '3 days');
SELECT name, version, run_as, retention, built_in, definition FROM workflows WHERE name LIKE 'reg\_%';
SELECT version, definition FROM workflow_version WHERE workflow = 'reg_a' ORDER BY version;
-- What a call does not say is what it says by default.
SELECT create_workflow('reg_a', :'other');
SELECT name, version, run_as, retention FROM workflows WHERE name LIKE 'reg\_%';
-- Nothing is kept of what is rolled back.
BEGIN;
SELECT create_workflow('reg_a', '{"StartAt":"R","States":{"R":{"Type":"Succeed"}}}');
SELECT create_workflow('reg_rolled_back', :'ok');
ROLLBACK;
SELECT name, version FROM workflows WHERE name LIKE 'reg\_%';
SELECT create_workflow('reg_a', '{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}');

-- All problems at once, as an error and as a table.
SELECT create_workflow('reg_bad', '{"StartAt":"X","States":{"A":{"Type":"Pass","Next":"Y"},"B":{"Type":"Nonsense"}}}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM workflows WHERE name = 'reg_bad';
SELECT count(*) > 1 AS several_problems, bool_and(path LIKE '/%' AND problem <> '') AS each_with_its_path
FROM validate_workflow('{"StartAt":"X","States":{"A":{"Type":"Pass","Next":"Y"},"B":{"Type":"Nonsense"}}}');
SELECT * FROM validate_workflow(:'ok');
SELECT count(*) > 0 AS not_an_object FROM validate_workflow('[]');
SELECT count(*) > 0 AS not_an_object FROM validate_workflow('null');
SELECT * FROM validate_workflow(NULL);

-- Arguments.
SELECT create_workflow(NULL, :'ok');
SELECT create_workflow('reg_b', NULL);
SELECT create_workflow('', :'ok');
SELECT create_workflow(E'a\nb', :'ok');
SELECT create_workflow(E'a\x7f', :'ok');
SELECT create_workflow(repeat('ä', 256), :'ok');
SELECT create_workflow(repeat('ä', 255), :'ok');
SELECT drop_workflow(repeat('ä', 255));
SELECT create_workflow('reg_b', :'ok', NULL);
SELECT create_workflow('reg_b', :'ok', 'root');
SELECT create_workflow('reg_b', :'ok', retention => '-1 day');
SELECT create_workflow('reg_b', :'ok', retention => '10000 years');
SELECT create_workflow('reg_b', :'ok', retention => '0');
SELECT create_workflow('reg "quoted"; $$ 💸', :'ok');
SELECT drop_workflow('reg "quoted"; $$ 💸');

-- Built-in workflows belong to the extension.
SELECT register_built_in_workflow('reg_built_in', -2000000001, :'ok');
SELECT register_built_in_workflow('reg_built_in', -2000000001, :'ok');
SELECT register_built_in_workflow('reg_built_in', -2000000002, :'other');
SELECT name, version, built_in FROM workflows WHERE name = 'reg_built_in';
SELECT version_id, version FROM workflow_version WHERE workflow = 'reg_built_in' ORDER BY version;
SELECT create_workflow('reg_built_in', :'ok');
SELECT drop_workflow('reg_built_in');
SELECT grant_start('reg_built_in', 'public');
SELECT register_built_in_workflow('reg_a', -2000000003, :'ok');
SELECT register_built_in_workflow('reg_c', 5, :'ok');
DELETE FROM workflow WHERE name = 'reg_built_in';
DELETE FROM workflow_version WHERE workflow = 'reg_built_in';

-- Owners, others, and those who may start.
CREATE ROLE regress_reg_owner;
CREATE ROLE regress_reg_other;
CREATE ROLE regress_reg_team;
GRANT regress_reg_team TO regress_reg_other;
SET ROLE regress_reg_owner;
SELECT create_workflow('reg_owned', :'ok');
RESET ROLE;
GRANT EXECUTE ON FUNCTION create_workflow TO regress_reg_owner, regress_reg_other;
SET ROLE regress_reg_owner;
SELECT create_workflow('reg_owned', :'ok', 'owner');
SET ROLE regress_reg_other;
SELECT name, owner, definition FROM workflows WHERE name = 'reg_owned';
SELECT create_workflow('reg_owned', :'other');
\echo :LAST_ERROR_SQLSTATE
SELECT create_workflow('reg_owned', :'ok');
SELECT drop_workflow('reg_owned');
SELECT grant_start('reg_owned', 'regress_reg_other');
SELECT revoke_start('reg_owned', 'regress_reg_other');
SELECT register_built_in_workflow('reg_mine', -2000000009, :'ok');
UPDATE workflow SET owner = 'regress_reg_other' WHERE name = 'reg_owned';
SELECT count(*) FROM workflow;
SELECT count(*) FROM validate_workflow(:'ok') AS everybody_may_validate;
SET ROLE regress_reg_owner;
SELECT grant_start('reg_owned', 'regress_reg_team');
SELECT grant_start('reg_owned', 'regress_reg_team');
SELECT grant_start('reg_owned', 'public');
SELECT grant_start('reg_owned', 'no_such_role');
SELECT grant_start('no such workflow', 'public');
SELECT grant_start('reg_owned', NULL);
SELECT grant_start(NULL, 'public');
RESET ROLE;
SELECT grantee FROM workflow_grant WHERE workflow = 'reg_owned' ORDER BY grantee::oid;
SET ROLE regress_reg_owner;
SELECT revoke_start('reg_owned', 'public');
SELECT revoke_start('reg_owned', 'public');
RESET ROLE;
SELECT grantee FROM workflow_grant WHERE workflow = 'reg_owned';

-- A member of the owning role is as good as the owner; the caller stays who he is.
GRANT regress_reg_owner TO regress_reg_other;
SET ROLE regress_reg_other;
SELECT create_workflow('reg_owned', :'other', 'owner'), current_user;
SELECT name, owner, version FROM workflows WHERE name = 'reg_owned';
RESET ROLE;

-- Dropped and registered again: versions go on, grants are gone.
SELECT drop_workflow('reg_owned');
SELECT drop_workflow('reg_owned');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM workflows WHERE name = 'reg_owned';
SELECT create_workflow('reg_owned', '{"StartAt":"T","States":{"T":{"Type":"Succeed"}}}');
SELECT name, owner = current_user::regrole AS owned, version FROM workflows WHERE name = 'reg_owned';
SELECT count(*) AS grants FROM workflow_grant WHERE workflow = 'reg_owned';
SELECT drop_workflow('reg_owned');

SELECT drop_workflow('reg_a');
SELECT drop_workflow('reg_b');
REVOKE EXECUTE ON FUNCTION create_workflow FROM regress_reg_owner, regress_reg_other;
DROP ROLE regress_reg_other, regress_reg_owner, regress_reg_team;
