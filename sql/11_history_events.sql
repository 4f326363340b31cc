/*
 * The events of a run's history, by the letters of transition.events;
 * src/engine/history.h has the same letters.
 *
 * Transitions of the iterations of a distributed Map begin with a dash: as on
 * the service, the run's history leaves them out.
 *
 * "carries" says what an event's details are: the data that the state was
 * entered with, or left with, or a failure, or who started an attempt.  A
 * failure's error and cause (and attempt, retry_at where it is retried) are in
 * the transition's details; no transition has two failures.  So are worker and
 * started_at, which is the time of the event that carries 'start'; and the name
 * and id of an update that a Task has taken.
 */

INSERT INTO history_event_type (code, name, at_begin, carries) VALUES
	('P', 'PassStateEntered', true, 'input'),
	('p', 'PassStateExited', false, 'output'),
	('C', 'ChoiceStateEntered', true, 'input'),
	('c', 'ChoiceStateExited', false, 'output'),
	('T', 'TaskStateEntered', true, 'input'),
	('t', 'TaskStateExited', false, 'output'),
	('W', 'WaitStateEntered', true, 'input'),
	('w', 'WaitStateExited', false, 'output'),
	('S', 'SucceedStateEntered', true, 'input'),
	('s', 'SucceedStateExited', false, 'output'),
	('F', 'FailStateEntered', true, 'input'),
	('L', 'ParallelStateEntered', true, 'input'),
	('l', 'ParallelStateExited', false, 'output'),
	('M', 'MapStateEntered', true, 'input'),
	('m', 'MapStateExited', false, 'output'),
	('a', 'TaskScheduled', true, NULL),
	('b', 'TaskStarted', true, NULL),
	('d', 'TaskSucceeded', false, 'update'),
	('e', 'TaskFailed', false, 'failure'),
	('g', 'TaskTimedOut', false, 'failure'),
	('o', 'TaskSubmitted', false, NULL),
	('h', 'ActivityScheduled', true, NULL),
	('i', 'ActivityStarted', false, 'start'),
	('j', 'ActivitySucceeded', false, NULL),
	('k', 'ActivityFailed', false, 'failure'),
	('n', 'ActivityTimedOut', false, 'failure'),
	('A', 'LambdaFunctionScheduled', true, NULL),
	('B', 'LambdaFunctionStarted', true, NULL),
	('D', 'LambdaFunctionSucceeded', false, NULL),
	('E', 'LambdaFunctionFailed', false, 'failure'),
	('G', 'LambdaFunctionTimedOut', false, 'failure'),
	('H', 'ParallelStateStarted', true, NULL),
	('I', 'ParallelStateSucceeded', false, NULL),
	('J', 'ParallelStateFailed', false, 'failure'),
	('K', 'MapStateStarted', true, NULL),
	('N', 'MapStateSucceeded', false, NULL),
	('O', 'MapStateFailed', false, 'failure'),
	('X', 'MapRunStarted', true, NULL),
	('Y', 'MapRunSucceeded', false, NULL),
	('Z', 'MapRunFailed', false, 'failure'),
	('Q', 'MapIterationStarted', true, NULL),
	('R', 'MapIterationSucceeded', false, NULL),
	('U', 'MapIterationFailed', false, 'failure'),
	('V', 'MapIterationAborted', false, NULL),
	('x', 'CompensationStarted', true, 'input'),
	('y', 'CompensationSucceeded', false, NULL),
	('z', 'CompensationFailed', false, 'failure');
