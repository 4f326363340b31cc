# expense_flow: durable workflows in PostgreSQL
#
#   make, make install, make installcheck    as for every PGXS extension
#   make check    everything from nothing: packages (as root), build, private server, all tests
#   make check-debug    make check with assertions and the compiler's undefined behaviour sanitizer
#   make check-long    the same set-up, then what takes long: fuzzing of the language, crashes, models
#   make conformance    the same set-up, then the recorded cases of the language, each failing one shown
#   make demo     the same set-up, then a guided tour on the private server
#   make bench    the same set-up, then the benchmarks (test/bench/run)
#   make bench-peers    the same work on what else runs jobs and workflows (test/bench/peers/run)
#
# PG_CONFIG names the PostgreSQL to build for.  Files are found by wildcards:
# nothing needs to be listed here.

PG_CONFIG ?= pg_config

DEBUG_COPT = -DUSE_ASSERT_CHECKING=1 -fsanitize=undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined
BENCH_OPTIONS = -c fsync=on -c max_wal_size=4GB -c shared_buffers=512MB
SELF_CONTAINED = check check-debug check-long conformance demo bench bench-peers

ifneq (,$(filter $(SELF_CONTAINED),$(MAKECMDGOALS)))

# These do all their set-up themselves, so they must not need a pg_config yet.
.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:
export PG_CONFIG MAKE

check:
	+@test/check
check-debug:
	+@COPT='$(DEBUG_COPT)' test/check
check-long:
	+@test/check_long
conformance:
	+@test/with_server conformance -- test/conformance/run --verbose
demo:
	+@test/with_server demo -- test/demo
bench:
	+@test/with_server bench $(BENCH_OPTIONS) -- env BENCH_SERVER=bench test/bench/run
bench-peers:
	+@test/with_server bench $(BENCH_OPTIONS) -- test/bench/peers/run

ifneq (,$(filter-out $(SELF_CONTAINED),$(MAKECMDGOALS)))
$(filter-out $(SELF_CONTAINED),$(MAKECMDGOALS)):
	+@$(MAKE) --no-print-directory $@
endif

else

EXTENSION = expense_flow
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)

MODULE_big = $(EXTENSION)
PGFILEDESC = "expense_flow - durable workflows"
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

SQL_PARTS = $(sort $(wildcard sql/[0-9][0-9]_*.sql))
# What was released, and updates (test/README, "Releases").
DATA = $(filter-out %/$(EXTENSION)--$(EXTVERSION).sql,$(sort $(wildcard sql/upgrade/$(EXTENSION)--*.sql)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql

PG_CPPFLAGS = -I$(srcdir)/src -MMD -MP
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers

REGRESS = $(basename $(notdir $(sort $(wildcard test/sql/*.sql))))
REGRESS_OPTS = --inputdir=test --load-extension=$(EXTENSION)
ISOLATION = $(basename $(notdir $(sort $(wildcard test/specs/iso_*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=$(EXTENSION)
# TAP tests start servers, which root must not.
ifneq (0,$(shell id -u))
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
endif

EXTRA_CLEAN = src/.built_for $(OBJS:.o=.d) $(EXTENSION)--*.sql results output_iso regression.diffs regression.out \
	log tmp_check tmp_check_iso

# pg_regress looks for NAME.sql in sql/ before it looks in test/sql/.
CLASHES = $(filter $(REGRESS),$(basename $(notdir $(SQL_PARTS))))
ifneq (,$(CLASHES))
$(error sql/ and test/sql/ both have $(CLASHES): pg_regress would run the wrong one)
endif

# No bitcode for the JIT compiler: it needs clang, and nothing here gains by it.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq (,$(wildcard $(PGXS)))
$(error no PGXS found through "$(PG_CONFIG) --pgxs": install the server's development package or set PG_CONFIG)
endif
include $(PGXS)

-include $(OBJS:.o=.d)

$(OBJS): Makefile src/.built_for

# Objects are made anew when the server's version changes, or flags that make other code (not -W).
BUILT_FOR = $(VERSION) $(filter-out -W%,$(COPT))
src/.built_for: FORCE
	@echo '$(BUILT_FOR)' | cmp -s - $@ || echo '$(BUILT_FOR)' > $@
FORCE:

print-%:
	@echo $($*)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS) $(EXTENSION).control Makefile
	cat $(SQL_PARTS) > $@

# A private server that was left running must not lose its files under its feet.
clean: clean-private-servers
.PHONY: FORCE clean-private-servers
clean-private-servers:
	@test/private_server clean

endif
