"""Inserts into a captured table, against the same table with plain triggers."""

from measuring import Figure

REPEATED = True
CLIENTS = 8
LISTENERS = 20
FIGURES = {
    'trigger': Figure('inserts per second into a captured table, 8 clients', '/s', [('ratio', '>= 1')],
                      'a PL/pgSQL trigger that writes one event row'),
    'listeners': Figure('the same, with 20 listeners', '/s', [('ratio', '>= 0.95')], 'without listeners'),
    'notify': Figure('the same, without listeners', '/s', [('ratio', '>= 2.5')], 'a PL/pgSQL trigger that calls pg_notify'),
}


def set_up(server):
    server.do("""
        CREATE TABLE bench.event (event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text, kind text, key jsonb,
                                  new jsonb, at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE FUNCTION bench.write_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO bench.event (source, kind, key, new)
                VALUES (TG_TABLE_NAME, TG_OP, jsonb_build_object('id', NEW.id), to_jsonb(NEW));
            RETURN NULL;
        END $$;
        CREATE FUNCTION bench.notify() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('bench', to_jsonb(NEW)::text);
            RETURN NULL;
        END $$;
    """)
    server.inserts = {}
    for name in ('captured', 'logged', 'notified'):
        server.do('CREATE TABLE bench.%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b text)' % name)
        server.inserts[name] = server.script("INSERT INTO bench.%s (a, b) VALUES (1, 'a row of some width');\n" % name)
    server.do("SELECT expense_flow.capture_changes('bench.captured')")
    server.do('CREATE TRIGGER event AFTER INSERT ON bench.logged FOR EACH ROW EXECUTE FUNCTION bench.write_event()')
    server.do('CREATE TRIGGER event AFTER INSERT ON bench.notified FOR EACH ROW EXECUTE FUNCTION bench.notify()')


def with_listeners(server):
    """Listeners that do not even read what they are sent: the kernel's buffers take it."""
    connections = [server.connect() for _ in range(LISTENERS)]
    for connection in connections:
        with connection.cursor() as cursor:
            cursor.execute('LISTEN expense_flow_captured')
    rate = server.tps(server.inserts['captured'], CLIENTS)
    for connection in connections:
        connection.close()
    return rate


def measure(server):
    server.configure()
    logged = server.tps(server.inserts['logged'], CLIENTS)
    captured = server.tps(server.inserts['captured'], CLIENTS)
    FIGURES['trigger'].record(captured, logged)
    FIGURES['notify'].record(captured, server.tps(server.inserts['notified'], CLIENTS))
    FIGURES['listeners'].record(with_listeners(server), captured)
