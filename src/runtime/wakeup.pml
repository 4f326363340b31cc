/*
 * A model of claims and wake-ups (shared.h, queue.c, worker.c, dispatcher.c, and
 * "Claims" and "Waking" in src/README), for spin: test/model/run.
 *
 * Branches have steps to do.  Transactions that start them commit, or not;
 * workers and a session that calls run_pending() do the steps; a dispatcher reads
 * the table.  Steps fail, workers and the dispatcher die, and the whole server
 * crashes, at any moment.  What is checked, over all orders of events:
 *
 *	  no step is done twice			the assertion at each commit
 *	  no work is lost, no wake-up is missed
 *									when nothing can happen any more, all is done
 *
 * The queue and the timers hold a single branch each, so that they overflow; one
 * branch is announced as due, the other as due later.  Time is not modelled: what is due later may be due at any moment.  What is done while
 * the slot's lock is held is one indivisible step.
 *
 * CRASHES, DEATHS and FAILURES (of steps) say how many there are at most, NW how many
 * workers there are; WITH_SESSION adds the session.
 *
 * Each of these makes it wrong in a way that the check has to find:
 *	  NO_CLAIM				branches are advanced without the advisory lock
 *	  ANNOUNCE_EARLY		a start is announced before it is visible
 *	  DROP_BUSY				a branch that somebody else has is forgotten
 *	  DROP_OVERFLOW			what finds the queue full is forgotten
 *	  DROP_PUT_BACK			the same for what is put back
 *	  READ_THEN_FORGET		the horizon is raised after the table was read, not before
 *	  FORGET_LATCH			a worker resets its latch between its look and its sleep
 *	  CONSUME_LATCH			the dispatcher sleeps after a transaction that has used its latch
 *	  NO_GIVE_BACK			a worker that dies does not give its branch back
 *	  NO_LOW_MARK			taking from the queue does not wake the dispatcher
 *	  RESTART_BLIND			after a restart the table is not read
 */

#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef FAILURES
#define FAILURES 0
#endif

#define NB 2					/* branches */
#ifndef NW
#define NW 2					/* workers */
#endif
#define STEPS 2					/* of branch 0; the other has one */
#define QUEUE 1					/* places in the ready queue, and for timers */
#define LOW_MARK 0				/* QUEUE / 4 */
#define SESSION NW				/* as a holder of locks */
#define NOBODY 255

mtype = { NONE, STARTING, IDLE, AWAKE, BUSY };

/* the tables, as they are committed */
bool row[NB];
byte left[NB];

/* locks of the server */
byte holder[NB];

/* shared memory */
byte ready[QUEUE];
byte nready;
byte timer[QUEUE];
bool timer_put_back[QUEUE];
byte ntimers;
bool horizon;					/* the table knows more */
bool lost;						/* so it does of what was put back */
mtype state[NW];
byte entry[NW];
byte idle[NW];
byte nidle;
byte nworkers;
bool latch[NW];
bool dispatcher_latch;

/* what goes wrong, and how often at most */
byte generation;				/* of shared memory and all processes */
byte crashes = CRASHES;
byte deaths = DEATHS;
byte failures = FAILURES;
bool dies[NW];
bool dispatcher_dies;

hidden byte i;
hidden byte j;
hidden byte known;

/* ---- queue.c; all in one step of its caller's ---- */

inline add_ready(b, put_back)
{
	if
	:: nready >= QUEUE ->
		if
		:: put_back ->
#ifndef DROP_PUT_BACK
			lost = true
#else
			skip
#endif
		:: else ->
#ifndef DROP_OVERFLOW
			horizon = true
#else
			skip
#endif
		fi
	:: else ->
		ready[nready] = b;
		nready++;
		if
		:: nidle > 0 ->
			nidle--;
			state[idle[nidle]] = AWAKE;
			latch[idle[nidle]] = true;
			idle[nidle] = 0
		:: nidle == 0 && nworkers == 0 && nready == 1 ->
			dispatcher_latch = true
		:: else
		fi
	fi
}

inline add_timer(b, put_back)
{
	if
	:: ntimers >= QUEUE ->		/* all are shed */
		i = 0;
		do
		:: i < ntimers ->
			if
			:: timer_put_back[i] -> lost = true
			:: else -> horizon = true
			fi;
			i++
		:: else -> break
		od;
		ntimers = 0
	:: else
	fi;
	timer[ntimers] = b;
	timer_put_back[ntimers] = put_back;
	ntimers++;
	dispatcher_latch = true
}

inline look_at_low_mark()
{
#ifndef NO_LOW_MARK
	if
	:: nready == LOW_MARK && (horizon || lost || ntimers > 0) -> dispatcher_latch = true
	:: else
	fi
#else
	skip
#endif
}

/* ---- a transaction that starts a run ---- */

inline announce(b)
{
	atomic {
		if
		:: horizon				/* due at or after it: will be read */
		:: b == 0 -> d_step { add_ready(b, false) }
		:: b != 0 -> d_step { add_timer(b, false) }
		fi
	}
}

/* Its worker may wake ahead of the commit. */
inline announce_ahead()
{
	d_step {
		if
		:: nidle > 0 && nidle == nworkers && nready == 0 -> latch[idle[nidle - 1]] = true
		:: else
		fi
	}
}

proctype starter(byte b)
{
	byte mine = generation;

	{
		if
		:: announce_ahead()
		:: skip
		fi;
#ifdef ANNOUNCE_EARLY
		announce(b);
		row[b] = true
#else
		row[b] = true;			/* commit: visible */
		announce(b)
#endif
	} unless { generation != mine }
}

/* ---- a session that calls run_pending() ---- */

proctype session()
{
	byte mine = generation;
	byte b;
	byte s;

	{
		if
		:: b = 0
		:: b = 1
		fi;
		d_step { row[b] && holder[b] == NOBODY -> holder[b] = SESSION };
		s = left[b];
		if
		:: s > 0 -> d_step { assert(left[b] == s); left[b] = s - 1 }	/* commit */
		:: true					/* it is killed */
		fi;
		holder[b] = NOBODY
	} unless { generation != mine }
}

/* ---- a worker ---- */

/* Done with the branch that a worker has, and with its lock: see finish_entry(). */
inline finish(w)
{
	if
	:: holder[entry[w]] == w -> holder[entry[w]] = NOBODY
	:: else
	fi;
	state[w] = AWAKE
}

inline go_on_soon(w)
{
	d_step { finish(w); add_ready(entry[w], true); entry[w] = 0; s = 0 }
}

inline go_on_later(w)
{
	d_step { finish(w); add_timer(entry[w], true); entry[w] = 0; s = 0 }
}

inline forget(w)
{
	d_step { finish(w); entry[w] = 0; s = 0 }
}

/* Whatever it was doing, it is gone. */
inline detach(w)
{
	d_step {
		i = 0;
		do
		:: i < NB ->
			if
			:: holder[i] == w -> holder[i] = NOBODY
			:: else
			fi;
			i++
		:: else -> break
		od;
		nworkers--;
		if
		:: state[w] == IDLE ->
			i = 0;
			do
			:: idle[i] == w -> break
			:: else -> i++
			od;
			do
			:: i + 1 < nidle -> idle[i] = idle[i + 1]; i++
			:: else -> break
			od;
			nidle--;
			idle[nidle] = 0
		:: state[w] == BUSY ->
#ifndef NO_GIVE_BACK
			add_timer(entry[w], true)
#else
			skip
#endif
		:: state[w] == AWAKE && nready > 0 && nidle > 0 ->
			nidle--;
			state[idle[nidle]] = AWAKE;
			latch[idle[nidle]] = true;
			idle[nidle] = 0
		:: else
		fi;
		state[w] = NONE;
		entry[w] = 0;
		latch[w] = false;
		dies[w] = false;
		dispatcher_latch = true
	}
}

proctype worker(byte w)
{
	byte mine;
	byte s;
	bool has;

start:
	atomic {
		state[w] == STARTING ->
		mine = generation;
		state[w] = AWAKE;
		nworkers++;
		dispatcher_latch = true
	};
	{
		skip;
next:
		if
		:: d_step {
			has = nready > 0;
			if
			:: has ->
				entry[w] = ready[0];
				j = 1;
				do
				:: j < nready -> ready[j - 1] = ready[j]; j++
				:: else -> break
				od;
				nready--;
				ready[nready] = 0;
				look_at_low_mark();
				if
				:: state[w] == IDLE ->	/* its latch was set for another reason */
					i = 0;
					do
					:: idle[i] == w -> break
					:: else -> i++
					od;
					do
					:: i + 1 < nidle -> idle[i] = idle[i + 1]; i++
					:: else -> break
					od;
					nidle--;
					idle[nidle] = 0
				:: else
				fi;
				state[w] = BUSY
			:: !has && state[w] == AWAKE ->
				state[w] = IDLE;
				idle[nidle] = w;
				nidle++
			:: else
			fi
		}
		fi;
		if
		:: !has ->
#ifdef FORGET_LATCH
			latch[w] = false;
#endif
			d_step { latch[w] -> latch[w] = false };
			goto next
		:: else
		fi;

		/* claim */
#ifndef NO_CLAIM
		d_step {
			has = holder[entry[w]] == NOBODY;
			if
			:: has -> holder[entry[w]] = w
			:: else
			fi
		};
		if
		:: has
		:: !has ->
#ifndef DROP_BUSY
			go_on_later(w);
#else
			forget(w);
#endif
			goto next
		fi;
#endif

		/* one transaction after the other */
again:
		if
		:: d_step { row[entry[w]] && left[entry[w]] > 0 -> s = left[entry[w]]; has = false }	/* snapshot */
		:: d_step { !row[entry[w]] || left[entry[w]] == 0 -> has = false };
			forget(w);
			goto next
		fi;
		if
		:: d_step { assert(left[entry[w]] == s); left[entry[w]] = s - 1 }	/* commit */
		:: d_step { failures > 0 -> failures-- };
			go_on_soon(w);
			goto next
		fi;
		if
		:: s > 1 -> goto again
		:: s > 1 -> go_on_soon(w)	/* others first */
		:: s == 1 -> forget(w)
		fi;
		goto next
	} unless { generation != mine || dies[w] };
	if
	:: atomic { generation == mine -> detach(w) }
	:: generation != mine
	fi;
	d_step { s = 0; has = false; mine = 0 };
	goto start
}

/* ---- the dispatcher ---- */

inline keep_workers()
{
	i = 0;
	do
	:: i < NW ->
		if
		:: state[i] == NONE -> state[i] = STARTING
		:: else
		fi;
		i++
	:: else -> break
	od
}

inline forget_known()
{
	i = 0;
	do
	:: i < NB ->
		known = false;
		j = 0;
		do
		:: j < nready -> known = known || ready[j] == i; j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < ntimers -> known = known || timer[j] == i; j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < NW -> known = known || (state[j] == BUSY && entry[j] == i); j++
		:: else -> break
		od;
		seen[i] = seen[i] && !known;
		i++
	:: else -> break
	od
}

inline raise_horizon()
{
	d_step {
		if
		:: horizon -> horizon = false
		:: else -> lost = false
		fi
	}
}

proctype dispatcher()
{
	byte mine;
	bool seen[NB];
	bool changes;				/* to be announced, perhaps */

start:
	atomic {
		mine = generation;
		dispatcher_dies = false;
#ifndef RESTART_BLIND
		horizon = true;
#endif
		changes = true
	};
	{
		skip;
again:
		if
		:: d_step {
			do
			:: ntimers > 0 && nready < QUEUE ->
				add_ready(timer[0], false);
				ntimers--;
				timer[0] = 0;
				timer_put_back[0] = false
			:: else -> break
			od;
			keep_workers();
			seen[0] = false		/* a d_step must not end with a loop */
		}
		fi;
		if
		:: nready <= LOW_MARK && (horizon || lost) ->
#ifndef READ_THEN_FORGET
			raise_horizon();
#endif
			d_step {			/* snapshot */
				i = 0;
				do
				:: i < NB -> seen[i] = row[i] && left[i] > 0; i++
				:: else -> break
				od
			};
#ifdef READ_THEN_FORGET
			raise_horizon();
#endif
			d_step {
				forget_known();
				j = 0;
				do
				:: j < NB ->
					if
					:: seen[j] -> add_ready(j, false)
					:: else
					fi;
					j++
				:: else -> break
				od;
				seen[0] = false;
				seen[1] = false;
				dispatcher_latch = true
			}
		:: else
		fi;
		if						/* announces changes; what it waits for meanwhile uses its latch */
		:: changes ->
			d_step { changes = false; dispatcher_latch = false };
#ifndef CONSUME_LATCH
			dispatcher_latch = true
#endif
		:: else
		fi;
		d_step { dispatcher_latch -> dispatcher_latch = false };
		goto again
	} unless { generation != mine || dispatcher_dies };
	goto start
}

/* ---- what goes wrong ---- */

proctype trouble()
{
	byte w;

	do
	:: crashes > 0 ->
		d_step {
			crashes--;
			generation++;
			nready = 0;
			ready[0] = 0;
			ntimers = 0;
			timer[0] = 0;
			timer_put_back[0] = false;
			horizon = false;
			lost = false;
			nidle = 0;
			nworkers = 0;
			dispatcher_latch = false;
			i = 0;
			do
			:: i < NW -> state[i] = NONE; latch[i] = false; dies[i] = false; entry[i] = 0; idle[i] = 0; i++
			:: else -> break
			od;
			i = 0;
			do
			:: i < NB -> holder[i] = NOBODY; i++
			:: else -> break
			od
		}
	:: deaths > 0 ->
		atomic {
			if
			:: w = 0
			:: w = NW - 1
			fi;
			if
			:: state[w] != NONE && state[w] != STARTING -> dies[w] = true; deaths--
			:: else
			fi
		}
	:: deaths > 0 -> d_step { dispatcher_dies = true; deaths-- }
	:: break
	od
}

/* When nothing can happen any more. */
proctype judge()
{
	timeout -> assert((!row[0] || left[0] == 0) && (!row[1] || left[1] == 0))
}

init
{
	atomic {
		holder[0] = NOBODY;
		holder[1] = NOBODY;
		left[0] = STEPS;
		left[1] = 1;
		state[0] = NONE;
		state[NW - 1] = NONE;
		run dispatcher();
		run worker(0);
#if NW > 1
		run worker(1);
#endif
		run starter(0);
		run starter(1);
#ifdef WITH_SESSION
		run session();
#endif
		run trouble();
		run judge()
	}
}

/*
 * check:
 * check: -DFAILURES=1
 * check: -DDEATHS=1
 * check: -DCRASHES=1
 * check: -DNW=1 -DWITH_SESSION -DDEATHS=1
 * check: -DNW=1 -DWITH_SESSION -DCRASHES=1
 * must fail: -DNO_CLAIM
 * must fail: -DANNOUNCE_EARLY
 * must fail: -DNW=1 -DWITH_SESSION -DDROP_BUSY
 * must fail: -DDROP_OVERFLOW
 * must fail: -DFAILURES=1 -DDROP_PUT_BACK
 * must fail: -DREAD_THEN_FORGET
 * must fail: -DFORGET_LATCH
 * must fail: -DCONSUME_LATCH
 * must fail: -DNW=1 -DDEATHS=1 -DNO_GIVE_BACK
 * must fail: -DNO_LOW_MARK
 * must fail: -DNW=1 -DCRASHES=1 -DRESTART_BLIND
 */
