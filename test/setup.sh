# Sourced by test/check, test/check_long and test/with_server: what all do first, and counting.
#
#   set_up ARGS...	packages (packages_options: what test/packages is told); a place where the user that servers run as can work; build and install
#
# Sets top (the checkout, or its copy).  Where that user cannot read the checkout (root's home, say), the
# calling script is run once more in a copy of the tree, with the same arguments.

unset CDPATH
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export LC_ALL=C TZ=UTC
unset PGDATABASE PGUSER PGHOST PGPORT PGDATA PGSERVICE PGOPTIONS PGHOSTADDR PGPASSFILE PGSSLMODE
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
umask 022

say()
{
	echo "== $*"
}

run_as_server_user()
{
	if [ "$(id -u)" = 0 ]; then
		runuser -u "$("$top/test/private_server" user)" -- "$@"
	else
		"$@"
	fi
}

# Can the user that servers run as read all of the tree?
readable_tree()
{
	[ "$(id -u)" = 0 ] || return 0
	(cd / && run_as_server_user test -x "$top" -a -r "$top") || return 1
	[ -z "$(cd / && run_as_server_user find "$top" \( -path "$top/.git" -o -path "$top/tmp_*" \) -prune -o \
		! -readable -print -quit 2>&1)" ]
}

run_in_copy()
{
	local copy status=0 name

	export EXPENSE_FLOW_SHARED=${EXPENSE_FLOW_SHARED:-$top/../shared}	# it is beside the checkout, not beside the copy
	name=$(basename "$0")
	copy=$(mktemp -d /tmp/expense_flow.XXXXXX)
	# shellcheck disable=SC2064
	trap "leave_copy '$copy'" EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	(cd "$top" && tar -c --exclude='./tmp_*' --exclude='*.o' --exclude='*.so' .) | tar -x -C "$copy" --no-same-owner
	chmod -R u+rwX,go+rX "$copy"
	"$copy/test/$name" "$@" || status=$?
	exit $status
}

# What the tests wrote (answers, logs) goes back to the checkout.
leave_copy()
{
	"$1/test/private_server" clean >/dev/null 2>&1 || true
	if [ -d "$1/tmp_check" ]; then
		rm -rf "$top/tmp_check"
		(cd "$1" && tar -c --exclude=pgdata tmp_check) | tar -x -C "$top"
	fi
	rm -rf "$1"
}

lock_tree()
{
	exec 9<"$top/Makefile"
	flock -n 9 || { say "waiting for another run in this checkout"; flock 9; }
}

set_up()
{
	"$top/test/packages" ${packages_options:-} || return 1
	if ! readable_tree; then run_in_copy "$@"; fi
	lock_tree
	COPT=${COPT--Werror} "$top/test/private_server" install 9<&-
}

# ---- counting what passed ----

passed=0
failed=0

count()							# PASSED FAILED
{
	passed=$((passed + $1))
	failed=$((failed + $2))
}

finish()
{
	echo "$passed passed, $failed failed"
	if [ $failed -gt 0 ] || [ $passed = 0 ]; then exit 1; fi
	exit 0
}

# The scripts of a directory, which print "ok …" and "not ok …" lines, or just exit with 0 or not.
run_scripts()					# DIRECTORY
{
	local script out status

	for script in "$1"/*; do
		[ -x "$script" ] && [ -f "$script" ] || continue
		say "$script"
		status=0
		out=$("$script" 2>&1 </dev/null) || status=$?
		[ -z "$out" ] || echo "$out" | head -c 20000
		if echo "$out" | grep -qE '^(not )?ok\b'; then
			count "$(echo "$out" | grep -cE '^ok\b' || true)" "$(echo "$out" | grep -cE '^not ok\b' || true)"
			if [ $status != 0 ] && ! echo "$out" | grep -qE '^not ok\b'; then count 0 1; fi
		elif [ $status = 0 ]; then
			count 1 0
		else
			echo "$script failed"
			count 0 1
		fi
	done
}
