/*
 * The expense application's tables as event sources.
 */

INSERT INTO event_source (source_id, source, captured_table, built_in) VALUES
	(1, 'account', 'account', true),
	(2, 'transaction', '"transaction"', true);

CREATE TRIGGER expense_flow_capture AFTER INSERT OR UPDATE OR DELETE ON account
	FOR EACH ROW EXECUTE FUNCTION capture_change('account');
CREATE TRIGGER expense_flow_capture_truncate AFTER TRUNCATE ON account
	FOR EACH STATEMENT EXECUTE FUNCTION capture_change('account');

CREATE TRIGGER expense_flow_capture AFTER INSERT OR UPDATE OR DELETE ON "transaction"
	FOR EACH ROW EXECUTE FUNCTION capture_change('transaction');
CREATE TRIGGER expense_flow_capture_truncate AFTER TRUNCATE ON "transaction"
	FOR EACH STATEMENT EXECUTE FUNCTION capture_change('transaction');
