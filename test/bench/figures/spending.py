"""Whole runs of the built-in workflow spending, against the same statements in one transaction."""

from measuring import Figure

REPEATED = True
ACCOUNTS = 1000
BASELINE = 'pgbench, 4 clients: select for update, insert of three rows, update, in one transaction'
FIGURES = {
    'rate': Figure('runs of spending per second, three transactions each, 4 clients', '/s', [], BASELINE),
}


def set_up(server):
    server.do("INSERT INTO expense_flow.account (account_id, owner, balance, spending_limit)"
              " SELECT i, 'bench', 1e12, 1e6 FROM generate_series(1, %s) i", 2 * ACCOUNTS)
    server.spend = server.script("""\\set account random(1, %d)
        SELECT expense_flow.start_workflow('spending', jsonb_build_object('account_id', :account::int, 'transactions', jsonb_build_array(
            jsonb_build_object('id', nextval('bench.number'), 'description', 'Groceries', 'amount', 50),
            jsonb_build_object('id', nextval('bench.number'), 'description', 'Fuel', 'amount', 30),
            jsonb_build_object('id', nextval('bench.number'), 'description', 'Groceries', 'amount', 20))));
    """ % ACCOUNTS)
    server.spend_plain = server.script("""\\set account random(%d, %d)
        BEGIN;
        SELECT balance, spending_limit FROM expense_flow.account WHERE account_id = :account FOR NO KEY UPDATE;
        INSERT INTO expense_flow.transaction (account_id, transaction_id, description, amount)
            VALUES (:account, nextval('bench.number')::text, 'Groceries', 50), (:account, nextval('bench.number')::text, 'Fuel', 30),
                (:account, nextval('bench.number')::text, 'Groceries', 20);
        UPDATE expense_flow.account SET balance = balance - 100 WHERE account_id = :account;
        COMMIT;
    """ % (ACCOUNTS + 1, 2 * ACCOUNTS))


def measure(server):
    server.configure()
    plain = server.tps(server.spend_plain, 4)
    FIGURES['rate'].record(server.run_rate(server.spend, 4), plain)
