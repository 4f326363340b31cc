"""run_workflow() in the caller's transaction, against the same function calls and inserts in one."""

from measuring import Figure

REPEATED = True
COUNT = 5000
FIGURES = {
    'run': Figure('run_workflow of three steps in the caller\'s transaction', 'us', [('value', '<= 150')],
                  'a PL/pgSQL loop: three calls with exception blocks, five inserts'),
}


def set_up(server):
    server.do("""
        CREATE FUNCTION bench.plain_run(run int) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO bench.log VALUES (-1, nextval('bench.number'), clock_timestamp(), clock_timestamp(), 'start', 'S', '1');
            FOR step IN 1 .. 3 LOOP
                BEGIN
                    INSERT INTO bench.log VALUES (-1, nextval('bench.number'), clock_timestamp(), clock_timestamp(), 'Tabdt', 'S',
                                                  to_jsonb(bench.step()));
                EXCEPTION WHEN OTHERS THEN RAISE;
                END;
            END LOOP;
            INSERT INTO bench.log VALUES (-1, nextval('bench.number'), clock_timestamp(), clock_timestamp(), 'end', 'S', '1');
        END $$;
    """)


def microseconds(server, call):
    since = server.clock()
    server.do('SELECT count(%s) FROM generate_series(1, %d) i' % (call, COUNT))
    return 1e6 * (server.clock() - since).total_seconds() / COUNT


def measure(server):
    server.configure()
    FIGURES['run'].record(microseconds(server, "expense_flow.run_workflow('bench_three')"),
                          microseconds(server, 'bench.plain_run(i)'))
