-- test_state(): one state, without a run.
SET search_path = expense_flow;
\set SHOW_CONTEXT never
\pset tuples_only on
\pset format unaligned

-- Each type of state, each stage of its data.
SELECT jsonb_pretty(test_state('{"Type":"Pass","InputPath":"$.a","Parameters":{"k":1,"v.$":"$.f"},"ResultPath":"$.m","OutputPath":"$.m","Next":"B"}', '{"a":{"f":"x"}}'));
SELECT test_state('{"Type":"Pass","Result":5,"End":true}', '{"a":1}');
SELECT test_state('{"Type":"Succeed","InputPath":"$.a"}', '{"a":1}');
SELECT test_state('{"Type":"Fail","Error":"E","CausePath":"States.Format(''{} is wrong'', $.a)"}', '{"a":1}');
SELECT test_state('{"Type":"Wait","SecondsPath":"$.a","Next":"N"}', '{"a":1}');
SELECT test_state('{"Type":"Wait","SecondsPath":"$.a","Next":"N"}', '{"a":-1}') - 'cause';
SELECT test_state('{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"One"}],"Default":"Other"}', jsonb_build_object('a', a))
FROM generate_series(1, 2) a;
SELECT test_state('{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"One"}]}', '{"a":2}') - 'cause';
SELECT test_state('{"Type":"Pass","End":true}', input) - 'inspectionData' FROM unnest(ARRAY['null', '"x"', '[1]']::jsonb[]) input;
SELECT test_state('{"Type":"Pass","End":true}') - 'inspectionData';

-- Work that a mock stands for: its result, or its failure, retried, caught or neither.
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","Parameters":{"p.$":"$.a"},"ResultSelector":{"r.$":"$.x"},"ResultPath":"$.out","Next":"Z"}',
	'{"a":2}', mock => '{"result":{"x":3}}');
SELECT n, test_state('{"Type":"Task","Resource":"sql:a.b","Retry":[{"ErrorEquals":["A"],"MaxAttempts":2}],
	"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Z"}],"End":true}', '{"a":2}',
	mock => '{"errorOutput":{"error":"A","cause":"b"}}', retry_count => n)
FROM generate_series(0, 2) n;
SELECT test_state('{"Type":"Task","Resource":"sql:a.b","End":true}', mock => '{"errorOutput":{"error":"A"}}');
SELECT test_state('{"Type":"Task","Resource":"sql:a.b","ResultSelector":{"r.$":"$.missing"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"Z"}],"End":true}', mock => '{"result":{}}')
	- 'inspectionData' - 'cause' - 'output';
\set map '{"Type":"Map","ItemsPath":"$.x","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}'
SELECT test_state(:'map', '{"x":[3]}', mock => '{"result":"[1, 2]"}') - 'inspectionData';
SELECT test_state(:'map', '{"x":3}', mock => '{"result":"[1, 2]"}') - 'inspectionData';
SELECT test_state('{"Type":"Parallel","Branches":[{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}],"ResultPath":"$.p","End":true}', '{"a":1}',
	mock => '{"result":[7]}') - 'inspectionData';

-- An SQL activity is really called, as the caller; its effects go when the state fails.
CREATE TABLE public.test_state_effects (x integer, by_role name DEFAULT current_user);
GRANT INSERT ON public.test_state_effects TO PUBLIC;
CREATE FUNCTION public.test_state_do(x integer) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.test_state_effects (x) VALUES (x);
	IF x < 0 THEN
		PERFORM expense_flow.fail('Negative', 'x is ' || x);
	END IF;
	RETURN jsonb_build_object('x', x);
END $$;
CREATE ROLE regress_test_state;
SET ROLE regress_test_state;
SELECT test_state('{"Type":"Task","Resource":"sql:public.test_state_do","ResultPath":"$.r","End":true}', '{"x":1}');
SELECT test_state('{"Type":"Task","Resource":"sql:public.test_state_do","End":true}', '{"x":-1}');
SELECT test_state('{"Type":"Task","Resource":"sql:public.test_state_do","OutputPath":"$.missing","End":true}', '{"x":2}') ->> 'status';
SELECT test_state('{"Type":"Task","Resource":"sql:expense_flow.register_built_in_workflow","End":true}', '{"name":"x","version_id":-5,"definition":{}}') - 'inspectionData';
RESET ROLE;
SELECT * FROM public.test_state_effects;
DROP TABLE public.test_state_effects;
DROP FUNCTION public.test_state_do(integer);
DROP ROLE regress_test_state;

-- One of the states of a workflow; variables and the context.
\set machine '{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"first","Next":"M"},"M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","Result":"inner","End":true}}},"Next":"State"},"State":{"Type":"Succeed"}}}'
SELECT name, test_state(:'machine', state => name) - 'inspectionData' FROM unnest(ARRAY[NULL, 'A', 'P', 'State']) name;
SELECT test_state('{"Type":"Pass","Parameters":{"v.$":"$v.a","c.$":"$$.State.Name"},"Assign":{"w.$":"$.v"},"End":true}',
	variables => '{"v":{"a":7}}', context => '{"State":{"Name":"here"}}') #- '{inspectionData,result}';
SELECT test_state('{"Type":"Pass","Parameters":{"c.$":"$$.State.Name"},"End":true}') ->> 'error';
-- Names of states that need care.
SELECT test_state('{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":true,"Next":"State"}],"Default":"State_"}', '{}') ->> 'nextState';
SELECT test_state('{"Type":"Pass","Next":"\"quoted\" \u00fc"}') ->> 'nextState';

-- Mistakes.
SELECT test_state(NULL);
SELECT test_state('{"Type":"Pass"}');
SELECT test_state('{"Type":"Pass","Next":"A","Bogus":1,"Bogus":2}');
SELECT test_state('[]');
SELECT test_state('{}');
SELECT test_state(:'machine', state => 'B');
SELECT test_state(:'map', '{"x":[]}');
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","End":true}');
SELECT test_state('{"Type":"Task","Resource":"arn:of:nothing","End":true}');
SELECT test_state('{"Type":"Pass","End":true}', mock => '{"result":1}');
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","End":true}', mock => m)
FROM unnest(ARRAY['{}']::jsonb[]) m;
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","End":true}', mock => '{"result":1,"errorOutput":{}}');
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","End":true}', mock => '{"errorOutput":"E"}');
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","End":true}', mock => '{"errorOutput":{"error":1}}');
SELECT test_state('{"Type":"Task","Resource":"activity:q/a","End":true}', mock => '[]');
SELECT test_state('{"Type":"Pass","End":true}', variables => '[]');
SELECT test_state('{"Type":"Pass","End":true}', context => '1');
SELECT test_state('{"Type":"Pass","End":true}', retry_count => -1);
