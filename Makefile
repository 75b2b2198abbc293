# Vitrine: one non-recursive Makefile. `make help` lists what it can do.
#
# BUILD names the output folder; SANITIZE=address|thread adds instrumented builds in folders of their own
# (build/address, build/thread), so all of them live side by side. PERTURB=1 compiles the marked points in at which
# tests disturb the schedule of threads (base/perturb.h); SANITIZE=thread does so always.

VERSION  := 0.1.0
SANITIZE ?=
PERTURB  ?= $(filter thread,$(SANITIZE))
BUILD    ?= build$(if $(SANITIZE),/$(SANITIZE))$(if $(filter-out $(SANITIZE),$(PERTURB)),/perturb)
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX   ?= /usr/local
DESTDIR  ?=

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
HARDEN   := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
CFLAGS   ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -Idaemon -I. -DVITRINE_VERSION='"$(VERSION)"'
ALL_CFLAGS := -std=gnu11 -pthread -fno-strict-aliasing $(CFLAGS) $(WARNINGS) $(HARDEN) $(EXTRA_CFLAGS)
LDFLAGS  += -pie -pthread -Wl,-z,relro,-z,now

ifeq ($(SANITIZE),address)
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DLOCK_CHECK
LDFLAGS    += -fsanitize=address,undefined
endif
ifeq ($(SANITIZE),thread)
ALL_CFLAGS += -fsanitize=thread -fno-omit-frame-pointer -DLOCK_CHECK
LDFLAGS    += -fsanitize=thread
endif
PERTURB_FLAGS := -DPERTURB_POINTS
ifneq ($(PERTURB),)
CPPFLAGS += $(PERTURB_FLAGS)
endif

# The rooms, lowest first; each becomes build/lib<room>.a. What a room may link is what stands before it.
ROOMS := base config metrics store protocol net admin
DIR_base := daemon/base
DIR_config := daemon/config
DIR_metrics := metrics metrics/insight
DIR_store := daemon/store
DIR_protocol := daemon/protocol
DIR_net := daemon/net
DIR_admin := admin
LIBS_net := -levent_core -levent_pthreads -ldl
LIBS_admin := -lmicrohttpd -ljansson -lz

# A unit test tests/unit/check_<room>_<what>.c links that room and those below it: the link proves the layering.
BELOW_base := base
BELOW_config := config base
BELOW_metrics := metrics base
BELOW_store := store metrics base
BELOW_protocol := protocol store metrics config base
BELOW_net := net protocol store metrics config base
BELOW_admin := admin net protocol store metrics config base
LIBS_BELOW_net := $(LIBS_net)
LIBS_BELOW_admin := $(LIBS_admin) $(LIBS_net)
# The program loads OpenSSL itself where TLS is asked for (net/openssl_priv.h); this test has a client of its own.
LIBS_check_net_tls := -lssl -lcrypto

sources = $(wildcard $(addsuffix /*.c,$(DIR_$(1))))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))

BINARY := $(BUILD)/vitrine
ASSETS := build/web/assets.c

.PHONY: all
all: $(BINARY) ## build/vitrine (the default)

# The libraries, by pkg-config's names: asked for once, so that a missing one is told in a line.
PACKAGES := libevent_core libevent_pthreads openssl libmicrohttpd jansson libxxhash zlib
$(BUILD)/libraries-found: Makefile
	@for package in $(PACKAGES); do pkg-config --exists $$package || missing="$$missing $$package"; done; \
	    [ -z "$$missing" ] || { echo "make: not installed:$$missing; run tools/install-deps.sh" >&2; exit 1; }
	@mkdir -p $(@D)
	@touch $@

$(BUILD)/obj/%.o: %.c | $(BUILD)/libraries-found
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

define room_rule
$(BUILD)/lib$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach room,$(ROOMS),$(eval $(call room_rule,$(room))))

# The store and what is below it once more, with the marked points, for the programs that need them.
PERTURBED := $(if $(PERTURB),$(BUILD),$(BUILD)/perturbed)
PERTURBED_LIBS := $(foreach room,store metrics base,$(PERTURBED)/lib$(room).a)
ifeq ($(PERTURB),)
$(PERTURBED)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PERTURB_FLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

define perturbed_rule
$(PERTURBED)/lib$(1).a: $(patsubst %.c,$(PERTURBED)/obj/%.o,$(call sources,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach room,store metrics base,$(eval $(call perturbed_rule,$(room))))
endif

# The dashboard, bundled by esbuild and turned into one C file of precompressed bytes.
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)
$(ASSETS): $(WEB_SOURCES)
	tools/build-web.sh $@

$(BUILD)/obj/assets.o: $(ASSETS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

$(BINARY): $(BUILD)/obj/daemon/main.o $(BUILD)/obj/assets.o $(foreach r,$(BELOW_admin),$(BUILD)/lib$(r).a)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_admin) $(LIBS_net)

UNIT_SOURCES := $(wildcard tests/unit/check_*.c)
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))
unit_room = $(word 2,$(subst _, ,$(notdir $(1))))

define unit_rule
$(BUILD)/unit/$(1): $(BUILD)/obj/tests/unit/$(1).o $(if $(findstring hazards,$(1)),$(PERTURBED_LIBS),$(foreach r,$(BELOW_$(call unit_room,$(1))),$(BUILD)/lib$(r).a)) $(if $(filter admin,$(call unit_room,$(1))),$(BUILD)/obj/assets.o)
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ -lcheck -lsubunit -lrt -lm $(LIBS_BELOW_$(call unit_room,$(1))) $(LIBS_$(1))
endef
$(foreach t,$(notdir $(basename $(UNIT_SOURCES))),$(eval $(call unit_rule,$(t))))

.PHONY: unit
unit: $(UNIT_TESTS) ## unit tests; SANITIZE=address or thread for instrumented ones
	tests/run-unit.sh $(UNIT_TESTS)

include $(wildcard tests/*.mk)

.PHONY: install uninstall
install: $(BINARY) ## the program, its manual page, options file and systemd unit, below DESTDIR and PREFIX
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/vitrine
	$(BINARY) --man > $(BUILD)/vitrine.1
	install -D -m 644 $(BUILD)/vitrine.1 $(DESTDIR)$(PREFIX)/share/man/man1/vitrine.1
	test -e $(DESTDIR)/etc/vitrine.conf || install -D -m 644 deploy/vitrine.conf $(DESTDIR)/etc/vitrine.conf
	sed 's|@PREFIX@|$(PREFIX)|' deploy/vitrine.service > $(BUILD)/vitrine.service
	install -D -m 644 $(BUILD)/vitrine.service $(DESTDIR)$(PREFIX)/lib/systemd/system/vitrine.service

uninstall: ## what install put there, but for the options file
	rm -f $(DESTDIR)$(PREFIX)/bin/vitrine $(DESTDIR)$(PREFIX)/share/man/man1/vitrine.1 \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/vitrine.service

.PHONY: deb
deb: $(BINARY) ## a Debian package in build/
	tools/build-deb.sh $(BINARY) $(VERSION)

# A source tarball carries the dashboard built, so that it needs no node and no npm.
DIST := vitrine-$(VERSION)
.PHONY: dist
dist: $(ASSETS) ## a source tarball in build/
	rm -rf build/$(DIST)
	git archive --prefix=$(DIST)/ HEAD | tar -x -C build
	install -D -m 644 $(ASSETS) build/$(DIST)/web/dist/assets.c
	tar -czf build/$(DIST).tar.gz -C build $(DIST)
	rm -rf build/$(DIST)

.PHONY: clean
clean: ## everything that was built
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sort -u | awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'

-include $(shell find $(BUILD)/obj $(BUILD)/perturbed -name '*.d' 2>/dev/null)
