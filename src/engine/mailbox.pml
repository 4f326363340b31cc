/*
 * A model of the mailbox (mailbox.c, and "Messages" in src/README), for spin:
 * test/model/run.
 *
 * Senders insert a message each and commit, or abort; two branches of a run await
 * the address, each wants one message.  A branch's transaction consumes a message,
 * or lets the branch rest: settled, when only a message wakes it, or unsettled,
 * when it is looked at again.  A transaction that has consumed a message may abort,
 * and its branch may be given up then (terminated).
 *
 * What is checked, over all orders of events: when nothing can happen any more, no
 * branch rests while there is a message for it, and no message was consumed twice.
 *
 * A transaction becomes visible, then announces, then releases its locks: three
 * steps, as in the server.
 *
 * Each of these makes it wrong in a way that the check has to find:
 *	  NO_LOCK				a branch rests without the lock
 *	  NO_SECOND_LOOK		a branch does not look again once it has the lock
 *	  SETTLE_ANYWAY			a branch that does not get the lock settles all the same
 *	  RELEASE_EARLY			a branch releases the lock before it is seen to rest
 *	  LOOK_FIRST			a sender looks for branches that rest before it has the lock
 *	  IGNORE_LOCKED			a branch settles though a message is being consumed by another
 *	  READ_ANY				a message that another transaction is consuming is consumed
 */

#define NS 2					/* senders */
#define NB 2					/* branches */
#define NOBODY 255

mtype = { ABSENT, INSERTED, THERE, GONE };	/* INSERTED: not committed yet */
mtype = { WORKS, RESTS, SETTLED, OVER };

mtype message[NS];
byte consumer[NS];				/* whose transaction has locked the row */
mtype branch[NB];				/* as others see it */
bool due[NB];					/* a worker will look at it */
byte consumed[NB];
byte in_share;					/* holders of the mailbox lock */
bool in_exclusive;
byte aborts = 1;

hidden byte i;

proctype sender(byte me)
{
	bool rests[NB];

#ifdef LOOK_FIRST
	d_step { rests[0] = branch[0] == SETTLED; rests[1] = branch[1] == SETTLED };
#endif
	d_step { !in_exclusive -> in_share++ };
	message[me] = INSERTED;
#ifndef LOOK_FIRST
	d_step { rests[0] = branch[0] == SETTLED; rests[1] = branch[1] == SETTLED };
#endif
	if
	:: message[me] = THERE;		/* commit: visible */
		d_step {				/* announce */
			i = 0;
			do
			:: i < NB -> due[i] = due[i] || rests[i]; i++
			:: else -> break
			od
		}
	:: message[me] = GONE		/* abort */
	fi;
	in_share--
}

/* Lock a message that is committed, and that nobody else has locked (SKIP LOCKED). */
inline receive()
{
	d_step {
		got = NOBODY;
		i = 0;
		do
#ifdef READ_ANY
		:: i < NS && message[i] == THERE -> got = i; break
		:: i < NS && message[i] != THERE -> i++
#else
		:: i < NS && message[i] == THERE && consumer[i] == NOBODY -> got = i; consumer[i] = me; break
		:: i < NS && !(message[i] == THERE && consumer[i] == NOBODY) -> i++
#endif
		:: i >= NS -> break
		od;
		i = 0
	}
}

inline rest(how)
{
	branch[me] = how			/* commit: visible */
}

/* The branch with the number me, by whichever worker has its claim. */
proctype advance(byte me)
{
	byte got;
	bool there;
	bool locked;

again:
	if
	:: d_step { due[me] -> due[me] = false; locked = false; there = false }
	fi;
	receive();
	if
	:: got == NOBODY ->
#ifndef NO_LOCK
		d_step {
			locked = in_share == 0 && !in_exclusive;
			in_exclusive = in_exclusive || locked
		};
#else
		locked = true;
#endif
#ifdef SETTLE_ANYWAY
		there = !locked;
		if
		:: there -> rest(SETTLED); goto again
		:: else
		fi;
#endif
#ifndef NO_SECOND_LOOK
		if
		:: locked ->
			there = message[0] == THERE || message[1] == THERE;	/* be it locked */
			if
			:: there -> receive()
			:: else
			fi;
#ifdef IGNORE_LOCKED
			there = false
#endif
		:: else
		fi
#endif
	:: else
	fi;
	if
	:: got != NOBODY ->
		if
		:: d_step {				/* commit */
				assert(message[got] == THERE);
				message[got] = GONE;
				consumed[me]++;
				branch[me] = OVER
			}
		:: d_step { aborts > 0 -> aborts--; consumer[got] = NOBODY };
			if
			:: due[me] = true	/* repeated */
			:: branch[me] = OVER	/* its run was terminated */
			fi
		fi;
		in_exclusive = in_exclusive && !locked
	:: got == NOBODY && !locked ->
		d_step { branch[me] = RESTS; due[me] = true }	/* unsettled: due */
	:: got == NOBODY && locked ->
		if
		:: there ->
			d_step { branch[me] = RESTS; due[me] = true };
#ifndef NO_LOCK
			in_exclusive = false
#endif
		:: else ->
#ifdef RELEASE_EARLY
			in_exclusive = false;
			rest(SETTLED)
#else
			rest(SETTLED);
#ifndef NO_LOCK
			in_exclusive = false
#endif
#endif
		fi
	fi;
	if
	:: branch[me] == OVER
	:: branch[me] != OVER -> goto again
	fi
}

/* When nothing can happen any more. */
proctype judge()
{
	timeout ->
	i = 0;
	do
	:: i < NB ->
		assert(branch[i] == OVER || (message[0] != THERE && message[1] != THERE));
		assert(consumed[i] <= 1);
		i++
	:: else -> break
	od
}

init
{
	atomic {
		consumer[0] = NOBODY;
		consumer[1] = NOBODY;
		message[0] = ABSENT;
		message[1] = ABSENT;
		branch[0] = WORKS;
		branch[1] = WORKS;
		due[0] = true;
		due[1] = true;
		run sender(0);
		run sender(1);
		run advance(0);
		run advance(1);
		run judge()
	}
}

/*
 * check:
 * must fail: -DNO_LOCK
 * must fail: -DNO_SECOND_LOOK
 * must fail: -DSETTLE_ANYWAY
 * must fail: -DRELEASE_EARLY
 * must fail: -DLOOK_FIRST
 * must fail: -DIGNORE_LOCKED
 * must fail: -DREAD_ANY
 */
